"""Agreement learned from running text: its pairs, its loss, and the affinity that it trains."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from treenlp.data.paths import data_root
from treenlp.data.pku import TaggedText, parse_pku_line, read_pku
from treenlp.encoder import Trunk
from treenlp.errors import DataError
from treenlp.experiment.agreement import (
    Agreement,
    AgreementPairs,
    contrastive_loss,
    tag_as_pku,
)
from treenlp.experiment.parser_data import collect_agreement
from treenlp.lexicon import Lexicon, load_lexicon
from treenlp.parsing.atoms import AtomBatch
from treenlp.parsing.parser import ChartParser, load_parser
from treenlp.parsing.scorer import PackedScores
from treenlp.text import Sentence
from treenlp.trees.brackets import parse_brackets

TOY = AgreementPairs(
    counted={("个", "球"): 4, ("位", "老师"): 9, ("位", "师"): 1, ("所", "大学"): 3},
    objects={("卖", "球拍"): 2, ("拍", "老师"): 1},
)


@pytest.fixture
def parser(tiny: Path) -> ChartParser:
    found = load_parser(tiny)
    found.scorer.float().requires_grad_(True)
    return found


def text(line: str) -> TaggedText:
    parsed = parse_pku_line(line)
    assert parsed is not None
    return parsed


def never(one: str, other: str) -> bool:
    return False


def test_trees_are_read_as_tagged_text() -> None:
    tree = parse_brackets("(IP (VP (VV 看) (AS 了) (NP (CD 两) (M 所) (JJ 新) (NN 大学))) (PU 。))")
    tagged = tag_as_pku(tree)
    assert tagged.words == ("看", "了", "两", "所", "新", "大学", "。")
    assert tagged.tags == ("v", "u", "m", "q", "x", "n", "w")
    plain = tag_as_pku(parse_brackets("(VP (VV 看) (NP (CD 两) (M 所) (NN 大学)))"))
    found = AgreementPairs.collect([plain], leave_out=never)
    assert found == AgreementPairs(counted={("所", "大学"): 1}, objects={("看", "大学"): 1})


def test_pairs_are_counted_and_some_left_out() -> None:
    texts = [text("喝/v  两/m  杯/q  茶/n  。/w"), text("三/m  杯/q  茶/n"), text("喝/v  水/n")]
    found = AgreementPairs.collect(texts, leave_out=never)
    assert found.counted == {("杯", "茶"): 2}
    assert found.objects == {("喝", "茶"): 1, ("喝", "水"): 1}
    asked: set[tuple[str, str]] = set()

    def leave_out(one: str, other: str) -> bool:
        asked.add((one, other))
        return other == "茶"

    kept = AgreementPairs.collect(texts, leave_out=leave_out)
    assert kept == AgreementPairs(counted={}, objects={("喝", "水"): 1})
    assert asked == set(found.counted) | set(found.objects)


def test_the_loss_is_the_cross_entropy_of_a_slow_twin() -> None:
    scores, right, known = matrices()
    total = torch.zeros((), dtype=scores.dtype)
    for i, row in enumerate(right.tolist()):
        for j, times in enumerate(row):
            others = [scores[i, m] for m in range(len(row)) if not known[i, m]]
            chances = torch.stack([scores[i, j], *others])
            total = total - times * torch.log_softmax(chances, 0)[0]
    torch.testing.assert_close(contrastive_loss(scores, right, known), total / right.sum())


def test_the_gradient_of_the_loss_is_right_and_spares_what_was_observed() -> None:
    scores, right, known = matrices()
    assert torch.autograd.gradcheck(
        lambda s: contrastive_loss(s, right, known), (scores.requires_grad_(True),)
    )
    contrastive_loss(scores, right, known).backward()
    assert scores.grad is not None
    assert (
        scores.grad[known & (right == 0)] == 0
    ).all()  # observed, not drawn: neither up nor down
    assert (scores.grad[right > 0] < 0).all()
    drawn_rows = (right > 0).any(1, keepdim=True) & ~known
    assert (scores.grad[drawn_rows] > 0).all()


def test_a_word_that_agrees_with_all_teaches_nothing() -> None:
    scores = torch.randn(1, 3, generator=torch.Generator().manual_seed(0))
    known = torch.ones(1, 3, dtype=torch.bool)
    assert contrastive_loss(scores, torch.eye(1, 3), known).item() == 0.0


def matrices() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    right = torch.tensor([[2.0, 0, 0, 0, 0], [0, 1, 0, 3, 0], [0, 0, 0, 0, 0]]).double()
    known = right > 0
    known[0, 4] = known[2, 2] = True
    return scores, right, known


@pytest.mark.parametrize("size", [1, 3, 50])
def test_a_draw_knows_every_observed_pair(parser: ChartParser, size: int) -> None:
    counted, objects = Agreement(TOY, parser.tokenizer, size=size).relations
    for relation, pairs in ((counted, TOY.counted), (objects, TOY.objects)):
        drawn = relation.draw(size, random.Random(size))
        assert drawn.right.sum() == size
        for i, head in enumerate(drawn.heads):
            for j, noun in enumerate(drawn.nouns):
                assert bool(drawn.known[i, j]) == ((head, noun) in pairs)
                assert drawn.known[i, j] or drawn.right[i, j] == 0
        assert (drawn.right.sum(0) > 0).all()
        assert (drawn.right.sum(1) > 0).all()


def test_frequent_pairs_are_drawn_by_the_root_of_their_count(parser: ChartParser) -> None:
    drawn = Agreement(TOY, parser.tokenizer).relations[0].draw(20_000, random.Random(1))
    share = {
        (head, noun): drawn.right[i, j].item() / 20_000
        for i, head in enumerate(drawn.heads)
        for j, noun in enumerate(drawn.nouns)
        if drawn.known[i, j]
    }
    roots = {pair: n**0.5 for pair, n in TOY.counted.items()}
    for pair, root in roots.items():
        assert share[pair] == pytest.approx(root / sum(roots.values()), abs=0.02)


def test_nothing_to_learn_from_is_refused(parser: ChartParser) -> None:
    with pytest.raises(DataError, match="found no pair of words that agree"):
        Agreement(AgreementPairs(counted={}, objects={}), parser.tokenizer)
    only = Agreement(AgreementPairs(counted={}, objects=TOY.objects), parser.tokenizer)
    assert only.loss(parser.scorer, parser.trunk, random.Random(0)) > 0


@torch.no_grad()
def test_agreement_is_the_affinity_of_the_same_words_in_a_sentence(parser: ChartParser) -> None:
    sentences = ["两个大学的老师", "乒乓球拍卖完了", "两所大学"]
    scorer, window = parser.scorer, parser.scorer.config.affinity_window
    batch, packed = packed_scores(parser, sentences)
    compared = 0
    for b, sentence in enumerate(sentences):
        places = range(window, len(sentence) + 1)
        seen = [
            [parser.tokenizer.character(c) for c in sentence[:k][::-1][:window]] for k in places
        ]
        assert seen == [batch.static[b, k - window : k].flip(0).tolist() for k in places]
        for parent in range(len(scorer.grammars["zh"].parent_classes)):
            found = scorer.agreement(
                "zh", parent, parser.trunk, torch.tensor(seen), torch.tensor(seen)
            )
            wanted = packed.affinity[b, window : len(sentence) + 1, window : len(sentence) + 1]
            torch.testing.assert_close(found, wanted[..., parent], atol=1e-6, rtol=1e-4)
            compared += found.numel()
    parents = len(scorer.grammars["zh"].parent_classes)
    assert compared == parents * sum((len(s) + 1 - window) ** 2 for s in sentences)


def packed_scores(parser: ChartParser, sentences: list[str]) -> tuple[AtomBatch, PackedScores]:
    built = [Sentence.from_text(sentence, lang="zh") for sentence in sentences]
    batch = AtomBatch.build(
        [sentence for sentence in built if sentence is not None],
        parser.tokenizer,
        max_positions=parser.trunk.config.max_positions,
    )
    scorer = parser.scorer
    hidden = scorer.contextualize(parser.trunk, batch)
    fence, words = scorer.fenceposts(batch, *scorer.atoms(parser.trunk, batch, hidden))
    return batch, scorer.score_fenceposts("zh", fence, words, batch.lengths)


def test_the_loss_depends_on_the_random_state_alone(parser: ChartParser) -> None:
    agreement = Agreement(TOY, parser.tokenizer, size=8)
    losses = [
        agreement.loss(parser.scorer, parser.trunk, random.Random(seed)).item()
        for seed in (1, 2, 1)
    ]
    assert losses[0] == losses[2] != losses[1]


def test_the_loss_moves_the_affinity_and_nothing_else(parser: ChartParser) -> None:
    agreement = Agreement(TOY, parser.tokenizer, size=8)
    torch.manual_seed(6)
    scorer, trunk = parser.scorer.double(), Trunk(parser.trunk.config).double()
    agreement.loss(scorer, trunk, random.Random(1)).backward()
    moved = {
        name
        for name, parameter in scorer.named_parameters()
        if parameter.grad is not None and bool((parameter.grad != 0).any())
    }
    assert moved == {
        f"{layer}.{part}"
        for layer in ("window", "heads.zh.governor", "heads.zh.dependent")
        for part in ("weight", "bias")
    }
    assert all(parameter.grad is None for parameter in trunk.parameters())
    for name in sorted(moved):
        parameter = scorer.get_parameter(name)
        assert parameter.grad is not None
        at = int(parameter.grad.abs().argmax())
        values = []
        for change in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.view(-1)[at] += change
                values.append(agreement.loss(scorer, trunk, random.Random(1)).item())
                parameter.view(-1)[at] -= change
        slope = (values[0] - values[1]) / 2e-5
        assert slope == pytest.approx(parameter.grad.view(-1)[at].item(), rel=1e-5)


def test_words_shorter_than_the_window_are_filled_up(parser: ChartParser) -> None:
    agreement = Agreement(TOY, parser.tokenizer)
    found = agreement._windows(["位", "老师"], lambda rng: "大", 4, random.Random(0))
    big, teacher = (parser.tokenizer.character(c) for c in "大位")
    assert found[0].tolist() == [teacher, big, big, big]
    assert found.shape == (2, 4)


def test_training_raises_observed_pairs_over_all_others(parser: ChartParser) -> None:
    torch.manual_seed(0)
    agreement = Agreement(TOY, parser.tokenizer, size=24)
    scorer = parser.scorer
    optimizer = torch.optim.Adam(scorer.parameters(), lr=0.01)
    for step in range(100):
        optimizer.zero_grad()
        agreement.loss(scorer, parser.trunk, random.Random(step)).backward()
        optimizer.step()
    for parent, pairs in (("NP", TOY.counted), ("VP", TOY.objects)):
        check_order(parser, parent, pairs)


@torch.no_grad()
def check_order(parser: ChartParser, parent: str, pairs: Mapping[tuple[str, str], int]) -> None:
    """A word has more affinity with each that it was seen with than with any other."""
    heads = sorted({head for head, _ in pairs})
    nouns = sorted({noun for _, noun in pairs})

    def pieces(words: list[str], before: str) -> Tensor:
        rows = [[*(before + word)][-3:][::-1] for word in words]
        return torch.tensor([[parser.tokenizer.character(c) for c in row] for row in rows])

    scores = parser.scorer.agreement(
        "zh",
        parser.scorer.grammars["zh"].parent_classes.index(parent),
        parser.trunk,
        pieces(heads, "了两" if parent == "NP" else "，他"),
        pieces(nouns, "的大"),
    )
    is_seen = torch.tensor([[(head, noun) in pairs for noun in nouns] for head in heads])
    for own, seen in (*zip(scores, is_seen, strict=True), *zip(scores.T, is_seen.T, strict=True)):
        if not seen.all():
            assert own[seen].min() > own[~seen].max()


def is_validation(lexicon: Lexicon, word: str) -> bool:
    row = lexicon.classifiers.get(word)
    return lexicon.split_of(word) == "validation" or (row is not None and row.split == "validation")


def kept_out(lexicon: Lexicon, pairs: AgreementPairs) -> set[tuple[str, str]]:
    """Pairs of two words of the lexicon that it keeps for validation."""
    known = {*lexicon.nouns, *lexicon.classifiers, *(verb.text for verb in lexicon.verbs)}
    return {
        pair
        for pair in (*pairs.counted, *pairs.objects)
        if known.issuperset(pair) and all(is_validation(lexicon, word) for word in pair)
    }


def test_no_pair_of_two_validation_words_is_learned_from() -> None:
    lexicon = load_lexicon()
    texts = [
        TaggedText(words=("两", classifier, noun.text), tags=("m", "q", "n"))
        for noun in lexicon.nouns.values()
        for classifier in noun.classifiers
    ]
    texts += [
        TaggedText(words=(verb.text, noun), tags=("v", "n"))
        for verb in lexicon.verbs
        for noun in verb.objects
    ]
    everything = AgreementPairs.collect(texts, leave_out=never)
    wanted = kept_out(lexicon, everything)
    assert len(wanted & set(everything.counted)) > 50
    assert len(wanted & set(everything.objects)) > 50
    found = collect_agreement(texts, lexicon)
    assert not kept_out(lexicon, found)
    left_out = {*everything.counted, *everything.objects} - {*found.counted, *found.objects}
    assert wanted <= left_out
    # 个 counts nearly everything: its pairs decide nothing and are left out whole
    decided = [pair for pair in left_out if pair[0] != "个"]
    assert all(is_validation(lexicon, word) for pair in decided for word in pair)
    assert not any(classifier == "个" for classifier, _ in found.counted)


def test_the_newspaper_teaches_no_pair_of_two_validation_words() -> None:
    if not (data_root() / "text_zh").is_dir():
        pytest.skip("the reference data is not here")
    lexicon = load_lexicon()
    found = collect_agreement(read_pku(), lexicon)
    assert len(found.counted) > 3_000
    assert len(found.objects) > 3_000
    assert not kept_out(lexicon, found)

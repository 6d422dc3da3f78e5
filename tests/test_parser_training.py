"""What the parser is trained on and how: sources, hidden pieces, sets that are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from treenlp.data.dependencies import GoldSentence, gold_subtrees
from treenlp.data.pku import TaggedText, parse_pku_line
from treenlp.data.treebanks import spell_tokens
from treenlp.encoder.pieces import UNKNOWN
from treenlp.experiment import parser_data
from treenlp.experiment.agreement import Agreement, AgreementPairs
from treenlp.experiment.parser_data import ParserData, partial_target
from treenlp.experiment.parser_stage import ParserTask, Source, tree_target
from treenlp.parsing.parser import ChartParser, load_parser
from treenlp.parsing.targets import ChartTarget
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.conllu import DependencyTree
from treenlp.trees.tree import Tree

LOW = "(NP (DNP (NP (QP (CD 两) (CLP (M 个))) (NP (NN 大学))) (DEG 的)) (NP (NN 老师)))"
HIGH = "(NP (QP (CD 两) (CLP (M 个))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))"
SOLD = "(IP (NP (NN 乒乓球拍)) (VP (VV 卖完) (AS 了)))"


@pytest.fixture
def parser(tiny: Path) -> ChartParser:
    found = load_parser(tiny)
    found.scorer.float().requires_grad_(True)
    return found


def task_of(
    parser: ChartParser, *, hide: float, inside: float = 0.0, steps: int = 8, **more: Any
) -> ParserTask:
    grammar = parser.scorer.grammars["zh"]

    def target(brackets: str) -> ChartTarget:
        found = tree_target(spell_tokens(parse_brackets(brackets)), grammar, "zh")
        assert found is not None
        return found

    either = (target(LOW), target(HIGH))
    targets: list[ChartTarget | tuple[ChartTarget, ...]] = [either, target(SOLD)] * 6
    source = Source(name="own", lang="zh", targets=targets, share=1.0, hide=hide, dropout=inside)
    return ParserTask(
        parser.scorer,
        parser.trunk,
        parser.tokenizer,
        [source],
        steps=steps,
        seed=3,
        atoms_per_batch={"zh": 60, "en": 60},
        **more,
    )


def test_only_real_pieces_are_hidden_in_about_half_of_the_rows(parser: ChartParser) -> None:
    plain, hiding = task_of(parser, hide=0.0, steps=40), task_of(parser, hide=0.5, steps=40)
    hidden_pieces, real_pieces, hidden_rows, rows = 0, 0, 0, 0
    for step in range(40):
        whole, partly = plain.batch(step).atoms, hiding.batch(step).atoms
        is_hidden = whole.pieces.ids != partly.pieces.ids
        is_real = torch.zeros(is_hidden.numel(), dtype=torch.bool)
        is_real[whole.pieces.flat] = True
        assert not (is_hidden & ~is_real.view(is_hidden.shape)).any()
        assert (partly.pieces.ids[is_hidden] == UNKNOWN).all()
        assert torch.equal(whole.pieces.mask, partly.pieces.mask)
        assert torch.equal(whole.static, partly.static)  # it has to tell what is hidden
        hidden_pieces += int(is_hidden.sum())
        real_pieces += int(is_real.sum())
        hidden_rows += int(is_hidden.any(1).sum())
        rows += len(is_hidden)
    assert hidden_pieces / real_pieces == pytest.approx(0.25, abs=0.05)
    assert hidden_rows / rows == pytest.approx(0.5, abs=0.1)


def test_nothing_is_hidden_without_being_asked(parser: ChartParser) -> None:
    task = task_of(parser, hide=0.0, steps=20)
    assert all((task.batch(step).atoms.pieces.ids != UNKNOWN).all() for step in range(20))
    everything = task_of(parser, hide=1.0, steps=20)
    ids = torch.cat([everything.batch(step).atoms.pieces.ids.flatten() for step in range(20)])
    assert (ids == UNKNOWN).any()
    assert {0, 2} < set(ids.tolist())  # begin and end are always seen


def test_dropout_of_a_source_makes_its_losses_vary(parser: ChartParser) -> None:
    def losses(inside: float) -> set[float]:
        task = task_of(parser, hide=0.0, inside=inside, dropout=0.0).train()
        found = {task.loss(task.batch(0)).item() for _ in range(3)}
        task.eval()
        return found

    assert len(losses(0.0)) == 1
    assert len(losses(0.5)) == 3


def test_parser_batches_depend_on_seed_and_step_alone(parser: ChartParser) -> None:
    pairs = AgreementPairs(counted={("位", "老师"): 2, ("所", "大学"): 1}, objects={})
    agreement = Agreement(pairs, parser.tokenizer, size=4)
    one = task_of(parser, hide=0.5, agreement=agreement, dropout=0.0)
    other = task_of(parser, hide=0.5, agreement=agreement, dropout=0.0)
    other.batch(5)
    for step in (7, 0, 3):
        left, right = one.batch(step), other.batch(step)
        assert torch.equal(left.atoms.pieces.ids, right.atoms.pieces.ids)
        assert torch.equal(left.targets.boundary, right.targets.boundary)
        assert one.loss(left).item() == other.loss(right).item()
    assert not torch.equal(one.batch(0).atoms.pieces.ids, one.batch(1).atoms.pieces.ids)


def test_agreement_is_part_of_the_loss_by_its_weight(parser: ChartParser) -> None:
    pairs = AgreementPairs(counted={("位", "老师"): 2, ("所", "大学"): 1}, objects={})
    agreement = Agreement(pairs, parser.tokenizer, size=4)
    plain, weighted = (
        task_of(parser, hide=0.0, dropout=0.0, agreement=one, agreement_weight=0.5)
        for one in (None, agreement)
    )
    batch = weighted.batch(2)
    state = batch.rng.getstate()
    added = agreement.loss(parser.scorer, parser.trunk, batch.rng)
    batch.rng.setstate(state)
    torch.testing.assert_close(weighted.loss(batch), plain.loss(plain.batch(2)) + 0.5 * added)


def gold(text: str, part: str) -> GoldSentence:
    tree = DependencyTree(
        words=(text[:2], text[2:]),
        tags=("NOUN", "VERB"),
        language_tags=("_", "_"),
        heads=(1, -1),
        relations=("nsubj", "root"),
        space_after=(False, False),
    )
    return GoldSentence(
        text=text, words=((0, 2), (2, 4)), tree=tree, subtrees=gold_subtrees(tree), part=part
    )


def flat(text: str) -> Tree:
    return parse_brackets(f"(IP (NP (NN {text[:2]})) (VP (VV {text[2:]})))")


def english(*words: str) -> Tree:
    return parse_brackets(f"(S {' '.join(f'(NP (NN {word}))' for word in words)})")


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ParserData]:
    """`ParserData.read` over a few sentences of each set."""
    silver = {"hsk": "学生跑步", "reviews": "房间太小", "ud": "老师来了", "gsd_train": "大家唱歌"}
    sentences = [
        gold("老师来了", "beginner_first"),
        gold("大家唱歌", "gsd_train"),
        gold("医生走了", "hk_first"),
    ]

    def silver_zh(parts: Sequence[str], **more: object) -> Iterator[Tree]:
        return (flat(text) for part, text in silver.items() if part in parts)

    def newspaper() -> Iterator[TaggedText]:
        for line in ("三/m  位/q  老师/n", "喝/v  茶/n", "洗/v  衣服/n"):
            text = parse_pku_line(line)
            assert text is not None
            yield text

    readers: dict[str, Callable[..., object]] = {
        "read_silver_zh": silver_zh,
        "read_pku": newspaper,
        "read_mctb_en": lambda part, **more: [english("gold", part), english("gold", "measured")],
        "read_wsj_sample": lambda: [english("street", "journal")],
        "read_silver_en": lambda **more: [english("auto", "tree"), english("auto", "measured")],
        "read_ud_zh": lambda *, use: sentences if use == "train" else [],
    }
    for name, reader in readers.items():
        monkeypatch.setattr(parser_data, name, reader)
    measured = {"gold measured", "auto measured", "喝茶", "学生跑步"}

    def read(*, free: bool = False) -> ParserData:
        return ParserData.read((), measured=measured.__contains__, free=free)

    return read


def words(trees: Sequence[Tree], separator: str = "") -> list[str]:
    return [separator.join(tree.leaves) for tree in trees]


def test_english_is_learned_from_gold_and_automatic_trees_apart(
    reading: Callable[..., ParserData],
) -> None:
    data = reading()
    assert words(data.english, " ") == ["gold train", "street journal"]
    assert words(data.automatic_english, " ") == ["auto tree"]
    sources = {source.name: source for source in data.sources(data_grammars(data))}
    assert len(sources["gold en"].targets) == 2
    assert len(sources["automatic en"].targets) == 1
    texts = {
        target.sentence.text
        for target in sources["automatic en"].targets
        if isinstance(target, ChartTarget)
    }
    assert texts == {"auto tree"}


def test_chinese_with_gold_dependencies_is_a_source_of_its_own(
    reading: Callable[..., ParserData],
) -> None:
    data = reading()
    sources = {source.name: source for source in data.sources(data_grammars(data))}
    assert [len(sources[f"{name} zh"].targets) for name in ("automatic", "checked")] == [1, 2]
    assert len(sources["dependencies zh"].targets) == 3
    assert "generated zh" not in sources  # none were given


def test_gold_dependencies_require_counted_nouns_as_phrases(parser: ChartParser) -> None:
    tree = DependencyTree(
        words=("两", "所", "大学", "的", "老师"),
        tags=("NUM", "NOUN", "NOUN", "PART", "NOUN"),
        language_tags=("_",) * 5,
        heads=(2, 0, 4, 2, -1),
        relations=("nummod", "clf", "nmod", "case", "root"),
        space_after=(False,) * 5,
    )
    words = ((0, 1), (1, 2), (2, 4), (4, 5), (5, 7))
    sentence = GoldSentence(
        text="两所大学的老师", words=words, tree=tree, subtrees=gold_subtrees(tree), part="test"
    )
    grammar = parser.scorer.grammars["zh"]
    target = partial_target(sentence, grammar)
    assert target is not None
    assert [(s, e, grammar.phrase_labels[label]) for s, e, label in target.required] == [
        (0, 4, "NP"),
        (0, 5, "DNP"),
    ]


def data_grammars(data: ParserData) -> Any:
    """Grammars with rare labels kept: each stands only once or twice here."""
    from treenlp.parsing.grammar import Grammar
    from treenlp.trees.transforms import collapse_unary

    return {
        "zh": Grammar.from_trees(map(collapse_unary, data.chinese), lang="zh", max_word_units=4),
        "en": Grammar.from_trees(
            map(collapse_unary, data.english + data.automatic_english), lang="en", max_word_units=1
        ),
    }


def test_what_is_measured_teaches_neither_trees_nor_agreement(
    reading: Callable[..., ParserData],
) -> None:
    data = reading()
    assert words(data.chinese) == ["房间太小", "老师来了", "大家唱歌"]
    assert set(data.agreement.counted) == {("位", "老师")}
    assert set(data.agreement.objects) == {("洗", "衣服")}


def test_a_free_model_learns_from_no_set_that_forbids_trade(
    reading: Callable[..., ParserData],
) -> None:
    everything, free = reading(), reading(free=True)
    assert words(everything.chinese) == ["房间太小", "老师来了", "大家唱歌"]
    assert words(free.chinese) == ["大家唱歌"]  # no review, no sentence of Beginner
    assert [s.part for s in everything.gold] == ["beginner_first", "gsd_train", "hk_first"]
    assert [s.part for s in free.gold] == ["gsd_train", "hk_first"]
    assert words(free.english, " ") == ["gold train"]
    assert free.automatic_english == everything.automatic_english

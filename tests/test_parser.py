"""The parser around the chart: pieces and atoms, batching, given words, targets, long input."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from tiny import write_tiny_model

from treenlp.data.treebanks import spell_english, spell_tokens
from treenlp.encoder import PieceBatch, Pieces
from treenlp.errors import ModelError
from treenlp.experiment.calibration import GRID, fit_temperature
from treenlp.experiment.parser_stage import ParserTask, Source, tree_target
from treenlp.parsing import ChartParser, load_parser
from treenlp.parsing.atoms import AtomBatch
from treenlp.parsing.chart import log_partition
from treenlp.parsing.constraints import tree_items, tree_scores
from treenlp.parsing.parser import JOINT
from treenlp.parsing.targets import ChartTarget, TargetBatch, crf_loss
from treenlp.text import Sentence
from treenlp.trees.brackets import parse_brackets

CHINESE = "(IP (NP (NN 猫)) (VP (VV 跑)) (PU 。))"


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> ChartParser:
    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    loaded = load_parser(folder)
    return ChartParser(loaded.scorer.float(), loaded.trunk, loaded.tokenizer, bf16=False)


def sentences(*texts: str) -> list[Sentence]:
    return [found for text in texts if (found := Sentence.from_text(text)) is not None]


def test_a_batch_gives_what_single_sentences_give(parser: ChartParser) -> None:
    texts = sentences(
        "猫跑。", "两个大学的老师", "The cat runs.", "猫", "It runs .", "大学的猫跑。"
    )
    together = parser.forests(texts)
    for text, forest in zip(texts, together, strict=True):
        alone = parser.forests([text])[0]
        assert forest.log_partition() == pytest.approx(alone.log_partition(), abs=1e-3)
        assert forest.argmax() == alone.argmax() == parser.parse([text])[0]
    assert parser.parse(texts) == [forest.argmax() for forest in together]


def test_leaves_join_to_the_text(parser: ChartParser) -> None:
    for text in ("猫 跑 了12个ab。", "老师\u3000来", "a  b\tc"):
        (found,) = parser.parse(sentences(text))
        assert "".join(found.leaves) == "".join(text.split())


def test_given_words_are_kept(parser: ChartParser) -> None:
    line = "两个 大学的老 师 Abc12猫"
    sentence = Sentence.from_tokenized(line, lang="zh")
    assert sentence is not None
    assert parser.parse([sentence])[0].leaves == tuple(line.split())
    assert parser.forests([sentence])[0].argmax().leaves == tuple(line.split())


def test_given_english_words_are_parsed_as_the_text_that_they_stand_for(
    parser: ChartParser,
) -> None:
    apart = Sentence.from_words(("It", "runs", "."), lang="en")
    (typed,) = sentences("It runs.")
    (spaced,) = sentences("It runs .")
    log_z = [forest.log_partition() for forest in parser.forests([apart, typed, spaced])]
    assert log_z[0] == pytest.approx(log_z[1], abs=1e-4)
    assert log_z[0] != pytest.approx(log_z[2], abs=1e-2)
    assert parser.parse([apart])[0].leaves == ("It", "runs", ".")


def test_english_reads_through_layers_of_its_own(parser: ChartParser) -> None:
    scorer, trunk = parser.scorer, parser.trunk
    assert scorer.view("zh") is scorer
    assert scorer.view("en") is not scorer
    batch = AtomBatch.build(sentences("It runs."), parser.tokenizer, max_positions=64)
    hidden = scorer.contextualize(trunk, batch)
    fence, words = scorer.fenceposts(batch, *scorer.atoms(trunk, batch, hidden))
    learned = scorer.score_fenceposts("en", fence, words, batch.lengths)
    used = parser.pack_scores(batch)  # with changes merged into the layers
    assert torch.allclose(learned.phrase, used.phrase, atol=1e-4)
    assert torch.allclose(learned.word, used.word, atol=1e-4)


def test_what_english_learns_leaves_chinese_alone(parser: ChartParser) -> None:
    scorer, trunk = copy.deepcopy(parser.scorer).requires_grad_(True), parser.trunk

    def learned(text: str) -> set[str]:
        scorer.zero_grad()
        batch = AtomBatch.build(sentences(text), parser.tokenizer, max_positions=64)
        atoms, _ = scorer.atoms(trunk, batch, scorer.contextualize(trunk, batch))
        atoms.square().sum().backward()
        return {name for name, value in scorer.named_parameters() if value.grad is not None}

    shared = {"static.weight", "static.bias", "place.weight", "mix.weight", "mix.bias"}
    chinese, english = learned("猫跑。"), learned("It runs.")
    assert chinese & english == shared
    assert any(name.startswith("layers.") for name in chinese)
    assert all(name.startswith("views.en.") for name in english - shared)


def test_an_overlong_sentence_is_parsed_in_stretches(parser: ChartParser) -> None:
    (sentence,) = sentences("猫" * (2 * parser.max_atoms + 1))
    (tree,) = parser.parse([sentence])
    assert tree.label == JOINT
    assert "".join(tree.leaves) == sentence.surface
    with pytest.raises(ModelError, match="expected at most 150"):
        parser.forests([sentence])


def test_a_word_longer_than_a_row_of_pieces_takes_windows(parser: ChartParser) -> None:
    (sentence,) = sentences("the " + "a" * 300)
    assert sentence.num_atoms == 2
    (tree,) = parser.parse([sentence])
    assert tree.leaves == ("the", "a" * 300)


def test_best_trees_spell_words_as_forests_do(parser: ChartParser) -> None:
    texts = [*sentences("猫 跑"), Sentence.from_tokenized("大\u200b学 老\ufeff师", lang="zh")]
    trees = parser.parse(texts)
    assert trees == [forest.argmax() for forest in parser.forests(texts)]
    assert trees[1].leaves == ("大\u200b学", "老\ufeff师")  # as the caller wrote them


def test_windows_cover_every_piece_once() -> None:
    texts = [
        Pieces(ids=tuple(range(4, 4 + n)), offsets=tuple((k, k + 1) for k in range(n)))
        for n in (0, 3, 9, 4)
    ]
    batch = PieceBatch.build(texts, max_positions=6)
    assert batch.ids.shape == (1 + 1 + 3 + 1, 6)
    flat = batch.ids.flatten()[batch.flat]
    assert flat.tolist() == [piece for text in texts for piece in text.ids]
    assert batch.starts.tolist() == [0, 0, 3, 12, 16]
    assert batch.mask.sum() == len(flat) + 2 * len(batch.ids)


def test_atoms_know_their_place_in_a_piece(parser: ChartParser) -> None:
    batch = AtomBatch.build(sentences("猫ab。"), parser.tokenizer, max_positions=64)
    assert batch.lengths.tolist() == [3]
    first, last = batch.first[0].tolist(), batch.last[0].tolist()
    assert first[1] < last[1]  # two pieces for one run of letters
    assert first[0] == last[0] < first[1] <= last[1] < first[2]


def targets_of(parser: ChartParser) -> list[ChartTarget]:
    grammar = parser.scorer.grammars["zh"]
    found = tree_target(spell_tokens(parse_brackets(CHINESE)), grammar, "zh")
    assert found is not None
    return [found]


def loss_of(parser: ChartParser, targets: list[ChartTarget]) -> torch.Tensor:
    scorer, trunk = parser.scorer, parser.trunk
    batch = AtomBatch.build([t.sentence for t in targets], parser.tokenizer, max_positions=64)
    with torch.no_grad():
        hidden = scorer.contextualize(trunk, batch)
        fence, words = scorer.fenceposts(batch, *scorer.atoms(trunk, batch, hidden))
        packed = scorer.score_fenceposts("zh", fence, words, batch.lengths)
        head, grammar = scorer.head("zh"), scorer.grammars["zh"]
        loss = crf_loss(packed, TargetBatch.build(targets, grammar), head.child, head.root, grammar)
        total = log_partition(scorer.chart_scores("zh", packed), grammar)
    assert torch.isfinite(total).all()
    return loss


def test_the_loss_of_a_whole_tree_is_its_negative_log_probability(parser: ChartParser) -> None:
    (target,) = targets_of(parser)
    (loss,) = loss_of(parser, [target]).tolist()
    forest = parser.forests([target.sentence])[0]
    assert forest.fenceposts == (0, 1, 2, 3)  # nothing pruned
    nodes = [(i, j, label, False) for i, j, label in target.phrases]
    nodes += [(i, j, label, True) for i, j, label in target.words]
    items = tree_items([sorted(nodes, key=lambda node: (node[0], -node[1]))], forest.grammar)
    gold = tree_scores(forest.scores, items).item()
    assert loss == pytest.approx(forest.log_partition() - gold, abs=1e-3)


def test_requiring_the_brackets_of_a_tree_is_the_same_as_gathering_it(parser: ChartParser) -> None:
    (whole,) = targets_of(parser)
    partial = replace(whole, free=((0, 1),))  # a region that holds no phrase
    one, other = loss_of(parser, [whole, partial]).tolist()
    assert one == pytest.approx(other, abs=1e-3)


def test_a_required_phrase_costs_what_its_posterior_says(parser: ChartParser) -> None:
    (whole,) = targets_of(parser)
    opened = replace(whole, phrases=(), words=(), free=((0, whole.sentence.num_atoms),))
    posterior = parser.forests([whole.sentence])[0].marginals().phrase
    labels = range(len(parser.scorer.grammars["zh"].phrase_labels))
    for start, end in ((0, 2), (1, 3), (0, 3)):
        required = [replace(opened, required=((start, end, label),)) for label in labels]
        wanted = [-math.log(posterior[start, end, label]) for label in labels]
        assert loss_of(parser, required).tolist() == pytest.approx(wanted, abs=1e-3)


def test_knowing_nothing_costs_nothing(parser: ChartParser) -> None:
    (whole,) = targets_of(parser)
    length = whole.sentence.num_atoms
    opened = replace(whole, phrases=(), words=(), free=((0, length),))
    walled = replace(opened, barriers=((0, 2),))
    assert loss_of(parser, [opened]).item() == pytest.approx(0.0, abs=1e-4)
    assert loss_of(parser, [walled]).item() > 1e-4


def test_crossing_brackets_become_unknown_regions(parser: ChartParser) -> None:
    grammar = parser.scorer.grammars["zh"]
    spelled = spell_tokens(parse_brackets(CHINESE))
    target = tree_target(spelled, grammar, "zh", barriers=((0, 2),))
    assert target is not None
    assert target.is_whole  # 猫跑 crosses nothing here
    assert tree_target(spelled, grammar, "zh", unknown=((0, 2),)) is not None
    unknown = tree_target(spell_tokens(parse_brackets("(ZZ (NN 猫) (VV 跑))")), grammar, "zh")
    assert unknown is None


def test_batches_depend_on_the_step_alone_and_learning_lowers_the_loss(
    parser: ChartParser,
) -> None:
    english = parser.scorer.grammars["en"]
    tree = parse_brackets("(S (NP (DT the) (NN cat)) (VP (VBZ runs)) (. .))")
    found = tree_target(spell_english(tree), english, "en")
    sources = [Source(name="zh", lang="zh", targets=targets_of(parser) * 8, share=0.5, alpha=0.5)]
    if found is not None:
        sources.append(Source(name="en", lang="en", targets=[found] * 8, share=0.5))
    task = ParserTask(
        parser.scorer,
        parser.trunk,
        parser.tokenizer,
        sources,
        steps=30,
        seed=3,
        atoms_per_batch={"zh": 12, "en": 12},
    )
    once, again = task.batch(7), task.batch(7)
    assert torch.equal(once.atoms.pieces.ids, again.atoms.pieces.ids)
    assert torch.equal(once.targets.phrase_index, again.targets.phrase_index)
    before = {name: value.clone() for name, value in parser.scorer.state_dict().items()}
    parser.scorer.requires_grad_(True)
    optimizer = torch.optim.AdamW(parser.scorer.parameters(), lr=5e-3)
    losses = []
    for step in range(30):
        loss = task.loss(task.batch(step))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    parser.scorer.load_state_dict(before)
    parser.scorer.requires_grad_(False)
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])


def test_calibration_finds_the_temperature_that_fits(parser: ChartParser) -> None:
    targets = targets_of(parser) * 3
    found = fit_temperature(parser, targets, batch_size=2)
    assert found.temperature == GRID[found.losses.index(min(found.losses))]
    at_one = loss_of(parser, targets).mean().item() / targets[0].sentence.num_atoms
    assert found.losses[GRID.index(1.0)] == pytest.approx(at_one, rel=1e-4)

"""The training stage of the meaning model, on a trunk of two tiny layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from treenlp.composition import TreeShape
from treenlp.encoder import PieceTokenizer, Trunk, TrunkConfig
from treenlp.errors import ConfigError, DataError
from treenlp.experiment import meaning_stage
from treenlp.experiment.meaning_stage import (
    MeaningTask,
    PairExample,
    PhraseExample,
    PieceStore,
    Source,
    TextExample,
    judge_phrases,
    measure_pairs,
    measure_phrases,
    measure_texts,
    parse_cached,
)
from treenlp.experiment.trainer import TrainConfig, fit
from treenlp.tasks.meaning import MeaningConfig, MeaningModel
from treenlp.tasks.sentiment import span_labels
from treenlp.text import Sentence
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.tree import Tree

GOLD = [
    "(4 (2 (2 a) (4 (4 good) (2 film))) (2 .))",
    "(0 (2 (2 a) (0 (0 bad) (2 film))) (2 .))",
    "(3 (3 good) (2 .))",
    "(1 (1 bad) (2 .))",
]
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "a", "good", "bad", "film", "."]


@pytest.fixture(autouse=True)
def in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared with is computed so, whatever the processor likes best."""
    monkeypatch.setattr(meaning_stage, "has_fast_bfloat16", lambda: False)


@pytest.fixture
def tokenizer() -> PieceTokenizer:
    model = Tokenizer(
        WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="<unk>")  # noqa: S106
    )
    model.pre_tokenizer = Whitespace()
    return PieceTokenizer(model)


@pytest.fixture
def trunk() -> Trunk:
    torch.manual_seed(4)
    config = TrunkConfig(
        vocab_size=len(WORDS), hidden_size=8, num_layers=2, num_heads=2, intermediate_size=16
    )
    return Trunk(config).eval().requires_grad_(False)


@pytest.fixture
def store(tmp_path: Path, tokenizer: PieceTokenizer, trunk: Trunk) -> PieceStore:
    return PieceStore.build(tmp_path / "store", texts(), tokenizer, trunk, fork=1)


def texts() -> list[str]:
    return [" ".join(parse_brackets(line).leaves) for line in GOLD]


def task_of(store: PieceStore, trunk: Trunk, steps: int = 60) -> MeaningTask:
    gold = [parse_brackets(line) for line in GOLD]
    trees = [
        store.place(n, TreeShape.from_tree(tree), Sentence.from_words(tree.leaves, lang="en").atoms)
        for n, tree in enumerate(gold)
    ]
    phrases = [
        PhraseExample(
            sentences=(n,),
            trees=((n,),),
            labels=span_labels(tree),
            root=span_labels(tree)[0, tree.num_leaves],
        )
        for n, tree in enumerate(gold)
    ]
    reviews = [
        TextExample(sentences=(0, 2), trees=(0, 2), positive=1.0),
        TextExample(sentences=(1, 3), trees=(1, 3), positive=0.0),
    ]
    pairs = [
        PairExample(sentences=(0, 2), trees=(0, 2), score=0.8),
        PairExample(sentences=(1, 3), trees=(1, 3), score=0.7),
        PairExample(sentences=(0, 1), trees=(0, 1), score=0.1),
    ]
    torch.manual_seed(1)
    config = MeaningConfig(
        trunk_size=8, hidden_size=12, scales=("graded", "yes-no"), dropout=0.0, leaf_dropout=0.0
    )
    return MeaningTask(
        MeaningModel(config),
        trunk,
        store,
        trees,
        [
            Source(name="phrases", examples=phrases, share=2.0),
            Source(name="reviews", examples=reviews, share=1.0),
            Source(name="pairs", examples=pairs, share=1.0),
            Source(name="yes-no", examples=pairs, share=0.5, scale="yes-no"),
        ],
        fork=1,
        steps=steps,
        seed=0,
        pieces_per_batch=60,
        dropout=0.0,
    )


def examples_of(task: MeaningTask, name: str) -> Sequence[object]:
    return next(source.examples for source in task.sources if source.name == name)


def test_stored_rows_are_what_the_frozen_layers_say(store: PieceStore, trunk: Trunk) -> None:
    ids, mask, hidden = store.rows([0, 2])
    assert ids.tolist() == [[0, 4, 5, 7, 8, 2], [0, 5, 8, 2, 1, 1]]
    assert mask.sum(1).tolist() == [6, 4]
    with torch.no_grad():
        wanted = trunk.run(trunk.embed(ids), mask, 0, 1)
        top = trunk.run(wanted, mask, 1, 2)
    torch.testing.assert_close(hidden[mask], wanted[mask], atol=0.05, rtol=0.05)
    torch.testing.assert_close(
        torch.from_numpy(store.pooled[2]), top[1, 1:3].mean(0), atol=0.05, rtol=0.05
    )


def test_a_store_is_opened_again_and_not_mistaken_for_another(
    tmp_path: Path, store: PieceStore, tokenizer: PieceTokenizer, trunk: Trunk
) -> None:
    again = PieceStore.build(tmp_path / "store", texts(), tokenizer, trunk, fork=1)
    assert (again.hidden == store.hidden).all()
    with pytest.raises(DataError, match="delete the cache or give another folder"):
        PieceStore.build(tmp_path / "store", texts()[:2], tokenizer, trunk, fork=1)
    with torch.no_grad():
        trunk.pieces.weight += 1
    with pytest.raises(DataError, match="delete the cache"):
        PieceStore.build(tmp_path / "store", texts(), tokenizer, trunk, fork=1)


def test_leaves_find_their_pieces(store: PieceStore) -> None:
    placed = store.place(2, TreeShape.from_splits([1], 2), [(0, 4), (5, 6)])
    assert placed.pieces.tolist() == [[1, 2], [2, 3]]


def test_batches_depend_on_seed_and_step_alone(store: PieceStore, trunk: Trunk) -> None:
    one, other = task_of(store, trunk), task_of(store, trunk)
    other.batch(5)
    for step in (7, 0, 3):
        left, right = one.batch(step), other.batch(step)
        assert torch.equal(left.ids, right.ids)
        assert torch.equal(left.targets, right.targets)
        assert torch.equal(left.batch.trees.children, right.batch.trees.children)


def test_shares_are_kept_by_pieces(store: PieceStore, trunk: Trunk) -> None:
    task = task_of(store, trunk, steps=200)
    spent = [0.0] * len(task.sources)
    for source, chosen in task.plan:
        spent[source] += sum(
            store.num_pieces(n)
            for place in chosen
            for n in task.sources[source].examples[place].sentences
        )
    total = sum(spent)
    for found, source in zip(spent, task.sources, strict=True):
        assert found / total == pytest.approx(source.share / 4.5, abs=0.03)


def test_phrases_come_with_and_without_their_context(store: PieceStore, trunk: Trunk) -> None:
    task = task_of(store, trunk)
    step = next(s for s in map(task.batch, range(9)) if s.kind is PhraseExample)
    half = len(step.targets) // 2
    assert step.batch.contextual.tolist() == [True] * half + [False] * half
    assert (step.targets[half:] == -1).all()
    assert (step.node_targets >= 0).all()


def test_training_learns_every_task_and_resumes(
    tmp_path: Path, store: PieceStore, trunk: Trunk
) -> None:
    before = [parameter.clone() for parameter in trunk.parameters()]
    task = task_of(store, trunk)
    config = TrainConfig(steps=60, lr=0.02, trunk_lr=0.002, bf16=False)
    assert fit(task, task, config, tmp_path / "whole")
    counts = measure_phrases(task, examples_of(task, "phrases"))
    assert counts.root_accuracy == counts.binary_accuracy == 1.0
    assert counts.node_total == 7 + 7 + 3 + 3
    assert counts.node_accuracy > 0.8
    assert measure_texts(task, examples_of(task, "reviews")) == 1.0
    assert measure_pairs(task, examples_of(task, "pairs"))[0] > 0.9
    assert all(
        torch.equal(left, right) for left, right in zip(before, trunk.parameters(), strict=True)
    )

    parted = task_of(store, trunk)
    assert not fit(parted, parted, config, tmp_path / "parted", stop_after_minutes=0.0)
    parted = task_of(store, trunk)
    assert fit(parted, parted, config, tmp_path / "parted")
    for left, right in zip(task.parameters(), parted.parameters(), strict=True):
        torch.testing.assert_close(left, right)


def test_phrases_are_judged_beside_their_pieces(store: PieceStore, trunk: Trunk) -> None:
    task = task_of(store, trunk).eval()
    examples = [example for example in examples_of(task, "phrases") if example.root != 3]  # type: ignore[attr-defined]
    logits, phrases, labels = judge_phrases(task, examples)  # type: ignore[arg-type]
    spelled = [" ".join(WORDS[piece] for piece in phrase.ids) for phrase in phrases]
    assert sorted(zip(spelled, labels, strict=True)) == [
        ("a bad film", 2),
        ("a bad film .", 0),
        ("a good film", 2),
        ("a good film .", 4),
        ("bad .", 1),
        ("bad film", 0),
        ("good film", 4),
    ]
    step = task.make(examples[:1])
    spans = step.batch.trees.spans.tolist()
    nodes = task.judge(step).node_logits
    for text, span in (("good film", [1, 3]), ("a good film .", [0, 4])):
        torch.testing.assert_close(logits[spelled.index(text)], nodes[spans.index(span)])


def test_an_empty_or_mixed_source_is_refused(store: PieceStore, trunk: Trunk) -> None:
    with pytest.raises(ConfigError, match="source 'x' has 0 examples"):
        Source(name="x", examples=[], share=1.0)
    task = task_of(store, trunk)
    mixed = [examples_of(task, "pairs")[0], examples_of(task, "reviews")[0]]
    with pytest.raises(ConfigError, match="all of one kind"):
        Source(name="x", examples=mixed, share=1.0)


class CountingParser:
    def __init__(self, limit: int = 100) -> None:
        self.limit = limit
        self.seen = 0

    def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
        if self.seen + len(sentences) > self.limit:
            raise KeyboardInterrupt
        self.seen += len(sentences)
        return [
            Tree.build("S", [Tree.build("X", [word]) for word in sentence.atom_texts])
            for sentence in sentences
        ]


def test_a_killed_parse_goes_on_where_it_stopped(tmp_path: Path) -> None:
    sentences = [
        Sentence.from_words([*["word"] * (n % 3), "(", f"end{n}"], lang="en") for n in range(10)
    ]
    path = tmp_path / "trees.txt"
    with pytest.raises(KeyboardInterrupt):
        parse_cached(path, sentences, CountingParser(6), chunk=3)
    with path.open("a", encoding="utf-8") as file:
        file.write("(S (X word")  # killed while writing
    second = CountingParser()
    found = parse_cached(path, sentences, second, chunk=3)
    assert second.seen == 4
    assert [tree.leaves for tree in found] == [sentence.atom_texts for sentence in sentences]
    third = CountingParser(0)
    assert parse_cached(path, sentences, third) == found
    with pytest.raises(DataError, match="delete the cache"):
        parse_cached(path, sentences[:4], third)

"""Pairs of sentences in the laboratory: corpora, grades, what is compared, and a whole run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from typer.testing import CliRunner

from treenlp.catalogue import model_directory
from treenlp.cli.app import app
from treenlp.composition import TreeBatch
from treenlp.data.keys import text_key
from treenlp.data.pairs import LabelledPair, LabelledPairs, read_pairs
from treenlp.errors import ConfigError, DataError
from treenlp.experiment.lab import texts
from treenlp.experiment.lab.classifier import (
    ClassifierTask,
    PhraseClassifier,
    answer,
    grade_shares,
)
from treenlp.experiment.lab.config import DataConfig, ExperimentConfig, GridConfig, LearnConfig
from treenlp.experiment.lab.items import Corpus, Item
from treenlp.experiment.lab.report import write_report
from treenlp.experiment.lab.runner import compare_cells, list_cells, read_results, run_experiment
from treenlp.experiment.lab.statistics import score, unit_scores

GRADES = ("0", "1/4", "1/2", "3/4", "1")


def pair_corpus(*, is_graded: bool) -> Corpus:
    """Two pairs of four sentences of one to three words."""
    vectors = np.random.default_rng(1).normal(size=(7, 6)).astype(np.float16)
    roots = (0.25, 1.0) if is_graded else (1, 0)
    pairs = [
        Item(start=0, size=3, root=roots[0], second=Item(start=3, size=1, root=0)),
        Item(start=4, size=2, root=roots[1], second=Item(start=6, size=1, root=0)),
    ]
    return Corpus(
        vectors={"static": vectors},
        parts={"train": pairs, "dev": pairs, "test": pairs},
        classes=GRADES if is_graded else ("another", "the same"),
        digest="",
        is_graded=is_graded,
    )


def task_of(network: str, *, is_graded: bool) -> ClassifierTask:
    torch.manual_seed(0)
    corpus = pair_corpus(is_graded=is_graded)
    return ClassifierTask(
        PhraseClassifier(network, 6, 4, len(corpus.classes), 0.0, compares=True),
        corpus,
        corpus.parts["train"],
        network=network,
        trees="balanced",
        leaves="static",
        phrases=False,
        batch_size=2,
        steps=2,
        seed=0,
    )


@pytest.mark.parametrize("network", ["tree-lstm", "bi-lstm"])
def test_the_roots_of_both_sides_are_compared(network: str) -> None:
    task = task_of(network, is_graded=False)
    step = task.make(task.items)
    logits = task.model(step)
    assert logits.shape == (2, 2)
    assert isinstance(step.leaves, torch.Tensor)
    encoding = task.model.network(task.model.norm(step.leaves), step.batch)
    vectors = encoding.nodes if isinstance(step.batch, TreeBatch) else encoding.root
    assert step.sides is not None
    lone = [  # each sentence read by itself, as an item of its own
        task.make([Item(start=start, size=size, root=0)]) for start, size in ((4, 2), (6, 1))
    ]
    for side, one in enumerate(lone):
        own = task.model.network(task.model.norm(one.leaves), one.batch)
        assert torch.allclose(vectors[step.sides[side, 1]], own.root[0], atol=1e-6)
    assert task.loss(step).item() == pytest.approx(
        F.cross_entropy(logits, torch.tensor([1, 0])).item()
    )


def test_grades_are_learned_as_shares_and_answered_as_means() -> None:
    task = task_of("tree-lstm", is_graded=True)
    step = task.make(task.items)
    shares = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]])
    logits = task.model(step)
    expected = -(shares * torch.log_softmax(logits, -1)).sum(-1).mean()
    assert task.loss(step).item() == pytest.approx(expected.item(), rel=1e-5)
    found = answer(task, task.items)
    means = torch.softmax(logits, -1) @ torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    assert found.roots.tolist() == pytest.approx(means.tolist(), abs=1e-6)
    assert found.targets.tolist() == [0.25, 1.0]
    assert found.score == score(found.roots, found.targets, is_graded=True)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), st.integers(2, 9))
def test_shares_have_the_grade_as_their_mean(grades: list[float], steps: int) -> None:
    shares = grade_shares(torch.tensor(grades), steps)
    assert torch.allclose(shares.sum(1), torch.ones(len(grades)), atol=1e-5)
    assert torch.allclose(shares @ torch.linspace(0, 1, steps), torch.tensor(grades), atol=1e-5)
    assert int((shares > 1e-6).sum(1).max()) <= 2


def test_scores_of_grades() -> None:
    assert score([0.1, 0.2, 0.3], [0.4, 0.6, 0.8], is_graded=True) == pytest.approx(1.0)
    assert score([0.5, 0.5], [0.0, 1.0], is_graded=True) == 0.0  # one answer for all
    units = unit_scores([[0.5, 1.0], [0.0, 1.0]], [0.0, 1.0], is_graded=True)
    assert units.tolist() == [-0.125, 0.0]


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_no_sentence_stands_in_two_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREENLP_DATA", str(tmp_path))
    rows = [f"第{n}张票多少钱\t第{n + n % 2}张票几块钱？\t{n % 2}" for n in range(400)]
    write(tmp_path / "similarity_zh" / "bq.dev.tsv", rows)
    found = read_pairs("bq")
    assert found.classes == ("another", "the same")
    keys = {
        part: {text_key(text) for pair in own for text in (pair.first, pair.second)}
        for part, own in found.parts.items()
    }
    assert sum(map(len, found.parts.values())) == 400
    assert all(len(found.parts[part]) > 10 for part in ("dev", "test"))
    assert not keys["train"] & keys["dev"]
    assert not keys["train"] & keys["test"]
    assert not keys["dev"] & keys["test"]


def test_unknown_pairs_are_named() -> None:
    with pytest.raises(DataError, match="found the source 'quora', expected one of: sick-related"):
        read_pairs("quora")
    with pytest.raises(ConfigError, match="'gold' with the task 'pairs'.*: parsed, right"):
        ExperimentConfig(data=DataConfig(task="pairs"))


@pytest.mark.parametrize("is_graded", [True, False])
def test_an_experiment_over_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_graded: bool
) -> None:
    """The shipped model's words and trees, two networks, and the report."""
    sentences = ["一只狗在跑。", "A dog runs.", "猫睡了。", "Two men play chess.", " "]
    answers = (0.1, 0.9, 0.4, 0.6) if is_graded else (0, 1, 1, 0)
    pairs = tuple(
        LabelledPair(first=sentences[n], second=sentences[n - 1], answer=a)
        for n, a in enumerate(answers)
    )
    classes = () if is_graded else ("another", "the same")
    found = LabelledPairs(parts={"train": pairs, "dev": pairs, "test": pairs}, classes=classes)
    monkeypatch.setattr(texts, "read_pairs", lambda source: found)
    own = ["label\tkind\tfirst\tsecond", "0\troles\t狗咬了猫。\t猫咬了狗。"]
    own += ["1\troles\t昨天狗咬了猫。\t狗昨天咬了猫。", "0\tfocus\t只有狗来了。\t狗只有来了。"]
    own += ["1\tfocus\t昨天连狗都来了。\t连狗昨天都来了。", "0\tspeech\t他说我来了。\t我说他来了。"]
    write(tmp_path / "own.tsv", own)
    config = ExperimentConfig(
        data=DataConfig(task="pairs", source="sts", items=100, transfer=str(tmp_path / "own.tsv")),
        grid=GridConfig(trees=("parsed",), leaves=("static", "tuned"), seeds=2),
        learn=LearnConfig(epochs=1, hidden_size=8),
    )
    model = model_directory("zh-en-1")
    run_experiment(config, tmp_path / "runs", model=model)
    assert [state.seeds for state in list_cells(tmp_path / "runs")] == [2] * 4
    corpus = json.loads((tmp_path / "runs" / "corpus.json").read_text(encoding="utf-8"))["0"]
    assert len(corpus["lengths"]) == 3  # the pair with the blank side is left out
    assert corpus["kinds"] == ["roles", "roles", "focus", "focus", "speech"]
    text = write_report(tmp_path / "runs", tmp_path / "report").read_text(encoding="utf-8")
    assert ("Pearson's r" in text) == is_graded
    assert ("accuracy" in text) != is_graded
    assert (tmp_path / "report" / "confusion.png").is_file() != is_graded
    names = ("tree-lstm.parsed.static", "bi-lstm.words.static")
    difference, _ = compare_cells(tmp_path / "runs", *names)
    assert compare_cells(tmp_path / "runs", *reversed(names))[0] == pytest.approx(-difference)
    summary = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    for cell in summary["cells"]:
        runs = read_results(tmp_path / "runs", cell["name"])
        measured = [run["transfer"] for run in runs]
        assert [values["targets"] for values in measured] == [[0, 1, 0, 1, 0]] * 2
        scores = [score(v["roots"], v["targets"], is_graded=is_graded) for v in measured]
        assert cell["transfer"]["score"][0] == pytest.approx(np.mean(scores))
        if not is_graded:
            focus = np.mean([np.equal(values["roots"][2:4], [0, 1]) for values in measured])
            assert cell["transfer"]["kinds"]["focus"] == focus
    assert "| focus | roles |" in text
    compare = ["experiment", "compare", str(tmp_path / "runs"), *names, "--transfer"]
    told = CliRunner().invoke(app, compare)
    expected, p_value = compare_cells(tmp_path / "runs", *names, on="transfer")
    assert told.stdout.split("\t")[2:] == [f"{100 * expected:+.2f}", f"{p_value:.4f}\n"]


def test_transfer_needs_a_question_of_the_same_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="transfer = 'own.tsv' with the task 'texts'.*sst, pairs"):
        DataConfig(task="texts", transfer="own.tsv")
    three = LabelledPairs(
        parts={"train": (), "dev": (), "test": ()}, classes=("contradiction", "neutral", "same")
    )
    monkeypatch.setattr(texts, "read_pairs", lambda source: three)
    config = DataConfig(task="pairs", source="sick-entailment", transfer="own.tsv")
    with pytest.raises(ConfigError, match="whose classes are contradiction, neutral, same"):
        texts.read_pair_corpus(config, tmp_path, tmp_path, leaves=())

"""The laboratory: configs without loss, runs that resume, statistics, reports, bad input."""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from typer.testing import CliRunner

from treenlp.catalogue import model_directory
from treenlp.cli.app import app
from treenlp.composition import SequenceBatch, TreeBatch, TreeShape
from treenlp.data.sentiment import read_sst
from treenlp.encoder import EncoderLayer, PieceBatch, PieceTokenizer, TrunkConfig
from treenlp.errors import ConfigError, DataError
from treenlp.experiment.lab import restore_runs, treebank
from treenlp.experiment.lab import texts as lab_texts
from treenlp.experiment.lab.archive import ARCHIVE_FILE
from treenlp.experiment.lab.classifier import ClassifierTask, PhraseClassifier, answer
from treenlp.experiment.lab.config import (
    DataConfig,
    ExperimentConfig,
    GridConfig,
    LearnConfig,
    SearchConfig,
)
from treenlp.experiment.lab.items import Corpus, Item
from treenlp.experiment.lab.leaves import FROZEN_LAYERS, LeafEncoder, LeafPieces, TunedLeaves
from treenlp.experiment.lab.made_up import make_adding, make_recall
from treenlp.experiment.lab.report import write_report
from treenlp.experiment.lab.runner import cells_of, compare_cells, list_cells, run_experiment
from treenlp.experiment.lab.statistics import (
    holm,
    mean_and_deviation,
    paired_p_value,
    unit_scores,
)
from treenlp.experiment.lab.texts import read_text_corpus
from treenlp.experiment.lab.treebank import read_sst_corpus
from treenlp.parsing import parser as parser_module
from treenlp.parsing.parser import ChartParser, load_parser, load_trunk
from treenlp.trees.brackets import parse_brackets

SMALL = ExperimentConfig(
    question="Does it run?",
    data=DataConfig(task="recall", gap=3, items=40),
    grid=GridConfig(
        models=("lstm", "tree-lstm"), trees=("right",), train_sizes=(0, 20), gaps=(2, 3), seeds=2
    ),
    learn=LearnConfig(epochs=3, batch_size=10, hidden_size=8, lr=0.01),
    search=SearchConfig(trials=2, epochs=1, hidden_size=(8,)),
)


# Configs


@given(
    st.builds(
        ExperimentConfig,
        question=st.text(),
        data=st.builds(DataConfig, phrases=st.booleans(), gap=st.integers(1, 10**6)),
        grid=st.builds(
            GridConfig,
            models=st.lists(st.sampled_from(("lstm", "tensor")), min_size=1).map(tuple),
            train_sizes=st.lists(st.integers(0, 10**6), min_size=1).map(tuple),
        ),
        learn=st.builds(
            LearnConfig,
            lr=st.floats(1e-12, 10.0, exclude_min=True),
            dropout=st.floats(0.0, 1.0, exclude_max=True),
        ),
    )
)
def test_toml_keeps_everything(config: ExperimentConfig) -> None:
    assert ExperimentConfig.from_toml(config.to_toml(), source="memory") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[grid]\nmodel = ['lstm']", r"mine: found the key 'grid.model'; did you mean grid.models"),
        ("quesion = 'x'", "found the key 'quesion'; did you mean question"),
        ("[grid]\nmodels = ['lstn']", "found models with 'lstn'; did you mean 'lstm'"),
        (
            "[grid]\nmodels = ['child-sum-lstm']",
            "'child-sum-lstm', which reads dependencies, and the",
        ),
        ("[grid]\nmodels = 'lstm'", "found grid.models = 'lstm', expected a list"),
        ("[grid]\nmodels = []", "found no models, expected one or more"),
        ("[grid]\nseeds = 1.5", r"found grid.seeds = 1.5 \(type float\), expected the type int"),
        ("[grid]\nseeds = true", r"found grid.seeds = True \(type bool\), expected the type int"),
        ("[learn]\nepochs = 0", "found epochs = 0, expected 1 or more"),
        ("[learn]\ndropout = 1.0", "found dropout = 1.0"),
        ("[search]\nlr = [0.1]", "found lr = "),
        ("data = 3", "found data = 3, expected a table"),
        (
            "[data]\ntask = 'recall'",
            "found the trees 'gold' with the task 'recall', which has none; ",
        ),
        (
            "[data]\ntask = 'texts'",
            "found the trees 'gold' .* expected one of: parsed, parsed-balanced, right",
        ),
        ("[data", "mine is no TOML"),
    ],
)
def test_bad_configs_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExperimentConfig.from_toml(text, source="mine")


def test_settings_change_one_value() -> None:
    config = ExperimentConfig().with_setting("grid.models=['lstm']").with_setting("question=why")
    assert config.grid.models == ("lstm",)
    assert config.question == "why"
    with pytest.raises(ConfigError, match="did you mean learn.lr"):
        config.with_setting("learn.rl=1")
    with pytest.raises(ConfigError, match="expected NAME=VALUE"):
        config.with_setting("learn.lr")


def test_cells_are_every_combination_once() -> None:
    config = replace(SMALL, grid=replace(SMALL.grid, trees=("right", "balanced")))
    names = [cell.name for cell in cells_of(config)]
    assert len(names) == len(set(names)) == 2 * 2 * (1 + 2)
    assert "lstm.words.contextual.n20.gap3" in names


# Classifiers


def sentence_corpus() -> Corpus:
    shape = TreeShape.from_splits([2, 1], 3)
    labels = {(0, 1): 2, (1, 2): 1, (2, 3): 3, (0, 2): 1, (0, 3): 0}
    item = Item(start=0, size=3, shapes={"gold": shape}, labels=labels, root=0)
    other = Item(start=3, size=1, labels={(0, 1): 4}, root=4)
    vectors = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float16)
    parts = {"train": [item, other], "dev": [item], "test": [other, item]}
    return Corpus(
        vectors={"static": vectors},
        parts=parts,  # type: ignore[arg-type]
        classes=tuple("abcde"),
        digest="",
    )


def task_of(network: str, *, trees: str = "gold", phrases: bool = True) -> ClassifierTask:
    torch.manual_seed(0)
    corpus = sentence_corpus()
    return ClassifierTask(
        PhraseClassifier(network, 6, 4, 5, 0.0),
        corpus,
        corpus.parts["train"][:1],
        network=network,
        trees=trees,
        leaves="static",
        phrases=phrases,
        batch_size=1,
        steps=3,
        seed=0,
    )


def test_a_tree_model_judges_nodes_and_a_sequence_model_the_same_phrases() -> None:
    tree, words = task_of("tree-lstm").batch(0), task_of("lstm").batch(0)
    assert isinstance(tree.batch, TreeBatch)
    assert isinstance(words.batch, SequenceBatch)
    assert sorted(tree.targets.tolist()) == sorted(words.targets.tolist()) == [0, 1, 1, 2, 3]
    assert words.batch.lengths.tolist() == [1, 1, 1, 2, 3]
    assert words.places[:5].tolist() == [0, 1, 2, 0, 1]  # the phrase's own words


def test_under_other_trees_only_shared_phrases_have_a_class() -> None:
    step = task_of("tree-lstm", trees="right").batch(0)
    assert sorted(step.targets.tolist()) == [-1, 0, 1, 2, 3]


def test_of_dependencies_a_phrase_is_a_word_with_all_below_it() -> None:
    corpus = sentence_corpus()
    (item, *_) = corpus.parts["train"]
    task = ClassifierTask(
        PhraseClassifier("child-sum-lstm", 6, 4, 5, 0.0),
        corpus,
        [replace(item, heads=(1, -1, 1)), replace(item, heads=(-1, 2, 0))],
        network="child-sum-lstm",
        trees="parsed",
        leaves="static",
        phrases=True,
        batch_size=2,
        steps=1,
        seed=0,
    )
    step = task.make(task.items)
    # 0 and 2 below 1; then 1 below 2 below 0: (1, 3) is no phrase of the treebank
    assert step.targets.tolist() == [2, 0, 3, 0, 1, -1]
    assert step.roots.tolist() == [1, 3]
    assert task.model(step).shape == (6, 5)
    found = answer(task, task.items)
    assert found.total.tolist() == [3, 2]


def test_constituents_are_of_any_arity_in_the_parsers_trees_alone() -> None:
    task = task_of("constituent-lstm", trees="parsed")
    (item,) = task.items
    step = task.make([replace(item, phrases=((0, 3),))])
    assert step.targets.tolist() == [2, 1, 3, 0]  # (0, 2) is no phrase of a flat tree
    assert step.roots.tolist() == [3]
    step = task_of("constituent-lstm", trees="gold").batch(0)
    assert sorted(step.targets.tolist()) == [0, 1, 1, 2, 3]
    assert task.model(step).shape == (5, 5)


@pytest.mark.parametrize("network", ["tree-lstm", "bi-lstm", "child-sum-lstm", "constituent-lstm"])
def test_tuned_leaves_learn_with_the_network(network: str) -> None:
    """One layer over the pieces of two sentences; the gradient against a difference quotient."""
    torch.manual_seed(4)
    layer = EncoderLayer(
        TrunkConfig(vocab_size=9, hidden_size=8, num_heads=2, num_layers=1, intermediate_size=8)
    )
    hidden = np.random.default_rng(2).normal(size=(9, 8)).astype(np.float16)
    corpus = replace(
        sentence_corpus(),
        tuned=TunedLeaves(
            hidden=hidden,
            starts=np.array([0, 6, 9]),
            sentence=np.array([0, 0, 0, 1]),
            ranges=np.array([[1, 2], [2, 4], [4, 5], [1, 2]]),
            layers=(layer,),
        ),
    )
    item, other = corpus.parts["train"]
    items = [replace(item, heads=(1, -1, 1)), replace(other, heads=(-1,))]
    encoder = LeafEncoder((layer,), 0.0)
    model = PhraseClassifier(network, 8, 4, 5, 0.0, encoder=encoder).double()
    task = ClassifierTask(
        model,
        corpus,
        items,
        network=network,
        trees="right",
        leaves="tuned",
        phrases=True,
        batch_size=2,
        steps=1,
        seed=0,
    )
    step = task.make(items)
    assert isinstance(step.leaves, LeafPieces)
    step = replace(step, leaves=replace(step.leaves, hidden=step.leaves.hidden.double()))
    whole = F.cross_entropy(model(step), step.targets, ignore_index=-1)
    whole.backward()
    weight = encoder.layers[0].outer.weight
    assert weight.grad is not None
    for place in ((0, 0), (3, 5)):
        before, shift = weight.data[place].item(), 1e-5
        losses = []
        for value in (before + shift, before - shift):
            weight.data[place] = value
            losses.append(F.cross_entropy(model(step), step.targets, ignore_index=-1).item())
        weight.data[place] = before
        quotient = (losses[0] - losses[1]) / (2 * shift)
        assert weight.grad[place].item() == pytest.approx(quotient, abs=1e-7)
    means = encoder(step.leaves)
    own = layer.double()(torch.from_numpy(hidden[None, :6]).double(), None)[0]
    assert torch.allclose(means[1], own[2:4].mean(0))
    with pytest.raises(ConfigError, match="found tuned leaves and no encoder"):
        PhraseClassifier(network, 8, 4, 5, 0.0)(step)
    with pytest.raises(ConfigError, match="found no tuned leaves"):
        ClassifierTask(
            model,
            sentence_corpus(),
            items,
            network=network,
            trees="right",
            leaves="tuned",
            phrases=True,
            batch_size=2,
            steps=1,
            seed=0,
        ).make(items)


def test_without_phrases_only_the_sentence_counts() -> None:
    for network in ("tree-lstm", "lstm"):
        task = task_of(network, phrases=False)
        found = answer(task, task.items)
        assert found.total.tolist() == [1]
        assert found.right.tolist() == [int(found.roots[0] == found.targets[0])]


def test_unknown_trees_are_named() -> None:
    with pytest.raises(DataError, match="no trees of the kind 'parsed', expected one of: gold"):
        task_of("tree-lstm", trees="parsed").batch(0)


def test_the_treebank_gets_leaves_and_the_parsers_trees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped model over a treebank of three sentences; leaves against the trunk itself."""
    lines = {
        "train": "(3 (2 It) (4 (2 is) (3 (3 good) (2 ...))))",
        "dev": "(1 (1 (2 not) (3 good)) (2 .))",
        "test": "(0 (0 awful) (2 .))",
    }
    folder = tmp_path / "sst"
    folder.mkdir()
    for part, line in lines.items():
        (folder / f"{part}.txt").write_text(line + "\n", encoding="utf-8")
    monkeypatch.setenv("TREENLP_DATA", str(tmp_path))
    monkeypatch.setattr(treebank, "read_sst", partial(read_sst, check_size=False))
    model = model_directory("zh-en-1")
    own = tmp_path / "own.tsv"
    own.write_text("class\tkind\tphrase\n1\tnegation\t不太好吃\n3\tcontrast\t贵。可是好吃\n")
    config = DataConfig(transfer=str(own))
    corpus = read_sst_corpus(
        config,
        tmp_path / "cache",
        model,
        leaves=("static", "contextual", "tuned"),
        trees=("gold", "parsed"),
    )
    again = read_sst_corpus(
        config, tmp_path / "cache", model, leaves=("contextual",), trees=("parsed",)
    )
    assert (corpus.vectors["contextual"] == again.vectors["contextual"]).all()
    (item,) = corpus.parts["dev"]
    assert item.labels == {(0, 1): 2, (1, 2): 3, (2, 3): 2, (0, 2): 1, (0, 3): 1}
    assert item.shape("gold").splits.tolist() == [2, 1]
    assert item.shape("parsed").num_leaves == 3
    trunk = load_trunk(model)
    pieces = PieceTokenizer.load(model / "tokenizer.json").encode("not good.")
    batch = PieceBatch.build([pieces], max_positions=len(pieces.ids) + 2)
    hidden = trunk.run(trunk.embed(batch.ids), None, 0, FROZEN_LAYERS)[0]
    for leaf, (start, end) in enumerate([(0, 3), (4, 8), (8, 9)]):
        own = [n + 1 for n, (a, b) in enumerate(pieces.offsets) if a < end and b > start]
        found = torch.from_numpy(corpus.vectors["contextual"][item.start + leaf].astype("float32"))
        cosine = torch.cosine_similarity(found, hidden[own].mean(0), dim=0)
        assert cosine > 0.999
    assert corpus.tuned is not None
    everything = corpus.tuned.read(np.arange(len(corpus.vectors["static"])))
    tuned = LeafEncoder(corpus.tuned.layers, 0.1).eval()(everything)
    some = corpus.tuned.read(np.arange(item.start, item.start + 3))
    assert some.hidden.shape[0] == 1
    alone = LeafEncoder(corpus.tuned.layers, 0.1).eval()(some)
    assert torch.allclose(alone, tuned[item.start : item.start + 3], atol=1e-4)
    top = trunk(batch.ids, None)[0]
    for leaf, (start, end) in enumerate([(0, 3), (4, 8), (8, 9)]):
        own = [n + 1 for n, (a, b) in enumerate(pieces.offsets) if a < end and b > start]
        assert torch.cosine_similarity(alone[leaf], top[own].mean(0), dim=0) > 0.999
    negated, contrast = corpus.transfer
    assert [(i.root, i.kind) for i in corpus.transfer] == [(1, "negation"), (3, "contrast")]
    assert negated.start == corpus.parts["test"][0].start + 2
    assert negated.shape("gold") is negated.shape("parsed")
    assert contrast.start + contrast.size == len(corpus.vectors["static"])
    dear = torch.from_numpy(corpus.vectors["static"][contrast.start]).float()
    own_piece = PieceTokenizer.load(model / "tokenizer.json").encode("贵").ids[-1]
    assert torch.cosine_similarity(dear, trunk.pieces(torch.tensor(own_piece)), dim=0) > 0.99
    words = torch.from_numpy(corpus.vectors["static"][item.start].astype("float32"))
    assert torch.allclose(words, trunk.pieces(torch.tensor(pieces.ids[:1]))[0], atol=1e-2)


def test_texts_are_the_parsers_trees_from_first_to_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped model over a real folder of texts, and a whole experiment over that."""
    folder = tmp_path / "tea"
    folder.mkdir()
    texts = ["茶很香。下次还来！", "Too weak. The cup was dirty, too.", "太淡了。", "Lovely tea."]
    for part, own in {"train": texts, "validation": texts[:2], "test": texts[2:]}.items():
        lines = [json.dumps({"text": text, "label": n % 2}) for n, text in enumerate(own)]
        (folder / f"{part}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    config = ExperimentConfig(
        data=DataConfig(task="texts", source=f"datasets:{folder}", items=10),
        grid=GridConfig(
            models=("tree-lstm", "bi-lstm", "child-sum-lstm", "constituent-lstm"),
            trees=("parsed", "balanced"),
            leaves=("static",),
            seeds=1,
        ),
        learn=LearnConfig(epochs=1, hidden_size=8),
    )
    model = model_directory("zh-en-1")
    precisions = []

    def spied(*args: Any, **options: Any) -> ChartParser:
        parser = load_parser(*args, **options)
        precisions.append(parser.dtype)
        return parser

    monkeypatch.setattr(parser_module, "has_fast_bfloat16", lambda device: True)
    monkeypatch.setattr(lab_texts, "load_parser", spied)
    corpus = read_text_corpus(config.data, tmp_path / "cache", model, leaves=("static",))
    assert precisions == [torch.float32]  # whatever the processor likes best
    first, second, *_ = corpus.parts["train"]
    assert first.heads.count(-1) == 1
    top = first.heads.index(-1)
    assert top < 4
    assert first.heads[4:].count(top) == 1  # the root of the second sentence
    assert first.size == 9
    assert first.phrases[0] == (0, 9)
    assert {(0, 4), (4, 9)} <= {*first.phrases}
    assert {(0, 4), (4, 9)} <= set(
        map(tuple, TreeBatch.from_shapes([first.shape("parsed")]).spans.tolist())
    )
    assert second.start == first.size
    run_experiment(config, tmp_path / "runs", model=model, cache=tmp_path / "cache")
    states = list_cells(tmp_path / "runs")
    assert [state.name for state in states if state.seeds == 1] == [
        "tree-lstm.parsed.static",
        "tree-lstm.balanced.static",
        "bi-lstm.words.static",
        "child-sum-lstm.parsed.static",
        "constituent-lstm.parsed.static",
        "constituent-lstm.balanced.static",
    ]


def test_sentences_of_a_text_are_joined_from_the_left_or_in_the_middle() -> None:
    trees = [parse_brackets(f"(IP (NN a{n}) (VV b{n}))") for n in range(5)]
    item = Item.from_trees(trees, ["zh"] * 5, 0)
    spans = {
        kind: {*zip(item.shape(kind).starts.tolist(), item.shape(kind).ends.tolist(), strict=True)}
        for kind in ("parsed", "parsed-balanced")
    }
    sentences = {(n, n + 2) for n in range(0, 10, 2)}
    assert spans["parsed"] == sentences | {(0, 4), (0, 6), (0, 8), (0, 10)}
    assert spans["parsed-balanced"] == sentences | {(0, 10), (0, 6), (6, 10), (0, 4)}
    one = Item.from_trees(trees[:1], ["zh"], 0)
    assert one.shape("parsed").splits.tolist() == one.shape("parsed-balanced").splits.tolist()


def test_the_treebank_needs_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found no model"):
        run_experiment(ExperimentConfig(), tmp_path)


@pytest.mark.parametrize("agreement", [False, True])
def test_the_answer_stands_at_the_beginning(agreement: bool) -> None:
    corpus = make_recall(50, 7, agreement=agreement)
    again = make_recall(50, 7, agreement=agreement)
    assert corpus.digest == again.digest
    first: dict[int, bytes] = {}
    for item in corpus.parts["train"]:
        vector = corpus.vectors["static"][item.start].tobytes()
        assert item.size == 8
        assert first.setdefault(item.root, vector) == vector
    assert len(set(first.values())) == len(corpus.classes)


def test_two_marked_digits_make_the_class() -> None:
    corpus = make_adding(200, 9)
    assert corpus.symbols is not None
    for item in corpus.parts["train"]:
        symbols = corpus.symbols[item.start : item.start + item.size].tolist()
        marked = [n for n, symbol in enumerate(symbols) if symbol >= 5]
        assert item.size == 10
        assert len(marked) == 2
        assert marked[0] == 0
        assert marked[1] >= 5
        assert item.root == sum(symbols[n] - 5 for n in marked)
    assert {item.root for item in corpus.parts["train"]} == set(range(9))
    assert make_adding(200, 9).digest == corpus.digest
    shortest = make_adding(20, 1)
    assert all(item.size == 2 for item in shortest.parts["test"])


# Statistics


def test_the_sign_test_is_that_of_all_flips() -> None:
    first, second = [1, 1, 1, 1, 0, 1], [0, 0, 0, 1, 1, 0]
    differences = [a - b for a, b in zip(first, second, strict=True) if a != b]
    extreme = sum(
        abs(sum(d if n >> i & 1 else -d for i, d in enumerate(differences))) >= 3
        for n in range(2 ** len(differences))
    )
    exact = extreme / 2 ** len(differences)
    assert paired_p_value(first, second) == pytest.approx(exact, abs=0.02)
    assert paired_p_value(first, second) == paired_p_value(second, first)
    with pytest.raises(DataError, match="expected as many"):
        paired_p_value([1], [1, 0])


def test_holm_never_goes_down_and_never_exceeds_one() -> None:
    assert holm({"a": 0.04, "b": 0.01, "c": 0.03}) == pytest.approx(
        {"a": 0.06, "b": 0.03, "c": 0.06}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_means_and_shares() -> None:
    assert mean_and_deviation([2.0, 4.0]) == pytest.approx((3.0, math.sqrt(2.0)))
    assert math.isnan(mean_and_deviation([1.0])[1])
    assert unit_scores([[1, 2], [1, 3]], [1, 3], is_graded=False).tolist() == [1.0, 0.5]


# Runs


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment") / "run"
    run_experiment(SMALL, folder)
    return folder


def answers(folder: Path) -> dict[str, object]:
    found = {}
    for path in sorted(folder.rglob("result.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        del values["seconds"]
        found[str(path.relative_to(folder))] = values
    return found


def test_a_killed_experiment_resumes_to_the_same_numbers(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    seen = 0

    def kill(progress: object) -> None:
        nonlocal seen
        seen += 1
        if seen == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(SMALL, folder, report=kill)
    assert len(answers(folder)) == 5
    run_experiment(SMALL, folder)
    assert answers(folder) == answers(finished)


def test_a_folder_of_another_experiment_is_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is of another experiment"):
        run_experiment(replace(SMALL, question="another"), finished)
    (tmp_path / "diary.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds other things"):
        run_experiment(SMALL, tmp_path)


def test_a_size_of_training_that_no_corpus_has_is_refused_before_anything_is_learned(
    tmp_path: Path,
) -> None:
    config = replace(SMALL, grid=replace(SMALL.grid, train_sizes=(0, 20, 10_000)))
    with pytest.raises(
        ConfigError, match=r"found train_sizes with 10000, expected at most \d+ \(0"
    ):
        run_experiment(config, tmp_path)
    assert not list(tmp_path.rglob("seed-*"))


def test_every_cell_has_the_same_budget_and_the_test_set_is_scored_in_the_end(
    finished: Path,
) -> None:
    states = list_cells(finished)
    assert len(states) == 8
    assert all((state.trials, state.seeds) == (2, 2) for state in states)
    for path, values in answers(finished).items():
        assert ("test" in values) == ("seed" in path)  # type: ignore[operator]
        if "trial" in path:
            assert values["learn"]["epochs"] == 1  # type: ignore[index]


def test_the_report_holds_what_the_runs_said(finished: Path, tmp_path: Path) -> None:
    path = write_report(finished, tmp_path)
    summary = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    name = "lstm.words.contextual.gap2"
    cell = next(row for row in summary["cells"] if row["name"] == name)
    runs = [values for key, values in answers(finished).items() if key.startswith(f"{name}/seed")]
    accuracies = [
        np.mean(np.array(run["test"]["roots"]) == run["test"]["targets"])  # type: ignore[index]
        for run in runs
    ]
    assert cell["test"] == pytest.approx([np.mean(accuracies), np.std(accuracies, ddof=1)])
    assert sum(map(sum, cell["confusion"])) == 2 * 8
    assert cell["interval"][0] <= cell["test"][0] <= cell["interval"][1]
    text = path.read_text(encoding="utf-8")
    assert text.startswith("Does it run?")
    for row in summary["cells"]:
        assert row["name"] in text
    for plot in ("learning", "train_size", "gap", "confusion"):
        assert (tmp_path / f"{plot}.png").read_bytes()[:4] == b"\x89PNG"
        assert "<svg" in (tmp_path / f"{plot}.svg").read_text(encoding="utf-8")


def test_an_experiment_that_has_not_begun_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"found no experiment.toml in .*expected a folder"):
        write_report(tmp_path)
    (tmp_path / "experiment.toml").write_text(SMALL.to_toml(), encoding="utf-8")
    with pytest.raises(ConfigError, match="nothing in .* is finished"):
        write_report(tmp_path)


def test_comparing_is_antisymmetric_and_refuses_other_sentences(finished: Path) -> None:
    one, other = "lstm.words.contextual.gap2", "tree-lstm.right.contextual.gap2"
    difference, p_value = compare_cells(finished, one, other)
    assert compare_cells(finished, other, one) == (-difference, p_value)
    with pytest.raises(ConfigError, match="measured on other sentences"):
        compare_cells(finished, one, "lstm.words.contextual.gap3")
    with pytest.raises(ConfigError, match="found the cell 'gru', expected one of: lstm"):
        compare_cells(finished, "gru", one)


def test_the_commands(finished: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    config = tmp_path / "experiment.toml"
    shutil.copyfile(finished / "experiment.toml", config)
    found = runner.invoke(app, ["experiment", "run", str(config), "-o", str(finished)])
    assert found.exit_code == 0
    assert found.stdout == f"{finished}\n"
    assert "kept" in found.stderr
    listed = runner.invoke(app, ["experiment", "list", str(finished)]).stdout.splitlines()
    assert len(listed) == 8
    assert listed[0].split("\t")[:3] == ["lstm.words.contextual.gap2", "2 of 2", "2"]
    names = [line.split("\t")[0] for line in listed[:3:2]]
    compared = runner.invoke(app, ["experiment", "compare", str(finished), names[0], names[0]])
    assert compared.stdout == f"{names[0]}\t{names[0]}\t+0.00\t1.0000\n"
    shown = runner.invoke(
        app, ["experiment", "report", str(finished), "-o", str(tmp_path), "--no-plots"]
    )
    assert shown.exit_code == 0
    started = ["experiment", "run", str(config), "-o", str(tmp_path / "two")]
    taken = runner.invoke(app, [*started, "--from", str(tmp_path)])
    assert taken.exit_code == 0
    assert f"32 runs of {tmp_path} are taken over\n" in taken.stderr
    assert shown.stdout.startswith("Does it run?")
    assert not list(tmp_path.glob("*.png"))


def test_a_report_is_gone_on_from(finished: Path, tmp_path: Path) -> None:
    """With other models and seeds; what is there already stays."""
    write_report(finished, tmp_path, plots=False)
    before = (tmp_path / ARCHIVE_FILE).read_bytes()
    write_report(finished, tmp_path, plots=False)
    assert (tmp_path / ARCHIVE_FILE).read_bytes() == before
    grid = replace(SMALL.grid, models=("gru", "lstm"), train_sizes=(0,), gaps=(2,), seeds=3)
    config, folder = replace(SMALL, question="And a third?", grid=grid), tmp_path / "more"
    assert restore_runs(tmp_path, folder, config) == 4  # trials and seeds of the LSTM
    assert restore_runs(tmp_path, folder, config) == 0
    kept = answers(folder)
    assert all(answers(finished)[name] == kept[name] for name in kept)
    seen: list[str] = []
    run_experiment(config, folder, report=lambda progress: seen.append(progress.run))
    assert len(seen) == 10
    assert all(answers(folder)[name] == values for name, values in kept.items())
    compare_cells(folder, "gru.words.contextual.gap2", "lstm.words.contextual.gap2")

    done = tmp_path / "done"
    assert restore_runs(tmp_path, done, SMALL) == len(answers(finished))
    assert answers(done) == answers(finished)
    one, other = "lstm.words.contextual.gap2", "tree-lstm.right.contextual.gap2"
    assert compare_cells(done, one, other) == compare_cells(finished, one, other)


def test_what_cannot_be_gone_on_from_is_refused(finished: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    with pytest.raises(ConfigError, match=r"found no .*runs\.json\.gz; expected the folder of a"):
        restore_runs(tmp_path, new, SMALL)
    write_report(finished, tmp_path, plots=False)
    longer = replace(SMALL, learn=replace(SMALL.learn, epochs=4))
    with pytest.raises(ConfigError, match=r"has \[learn\] .*epochs=3.*, expected .*epochs=4"):
        restore_runs(tmp_path, new, longer)
    assert not new.exists()
    restore_runs(tmp_path, new, SMALL)
    (new / "lstm.words.contextual.gap2" / "seed-1" / "result.json").unlink()
    corpora = json.loads((new / "corpus.json").read_text(encoding="utf-8"))
    corpora["2"]["digest"] = "other"
    (new / "corpus.json").write_text(json.dumps(corpora), encoding="utf-8")
    with pytest.raises(ConfigError, match="describes other data than there are now"):
        run_experiment(SMALL, new)
    with pytest.raises(ConfigError, match=r"runs\.json\.gz is of other data than .*corpus\.json"):
        restore_runs(tmp_path, new, SMALL)
    assert not (new / "lstm.words.contextual.gap2" / "seed-1" / "result.json").exists()
    path = tmp_path / ARCHIVE_FILE
    whole = path.read_bytes()
    for content, message in [
        (b"no archive", "cannot be read"),
        (whole[:-20], "cannot be read"),
        (gzip.compress(b"{}"), "has no 'config'"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=message):
            restore_runs(tmp_path, new, SMALL)


def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    config = replace(
        SMALL,
        grid=replace(SMALL.grid, models=("lstm",), train_sizes=(0,), gaps=(2,), seeds=1),
        learn=replace(SMALL.learn, batches_per_step=2),
    )
    run_experiment(config, tmp_path / "one")
    (tmp_path / "config.toml").write_text(
        replace(config, learn=SMALL.learn).to_toml(), encoding="utf-8"
    )
    starter = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = ["-m", "treenlp", "experiment", "run", "config.toml", "--output", "two"]

    def start(*settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*starter, *command, *settings],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    done = start("--set", "learn.batches_per_step=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "two\n"  # of one process, not of each
    for run in ("trial-0", "trial-1", "seed-0"):
        one, two = (
            json.loads(
                (tmp_path / name / "lstm.words.contextual.gap2" / run / "result.json").read_text(
                    encoding="utf-8"
                )
            )
            for name in ("one", "two")
        )
        assert one | {"seconds": 0} == two | {"seconds": 0}
    shutil.rmtree(tmp_path / "two")
    refused = start()
    assert refused.returncode != 0
    assert "found batches_per_step = 1 and 2 processes, expected a multiple" in refused.stderr

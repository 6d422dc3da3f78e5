"""Runs every cell of an experiment: the same search, the same seeds, the test set once a run.

A folder holds one experiment. Each cell is a folder in it, each trial and each seed a folder in
that; whatever is done is kept, so a run that was killed at any moment goes on to the numbers of an
uninterrupted one. Several processes run it together, batch by batch; the first one writes.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file

from treenlp.composition import NETWORKS
from treenlp.encoder.device import check_device
from treenlp.errors import ConfigError, DataError
from treenlp.experiment.lab.baselines import count_neighbours
from treenlp.experiment.lab.classifier import Answers, ClassifierTask, PhraseClassifier, answer
from treenlp.experiment.lab.config import (
    BASELINES,
    BLANK_TASKS,
    GAP_TASKS,
    ExperimentConfig,
    LearnConfig,
)
from treenlp.experiment.lab.corpus import read_corpus
from treenlp.experiment.lab.items import Corpus, Item
from treenlp.experiment.lab.leaves import LeafEncoder
from treenlp.experiment.lab.statistics import paired_p_value, score, unit_scores
from treenlp.experiment.processes import Processes
from treenlp.experiment.trainer import BEST_FILE, Evaluation, TrainConfig, fit, read_history

__all__ = [
    "CONFIG_FILE",
    "CORPUS_FILE",
    "RESULT_FILE",
    "Cell",
    "CellState",
    "MeasuredOn",
    "RunProgress",
    "cells_of",
    "compare_cells",
    "list_cells",
    "read_corpora",
    "read_experiment",
    "read_results",
    "run_experiment",
    "run_folders",
]

MeasuredOn = Literal["test", "transfer"]
CONFIG_FILE = "experiment.toml"
RESULT_FILE = "result.json"
CORPUS_FILE = "corpus.json"
_NO_TREES = "words"
_LAYER_DROPOUT = 0.1  # of tuned layers, as when they were pretrained


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of what an experiment compares.

    Attributes:
        model: network, or a baseline that counts.
        trees: kind of trees; "words" for a sequence model.
        leaves: kind of leaf vectors.
        train_size: sentences learned from; 0 means all.
        gap: of the made-up tasks; 0 where there is none.
        sides: of a blank that are shown; empty where there is none.
    """

    model: str
    trees: str
    leaves: str
    train_size: int
    gap: int
    sides: str = ""

    @property
    def corpus(self) -> str:
        """Key of its items among those of the experiment."""
        return self.sides or str(self.gap)

    @property
    def name(self) -> str:
        """Folder name, and what `compare` takes."""
        parts = [self.model, self.trees, self.leaves]
        parts += [f"n{self.train_size}"] if self.train_size else []
        parts += [f"gap{self.gap}"] if self.gap else []
        parts += [self.sides] if self.sides else []
        return ".".join(parts)


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """Where an experiment is.

    Attributes:
        done: runs that are finished, trials included.
        total: runs in all.
        cell: name of the cell at work.
        run: "trial-2" or "seed-0".
        dev: best dev score of the run that was just finished; nan before.
    """

    done: int
    total: int
    cell: str
    run: str
    dev: float


@dataclass(frozen=True, kw_only=True)
class CellState:
    """What is there of a cell.

    Attributes:
        name: of the cell.
        trials: finished trials.
        seeds: finished seeds.
        wanted: seeds in all.
        dev: mean best dev score of the finished seeds; nan without any.
    """

    name: str
    trials: int
    seeds: int
    wanted: int
    dev: float


def cells_of(config: ExperimentConfig) -> list[Cell]:
    """List all cells; a model of sequences or dependencies stands once, whatever trees there are.

    So does the majority, whatever is shown.
    """
    grid = config.grid
    has_blanks = config.data.task in BLANK_TASKS
    gaps = (grid.gaps or (config.data.gap,)) if config.data.task in GAP_TASKS else (0,)
    found: dict[str, Cell] = {}
    for gap, sides in product(gaps, grid.sides if has_blanks else ("",)):
        for size, leaves, model in product(grid.train_sizes, grid.leaves, grid.models):
            if model == "majority" and sides != grid.sides[0]:
                continue
            for trees in _kinds_of_trees(model, grid.trees):
                cell = Cell(
                    model=model, trees=trees, leaves=leaves, train_size=size, gap=gap, sides=sides
                )
                found[cell.name] = cell
    return list(found.values())


def _kinds_of_trees(model: str, trees: Sequence[str]) -> Sequence[str]:
    """Which of these a model reads; dependencies are those of the parser's trees."""
    reads = "sequences" if model in BASELINES else NETWORKS[model].reads
    own = {"sequences": (_NO_TREES,), "dependencies": ("parsed",)}
    return own.get(reads, trees)


def run_experiment(
    config: ExperimentConfig,
    folder: Path,
    *,
    model: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    report: Callable[[RunProgress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Run what is not done yet.

    Args:
        config: the experiment.
        folder: of the results; one that holds another experiment is refused.
        model: folder whose trunk makes the leaves and whose parser the trees (sst, blanks).
        cache: folder of leaf vectors and trees, which several experiments may share; None puts it
            into `folder`.
        device: where the networks are, such as "cpu" or "cuda"; the leaves are made on the CPU.
        report: called after every run.
        say: gets a line about other long work.

    Raises:
        ConfigError: if the folder belongs to another config, or torch cannot use the device.
    """
    check_device(device)
    processes = Processes.current()
    if processes.is_first:
        claim(folder, config)
    processes.wait()
    cells = cells_of(config)
    total, done = sum(len(run_folders(folder, cell, config)) for cell in cells), 0
    corpora: dict[str, Corpus] = {}
    for cell in cells:
        runs = run_folders(folder, cell, config)
        if not all((run / RESULT_FILE).is_file() for run in runs):
            if cell.corpus not in corpora:
                corpora.clear()  # cells come corpus by corpus
                at = cache or folder / "cache"
                if not processes.is_first:
                    processes.wait()  # until the first one has filled the cache
                corpora[cell.corpus] = _corpus(config, folder, cell, model, at, say)
                if processes.is_first:
                    processes.wait()
            corpus = corpora[cell.corpus]
            for run, dev in _run_cell(folder / cell.name, cell, corpus, config, device):
                done += 1
                report(RunProgress(done=done, total=total, cell=cell.name, run=run, dev=dev))
        else:
            done += len(runs)
            report(RunProgress(done=done, total=total, cell=cell.name, run="kept", dev=math.nan))


def claim(folder: Path, config: ExperimentConfig) -> None:
    """Write the config into a new folder, or check that it is the folder's own."""
    path = folder / CONFIG_FILE
    if path.is_file():
        if ExperimentConfig.read(path) != config:
            raise ConfigError(
                f"{path} is of another experiment; give another folder, or delete this one"
            )
        return
    if folder.is_dir() and any(child.name != "cache" for child in folder.iterdir()):
        raise ConfigError(f"{folder} holds other things than an experiment; give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(config.to_toml(), encoding="utf-8")


def read_experiment(folder: Path) -> ExperimentConfig:
    """Read the config of a folder that `run_experiment` wrote."""
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigError(
            f"found no {CONFIG_FILE} in {folder}; expected a folder that `treenlp experiment run` "
            "wrote"
        )
    return ExperimentConfig.read(folder / CONFIG_FILE)


def _corpus(
    config: ExperimentConfig,
    folder: Path,
    cell: Cell,
    model: Path | None,
    cache: Path,
    say: Callable[[str], None],
) -> Corpus:
    corpus = read_corpus(
        config.data,
        cache,
        leaves=config.grid.leaves,
        trees=config.grid.trees,
        gap=cell.gap,
        sides=cell.sides,
        model=model,
        say=say,
    )
    for part, items in corpus.parts.items():
        if not items:
            raise DataError(f"the part {part!r} of {config.data.task} is empty, expected items")
    most = len(corpus.parts["train"])
    for size in config.grid.train_sizes:
        if size > most:
            raise ConfigError(
                f"found train_sizes with {size}, expected at most {most} (0 takes all of them)"
            )
    if not Processes.current().is_first:
        return corpus
    path = folder / CORPUS_FILE
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    values = {
        "digest": corpus.digest,
        "classes": list(corpus.classes),
        "graded": corpus.is_graded,
        "lengths": [item.num_leaves for item in corpus.parts["test"]],
        "depths": [_depth(item) for item in corpus.parts["test"]],
    }
    if corpus.transfer:
        values["kinds"] = [item.kind for item in corpus.transfer]
    if known.get(cell.corpus, values) != values:
        raise ConfigError(f"{path} describes other data than there are now; give another folder")
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps({**known, cell.corpus: values}) + "\n", encoding="utf-8")
    partial.replace(path)
    return corpus


def _depth(item: Item) -> int:
    """Height of the first of its own trees; 0 without any."""
    return next((int(shape.heights.max()) for shape in item.shapes.values() if item.size > 1), 0)


def run_folders(folder: Path, cell: Cell, config: ExperimentConfig) -> list[Path]:
    """Return the folders of all runs of a cell, finished or not: trials, then seeds."""
    own = folder / cell.name
    trials = 0 if cell.model in BASELINES else config.search.trials  # counts have no settings
    return [
        *(own / f"trial-{n}" for n in range(trials)),
        *(own / f"seed-{n}" for n in range(config.grid.seeds)),
    ]


def _run_cell(
    folder: Path, cell: Cell, corpus: Corpus, config: ExperimentConfig, device: str
) -> Iterator[tuple[str, float]]:
    """Search, then run every seed with the settings of the best trial."""
    if cell.model in BASELINES:
        for seed in range(config.grid.seeds):
            result = _count(folder / f"seed-{seed}", cell, corpus, seed=seed)
            yield f"seed-{seed}", result["dev"]
        return
    run = partial(_run, device=device)
    best, highest = config.learn, -1.0
    for n in range(config.search.trials):
        learn = _draw(config, n)
        result = run(folder / f"trial-{n}", cell, corpus, config, learn, seed=0, is_trial=True)
        if result["dev"] > highest:
            best = replace(learn, epochs=config.learn.epochs)
            highest = result["dev"]
        yield f"trial-{n}", result["dev"]
    for seed in range(config.grid.seeds):
        result = run(folder / f"seed-{seed}", cell, corpus, config, best, seed=seed)
        yield f"seed-{seed}", result["dev"]


def _draw(config: ExperimentConfig, trial: int) -> LearnConfig:
    """Settings of a trial: the same for the same trial of every cell."""
    rng = random.Random(f"search {trial}")
    low, high = map(math.log, config.search.lr)
    return replace(
        config.learn,
        epochs=config.search.epochs,
        lr=math.exp(rng.uniform(low, high)),
        dropout=rng.choice(config.search.dropout),
        hidden_size=rng.choice(config.search.hidden_size),
    )


def _run(
    folder: Path,
    cell: Cell,
    corpus: Corpus,
    config: ExperimentConfig,
    learn: LearnConfig,
    *,
    seed: int,
    device: str,
    is_trial: bool = False,
) -> dict[str, Any]:
    """Train once, keep the best weights on dev and, unless it is a trial, score the test set."""
    processes, done = Processes.current(), folder / RESULT_FILE
    processes.wait()  # the same files are seen by all
    if done.is_file():
        found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return found
    started = time.monotonic()
    items = _chosen(corpus.parts["train"], cell.train_size, seed)
    per_epoch = math.ceil(len(items) / (learn.batch_size * learn.batches_per_step))
    training = TrainConfig(
        steps=per_epoch * learn.epochs,
        batches_per_step=learn.batches_per_step,
        lr=learn.lr,
        trunk_lr=learn.trunk_lr,
        weight_decay=learn.weight_decay,
        seed=seed,
        bf16=False,
    )
    torch.manual_seed(seed)
    tuned = corpus.tuned if cell.leaves == "tuned" else None
    read = corpus.vectors[cell.leaves] if tuned is None else tuned.hidden
    model = PhraseClassifier(
        cell.model,
        read.shape[1],
        learn.hidden_size,
        len(corpus.classes),
        learn.dropout,
        compares=config.data.task == "pairs",
        encoder=None if tuned is None else LeafEncoder(tuned.layers, _LAYER_DROPOUT),
    ).to(device)
    phrases = config.data.phrases and config.data.task == "sst"
    task = ClassifierTask(
        model,
        corpus,
        items,
        network=cell.model,
        trees=cell.trees,
        leaves=cell.leaves,
        phrases=phrases,
        batch_size=learn.batch_size,
        steps=training.batches,
        seed=seed,
        device=device,
    )
    dev = corpus.parts["dev"]
    fit(
        model,
        task,
        training,
        folder,
        evaluation=Evaluation(
            score=lambda: answer(task, dev).score, every=per_epoch, patience=learn.patience
        ),
    )
    model.load_state_dict(load_file(folder / BEST_FILE))
    result: dict[str, Any] = {
        "cell": asdict(cell),
        "seed": seed,
        "learn": asdict(learn),
        "train_items": len(items),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(time.monotonic() - started, 1),
        "history": read_history(folder),
        "dev": answer(task, dev).score,
    }
    if not is_trial:
        result["test"] = _values(answer(task, corpus.parts["test"]))
        if corpus.transfer:
            result["transfer"] = _values(answer(task, corpus.transfer))
    _keep(result, folder)
    return result


def _count(folder: Path, cell: Cell, corpus: Corpus, *, seed: int) -> dict[str, Any]:
    """Run a baseline; the seed chooses the items where not all are learned from."""
    if (folder / RESULT_FILE).is_file():
        found: dict[str, Any] = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        return found
    started = time.monotonic()
    items = _chosen(corpus.parts["train"], cell.train_size, seed)
    counted = count_neighbours(cell.model, corpus, items)
    result: dict[str, Any] = {
        "cell": asdict(cell),
        "seed": seed,
        "learn": {},
        "train_items": len(items),
        "parameters": counted.size,
        "seconds": round(time.monotonic() - started, 1),
        "history": [],
        "dev": counted.dev.score,
        "test": _values(counted.test),
    }
    folder.mkdir(parents=True, exist_ok=True)
    _keep(result, folder)
    return result


def _keep(result: dict[str, Any], folder: Path) -> None:
    """Write what a run found; of its weights the best stay."""
    if not Processes.current().is_first:
        return
    partial = folder / f"{RESULT_FILE}.partial"
    partial.write_text(json.dumps(result) + "\n", encoding="utf-8")
    partial.replace(folder / RESULT_FILE)
    for checkpoint in folder.glob("checkpoint-*.safetensors"):
        checkpoint.unlink()


def _chosen(items: Sequence[Item], size: int, seed: int) -> list[Item]:
    if not size:
        return list(items)
    return random.Random(f"train {seed}").sample(list(items), size)


def _values(answers: Answers) -> dict[str, list[float]]:
    names = ("roots", "targets", "right", "total")
    return {name: np.asarray(getattr(answers, name)).tolist() for name in names}


def list_cells(folder: Path) -> list[CellState]:
    """Say what is done of the experiment in a folder."""
    config = read_experiment(folder)
    states = []
    for cell in cells_of(config):
        runs = [run for run in run_folders(folder, cell, config) if (run / RESULT_FILE).is_file()]
        seeds = [run for run in runs if run.name.startswith("seed")]
        devs = [json.loads((run / RESULT_FILE).read_text(encoding="utf-8"))["dev"] for run in seeds]
        states.append(
            CellState(
                name=cell.name,
                trials=len(runs) - len(seeds),
                seeds=len(seeds),
                wanted=config.grid.seeds,
                dev=float(np.mean(devs)) if devs else math.nan,
            )
        )
    return states


def read_results(folder: Path, cell: str) -> list[dict[str, Any]]:
    """Read the finished seeds of a cell.

    Raises:
        ConfigError: if the experiment has no such cell, or none of its seeds is done.
    """
    config = read_experiment(folder)
    known = [found.name for found in cells_of(config)]
    if cell not in known:
        raise ConfigError(f"found the cell {cell!r}, expected one of: {', '.join(known)}")
    paths = [folder / cell / f"seed-{n}" / RESULT_FILE for n in range(config.grid.seeds)]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]
    if not found:
        raise ConfigError(f"no seed of {cell} is done; run `treenlp experiment run` first")
    return found


def read_corpora(folder: Path) -> dict[str, Any]:
    """Read what an experiment noted of its corpora, by `Cell.corpus`."""
    found: dict[str, Any] = json.loads((folder / CORPUS_FILE).read_text(encoding="utf-8"))
    return found


def compare_cells(
    folder: Path, first: str, second: str, *, on: MeasuredOn = "test"
) -> tuple[float, float]:
    """Compare two cells on the same test sentences or pairs.

    Args:
        folder: of the experiment.
        first: name of a cell.
        second: name of another one.
        on: what they are compared on.

    Returns:
        How much higher the first one's mean score is (of shares right, or of coefficients), and the
        two-sided p-value of what each item says (right or not, or the squared error).

    Raises:
        ConfigError: if there is no such cell, the two were measured on other sentences, or there is
            no transfer.
    """
    if on == "transfer" and not read_experiment(folder).data.transfer:
        raise ConfigError(f"found no transfer in {folder / CONFIG_FILE}, expected it under [data]")
    corpora = read_corpora(folder)
    by_name = {cell.name: cell for cell in cells_of(read_experiment(folder))}
    units, scores, measured = [], [], []
    for name in (first, second):
        runs = [result[on] for result in read_results(folder, name)]
        targets = runs[0]["targets"]
        is_graded = bool(corpora[by_name[name].corpus]["graded"])
        units.append(unit_scores([run["roots"] for run in runs], targets, is_graded=is_graded))
        scores.append(
            float(np.mean([score(run["roots"], targets, is_graded=is_graded) for run in runs]))
        )
        measured.append(targets)
    if measured[0] != measured[1]:
        raise ConfigError(f"{first} and {second} were measured on other sentences")
    return scores[0] - scores[1], paired_p_value(units[0], units[1])

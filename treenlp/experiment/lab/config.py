"""What an experiment compares, as TOML: read, checked and written back without loss."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from treenlp.composition import NETWORKS
from treenlp.errors import ConfigError
from treenlp.experiment.settings import with_setting, with_values

__all__ = [
    "BASELINES",
    "BLANK_TASKS",
    "GAP_TASKS",
    "LEAVES",
    "SIDES",
    "TASKS",
    "TRANSFER_TASKS",
    "TREES",
    "DataConfig",
    "ExperimentConfig",
    "GridConfig",
    "LearnConfig",
    "SearchConfig",
    "reads_heads",
]

BLANK_TASKS = ("homophones", "cloze")
GAP_TASKS = ("recall", "agreement", "adding")
TASKS = ("sst", "texts", "pairs", *GAP_TASKS, *BLANK_TASKS)
TRANSFER_TASKS = ("sst", "pairs")
_CONTROLS = ("right", "left", "balanced", "random")
_FOUND = ("gold", "parsed", "parsed-balanced")
TREES = (*_FOUND, *_CONTROLS)
LEAVES = ("static", "contextual", "tuned")
_OWN_TREES = {
    "sst": frozenset(("gold", "parsed")),
    "texts": frozenset(("parsed", "parsed-balanced")),
    "pairs": frozenset(("parsed",)),
}
_OWN_LEAVES = {
    **dict.fromkeys(GAP_TASKS, ("static", "contextual")),  # which are the same ones
    **dict.fromkeys(BLANK_TASKS, ("static",)),
}
SIDES = ("both", "left", "right")
BASELINES = ("majority", "trigram")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is learned.

    Attributes:
        task: "sst" (sentiment of sentences and phrases), "texts" (the one class of each text of a
            corpus), "pairs" (the class or grade of two sentences), "recall" (say at the end which
            mark stood at the beginning), "agreement" (a verb's number from a noun far before it),
            "adding" (the sum of two digits far apart), "homophones" (which of the characters that
            sound the same is left out of a sentence of the newspaper) or "cloze" (which frequent
            word is).
        phrases: whether phrases are learned and judged, too, or whole sentences alone (sst).
        source: corpus: a name from `TEXT_SOURCES`, or "datasets:" and a folder or a name that the
            ``datasets`` library knows (texts); a name from `PAIR_SOURCES` (pairs).
        text_column: its column of texts; of "datasets:" alone.
        label_column: its column of labels; likewise.
        gap: words between what is to be remembered and the end (recall, agreement, adding).
        items: training items of all tasks but sst, at most; a fifth as many are measured on, but of
            texts and pairs all that their corpora measure on.
        window: characters (homophones) or words (cloze) that are shown on each side of a blank.
        words: how many words are left out (cloze).
        homophones: file of the characters that sound the same, from the working directory.
        transfer: file of what is measured on as well and never learned from, from the working
            directory: Chinese phrases in five classes (sst) or pairs of the same words (pairs);
            empty for none.
    """

    task: str = "sst"
    phrases: bool = True
    source: str = "chnsenticorp"
    text_column: str = "text"
    label_column: str = "label"
    gap: int = 20
    items: int = 2_000
    window: int = 12
    words: int = 200
    homophones: str = "corpora/homophones/zh.tsv"
    transfer: str = ""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        _check_name("task", self.task, TASKS)
        _check_least("gap", self.gap, 1)
        _check_least("items", self.items, 10)
        _check_least("window", self.window, 1)
        _check_least("words", self.words, 2)
        if self.transfer and self.task not in TRANSFER_TASKS:
            raise ConfigError(
                f"found transfer = {self.transfer!r} with the task {self.task!r}, expected it with "
                f"one of: {', '.join(TRANSFER_TASKS)}"
            )


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """What is combined with what; every combination is a cell.

    Attributes:
        models: names of `NETWORKS`; of blanks also the baselines that count: "majority" and
            "trigram", the two neighbours on each side.
        trees: which trees tree models get: "gold" (sst), "parsed" (sst, texts, pairs; those of a
            text's sentences are joined from the left), "parsed-balanced" (texts; joined by a
            balanced tree), or control trees; models of dependencies need "parsed" ones, with the
            head of each phrase.
        leaves: "static" word vectors; "contextual" ones of the trunk's lower layers, or "tuned"
            ones, whose upper layers learn with the network and take many times as long (sst, texts,
            pairs).
        train_sizes: sentences learned from; 0 means all.
        gaps: gaps of the made-up tasks; empty means the one of the data.
        sides: what is shown of the sentence around a blank: "both", "left" or "right".
        seeds: runs of each cell.
    """

    models: tuple[str, ...] = ("tree-lstm", "bi-lstm")
    trees: tuple[str, ...] = ("gold",)
    leaves: tuple[str, ...] = ("contextual",)
    train_sizes: tuple[int, ...] = (0,)
    gaps: tuple[int, ...] = ()
    sides: tuple[str, ...] = ("both",)
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check names and ranges."""
        for name in self.models:
            _check_name("models", name, [*NETWORKS, *BASELINES])
        for name in self.trees:
            _check_name("trees", name, TREES)
        for name in self.leaves:
            _check_name("leaves", name, LEAVES)
        for name in self.sides:
            _check_name("sides", name, SIDES)
        for size in (*self.train_sizes, *self.gaps):
            _check_least("train_sizes and gaps", size, 0)
        for column in ("models", "trees", "leaves", "train_sizes", "sides"):
            if not getattr(self, column):
                raise ConfigError(f"found no {column}, expected one or more")
        _check_least("seeds", self.seeds, 1)


@dataclass(frozen=True, kw_only=True)
class LearnConfig:
    """How each run learns.

    Attributes:
        epochs: passes over the training sentences.
        batch_size: sentences in a batch.
        batches_per_step: batches whose mean loss a step follows; with several processes, which
            share them, a multiple of their number.
        hidden_size: width of the network's vectors.
        dropout: of leaves and of vectors before the head.
        lr: highest learning rate.
        trunk_lr: likewise of the trunk's layers under tuned leaves.
        weight_decay: of matrices.
        patience: epochs without a better dev score after which a run stops.
    """

    epochs: int = 10
    batch_size: int = 32
    batches_per_step: int = 1
    hidden_size: int = 128
    dropout: float = 0.3
    lr: float = 2e-3
    trunk_lr: float = 5e-5
    weight_decay: float = 0.01
    patience: int = 4

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("epochs", "batch_size", "batches_per_step", "hidden_size", "patience"):
            _check_least(name, getattr(self, name), 1)
        rates = self.lr > 0.0 and self.trunk_lr > 0.0
        if not 0.0 <= self.dropout < 1.0 or not rates or self.weight_decay < 0.0:
            raise ConfigError(
                f"found dropout = {self.dropout}, lr = {self.lr}, trunk_lr = {self.trunk_lr}, "
                f"weight_decay = {self.weight_decay}; expected 0 to below 1, twice above 0, and 0 "
                "or more"
            )


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Random search, with the same number of trials for every cell.

    Attributes:
        trials: settings tried, judged by dev score; 0 takes those of `LearnConfig`.
        epochs: of a trial.
        lr: lowest and highest rate, drawn on a logarithmic scale.
        dropout: values to draw from.
        hidden_size: likewise.
    """

    trials: int = 0
    epochs: int = 3
    lr: tuple[float, ...] = (5e-4, 5e-3)
    dropout: tuple[float, ...] = (0.1, 0.3, 0.5)
    hidden_size: tuple[int, ...] = (128,)

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_least("trials", self.trials, 0)
        _check_least("epochs", self.epochs, 1)
        if len(self.lr) != 2 or not 0.0 < self.lr[0] <= self.lr[1]:
            raise ConfigError(f"found lr = {self.lr}, expected the lowest and the highest rate")
        if not self.dropout or not self.hidden_size:
            raise ConfigError("found no dropout or no hidden_size, expected values to draw from")


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """A question and what is run to answer it.

    Example:
        >>> config = ExperimentConfig(question="Do trees help?")
        >>> ExperimentConfig.from_toml(config.to_toml(), source="memory") == config
        True
    """

    question: str = ""
    data: DataConfig = field(default_factory=DataConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)
    search: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        """Check what depends on several parts."""
        own = _OWN_TREES.get(self.data.task, frozenset())
        odd = {*_FOUND} & {*self.grid.trees} - own
        if odd:
            known = ", ".join((*sorted(own), *_CONTROLS))
            raise ConfigError(
                f"found the trees {min(odd)!r} with the task {self.data.task!r}, which has none; "
                f"expected one of: {known}"
            )
        by_heads = [m for m in self.grid.models if m in NETWORKS and reads_heads(m)]
        if by_heads and "parsed" not in self.grid.trees:
            raise ConfigError(
                f"found the model {by_heads[0]!r}, which reads dependencies, and the trees "
                f"{', '.join(self.grid.trees)}; expected 'parsed' among these: no other trees have "
                "heads"
            )
        unfit = {*self.grid.leaves} - {*_OWN_LEAVES.get(self.data.task, LEAVES)}
        if unfit:
            raise ConfigError(
                f"found the leaves {min(unfit)!r} with the task {self.data.task!r}, whose networks "
                "shall read the context themselves; expected 'static'"
            )
        if self.data.task not in BLANK_TASKS:
            odd = {*BASELINES} & {*self.grid.models} or {*self.grid.sides} - {"both"}
            if odd:
                raise ConfigError(
                    f"found {min(odd)!r} with the task {self.data.task!r}, which has no blanks; "
                    f"expected it with one of: {', '.join(BLANK_TASKS)}"
                )

    @classmethod
    def read(cls, path: Path) -> ExperimentConfig:
        """Read a file; errors name it."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read ({error}); give a TOML file") from error
        return cls.from_toml(text, source=str(path))

    @classmethod
    def from_toml(cls, text: str, *, source: str) -> ExperimentConfig:
        """Build a config from TOML; what is left out keeps its default.

        Args:
            text: the TOML.
            source: where it is from, for errors.

        Raises:
            ConfigError: at malformed TOML, an unknown key (the nearest one is named), a value of
                another type, or one out of range.
        """
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{source} is no TOML: {error}") from error
        try:
            return with_values(cls(), values)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from error

    def with_setting(self, setting: str) -> ExperimentConfig:
        """Change one value by ``part.name=value`` (the value as TOML, quotes may be left out).

        Example:
            >>> ExperimentConfig().with_setting("learn.lr=0.01").learn.lr
            0.01
        """
        return with_setting(self, setting)

    def to_toml(self) -> str:
        """Write all values, defaults included."""
        lines: list[str] = []
        tables: list[tuple[str, Mapping[str, Any]]] = []
        for name, value in asdict(self).items():
            if isinstance(value, dict):
                tables.append((name, value))
            else:
                lines.append(f"{name} = {_toml(value)}")
        for name, table in tables:
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
        return "\n".join(lines) + "\n"


def reads_heads(model: str) -> bool:
    """Whether a network reads dependencies."""
    return NETWORKS[model].reads == "dependencies"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for this one character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _check_name(column: str, name: str, known: tuple[str, ...] | list[str]) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise ConfigError(
            f"found {column} with {name!r}; did you mean {near!r}? Expected one of: "
            f"{', '.join(known)}"
        )


def _check_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"found {name} = {value}, expected {least} or more")

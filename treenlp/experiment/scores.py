"""Measured figures with their intervals, the sheet beside a model, and what counts as worse.

Intervals are percentile bootstrap intervals (Efron & Tibshirani 1993, "An Introduction to the
Bootstrap", chapter 13) over independent units: sentences, pairs or cases, never the nodes or
phrases inside one. The draws are seeded, so equal answers give equal intervals.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from treenlp.errors import ConfigError, DataError, ModelError

__all__ = [
    "SCORES_FILE",
    "Direction",
    "Figure",
    "ScoreSheet",
    "Split",
    "Verdict",
    "bootstrap_pairs",
    "bootstrap_ratio",
    "bootstrap_units",
    "compare",
    "digest_texts",
    "read_scores",
    "weight_digests",
    "write_scores",
]

Direction = Literal["higher", "lower", "information"]
Split = Literal["dev", "final"]

SCORES_FILE = "scores.json"
_SCHEMA = 1
_DRAWS = 1000
_SEED = 20
_LEVEL = (2.5, 97.5)  # percentiles of a 95 % interval


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number.

    Attributes:
        name: set, a point, and what was measured: "gsdsimp_dev.crossings".
        split: "dev" figures are what the gate compares, "final" ones are read once.
        direction: whether higher or lower is better, or it is for information only.
        value: a share, a correlation or a loss.
        low: lower end of its 95 % bootstrap interval.
        high: upper end.
        n: what the value is a share or mean of, or the number of pairs it correlates.
        inputs: SHA-256 of what was measured on, so that only like is compared with like.
        seconds: what its measure took; figures of one measure share it.
        details: parts of the figure, such as the share of each kind.
    """

    name: str
    split: Split
    direction: Direction
    value: float
    low: float
    high: float
    n: int
    inputs: str
    seconds: float = 0.0
    details: Mapping[str, float] = field(default_factory=dict)

    @property
    def tolerance(self) -> float:
        """How much worse a later figure may be: half the interval."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, kw_only=True)
class ScoreSheet:
    """Everything measured about one state of a model.

    Attributes:
        model: name of the model.
        weights: SHA-256 of each file of the model folder that the answers depend on.
        versions: of the programs that measured.
        figures: by name, in the order of measuring.
    """

    model: str
    weights: Mapping[str, str]
    versions: Mapping[str, str]
    figures: Mapping[str, Figure]

    def to_json(self) -> str:
        """Write the sheet as indented JSON; numbers that are none become null."""
        values = {
            "schema": _SCHEMA,
            "model": self.model,
            "weights": dict(self.weights),
            "versions": dict(self.versions),
            "figures": {name: _plain(asdict(f)) for name, f in self.figures.items()},
        }
        return json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str) -> ScoreSheet:
        """Read what `to_json` wrote.

        Args:
            text: the JSON.
            source: where it is from, for errors.

        Raises:
            ModelError: if it is not such a sheet.
        """
        names = {part.name for part in fields(Figure)}
        try:
            values = json.loads(text)
            if values["schema"] != _SCHEMA:
                raise ModelError(
                    f"{source}: found schema {values['schema']!r}, expected {_SCHEMA}; measure "
                    "again with `treenlp evaluate --final`"
                )
            figures = {}
            for name, row in values["figures"].items():
                if set(row) != names or row["name"] != name:
                    raise KeyError(name)
                figures[name] = Figure(**_numbers(row))
            return cls(
                model=values["model"],
                weights=dict(values["weights"]),
                versions=dict(values["versions"]),
                figures=figures,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{source} is no score sheet ({type(error).__name__}: {error}); restore it, or "
                "measure again with `treenlp evaluate --final`"
            ) from error


_NUMBERS = ("value", "low", "high")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    for name in _NUMBERS:
        row[name] = round(row[name], 6) if math.isfinite(row[name]) else None
    row["seconds"] = round(row["seconds"], 1)
    row["details"] = {key: round(value, 6) for key, value in row["details"].items()}
    return row


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: math.nan if key in _NUMBERS and value is None else value for key, value in row.items()
    }


def read_scores(folder: Path) -> ScoreSheet | None:
    """Read the sheet beside a model; None if the model has none yet.

    Raises:
        ModelError: if there is a file that is no sheet.
    """
    path = folder / SCORES_FILE
    if not path.is_file():
        return None
    return ScoreSheet.from_json(path.read_text(encoding="utf-8"), source=str(path))


def write_scores(folder: Path, sheet: ScoreSheet) -> None:
    """Write the sheet beside a model."""
    with (folder / SCORES_FILE).open("w", encoding="utf-8", newline="\n") as file:
        file.write(sheet.to_json())


_MODEL_FILES = ("config.json", "tokenizer.json", "*.safetensors")


def weight_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that a model's answers depend on, by file name.

    Raises:
        ModelError: if the folder holds none.
    """
    paths = sorted({path for pattern in _MODEL_FILES for path in folder.glob(pattern)})
    if not paths:
        raise ModelError(
            f"no model at {folder}: expected config.json and weights; `treenlp models` lists "
            "what there is"
        )
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def digest_texts(texts: Iterable[str]) -> str:
    """Return the SHA-256 of texts in order.

    Example:
        >>> digest_texts(["a", "b"]) == digest_texts(["ab"])
        False
    """
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()


def _draws(size: int) -> Iterable[NDArray[np.int64]]:
    generator = np.random.default_rng(_SEED)
    for _ in range(_DRAWS):
        yield generator.integers(0, size, size)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return math.nan, math.nan
    low, high = np.percentile(np.array(finite), _LEVEL)
    return float(low), float(high)


def bootstrap_ratio(
    counts: ArrayLike, combine: Callable[[NDArray[np.float64]], float]
) -> tuple[float, float, float]:
    """Measure a figure that is a function of sums over units.

    Args:
        counts: (U, C) what each of U independent units adds to C sums.
        combine: the figure, from the C sums.

    Returns:
        The figure and the ends of its 95 % interval; nan without units.

    Example:
        >>> bootstrap_ratio([[1, 1]] * 9, lambda sums: float(sums[0] / sums[1]))
        (1.0, 1.0, 1.0)
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.size == 0:
        return math.nan, math.nan, math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        value = combine(table.sum(0))
        low, high = _interval([combine(table[chosen].sum(0)) for chosen in _draws(len(table))])
    return value, low, high


def bootstrap_units(
    size: int, measure: Callable[[NDArray[np.int64]], float], *, is_biased: bool = False
) -> tuple[float, float, float]:
    """Measure a figure that is any function of the units drawn.

    Args:
        size: number of independent units.
        measure: the figure of some of them, numbered from 0, repeated ones included.
        is_biased: whether drawing again shifts the figure, as it enlarges every mean of absolute
            differences: the interval is then moved by the shift of its mean (Efron & Tibshirani
            1993, section 10.2).

    Returns:
        The figure and the ends of its 95 % interval; nan without units.

    Example:
        >>> bootstrap_units(3, lambda units: float(len(units)))
        (3.0, 3.0, 3.0)
    """
    if not size:
        return math.nan, math.nan, math.nan
    value = measure(np.arange(size))
    drawn = [measure(chosen) for chosen in _draws(size)]
    low, high = _interval(drawn)
    shift = float(np.mean(drawn)) - value if is_biased else 0.0
    return value, low - shift, high - shift


def bootstrap_pairs(
    answers: ArrayLike,
    targets: ArrayLike,
    correlate: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
) -> tuple[float, float, float]:
    """Measure a correlation of answers with targets.

    Args:
        answers: (n,) numbers.
        targets: (n,) numbers.
        correlate: the coefficient.

    Returns:
        The coefficient and the ends of its 95 % interval.

    Raises:
        DataError: if the two differ in length or hold fewer than two numbers.
    """
    first = np.asarray(answers, dtype=np.float64)
    second = np.asarray(targets, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise DataError(
            f"found {first.shape} answers and {second.shape} targets, expected as many of each "
            "and at least two"
        )
    return bootstrap_units(len(first), lambda chosen: correlate(first[chosen], second[chosen]))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one figure since the sheet was written.

    Attributes:
        name: of the figure.
        status: "kept" (no worse than tolerated), "worse", "missing" (measured no longer),
            "changed" (measured on other inputs), or "new".
        message: in words.
    """

    name: str
    status: Literal["kept", "worse", "missing", "changed", "new"]
    message: str

    @property
    def is_failure(self) -> bool:
        """Whether the gate is to stay shut."""
        return self.status in ("worse", "missing", "changed")


def compare(
    found: Mapping[str, Figure], stored: Mapping[str, Figure], *, names: Iterable[str] | None = None
) -> tuple[Verdict, ...]:
    """Compare dev figures with those of the sheet.

    A figure is worse if it falls short of the stored one by more than half of the stored one's
    interval. Figures for information never fail.

    Args:
        found: what was measured now, by name.
        stored: what the sheet holds, by name.
        names: compare only these; None: all dev figures of either side.

    Returns:
        One verdict for each compared figure, in the order of `found`, missing ones last.

    Raises:
        ConfigError: if a name is in neither.
    """
    order = [*found, *(name for name in stored if name not in found)]
    chosen = order if names is None else list(names)
    for name in chosen:
        if name not in order:
            raise ConfigError(f"found the figure {name!r}, expected one of: {', '.join(order)}")
    verdicts = []
    for name in chosen:
        new, old = found.get(name), stored.get(name)
        given = new or old
        if given is not None and given.split == "dev" and given.direction != "information":
            verdicts.append(_verdict(name, new, old))
    return tuple(verdicts)


def _verdict(name: str, new: Figure | None, old: Figure | None) -> Verdict:
    if new is None:
        return Verdict(name=name, status="missing", message=f"{name} is promised, not measured")
    shown = f"{name} {new.value:.4f}"
    if old is None:
        return Verdict(name=name, status="new", message=f"{shown}, not on the sheet yet")
    if new.inputs != old.inputs:
        text = (
            f"{shown} was measured on other inputs than the stored {old.value:.4f} (n {old.n}, "
            f"now {new.n}); if that is meant, remove the figure from {SCORES_FILE} and record anew"
        )
        return Verdict(name=name, status="changed", message=text)
    fall = new.value - old.value if old.direction == "lower" else old.value - new.value
    text = f"{shown}, stored {old.value:.4f}, tolerated loss {old.tolerance:.4f}"
    # Stored numbers are rounded; a loss that is not even a number is one, too.
    is_kept = fall <= old.tolerance + 1e-6 or (math.isnan(old.value) and math.isnan(new.value))
    return Verdict(name=name, status="kept" if is_kept else "worse", message=text)

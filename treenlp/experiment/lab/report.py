"""Results of an experiment as Markdown, JSON and plots; everything in them is generated."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from treenlp.errors import ConfigError
from treenlp.experiment.lab.archive import write_archive
from treenlp.experiment.lab.config import ExperimentConfig
from treenlp.experiment.lab.runner import (
    MeasuredOn,
    cells_of,
    compare_cells,
    list_cells,
    read_corpora,
    read_experiment,
    read_results,
)
from treenlp.experiment.lab.statistics import holm, mean_and_deviation, score, unit_scores
from treenlp.experiment.scores import bootstrap_units
from treenlp.tasks.sentiment import NEUTRAL

__all__ = ["summarize", "write_report"]

_MARKERS = "osv^D*P<>Xhd"
_MOST_LINES = 16  # more of them in one plot tell nothing apart
# Where a table of all pairs of classes is unreadable, or the plots' font lacks the characters, the
# most frequent mistakes are listed.
_MOST_CLASSES = 20
_MOST_MISTAKES = 20


def write_report(folder: Path, output: Path | None = None, *, plots: bool = True) -> Path:
    """Write ``results.md``, ``results.json``, all runs (`write_archive`) and plots (PNG, SVG).

    Args:
        folder: that `run_experiment` filled; cells without a finished seed are left out.
        output: where to write; None means the folder itself.
        plots: whether to draw.

    Returns:
        The Markdown file.

    Raises:
        ConfigError: if nothing is finished, or matplotlib is missing.
    """
    output = folder if output is None else output
    output.mkdir(parents=True, exist_ok=True)
    summary = summarize(folder)
    drawn = _draw(folder, summary, output) if plots else []
    (output / "results.json").write_text(_json(summary), encoding="utf-8")
    write_archive(folder, output)
    path = output / "results.md"
    path.write_text(_markdown(summary, drawn), encoding="utf-8")
    return path


def summarize(folder: Path) -> dict[str, Any]:
    """Put everything together that the report says, as plain values."""
    config = read_experiment(folder)
    states = {state.name: state for state in list_cells(folder)}
    cells = [cell for cell in cells_of(config) if states[cell.name].seeds]
    if not cells:
        raise ConfigError(f"nothing in {folder} is finished; run `treenlp experiment run` first")
    corpora = read_corpora(folder)
    rows = []
    for cell in cells:
        runs = read_results(folder, cell.name)
        corpus = corpora[cell.corpus]
        rows.append({"name": cell.name, **_figures(runs, corpus)})
    best = max(rows, key=lambda row: row["dev"][0])
    others = [row["name"] for row in rows if row["name"] != best["name"]]
    comparable = [name for name in others if _gap(name) == _gap(best["name"])]
    against_best = {
        on: _against(folder, best["name"], comparable, on)
        for on in get_args(MeasuredOn)
        if on in best
    }
    return {
        "question": config.question,
        "config": config.to_toml(),
        "transfer": config.data.transfer,
        "commit": _commit(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "corpora": {gap: corpus["digest"] for gap, corpus in corpora.items()},
        "classes": next(iter(corpora.values()))["classes"],
        "graded": next(iter(corpora.values()))["graded"],
        "unfinished": [name for name, state in states.items() if state.seeds < state.wanted],
        "cells": rows,
        "best": best["name"],
        "against_best": against_best,
    }


def _against(folder: Path, best: str, names: Sequence[str], on: MeasuredOn) -> dict[str, Any]:
    """By cell how much higher the best one scores, and the p-values."""
    found = {name: compare_cells(folder, best, name, on=on) for name in names}
    corrected = holm({name: p for name, (_, p) in found.items()})
    return {
        name: {"difference": difference, "p": p, "p_holm": corrected[name]}
        for name, (difference, p) in found.items()
    }


def _gap(name: str) -> str:
    return next((part for part in name.split(".") if part.startswith("gap")), "")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Measured:
    """What the seeds of a cell said of the same S items.

    Attributes:
        answers: (R, S) classes or grades.
        targets: (S,) what is right.
        is_graded: which of the two.
        has_sides: whether the classes are those of sentiment.
    """

    answers: NDArray[Any]
    targets: NDArray[Any]
    is_graded: bool
    has_sides: bool

    @classmethod
    def read(
        cls, runs: Sequence[Mapping[str, Any]], corpus: Mapping[str, Any], on: MeasuredOn
    ) -> _Measured:
        return cls(
            answers=np.array([run[on]["roots"] for run in runs]),
            targets=np.array(runs[0][on]["targets"]),
            is_graded=corpus["graded"],
            has_sides=len(corpus["classes"]) == 2 * NEUTRAL + 1 and not corpus["graded"],
        )

    def mean_score(self, chosen: NDArray[np.int64]) -> float:
        """Mean over the seeds of the score of some items."""
        targets = self.targets[chosen]
        scores = [score(row[chosen], targets, is_graded=self.is_graded) for row in self.answers]
        return float(np.mean(scores))

    def figures(self) -> dict[str, Any]:
        """Mean and deviation over the seeds, interval over the items; sides of sentiment, too."""
        _, low, high = bootstrap_units(len(self.targets), self.mean_score)
        scores = [score(row, self.targets, is_graded=self.is_graded) for row in self.answers]
        found: dict[str, Any] = {"score": mean_and_deviation(scores), "interval": [low, high]}
        if self.has_sides:
            sided = self.targets != NEUTRAL
            right = (self.answers > NEUTRAL) == (self.targets > NEUTRAL)
            found["binary"] = mean_and_deviation(right[:, sided].mean(1).tolist())
        return found


def _figures(runs: Sequence[dict[str, Any]], corpus: dict[str, Any]) -> dict[str, Any]:
    measured = _Measured.read(runs, corpus, "test")
    answers, targets, is_graded = measured.answers, measured.targets, measured.is_graded
    units = unit_scores(answers, targets, is_graded=is_graded)
    found = measured.figures()
    figures: dict[str, Any] = {
        "n": len(runs),
        "dev": mean_and_deviation([run["dev"] for run in runs]),
        "test": found["score"],
        "interval": found["interval"],
        "parameters": runs[0]["parameters"],
        "train_items": runs[0]["train_items"],
        "seconds": mean_and_deviation([run["seconds"] for run in runs])[0],
        "learn": {
            name: runs[0]["learn"][name]
            for name in ("lr", "dropout", "hidden_size")
            if name in runs[0]["learn"]  # a baseline has no such settings
        },
        "history": [run["history"] for run in runs],
    }
    if "binary" in found:
        figures["binary"] = found["binary"]
    if "transfer" in runs[0]:
        figures["transfer"] = _transfer(runs, corpus)
    if is_graded:
        return figures
    figures["by_length"] = _by_bins(units, np.array(corpus["lengths"]))
    figures["by_depth"] = _by_bins(units, np.array(corpus["depths"]))
    totals = [np.array(run["test"]["total"]).sum() for run in runs]
    if totals[0] > len(targets):
        nodes = [sum(run["test"]["right"]) / sum(run["test"]["total"]) for run in runs]
        figures["nodes"] = mean_and_deviation(nodes)
    size = len(corpus["classes"])
    confusion = np.zeros((size, size), dtype=int)
    for row in answers:
        np.add.at(confusion, (targets, row), 1)
    if size <= _MOST_CLASSES and "".join(corpus["classes"]).isascii():
        figures["confusion"] = confusion.tolist()
    else:
        np.fill_diagonal(confusion, 0)
        worst = np.argsort(-confusion, axis=None, kind="stable")[:_MOST_MISTAKES]
        pairs = [divmod(int(place), size) for place in worst]
        figures["mistakes"] = [
            [corpus["classes"][meant], corpus["classes"][judged], int(confusion[meant, judged])]
            for meant, judged in pairs
        ]
    return figures


def _transfer(runs: Sequence[dict[str, Any]], corpus: dict[str, Any]) -> dict[str, Any]:
    """The figures of what was measured on as well, and the mean score of each kind of several."""
    measured = _Measured.read(runs, corpus, "transfer")
    kinds = np.array(corpus["kinds"])
    by_kind = {
        str(kind): measured.mean_score(np.flatnonzero(kinds == kind))
        for kind, size in zip(*np.unique(kinds, return_counts=True), strict=True)
        if size > 1
    }
    return {**measured.figures(), "kinds": by_kind}


def _by_bins(share: np.ndarray, values: np.ndarray) -> list[dict[str, float]]:
    """Accuracy in up to five groups of about equal size."""
    edges = np.unique(np.quantile(values, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]))
    found = []
    for n, low in enumerate(edges[:-1]):
        is_last = n == len(edges) - 2
        chosen = (values >= low) & (
            (values <= edges[n + 1]) if is_last else (values < edges[n + 1])
        )
        if chosen.any():
            found.append(
                {
                    "from": float(values[chosen].min()),
                    "to": float(values[chosen].max()),
                    "items": int(chosen.sum()),
                    "accuracy": float(share[chosen].mean()),
                }
            )
    return found


def _commit() -> str:
    """The checkout's commit; empty outside one."""
    where = Path(__file__).resolve().parent
    try:
        command = ["git", "-C", str(where), "rev-parse", "HEAD"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def _json(summary: dict[str, Any]) -> str:
    """One line for each cell and for every other part: what changes shows in a diff."""
    parts = []
    for name, value in summary.items():
        text = json.dumps(value, ensure_ascii=False)
        if name == "cells":
            rows = ",\n  ".join(json.dumps(cell, ensure_ascii=False) for cell in value)
            text = f"[\n  {rows}\n ]"
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _markdown(summary: dict[str, Any], drawn: Sequence[str]) -> str:
    cells = summary["cells"]
    lines = [summary["question"], ""] if summary["question"] else []
    has_nodes = any("nodes" in cell for cell in cells)
    has_binary = any("binary" in cell for cell in cells)
    measure = _measure(summary)
    head = ["cell", f"test {measure} (sd)", "95 % interval"]
    head += ["two sides"] if has_binary else []
    head += ["all phrases"] if has_nodes else []
    head += ["dev", "n", "parameters", "seconds a run", "against the best: difference, p (Holm)"]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for cell in sorted(cells, key=lambda cell: -cell["test"][0]):
        low, high = cell["interval"]
        row = [cell["name"], _share(cell["test"]), f"{100 * low:.1f} to {100 * high:.1f}"]
        row += [_share(cell.get("binary"))] if has_binary else []
        row += [_share(cell.get("nodes"))] if has_nodes else []
        row += [_share(cell["dev"]), str(cell["n"]), f"{cell['parameters']:,}"]
        row += [f"{cell['seconds']:.0f}", _difference(summary, cell["name"], "test")]
        lines.append("| " + " | ".join(row) + " |")
    if summary["unfinished"]:
        lines += ["", f"Not finished: {', '.join(summary['unfinished'])}."]
    lines += [
        "",
        f"The best on dev is {summary['best']}; the others are compared with it on the same test "
        "sentences.",
    ]
    if has_nodes:
        lines += [
            "",
            "All phrases are those that a cell's own trees have as nodes, words included: compare "
            "them between cells of the same trees, or of gold trees and words, alone.",
        ]
    if any("transfer" in cell for cell in cells):
        lines += ["", *_transfer_table(summary)]
    if summary["graded"]:
        lines += ["", "p is that of the squared errors of the pairs."]
    best = next(cell for cell in cells if cell["name"] == summary["best"])
    if "mistakes" in best:
        found = ", ".join(f"{meant}→{judged} {n}" for meant, judged, n in best["mistakes"] if n)
        lines += ["", f"Its most frequent mistakes (meant→judged, all seeds): {found}."]
    for name in drawn:
        lines += ["", f"![{name}]({name}.png)"]
    return "\n".join(lines) + "\n"


def _transfer_table(summary: dict[str, Any]) -> list[str]:
    """What was measured on as well, by kind."""
    cells = [cell for cell in summary["cells"] if "transfer" in cell]
    kinds = list(cells[0]["transfer"]["kinds"])
    has_binary = "binary" in cells[0]["transfer"]
    head = ["cell", f"transfer {_measure(summary)} (sd)", "95 % interval"]
    head += ["two sides"] if has_binary else []
    head += [*kinds, "against the best on dev: difference, p (Holm)"]
    lines = [f"Measured on as well, learned from never: {summary['transfer']}.", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for cell in sorted(cells, key=lambda cell: -cell["transfer"]["score"][0]):
        found = cell["transfer"]
        low, high = found["interval"]
        row = [cell["name"], _share(found["score"]), f"{100 * low:.1f} to {100 * high:.1f}"]
        row += [_share(found["binary"])] if has_binary else []
        row += [f"{100 * found['kinds'][kind]:.1f}" for kind in kinds]
        lines.append(
            "| " + " | ".join([*row, _difference(summary, cell["name"], "transfer")]) + " |"
        )
    return lines


def _measure(summary: dict[str, Any]) -> str:
    return "Pearson's r, x 100" if summary["graded"] else "accuracy, %"


def _share(found: Sequence[float] | None) -> str:
    if found is None:
        return "–"
    mean, deviation = (100 * value for value in found)
    return f"{mean:.1f}" if np.isnan(deviation) else f"{mean:.1f} ({deviation:.1f})"


def _difference(summary: dict[str, Any], name: str, on: MeasuredOn) -> str:
    if name == summary["best"]:
        return "best on dev"
    found = summary["against_best"][on].get(name)
    if found is None:
        return "–"
    return f"{0.0 - 100 * found['difference']:+.1f}, {found['p_holm']:.3f}"


def _draw(folder: Path, summary: dict[str, Any], output: Path) -> list[str]:
    """Draw what there is something to draw of; returns the names of the plots."""
    try:
        import matplotlib

        matplotlib.use("Agg", force=False)
        from matplotlib import pyplot
    except ImportError as error:
        raise ConfigError(
            "plots need matplotlib, which is not installed; pip install 'treenlp[plots]', or "
            "report without plots"
        ) from error
    by_name = {cell["name"]: cell for cell in summary["cells"]}
    drawn = []
    for name, (axis, lines) in _series(read_experiment(folder), by_name).items():
        if not lines or len(lines) > _MOST_LINES:
            continue
        figure, axes = pyplot.subplots(figsize=(7, 4.5))
        for n, (label, points) in enumerate(sorted(lines.items())):
            xs, ys = zip(*sorted(points), strict=True)
            marker = _MARKERS[n % len(_MARKERS)]
            axes.plot(xs, [100 * y for y in ys], marker=marker, markersize=4, label=label)
        axes.set_xlabel(axis)
        axes.set_ylabel(f"{'dev' if name == 'learning' else 'test'} {_measure(summary)}")
        if name == "train_size":
            axes.set_xscale("log")
        axes.legend(fontsize=7)
        drawn.append(_save(pyplot, figure, output, name))
    if "confusion" in by_name[summary["best"]]:
        drawn.append(_draw_confusion(pyplot, summary, by_name[summary["best"]], output))
    return drawn


def _series(
    config: ExperimentConfig, by_name: Mapping[str, Any]
) -> dict[str, tuple[str, dict[str, list[tuple[float, float]]]]]:
    """By plot the name of its axis, and by line the points."""
    series: dict[str, tuple[str, dict[str, list[tuple[float, float]]]]] = {
        "learning": ("optimizer step", {}),
        "length": ("words of the sentence", {}),
        "depth": ("height of the tree", {}),
        "train_size": ("training sentences", {}),
        "gap": ("words between", {}),
    }
    for cell in cells_of(config):
        found = by_name.get(cell.name)
        if found is None:
            continue
        base = cell.name.replace(f".n{cell.train_size}", "").replace(f".gap{cell.gap}", "")
        if found["history"][0]:
            series["learning"][1][cell.name] = [tuple(point) for point in found["history"][0]]
        for what in () if cell.sides else ("length", "depth"):  # windows are about equally long
            bins = found.get(f"by_{what}", [])
            if len(bins) > 1:
                points = [((row["from"] + row["to"]) / 2, row["accuracy"]) for row in bins]
                series[what][1][cell.name] = points
        if len(config.grid.train_sizes) > 1:
            point = (found["train_items"], found["test"][0])
            series["train_size"][1].setdefault(base, []).append(point)
        if len(config.grid.gaps) > 1:
            series["gap"][1].setdefault(base, []).append((cell.gap, found["test"][0]))
    return series


def _draw_confusion(
    pyplot: Any, summary: dict[str, Any], best: dict[str, Any], output: Path
) -> str:
    confusion = np.array(best["confusion"], dtype=float)
    confusion /= confusion.sum(1, keepdims=True).clip(min=1)
    figure, axes = pyplot.subplots(figsize=(5.5, 4.5))
    image = axes.imshow(100 * confusion, cmap="Blues", vmin=0, vmax=100)
    ticks = range(len(summary["classes"]))
    axes.set_xticks(ticks, summary["classes"], rotation=30, ha="right", fontsize=7)
    axes.set_yticks(ticks, summary["classes"], fontsize=7)
    axes.set_xlabel("judged")
    axes.set_ylabel("meant")
    figure.colorbar(image, label="% of the row")
    return _save(pyplot, figure, output, "confusion")


def _save(pyplot: Any, figure: Any, output: Path, name: str) -> str:
    figure.tight_layout()
    figure.savefig(output / f"{name}.png", dpi=120)
    with pyplot.rc_context({"svg.hashsalt": "treenlp"}):  # the same figures give the same file
        figure.savefig(output / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)
    return name

"""Draw how far the parser's probabilities can be taken at their word, before and after T.

    python experiments/calibration/run.py [--model FOLDER]

Fits the temperature of each language and writes reliability.json, reliability.md and
reliability.svg beside this file; the model is not changed. README.md says what is measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from treenlp.catalogue import model_directory
from treenlp.data.treebanks import read_mctb_en
from treenlp.experiment.calibration import (
    FIT_SEED,
    GRID,
    NUM_BINS,
    Bin,
    Calibration,
    calibrate,
    calibration_targets,
    expected_error,
    reliability,
    with_temperatures,
)
from treenlp.experiment.evaluate import calibration_items
from treenlp.experiment.measures import Predictions, System, predict_phrases, predict_readings
from treenlp.experiment.scores import bootstrap_units, weight_digests
from treenlp.parsing.parser import ChartParser, load_parser
from treenlp.text import Lang

HERE = Path(__file__).parent
TITLES: Mapping[Lang, str] = {
    "zh": "Chinese: readings of generated validation items",
    "en": "English: phrases of best trees, other half of mctb tune",
}
NAMES = ("before", "after")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One reliability curve.

    Attributes:
        lang: of the sentences.
        name: one of `NAMES`.
        temperature: of the parser.
        n: predictions.
        ece: calibration error, and the ends of its 95 % interval.
        ece_low: lower end.
        ece_high: upper end.
        brier: mean squared error of a probability.
        bins: by rising probability.
        inputs: SHA-256 of what was predicted on.
    """

    lang: Lang
    name: str
    temperature: float
    n: int
    ece: float
    ece_low: float
    ece_high: float
    brier: float
    bins: tuple[Bin, ...]
    inputs: str


def curve(lang: Lang, name: str, temperature: float, told: Predictions) -> Curve:
    """Sum predictions up."""
    rows = np.split(np.arange(len(told.unit)), np.flatnonzero(np.diff(told.unit)) + 1)

    def error(units: np.ndarray) -> float:
        chosen = np.concatenate([rows[unit] for unit in units.tolist()])
        return expected_error(told.probs[chosen], told.outcomes[chosen])

    value, low, high = bootstrap_units(len(rows), error, is_biased=True)
    squares = told.outcomes * (1 - told.probs) ** 2 + (1 - told.outcomes) * told.probs**2
    return Curve(
        lang=lang,
        name=name,
        temperature=temperature,
        n=len(told.probs),
        ece=value,
        ece_low=max(0.0, low),
        ece_high=high,
        brier=float(squares.mean()),
        bins=reliability(told.probs, told.outcomes),
        inputs=told.inputs,
    )


def measure(parser: ChartParser, heats: Mapping[Lang, float]) -> list[Curve]:
    """Measure both languages at T = 1 and at the fitted temperatures."""
    items = calibration_items()
    trees = list(read_mctb_en("tune", on_skip=lambda _: None))[1::2]  # the first half was fitted
    curves: list[Curve] = []
    for name, chosen in zip(NAMES, ({"zh": 1.0, "en": 1.0}, heats), strict=True):
        scorer = with_temperatures(parser.scorer, chosen)
        system = System(
            name=name, parser=ChartParser(scorer, parser.trunk, parser.tokenizer), meaning=None
        )
        readings = predict_readings(system, items).predictions
        curves.append(curve("zh", name, chosen["zh"], readings))
        curves.append(curve("en", name, chosen["en"], predict_phrases(system, trees)))
    return [one for lang in TITLES for one in curves if one.lang == lang]


def markdown(fitted: Mapping[Lang, Calibration], curves: Sequence[Curve]) -> str:
    """Return the tables."""
    lines = [
        "| what | temperature | n | calibration error | 95 % interval | Brier score |",
        "|---|---|---|---|---|---|",
    ]
    for one in curves:
        lines.append(
            f"| {TITLES[one.lang]} | {one.temperature:g} ({one.name}) | {one.n:,} | "
            f"{100 * one.ece:.1f} % | {100 * one.ece_low:.1f} to {100 * one.ece_high:.1f} % | "
            f"{one.brier:.4f} |"
        )
    for lang, found in fitted.items():
        losses = ", ".join(f"{t:g}: {v:.4f}" for t, v in zip(GRID, found.losses, strict=True))
        lines += [
            "",
            f"Fitted for {lang} on {found.num_targets:,} sentences: T = {found.temperature:g}. "
            f"Nats an atom at each T: {losses}.",
        ]
    for one in curves:
        lines += [
            "",
            f"{TITLES[one.lang]}, T = {one.temperature:g} ({one.name})",
            "",
            "| bin | n | probability | mean | came true |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {n} | {b.n:,} | {b.low:.3f} to {b.high:.3f} | {b.mean:.3f} | {b.right:.3f} |"
            for n, b in enumerate(one.bins, start=1)
        ]
    return "\n".join(lines) + "\n"


SIZE, GAP, LEFT, TOP = 260, 80, 60, 50
COLOURS = ("#999999", "#1f6fb4")


def drawing(curves: Sequence[Curve]) -> str:
    """Return the diagram as SVG: one panel a language, probability across, came true upwards."""
    width, height = LEFT + 2 * SIZE + GAP + 20, TOP + SIZE + 90
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for panel, lang in enumerate(TITLES):
        own = [one for one in curves if one.lang == lang]
        parts += _panel(LEFT + panel * (SIZE + GAP), TITLES[lang], own)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(left: int, title: str, curves: Sequence[Curve]) -> list[str]:
    bottom = TOP + SIZE

    def at(x: float, y: float) -> str:
        return f"{left + SIZE * x:.1f},{bottom - SIZE * y:.1f}"

    parts = [
        _text(left + SIZE / 2, TOP - 18, title, "middle"),
        f'<rect x="{left}" y="{TOP}" width="{SIZE}" height="{SIZE}" fill="none" stroke="#444"/>',
        f'<polyline points="{at(0, 0)} {at(1, 1)}" stroke="#ccc" stroke-dasharray="4 3"/>',
        _text(left + SIZE / 2, bottom + 34, "probability", "middle"),
        f'<g transform="rotate(-90 {left - 36} {TOP + SIZE / 2})">'
        f"{_text(left - 36, TOP + SIZE / 2, 'came true', 'middle')}</g>",
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = left + SIZE * tick, bottom - SIZE * tick
        parts += [
            f'<path d="M{x:.1f} {bottom}v4M{left} {y:.1f}h-4" stroke="#444"/>',
            _text(x, bottom + 16, f"{tick:g}", "middle"),
            _text(left - 7, y + 4, f"{tick:g}", "end"),
        ]
    for row, (one, colour) in enumerate(zip(curves, COLOURS, strict=True)):
        points = [at(b.mean, b.right) for b in one.bins]
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}"/>')
        parts += [
            f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>'
            for x, y in (point.split(",") for point in points)
        ]
        label = f"{one.name} (T = {one.temperature:g}): calibration error {100 * one.ece:.1f} %"
        place = bottom + 52 + 16 * row
        parts.append(f'<circle cx="{left + 8}" cy="{place - 4}" r="3.5" fill="{colour}"/>')
        parts.append(_text(left + 18, place, label, "start"))
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def results(
    folder: Path,
    fitted: Mapping[Lang, Calibration],
    curves: Sequence[Curve],
    seconds: float,
) -> dict[str, Any]:
    """Return everything that was found and what it was found with, as plain values."""
    return {
        "model": folder.resolve().name,
        "weights": weight_digests(folder),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "numpy", "tokenizers")},
        },
        "fit_seed": FIT_SEED,
        "bins": NUM_BINS,
        "grid": GRID,
        "fitted": {lang: asdict(found) for lang, found in fitted.items()},
        "curves": [asdict(one) for one in curves],
        "seconds": round(seconds, 1),
    }


def write(files: Iterable[tuple[str, str]]) -> None:
    """Write files beside this one."""
    for name, text in files:
        with (HERE / name).open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)


def main() -> None:
    """Fit, measure, write."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", default="zh-en-1", help="name or folder of a model")
    folder = model_directory(arguments.parse_args().model)
    start = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - start:5.1f} s  {text}", flush=True)

    parser = load_parser(folder)
    say("fitting the temperatures")
    fitted = calibrate(parser, calibration_targets(parser))
    for lang, found in fitted.items():
        say(f"{lang}: T = {found.temperature:g} from {found.num_targets:,} sentences")
    curves = measure(parser, {lang: found.temperature for lang, found in fitted.items()})
    seconds = time.perf_counter() - start
    table = markdown(fitted, curves)
    values = results(folder, fitted, curves, seconds)
    text = json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False)
    write(
        [
            ("reliability.json", text + "\n"),
            ("reliability.md", table),
            ("reliability.svg", drawing(curves)),
        ]
    )
    say("done")
    print(table.partition("\n\n")[0])


if __name__ == "__main__":
    main()

"""Judge the Chinese phrases of this project with the shipped model, and write the results here.

python experiments/chinese_phrases/run.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import treenlp
from treenlp.data.phrases import JudgedPhrase, read_phrases
from treenlp.experiment.scores import bootstrap_ratio, digest_texts, weight_digests
from treenlp.tasks.sentiment import LABELS, NEUTRAL, best_class, is_positive

HERE = Path(__file__).parent
PHRASES = HERE.parents[1] / "corpora" / "phrases" / "zh.tsv"
MODEL = "zh-en-1"


def main() -> int:
    """Run, print and write."""
    phrases = read_phrases(PHRASES)
    answers = [
        analysis.sentiment.distribution
        for analysis in treenlp.load(MODEL).pipe([p.text for p in phrases], lang="zh", k=1)
    ]
    rows = [
        measure(
            name, [n for n, p in enumerate(phrases) if name in ("all", p.kind)], phrases, answers
        )
        for name in ("all", "negation", "contrast", "degree", "irony", "neutral")
    ]
    confusion = np.zeros((5, 5), dtype=int)
    for phrase, answer in zip(phrases, answers, strict=True):
        confusion[phrase.label, best_class(answer)] += 1
    result = {
        "model": MODEL,
        "weights": weight_digests(Path(treenlp.__file__).parent / "models" / MODEL),
        "phrases": digest_texts(f"{p.label} {p.text}" for p in phrases),
        "figures": rows,
        "confusion": confusion.tolist(),
    }
    (HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = show(rows, confusion)
    (HERE / "results.md").write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


def measure(
    name: str,
    chosen: Sequence[int],
    phrases: Sequence[JudgedPhrase],
    answers: Sequence[tuple[float, ...]],
) -> dict[str, object]:
    """Shares of right classes and, where the phrase takes a side, of right sides."""
    fine = [(best_class(answers[n]) == phrases[n].label, 1) for n in chosen]
    sided = [n for n in chosen if phrases[n].label != NEUTRAL]
    side = [(is_positive(answers[n]) == (phrases[n].label > NEUTRAL), 1) for n in sided]
    return {"kind": name, "five": share(fine), "side": share(side)}


def share(counts: list[tuple[bool, int]]) -> dict[str, float | int] | None:
    """A share with its 95 % interval, or None of nothing."""
    if not counts:
        return None
    value, low, high = bootstrap_ratio(counts, lambda sums: float(sums[0] / sums[1]))
    return {"value": value, "low": low, "high": high, "n": len(counts)}


def show(rows: Sequence[dict[str, object]], confusion: np.ndarray) -> str:
    """The results as Markdown."""

    def cell(found: object) -> str:
        if not isinstance(found, dict):
            return "–"
        value, low, high = (100 * found[key] for key in ("value", "low", "high"))
        return f"{value:.1f} % ({low:.0f} to {high:.0f}) of {found['n']}"

    lines = ["| kind | right of five classes | right side |", "|---|---|---|"]
    lines += [f"| {row['kind']} | {cell(row['five'])} | {cell(row['side'])} |" for row in rows]
    lines += ["", f"| meant, judged | {' | '.join(LABELS)} |", "|---|" + "---|" * len(LABELS)]
    lines += [
        f"| {label} | {' | '.join(map(str, row))} |"
        for label, row in zip(LABELS, confusion.tolist(), strict=True)
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())

"""Write the scores of the shipped model into README.md, between its two markers.

    python experiments/evaluate/update_readme.py [--check]

With `--check` nothing is written; the exit status is 1 if README.md says anything else than the
score sheet beside the model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from treenlp.experiment.card import figures_table
from treenlp.experiment.scores import ScoreSheet, read_scores

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "treenlp" / "models" / "zh-en-1"
START, END = "<!-- results -->", "<!-- /results -->"


def results(sheet: ScoreSheet | None) -> str:
    """Return the table of what was promised and measured; a sentence if nothing was yet."""
    if sheet is None:
        return "No scores are recorded beside the model yet."
    promised = [f for f in sheet.figures.values() if f.direction != "information"]
    return figures_table(promised)


def updated(readme: str, sheet: ScoreSheet | None) -> str:
    """Return README's text with its table of results made anew.

    Raises:
        ValueError: if the two markers are not there, once each and in order.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end or START in after or END in after:
        raise ValueError(f"README.md needs {START} and {END} once each, in this order")
    return f"{before}{START}\n\n{results(sheet)}\n\n{END}{after}"


def main() -> int:
    """Update README.md, or check that it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    arguments = parser.parse_args()
    path = ROOT / "README.md"
    old = path.read_text(encoding="utf-8")
    new = updated(old, read_scores(MODEL))
    if arguments.check:
        if old != new:
            print(f"README.md is out of date; run python {Path(__file__).relative_to(ROOT)}")
        return int(old != new)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())

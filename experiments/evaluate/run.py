"""Score the shipped model, or another one, and write the results beside this file.

    python experiments/evaluate/run.py [--final] [--bench] [--model FOLDER]

Without options the dev measures are compared with the sheet beside the model. `--final` also
reads the test sets and records the sheet and the card; `--bench` measures speed, memory, size and
cold start instead. The exit status is 1 if a promised figure is worse than tolerated.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from treenlp.catalogue import model_directory
from treenlp.experiment.bench import bench
from treenlp.experiment.card import figures_table
from treenlp.experiment.evaluate import run_gate
from treenlp.experiment.measures import to_stderr

HERE = Path(__file__).parent


def main() -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="zh-en-1", help="name or folder of a model")
    parser.add_argument("--final", action="store_true", help="read the test sets and record")
    parser.add_argument("--bench", action="store_true", help="measure costs instead of scores")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    folder = model_directory(arguments.model)
    if arguments.bench:
        text = bench(folder, report=to_stderr).to_json()
        _write(HERE / "bench.json", text)
        print(text, end="")
        return 0
    start = time.perf_counter()
    found = run_gate(folder, final=arguments.final, device=arguments.device)
    for verdict in found.verdicts:
        print(f"{verdict.status}\t{verdict.message}")
    table = figures_table(found.sheet.figures.values())
    print(f"{table}\n{time.perf_counter() - start:.0f} s")
    name = "results" if found.is_recorded else "dev"
    _write(HERE / f"{name}.json", found.sheet.to_json())
    _write(HERE / f"{name}.md", table + "\n")
    return 0 if found.is_passed else 1


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())

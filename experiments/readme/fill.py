"""Rewrite the generated parts of README.md: what its example and command print, and the costs.

    python experiments/readme/fill.py [--check]

Each part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. The example is README's
own first block, run; the drawing is what the command prints; the costs are those that
experiments/evaluate/run.py --bench measured last. With --check nothing is written, and the status
is 1 if something would be.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
MODEL = "zh-en-1"
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Fill README.md, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    path = ROOT / "README.md"
    old = path.read_text(encoding="utf-8")
    new = fill(old, {"example": example, "drawn": drawn, "costs": costs})
    if not arguments.check:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(new)
    return int(arguments.check and new != old)


def fill(text: str, makers: Mapping[str, Callable[[str], str]]) -> str:
    """Replace every generated part by what its maker returns for the whole text."""
    return _PART.sub(lambda part: part[1] + makers[part[2]](text) + part[3], text)


def example(text: str) -> str:
    """What the first Python block prints."""
    block = _BLOCK.search(text)
    if block is None:
        raise SystemExit("README.md has no Python block; put the example back")
    return _shown(_run([sys.executable, "-c", block[1]]))


def drawn(_: str) -> str:
    """What the command prints about the first phrase."""
    command = [sys.executable, "-m", "treenlp", "analyze", "--model", MODEL, "两个大学的老师"]
    return _shown(_run(command))


def costs(_: str) -> str:
    """Speed, size and memory, as measured last."""
    path = ROOT / "experiments" / "evaluate" / "bench.json"
    if not path.is_file():
        return "Costs are not measured yet.\n"
    return _costs(json.loads(path.read_text(encoding="utf-8"))) + "\n"


def _costs(bench: Mapping[str, Any]) -> str:
    ratio = bench["first_answer_s"] / bench["import_torch_s"]
    rows = [
        (
            "sentences a second, raw text to trees",
            f"{bench['parse_zh']:.0f} Chinese, {bench['parse_en']:.0f} English",
        ),
        (
            "sentences a second, full analysis",
            f"{bench['analyze_zh']:.0f} Chinese, {bench['analyze_en']:.0f} English",
        ),
        ("weights and tokenizer", f"{bench['bytes'] / 1e6:.1f} MB"),
        ("peak memory", f"{bench['peak_bytes'] / 1e9:.2f} GB"),
        (
            "cold start to the first answer",
            f"{bench['first_answer_s']:.1f} s, {ratio:.2f} times importing torch",
        ),
    ]
    head = f"| cost, {bench['threads']} threads of {bench['processor']} | |\n| --- | --- |\n"
    return head + "\n".join(f"| {name} | {value} |" for name, value in rows)


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True
    )
    return done.stdout


def _shown(output: str) -> str:
    return f"```text\n{output.rstrip()}\n```\n"


if __name__ == "__main__":
    sys.exit(main())

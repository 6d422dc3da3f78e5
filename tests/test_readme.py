"""Every block of the README that can run is run, and prints what the README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
PYTHON = [body for language, body in BLOCKS if language == "python"]
SHELL = [body for language, body in BLOCKS if language == "bash" and "pip install" not in body]
SHOWN = dict(
    re.findall(r"<!-- generated: (\w+) -->\n```text\n(.*?)```\n<!-- end -->", TEXT, re.DOTALL)
)


def run(command: list[str], folder: Path) -> str:
    scripts = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": scripts + os.pathsep + os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_numbers(text: str) -> list[str]:
    """Lines with every probability and score masked: processors round differently."""
    return [re.sub(r"[+-]?\d\.\d\d", "N", line).rstrip() for line in text.strip().splitlines()]


def test_there_are_blocks_to_run() -> None:
    assert len(PYTHON) == 2
    assert len(SHELL) == 1
    assert set(SHOWN) == {"example", "drawn"}


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_python_blocks_run(block: str, tmp_path: Path) -> None:
    output = run([sys.executable, "-c", block], tmp_path)
    assert output
    if block == PYTHON[0]:
        assert without_numbers(output) == without_numbers(SHOWN["example"])


def glosses() -> list[str]:
    """What follows each probability in the first block's output."""
    return [line.split()[1] for line in SHOWN["example"].splitlines() if not line.startswith(" ")]


def test_the_first_block_shows_a_toss_up_and_two_phrases_with_the_right_reading_first() -> None:
    shown = glosses()
    assert sorted(g for g in shown if "个" in g) == ["[两个大学]的|老师", "两个|[大学]的|老师"]
    assert next(g for g in shown if "所" in g) == "[两所大学]的|老师"
    assert next(g for g in shown if "位" in g) == "两位|[大学]的|老师"


def test_the_first_block_shows_two_readings_one_and_one() -> None:
    assert [[c for c in "个所位" if c in g] for g in glosses()] == [["个"], ["个"], ["所"], ["位"]]


@pytest.mark.parametrize("block", SHELL, ids=range(len(SHELL)))
def test_commands_run(block: str, tmp_path: Path) -> None:
    assert run(["bash", "-euo", "pipefail", "-c", block], tmp_path)


def test_the_drawing_is_what_the_command_prints(tmp_path: Path) -> None:
    output = run(["treenlp", "analyze", "两个大学的老师"], tmp_path)
    assert without_numbers(output) == without_numbers(SHOWN["drawn"])


def test_the_commands_of_ci_are_there() -> None:
    for marker in ("main job", "tests"):
        assert f"<!-- {marker} -->\n```bash\npip install " in TEXT


def test_the_results_are_those_of_the_score_sheet(tmp_path: Path) -> None:
    script = ROOT / "experiments" / "evaluate" / "update_readme.py"
    assert run([sys.executable, str(script), "--check"], tmp_path) == ""


def test_the_options_and_files_that_it_names_exist() -> None:
    for path in re.findall(r"`((?:experiments|treenlp|corpora)/[\w./-]+)`", TEXT):
        assert (ROOT / path.rstrip("/")).exists(), path
    for path in re.findall(r"\]\(((?:experiments|corpora)[\w./-]+)\)", TEXT):
        assert (ROOT / path).exists(), path


def test_only_what_belongs_there_is_at_the_top() -> None:
    found = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in found.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= {
        "README.md",
        "pyproject.toml",
        "LICENSE",
        "treenlp",
        "corpora",
        "experiments",
        "tests",
    }

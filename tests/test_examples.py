"""Examples in docstrings are run, of every module that has any to run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import treenlp


def has_examples(name: str) -> bool:
    """Whether a module has an example that is not skipped, as those over the whole model are."""
    path = Path(treenlp.__path__[0], *name.split(".")[1:]).with_suffix(".py")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return any(">>> " in line and "+SKIP" not in line for line in lines)


NAMES = (module.name for module in pkgutil.walk_packages(treenlp.__path__, "treenlp."))
MODULES = [name for name in NAMES if has_examples(name)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


def test_every_part_has_examples() -> None:
    parts = {name.split(".")[1] for name in MODULES}
    assert {"composition", "data", "experiment", "parsing", "tasks", "text", "trees"} <= parts

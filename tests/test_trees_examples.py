from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "errors",
    "trees.brackets",
    "trees.conllu",
    "trees.draw",
    "trees.heads",
    "trees.lines",
    "trees.nltk_bridge",
    "trees.transforms",
    "trees.tree",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"treenlp.{name}"))
    assert results.attempted > 0
    assert results.failed == 0

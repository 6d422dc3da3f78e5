from __future__ import annotations

import sys

import nltk
import pytest
from hypothesis import given
from strategies import Nested, build, deep_tree, nested_trees

from treenlp.errors import InputError, MissingExtraError
from treenlp.trees.nltk_bridge import from_nltk, to_nltk


def nltk_tree(nested: Nested) -> nltk.Tree:
    label, content = nested
    return nltk.Tree(
        label, [content] if isinstance(content, str) else list(map(nltk_tree, content))
    )


@given(nested_trees())
def test_trees_go_to_nltk_and_back(nested: Nested) -> None:
    tree = build(nested)
    theirs = to_nltk(tree)
    assert theirs == nltk_tree(nested)
    assert from_nltk(theirs) == tree
    for view in tree.preorder():
        assert from_nltk(to_nltk(view)) == view


def test_chunk_trees_get_preterminals() -> None:
    chunks = nltk.Tree("S", [nltk.Tree("NP", [("the", "DT"), ("cat", "NN")]), ("sleeps", "VBZ")])
    assert str(from_nltk(chunks)) == "(S (NP (DT the) (NN cat)) (VBZ sleeps))"


def test_labels_that_are_no_strings_are_written_out() -> None:
    tree = nltk.Tree(nltk.Nonterminal("NP"), [nltk.Tree(3, ["good"])])
    assert str(from_nltk(tree)) == "(NP (3 good))"


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (nltk.Tree("NP", ["the", "cat"]), "leaf 'the' next to other children"),
        (nltk.Tree("NP", [nltk.Tree("DT", ["the"]), "cat"]), "leaf 'cat' next to"),
        (nltk.Tree("NP", [nltk.Tree("NN", [])]), "node 'NN' without children"),
        (nltk.Tree("NP", [None]), "leaf None"),
        (nltk.Tree("NN", ["two words"]), "word 'two words' under NN"),
    ],
)
def test_what_is_no_tree_of_ours_is_refused(tree: nltk.Tree, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_nltk(tree)


def test_nltk_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk", None)
    with pytest.raises(MissingExtraError, match="to_nltk needs the package 'nltk'"):
        to_nltk(build(("NN", "cat")))


@pytest.mark.parametrize("side", ["left", "right"])
def test_deep_trees_pass(side: str) -> None:
    tree = deep_tree(5_000, side=side)
    assert from_nltk(to_nltk(tree)) == tree

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Nested, build, deep_tree, nested_trees, trees

from treenlp.errors import InputError
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.transforms import (
    Direction,
    binarize,
    collapse_unary,
    debinarize,
    expand_unary,
    remove_empty,
    strip_functions,
    strip_root,
)
from treenlp.trees.tree import Tree

DIRECTIONS: tuple[Direction, ...] = ("right", "left", "head")


def collapse_slowly(nested: Nested) -> Nested:
    label, content = nested
    if isinstance(content, str):
        return nested
    if len(content) == 1:
        below, inner = collapse_slowly(content[0])
        return (f"{label}::{below}", inner)
    return (label, [collapse_slowly(child) for child in content])


def remove_slowly(nested: Nested, tag: str) -> Nested | None:
    label, content = nested
    if isinstance(content, str):
        return None if label == tag else nested
    kept = [child for child in (remove_slowly(child, tag) for child in content) if child]
    return (label, kept) if kept else None


@given(nested_trees())
def test_chains_collapse_and_expand(nested: Nested) -> None:
    tree = build(nested)
    collapsed = collapse_unary(tree)
    assert collapsed == build(collapse_slowly(nested))
    assert expand_unary(collapsed) == tree
    assert all(len(node.children) > 1 or node.is_preterminal for node in collapsed.preorder())


@given(trees())
def test_chains_collapse_in_views(tree: Tree) -> None:
    for view in tree.preorder():
        assert collapse_unary(view) == collapse_unary(
            Tree.from_preorder(view.node_labels, view.node_sizes, view.leaves)
        )


@pytest.mark.parametrize("text", ["(A::B (C d))", "(A: (C d))"])
def test_collapse_refuses_labels_it_could_not_give_back(text: str) -> None:
    with pytest.raises(InputError, match="holds '::' or ends in ':'"):
        collapse_unary(parse_brackets(text))


@given(trees(max_children=7), st.sampled_from(DIRECTIONS), st.sampled_from(["zh", "en"]))
def test_binary_trees_give_the_tree_back(tree: Tree, direction: Direction, lang: str) -> None:
    binary = binarize(tree, direction=direction, lang="zh" if lang == "zh" else "en")
    assert all(len(node.children) <= 2 for node in binary.preorder())
    assert binary.leaves == tree.leaves
    assert binary.tags == tree.tags
    assert debinarize(binary) == tree
    marked = sum(label.endswith("*") for label in binary.node_labels)
    assert marked == sum(max(len(node.subtrees) - 2, 0) for node in tree.preorder())


@pytest.mark.parametrize(
    ("direction", "label", "expected"),
    [
        ("right", "NP", "(NP (JJ a) (NP* (NN b) (NP* (JJ c) (JJ d))))"),
        ("left", "NP", "(NP (NP* (NP* (JJ a) (NN b)) (JJ c)) (JJ d))"),
        ("head", "NP", "(NP (JJ a) (NP* (NP* (NN b) (JJ c)) (JJ d)))"),
        ("head", "ADJP", "(ADJP (JJ a) (ADJP* (ADJP* (NN b) (JJ c)) (JJ d)))"),
        ("head", "PRT", "(PRT (JJ a) (PRT* (NN b) (PRT* (JJ c) (JJ d))))"),
        ("head", "INTJ", "(INTJ (INTJ* (INTJ* (JJ a) (NN b)) (JJ c)) (JJ d))"),
    ],
)
def test_binarization_has_the_stated_shape(direction: Direction, label: str, expected: str) -> None:
    tree = parse_brackets(f"({label} (JJ a) (NN b) (JJ c) (JJ d))")
    assert str(binarize(tree, direction=direction, lang="en")) == expected


def test_binarize_checks_its_arguments() -> None:
    tree = parse_brackets("(NP (NN a) (NN b) (NN c))")
    with pytest.raises(InputError, match="direction='up'; expected 'right', 'left' or 'head'"):
        binarize(tree, direction="up")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="without lang"):
        binarize(tree, direction="head")
    with pytest.raises(InputError, match=r"label 'NP\*'"):
        binarize(binarize(tree))


@pytest.mark.parametrize(
    ("text", "message"),
    [("(NP* (NN a) (NN b))", r"root 'NP\*'"), ("(NP (NN* a) (NN b))", r"preterminal 'NN\*'")],
)
def test_debinarize_refuses_marks_it_cannot_remove(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        debinarize(parse_brackets(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("( (S (VB Go)))", "(S (VB Go))"),
        ("(ROOT (TOP (IP (VV 去))))", "(IP (VV 去))"),
        ("(TOP (S (VB Go)) (. .))", "(TOP (S (VB Go)) (. .))"),
        ("(TOP go)", "(TOP go)"),
        ("(S (TOP (VB Go)))", "(S (TOP (VB Go)))"),
    ],
)
def test_wrappers_are_taken_off(text: str, expected: str) -> None:
    assert str(strip_root(parse_brackets(text))) == expected


@given(nested_trees())
def test_traces_go_with_all_that_is_over_nothing_else(nested: Nested) -> None:
    expected = remove_slowly(nested, "-NONE-")
    found = remove_empty(build(nested))
    assert found == (None if expected is None else build(expected))


def test_other_tags_can_be_removed() -> None:
    tree = parse_brackets("(IP (VP (VV 去)) (PU 。))")
    assert str(remove_empty(tree, tags=["PU"])) == "(IP (VP (VV 去)))"
    assert remove_empty(tree, tags={"PU", "VV"}) is None


def test_function_tags_are_cut_off_each_part_of_a_chain() -> None:
    text = "(S::NP-SBJ-1 (-LRB- -LRB-) (PRP$ my) (NP=2 (-NONE- *)) (ADVP|PRT (RB on)) (: -))"
    expected = "(S::NP (-LRB- -LRB-) (PRP$ my) (NP (-NONE- *)) (ADVP|PRT (RB on)) (: -))"
    assert str(strip_functions(parse_brackets(text))) == expected


@pytest.mark.parametrize("side", ["left", "right"])
def test_deep_trees_are_transformed(side: str) -> None:
    tree = deep_tree(20_000, side=side)
    assert binarize(tree) == tree
    assert debinarize(tree) == tree
    assert remove_empty(tree) == tree
    assert strip_functions(tree) == tree
    assert collapse_unary(tree) == tree


def test_long_chains_and_wide_nodes_are_transformed() -> None:
    size = 20_000
    chain = Tree.from_preorder(["A"] * size, range(size, 0, -1), ["x"])
    collapsed = collapse_unary(chain)
    assert collapsed.num_nodes == 1
    assert expand_unary(collapsed) == chain
    assert strip_root(chain.map_labels(lambda label: "TOP")).is_preterminal
    wide = Tree.build("NP", [Tree.build("NN", [f"w{i}"]) for i in range(size)])
    for direction in DIRECTIONS:
        binary = binarize(wide, direction=direction, lang="zh")
        assert binary.height == size
        assert debinarize(binary) == wide

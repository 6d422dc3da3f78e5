from __future__ import annotations

import copy
import pickle
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Nested, build, deep_tree, nest, nested_trees, nested_words, trees

from treenlp.errors import InputError, MissingExtraError, TreeFormatError, TreenlpError
from treenlp.trees.tree import Constituent, Tree, TreeBuilder

DEPTH = 20_000
CAT = Tree.build("NP", [Tree.build("CD", ["一"]), Tree.build("NN", ["猫"])])


def all_nodes(nested: Nested) -> list[Nested]:
    content = nested[1]
    below = [] if isinstance(content, str) else [x for child in content for x in all_nodes(child)]
    return [nested, *below]


def all_nodes_up(nested: Nested) -> list[Nested]:
    content = nested[1]
    below = (
        [] if isinstance(content, str) else [x for child in content for x in all_nodes_up(child)]
    )
    return [*below, nested]


def height(nested: Nested) -> int:
    content = nested[1]
    return 1 if isinstance(content, str) else 1 + max(map(height, content))


@given(nested_trees())
def test_a_tree_holds_what_it_was_built_from(nested: Nested) -> None:
    tree = build(nested)
    assert nest(tree) == nested
    assert tree.leaves == tuple(nested_words(nested))
    assert tree.num_leaves == len(tree.leaves) == len(tree.tags)
    assert tree.height == height(nested)
    assert [nest(node) for node in tree.preorder()] == all_nodes(nested)
    assert [nest(node) for node in tree.postorder()] == all_nodes_up(nested)
    assert tree.num_nodes == len(all_nodes(nested))


@given(nested_trees())
def test_views_equal_trees_built_anew(nested: Nested) -> None:
    for view, part in zip(build(nested).preorder(), all_nodes(nested), strict=True):
        fresh = build(part)
        assert view == fresh
        assert hash(view) == hash(fresh)
        assert view.leaves == fresh.leaves
        assert view.tags == fresh.tags
        assert view.height == fresh.height
        assert view.node_spans() == fresh.node_spans()
        assert view.node_parents() == fresh.node_parents()
        assert view.node_children() == fresh.node_children()
        assert str(view) == str(fresh)
        assert [nest(node) for node in view.postorder()] == all_nodes_up(part)
        assert pickle.loads(pickle.dumps(view)) == fresh


@given(nested_trees(), nested_trees())
def test_trees_are_equal_only_if_their_content_is(one: Nested, other: Nested) -> None:
    assert (build(one) == build(other)) == (one == other)


@given(trees())
def test_spans_are_those_of_the_leaves(tree: Tree) -> None:
    constituents = tree.constituents(preterminals=True)
    for index, constituent in enumerate(constituents):
        node = tree.node(index)
        assert constituent.label == node.label
        assert tree.leaves[constituent.start : constituent.end] == node.leaves
    assert tree.constituents() == tuple(
        constituent
        for constituent, node in zip(constituents, tree.preorder(), strict=True)
        if not node.is_preterminal
    )


@given(trees())
def test_parents_have_their_children(tree: Tree) -> None:
    for index, parent in enumerate(tree.node_parents()):
        assert (parent == -1) == (index == 0)
        if index:
            assert tree.node(index) in tree.node(parent).subtrees


@given(trees())
def test_children_have_their_parent(tree: Tree) -> None:
    parents = tree.node_parents()
    for index, children in enumerate(tree.node_children()):
        assert tuple(tree.node(child) for child in children) == tree.node(index).subtrees
        assert {parents[child] for child in children} <= {index}


@given(trees())
def test_arrays_give_the_tree_back(tree: Tree) -> None:
    for node in tree.preorder():
        assert Tree.from_preorder(node.node_labels, node.node_sizes, node.leaves) == node


@given(trees())
def test_a_builder_makes_the_same_tree(tree: Tree) -> None:
    builder = TreeBuilder()
    builder.open("TOP")
    builder.add_tree(tree)
    for child in tree.subtrees[:1]:
        builder.add_tree(child)
    builder.add_word("PU", "。")
    builder.close()
    expected = Tree.build("TOP", [tree, *tree.subtrees[:1], Tree.build("PU", ["。"])])
    assert builder.finish() == expected
    builder.add_word("NN", "猫")
    assert builder.finish() == Tree.build("NN", ["猫"])


def test_constituents_of_a_unary_chain_are_listed_from_the_top() -> None:
    tree = Tree.build("IP", [Tree.build("VP", [Tree.build("VV", ["走"])])])
    assert tree.constituents(preterminals=True) == (
        Constituent(label="IP", start=0, end=1),
        Constituent(label="VP", start=0, end=1),
        Constituent(label="VV", start=0, end=1),
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_deep_trees_do_not_recurse(side: str) -> None:
    tree = deep_tree(DEPTH, side=side)
    again = deep_tree(DEPTH, side=side)
    assert tree == again
    assert tree is not again
    assert hash(tree) == hash(again)
    assert tree.height == DEPTH + 1
    assert tree.num_leaves == DEPTH + 1
    assert tree != deep_tree(DEPTH, side="left" if side == "right" else "right")
    assert len(tree.constituents()) == DEPTH
    assert sum(1 for _ in tree.postorder()) == tree.num_nodes
    assert str(tree).count("(") == tree.num_nodes
    assert pickle.loads(pickle.dumps(tree)) == tree
    below = tree.node(2 if side == "left" else 1)
    assert below.height == DEPTH
    assert Tree.build("TOP", [tree]).height == DEPTH + 2


def test_a_tree_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="label"):
        CAT.label = "VP"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="extra"):
        CAT.extra = 1  # type: ignore[attr-defined]
    assert copy.deepcopy(CAT) is CAT
    assert copy.copy(CAT) is CAT


def test_other_things_are_not_equal_to_a_tree() -> None:
    assert CAT != str(CAT)
    assert CAT not in (None, 1)


def test_labels_and_words_can_be_replaced() -> None:
    whole = Tree.build("IP", [CAT, Tree.build("VV", ["睡"])])
    view = whole.children[0]
    assert isinstance(view, Tree)
    assert str(view.map_labels(str.lower)) == "(np (cd 一) (nn 猫))"
    assert str(view.with_leaves(["两", "狗"])) == "(NP (CD 两) (NN 狗))"
    assert str(whole) == "(IP (NP (CD 一) (NN 猫)) (VV 睡))"


def test_the_children_of_a_preterminal_are_its_word() -> None:
    noun = CAT.subtrees[1]
    assert noun.children == ("猫",)
    assert noun.subtrees == ()
    assert noun.word == "猫"


@pytest.mark.parametrize(
    ("label", "children", "message"),
    [
        ("NP", [], "no children of 'NP'"),
        ("NP", "猫", r"write \['猫'\]"),
        ("NP", ["一", "猫"], "child '一' among 2"),
        ("NP", [CAT, "猫"], "child '猫' among 2"),
        ("N P", ["猫"], "label 'N P'"),
        ("NP(", [CAT], r"label 'NP\('"),
        (3, ["猫"], "label 3; expected a string"),
        ("NN", [""], "word '' under NN"),
        ("NN", ["黑 猫"], "word '黑 猫' under NN"),
        ("NN", ["猫\n"], "under NN"),
    ],
)
def test_build_refuses_what_brackets_cannot_hold(
    label: str, children: list[Tree | str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Tree.build(label, children)


@pytest.mark.parametrize(
    ("labels", "sizes", "leaves", "message"),
    [
        ([], [], [], "0 labels"),
        (["NP", "NN"], [2], ["猫"], "2 labels and 1 sizes"),
        (["NP", "NN"], [3, 1], ["猫"], "first size"),
        (["NP", "NP", "NN"], [3, 3, 1], ["猫"], "size 3 at node 1"),
        (["NP", "NN"], [2, 0], ["猫"], "size 0 at node 1"),
        (["NP", "NN"], [2, 1], ["猫", "狗"], "2 leaves"),
        (["NP", "NN"], [2, 1], ["黑 猫"], "word '黑 猫'"),
        (["N P", "NN"], [2, 1], ["猫"], "label 'N P'"),
    ],
)
def test_from_preorder_refuses_arrays_that_are_no_tree(
    labels: list[str], sizes: list[int], leaves: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Tree.from_preorder(labels, sizes, leaves)


def test_a_sibling_cannot_reach_past_its_parent() -> None:
    with pytest.raises(InputError, match="size 2 at node 2; expected between 1 and 1"):
        Tree.from_preorder(["A", "B", "C", "D"], [4, 2, 2, 1], ["x"])


def test_a_builder_refuses_what_is_not_one_tree() -> None:
    builder = TreeBuilder()
    with pytest.raises(InputError, match="nothing at the end"):
        builder.finish()
    with pytest.raises(InputError, match="without an open phrase"):
        builder.close()
    builder.open("NP")
    with pytest.raises(InputError, match="1 open phrases"):
        builder.finish()
    with pytest.raises(InputError, match="no children of 'NP'"):
        _open_and_close()
    builder.add_word("NN", "猫")
    builder.close()
    with pytest.raises(InputError, match="'VV' after a complete tree"):
        builder.add_word("VV", "睡")


def _open_and_close() -> None:
    builder = TreeBuilder()
    builder.open("NP")
    builder.close()


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: Tree(), "Tree.build"),
        (lambda: CAT.word, "phrase 'NP' of 2 leaves"),
        (lambda: CAT.node(3), "node 3; expected 0 to 2"),
        (lambda: CAT.node(-1), "node -1"),
        (lambda: CAT.with_leaves(["猫"]), "1 words; expected 2"),
        (lambda: CAT.map_labels(lambda label: label + " "), "label"),
    ],
)
def test_misuse_is_explained(attempt: object, message: str) -> None:
    assert callable(attempt)
    with pytest.raises((InputError, TypeError), match=message):
        attempt()


@given(st.integers(1, 40))
def test_a_wide_tree_keeps_its_order(size: int) -> None:
    words = [f"w{i}" for i in range(size)]
    tree = Tree.build("NP", [Tree.build("NN", [word]) for word in words])
    assert tree.leaves == tuple(words)
    spans = tree.node_spans()[1:]
    assert all(left[1] == right[0] for left, right in pairwise(spans))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TreeFormatError("bad", source="a.txt", line=3, column=7), "a.txt:3:7: bad"),
        (TreeFormatError("bad", source="a.txt", line=3), "a.txt:3: bad"),
        (TreeFormatError("bad", line=3, column=7), "<string>:3:7: bad"),
        (TreeFormatError("bad", source="a.txt"), "a.txt: bad"),
        (TreeFormatError("bad"), "bad"),
        (
            MissingExtraError("stanza", extra="stanza", feature="the adapter"),
            "the adapter needs the package 'stanza', which is not installed; "
            "run: pip install treenlp[stanza]",
        ),
    ],
)
def test_errors_say_where_and_survive_pickling(error: TreenlpError, text: str) -> None:
    assert str(error) == text
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == text
    assert vars(again) == vars(error)

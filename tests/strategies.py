"""Hypothesis strategies for trees, and the same trees as nested tuples to check them against."""

from __future__ import annotations

from hypothesis import strategies as st

from treenlp.trees.tree import Tree

# A preterminal is (tag, word), a phrase is (label, [children]).
Nested = tuple[str, "str | list[Nested]"]

PHRASE_LABELS = ("IP", "NP", "VP", "DNP", "QP", "S", "NP-SBJ-1", "PP=2", "")
TAGS = ("NN", "VV", "DEG", "CD", "M", "PU", "-NONE-", "-LRB-", "PRP$", ":", "``", "")

# Anything but what ends a word in a file: ASCII white space. Parentheses, a no-break space, an
# ideographic space and characters outside the basic plane must all survive.
_CHARACTERS = st.one_of(
    st.sampled_from("()-\u00a0\u3000\u2028老师a9/\\𠀀\u0301\ufeff\x1c"),
    st.characters(exclude_categories=["Cs"], exclude_characters=" \t\n\r\f\v"),
)


def words() -> st.SearchStrategy[str]:
    """Words that a file gives back as they were (a literal -LRB- is read as a parenthesis)."""
    return st.text(_CHARACTERS, min_size=1, max_size=5).filter(lambda word: "RB-" not in word)


def nested_trees(
    *, max_leaves: int = 12, max_children: int = 4, phrase_labels: tuple[str, ...] = PHRASE_LABELS
) -> st.SearchStrategy[Nested]:
    """Trees of any shape, unary chains included, as nested tuples."""
    preterminals = st.tuples(st.sampled_from(TAGS), words())
    return st.recursive(
        preterminals,
        lambda children: st.tuples(
            st.sampled_from(phrase_labels), st.lists(children, min_size=1, max_size=max_children)
        ),
        max_leaves=max_leaves,
    )


def trees(
    *, max_leaves: int = 12, max_children: int = 4, phrase_labels: tuple[str, ...] = PHRASE_LABELS
) -> st.SearchStrategy[Tree]:
    """The same as `Tree`."""
    return nested_trees(
        max_leaves=max_leaves, max_children=max_children, phrase_labels=phrase_labels
    ).map(build)


def build(nested: Nested) -> Tree:
    label, content = nested
    return Tree.build(label, [content] if isinstance(content, str) else list(map(build, content)))


def nest(tree: Tree) -> Nested:
    """Turn a tree into nested tuples by its public children."""
    if tree.is_preterminal:
        return (tree.label, tree.word)
    return (tree.label, [nest(child) for child in tree.subtrees])


def nested_words(nested: Nested) -> list[str]:
    label, content = nested
    if isinstance(content, str):
        return [content]
    return [word for child in content for word in nested_words(child)]


def deep_tree(levels: int, *, side: str) -> Tree:
    """A binary spine of many levels: a word on one side of each."""
    labels, sizes, leaves = [], [], []
    for level in range(levels):
        labels.append(f"L{level % 7}")
        sizes.append(2 * (levels - level) + 1)
        if side == "left":
            labels.append("A")
            sizes.append(1)
    if side == "left":
        labels.append("B")
        sizes.append(1)
    else:
        labels.extend(["B"] + ["A"] * levels)
        sizes.extend([1] * (levels + 1))
    leaves = [f"w{i}" for i in range(levels + 1)]
    return Tree.from_preorder(labels, sizes, leaves)

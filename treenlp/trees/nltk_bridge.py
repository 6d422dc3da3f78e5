"""Trees of NLTK to ours and back, without recursion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from treenlp.errors import InputError, MissingExtraError
from treenlp.trees.tree import Tree, TreeBuilder

if TYPE_CHECKING:
    import nltk

__all__ = ["from_nltk", "to_nltk"]

_CLOSE = object()


def to_nltk(tree: Tree) -> nltk.Tree:
    """Make an `nltk.Tree` of a tree.

    Args:
        tree: any tree.

    Returns:
        A new, mutable tree with the same labels and words.

    Raises:
        MissingExtraError: if NLTK is not installed.

    Example:
        >>> to_nltk(Tree.build("NP", [Tree.build("NN", ["猫"])]))
        Tree('NP', [Tree('NN', ['猫'])])
    """
    try:
        import nltk
    except ImportError as error:
        raise MissingExtraError("nltk", extra="all", feature="to_nltk") from error
    root = nltk.Tree("", [])
    path, ends = [root], [tree.num_nodes]
    words = iter(tree.leaves)
    for node, (label, size) in enumerate(zip(tree.node_labels, tree.node_sizes, strict=True)):
        while len(ends) > 1 and ends[-1] == node:
            path.pop()
            ends.pop()
        new = nltk.Tree(label, [next(words)] if size == 1 else [])
        path[-1].append(new)
        if size > 1:
            path.append(new)
            ends.append(node + size)
    return root[0]


def from_nltk(tree: nltk.Tree) -> Tree:
    """Make a tree of an `nltk.Tree`.

    Args:
        tree: a tree whose words stand alone under their tags. Words that are (word, tag)
            pairs, as in chunk trees, get a preterminal of their own.

    Returns:
        Our own, immutable tree.

    Raises:
        InputError: if a node is empty, or holds a word next to other children.

    Example:
        >>> from nltk import Tree as NltkTree
        >>> str(from_nltk(NltkTree("S", [NltkTree("NP", [("cats", "NNS")]), ("sleep", "VBP")])))
        '(S (NP (NNS cats)) (VBP sleep))'
    """
    builder = TreeBuilder()
    # What remains to be added, last first; `_CLOSE` ends a phrase.
    todo: list[object] = [tree]
    while todo:
        item = todo.pop()
        if item is _CLOSE:
            builder.close()
            continue
        if isinstance(item, tuple) and len(item) == 2:
            builder.add_word(item[1], item[0])
            continue
        if isinstance(item, str) or not hasattr(item, "label"):
            raise InputError(
                f"found the leaf {item!r} next to other children; expected each word alone under "
                "its tag, or a (word, tag) pair"
            )
        children = list(item)  # type: ignore[call-overload]  # an nltk.Tree is a list
        label = str(item.label())
        if len(children) == 1 and isinstance(children[0], str):
            builder.add_word(label, children[0])
            continue
        if not children:
            raise InputError(f"found the node {label!r} without children; remove it")
        builder.open(label)
        todo.append(_CLOSE)
        todo.extend(reversed(children))
    return builder.finish()

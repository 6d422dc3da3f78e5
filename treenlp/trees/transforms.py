"""Changes of shape: unary chains, binarization, wrappers, traces.

All of them return new trees and take linear time without recursion.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import accumulate
from typing import Literal, NamedTuple

from treenlp.errors import InputError
from treenlp.text.characters import Lang
from treenlp.trees.heads import base_label, head_child
from treenlp.trees.tree import Tree, _child_nodes, _wrap

__all__ = [
    "Direction",
    "binarize",
    "collapse_unary",
    "debinarize",
    "expand_unary",
    "remove_empty",
    "strip_functions",
    "strip_root",
]

Direction = Literal["right", "left", "head"]

_MARK = "*"
_JOINT = "::"
_ROOT_LABELS = frozenset({"", "TOP", "ROOT"})


def collapse_unary(tree: Tree) -> Tree:
    """Join every chain of only children into one node, above preterminals, too.

    Args:
        tree: a tree whose labels do not hold "::" yet.

    Returns:
        A tree in which no phrase has a single child; labels of a chain are joined from the top
        down with "::".

    Raises:
        InputError: if a label could not be recovered by `expand_unary`, since it holds "::" or
            ends in ":" above another one.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> str(collapse_unary(parse_brackets("(IP (VP (VV 去) (NP (NN 学校))))")))
        '(IP::VP (VV 去) (NP::NN 学校))'
    """
    labels, sizes = tree.node_labels, tree.node_sizes
    new_labels: list[str] = []
    # new_index[node]: number of new nodes before it, so that new sizes are differences.
    new_index: list[int] = []
    is_continued = False
    for label, size, below in zip(labels, sizes, (*sizes[1:], 0), strict=True):
        has_only_child = below == size - 1 and size > 1
        if _JOINT in label or (has_only_child and label.endswith(":")):
            raise InputError(
                f"found the label {label!r}; expected none that holds '::' or ends in ':' above "
                "another: collapse a tree once only, or rename the label"
            )
        new_index.append(len(new_labels) - 1 if is_continued else len(new_labels))
        if is_continued:
            new_labels[-1] += _JOINT + label
        else:
            new_labels.append(label)
        is_continued = has_only_child
    new_index.append(len(new_labels))
    new_sizes = [0] * len(new_labels)
    for node, size in enumerate(sizes):
        new_sizes[new_index[node]] = new_index[node + size] - new_index[node]
    return _wrap(tuple(new_labels), tuple(new_sizes), tree.leaves)


def expand_unary(tree: Tree) -> Tree:
    """Undo `collapse_unary`: make a chain of nodes of every label that holds "::".

    Args:
        tree: a tree with joined labels.

    Returns:
        The tree with one node for each part of a label.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> str(expand_unary(parse_brackets("(IP::VP (VV 去) (NP::NN 学校))")))
        '(IP (VP (VV 去) (NP (NN 学校))))'
    """
    parts = [label.split(_JOINT) for label in tree.node_labels]
    # before[node]: number of new nodes before it.
    before = [0]
    for chain in parts:
        before.append(before[-1] + len(chain))
    labels: list[str] = []
    sizes: list[int] = []
    for node, (chain, size) in enumerate(zip(parts, tree.node_sizes, strict=True)):
        end = before[node + size]
        labels.extend(chain)
        sizes.extend(end - top for top in range(before[node], before[node + 1]))
    return _wrap(tuple(labels), tuple(sizes), tree.leaves)


def strip_root(tree: Tree) -> Tree:
    """Take off wrappers: nodes labelled TOP, ROOT or nothing over a single node.

    Args:
        tree: any tree.

    Returns:
        The first subtree on the way down that is no such wrapper (a view, not a copy).

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> str(strip_root(parse_brackets("( (TOP (S (VB Go))))")))
        '(S (VB Go))'
    """
    while tree.label in _ROOT_LABELS and not tree.is_preterminal:
        children = tree.subtrees
        if len(children) != 1:
            break
        tree = children[0]
    return tree


def binarize(tree: Tree, *, direction: Direction = "right", lang: Lang | None = None) -> Tree:
    """Give every node at most two children; new nodes are marked with "*".

    Args:
        tree: a tree without labels that end in "*".
        direction: where the new nodes go under a node A over b c d. "right":
            `(A b (A* c d))`; "left": `(A (A* b c) d)`; "head": out from the head child, first
            to its right and then to its left, so `(A b (A* c d))` if the head is c or d and
            `(A (A* b c) d)` if it is b.
        lang: whose head rules to use; for the direction "head" only.

    Returns:
        The binary tree; its leaves and tags are the same, unary nodes stay.

    Raises:
        InputError: if a label ends in "*", the direction is unknown, or `lang` does not fit it.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> str(binarize(parse_brackets("(NP (DT the) (JJ old) (NN man))")))
        '(NP (DT the) (NP* (JJ old) (NN man)))'
    """
    if direction not in ("right", "left", "head"):
        raise InputError(f"found direction={direction!r}; expected 'right', 'left' or 'head'")
    if direction == "head" and lang is None:
        raise InputError("found direction='head' without lang; give lang='zh' or lang='en'")
    labels, sizes = tree.node_labels, tree.node_sizes
    for label in set(labels):
        if label.endswith(_MARK):
            raise InputError(
                f"found the label {label!r}; expected none that ends in '*', which marks new "
                "nodes: debinarize first or rename the label"
            )
    builder = _PlainBuilder()
    words = iter(tree.leaves)
    # What remains to be written, last first: a node, None for the end of a phrase, or a run of
    # children (label, nodes, place of the head) that must become one subtree.
    todo: list[int | None | _Run] = [0]
    while todo:
        item = todo.pop()
        if item is None:
            builder.close()
        elif isinstance(item, int):
            if sizes[item] == 1:
                builder.add_word(labels[item], next(words))
                continue
            children = list(_child_nodes(sizes, item))
            head = 0
            if direction == "head" and lang is not None and len(children) > 2:
                head = head_child(labels[item], [labels[child] for child in children], lang)
            builder.open(labels[item])
            run = _Run(labels[item], children, 0, len(children), head)
            todo.extend((None, *reversed(run.split(direction))))
        elif item.end - item.start == 1:
            todo.append(item.nodes[item.start])
        else:
            builder.open(item.label + _MARK)
            todo.extend((None, *reversed(item.split(direction))))
    return builder.finish()


def debinarize(tree: Tree) -> Tree:
    """Undo `binarize`: put the children of every node marked with "*" in its place.

    Args:
        tree: a binarized tree; its root is not marked.

    Returns:
        The tree without the marked nodes.

    Raises:
        InputError: if the root is marked, or a preterminal.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> str(debinarize(parse_brackets("(NP (DT the) (NP* (JJ old) (NN man)))")))
        '(NP (DT the) (JJ old) (NN man))'
    """
    labels, sizes = tree.node_labels, tree.node_sizes
    is_kept = [not label.endswith(_MARK) for label in labels]
    if not is_kept[0]:
        raise InputError(f"found the root {labels[0]!r}; expected one that is not marked with '*'")
    for label, size in zip(labels, sizes, strict=True):
        if size == 1 and label.endswith(_MARK):
            raise InputError(f"found the preterminal {label!r}; only phrases are marked with '*'")
    return _keep(tree, is_kept)


def remove_empty(tree: Tree, *, tags: Collection[str] = ("-NONE-",)) -> Tree | None:
    """Take out the words that are not there: traces, and the phrases over nothing else.

    Args:
        tree: any tree, for instance one of the Penn Treebank.
        tags: labels of the preterminals to take out.

    Returns:
        The rest of the tree, or None if nothing is left.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> str(remove_empty(parse_brackets("(S (NP (-NONE- *)) (VP (VB Go)))")))
        '(S (VP (VB Go)))'
    """
    is_full = [
        size > 1 or label not in tags
        for label, size in zip(tree.node_labels, tree.node_sizes, strict=True)
    ]
    leaves = [word for word, tag in zip(tree.leaves, tree.tags, strict=True) if tag not in tags]
    if not leaves:
        return None
    spans = tree.node_spans()
    # kept[i]: words kept among the first i.
    kept = [0, *accumulate(int(tag not in tags) for tag in tree.tags)]
    is_kept = [
        full and kept[end] > kept[start] for full, (start, end) in zip(is_full, spans, strict=True)
    ]
    return _keep(tree, is_kept, tuple(leaves))


def strip_functions(tree: Tree) -> Tree:
    """Cut function tags and indices off all labels: NP-SBJ-1 becomes NP.

    Labels that begin with a hyphen (-NONE-, -LRB-) and the parts of joined chains stay whole.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> str(strip_functions(parse_brackets("(S (NP-SBJ (PRP I)) (VP=2 (VBP am)))")))
        '(S (NP (PRP I)) (VP (VBP am)))'
    """
    return tree.map_labels(
        lambda label: _JOINT.join(base_label(part) for part in label.split(_JOINT))
    )


class _Run(NamedTuple):
    """Children start to end of one node, which are to become one subtree or two."""

    label: str
    nodes: list[int]
    start: int
    end: int
    head: int

    def split(self, direction: Direction) -> list[_Run]:
        """Return the run as at most two runs."""
        if self.end - self.start == 1:
            return [self]
        # Out from the head: the last to join is the outermost on the left, if there is any.
        is_right = direction == "right" or (direction == "head" and self.start < self.head)
        middle = self.start + 1 if is_right else self.end - 1
        return [self._replace(end=middle), self._replace(start=middle)]


class _PlainBuilder:
    """`TreeBuilder` without its checks, for parts that come from a tree."""

    def __init__(self) -> None:
        self._labels: list[str] = []
        self._sizes: list[int] = []
        self._leaves: list[str] = []
        self._open: list[int] = []

    def open(self, label: str) -> None:
        self._open.append(len(self._labels))
        self._labels.append(label)
        self._sizes.append(0)

    def close(self) -> None:
        node = self._open.pop()
        self._sizes[node] = len(self._labels) - node

    def add_word(self, tag: str, word: str) -> None:
        self._labels.append(tag)
        self._sizes.append(1)
        self._leaves.append(word)

    def finish(self) -> Tree:
        return _wrap(tuple(self._labels), tuple(self._sizes), tuple(self._leaves))


def _keep(tree: Tree, is_kept: list[bool], leaves: tuple[str, ...] | None = None) -> Tree:
    """Return the tree of the nodes that are kept; the others give way to their children."""
    before = [0, *accumulate(map(int, is_kept))]
    labels, sizes = [], []
    for node, (label, size) in enumerate(zip(tree.node_labels, tree.node_sizes, strict=True)):
        if is_kept[node]:
            labels.append(label)
            sizes.append(before[node + size] - before[node])
    return _wrap(tuple(labels), tuple(sizes), tree.leaves if leaves is None else leaves)

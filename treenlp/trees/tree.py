"""The constituency tree: an immutable value kept as flat arrays, so that nothing recurses.

A tree is three tuples. In preorder (a node before its children, children from left to right):
`node_labels` holds the label of every node, `node_sizes` the number of nodes in the subtree of
every node, itself included. `leaves` holds the words. A node of size 1 is a preterminal and
stands over exactly one word; every other node has one child or more, all of them nodes. Since
sizes do not depend on where a subtree stands, a subtree is a slice of all three: views share
the arrays of the tree they come from, and two trees are equal if and only if the slices are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

from treenlp.errors import InputError

__all__ = ["Constituent", "Tree", "TreeBuilder"]

_FORBIDDEN_IN_LABEL = re.compile(r"[ \t\n\r\f\v()]")
_WHITE_SPACE = re.compile(r"[ \t\n\r\f\v]")
_BRACKETS = str.maketrans({"(": "-LRB-", ")": "-RRB-"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Constituent:
    """A labelled span of a tree.

    Attributes:
        label: label of the node.
        start: index of its first leaf.
        end: index one past its last leaf.
    """

    label: str
    start: int
    end: int


class _Arrays:
    """The arrays that all views of one tree share; `starts` is filled when first needed."""

    __slots__ = ("_starts", "labels", "leaves", "sizes")

    def __init__(
        self, labels: tuple[str, ...], sizes: tuple[int, ...], leaves: tuple[str, ...]
    ) -> None:
        self.labels = labels
        self.sizes = sizes
        self.leaves = leaves
        self._starts: tuple[int, ...] | None = None

    def starts(self) -> tuple[int, ...]:
        """Return the number of leaves before each node, and the number of all leaves."""
        if self._starts is None:
            self._starts = tuple(accumulate([size == 1 for size in self.sizes], initial=0))
        return self._starts


class Tree:
    """A constituency tree, or a subtree that shares the arrays of a larger one.

    Make one with `build`, `TreeBuilder`, `from_preorder` or by reading brackets. Trees are
    immutable, hashable and compare by content. All methods take time linear in the size of the
    subtree at most and none of them recurses, so depth is limited by memory only.

    Example:
        >>> noun = Tree.build("NN", ["老师"])
        >>> tree = Tree.build("NP", [Tree.build("CD", ["两"]), noun])
        >>> str(tree)
        '(NP (CD 两) (NN 老师))'
        >>> tree.leaves, tree.children[1] == noun
        (('两', '老师'), True)
    """

    __slots__ = ("_arrays", "_hash", "_node")

    _arrays: _Arrays
    _node: int
    _hash: int | None

    def __init__(self) -> None:
        """Refuse: a tree without content does not exist.

        Raises:
            TypeError: always.
        """
        raise TypeError("found Tree(); use Tree.build(label, children) or parse_brackets(text)")

    @classmethod
    def build(cls, label: str, children: Sequence[Tree | str]) -> Tree:
        """Make a node over subtrees, or a preterminal over one word.

        Copies the children; to build a tree of n nodes one at a time in O(n), use
        `TreeBuilder`.

        Args:
            label: label of the new node; no ASCII white space, no parentheses.
            children: one trees or more, or exactly one string.

        Returns:
            The new tree.

        Raises:
            InputError: if the children are none, mixed, or more than one word, or if the
                label or the word cannot be written in brackets.
        """
        _check_label(label)
        if isinstance(children, str):
            raise InputError(
                f"found the string {children!r} as the children of {label!r}; expected a "
                f"sequence: write [{children!r}] for one word"
            )
        if len(children) == 1 and isinstance(children[0], str):
            _check_word(children[0], label)
            return _wrap((label,), (1,), (children[0],))
        subtrees: list[Tree] = []
        for child in children:
            if not isinstance(child, Tree):
                raise InputError(
                    f"found the child {child!r} among {len(children)} of {label!r}; expected "
                    "trees only, or exactly one word: put each word under a preterminal"
                )
            subtrees.append(child)
        if not subtrees:
            raise InputError(f"found no children of {label!r}; expected trees or one word")
        labels = tuple(chain((label,), *(child.node_labels for child in subtrees)))
        sizes = tuple(chain((len(labels),), *(child.node_sizes for child in subtrees)))
        return _wrap(labels, sizes, tuple(chain(*(child.leaves for child in subtrees))))

    @classmethod
    def from_preorder(
        cls, labels: Sequence[str], sizes: Sequence[int], leaves: Sequence[str]
    ) -> Tree:
        """Make a tree from its arrays, the inverse of the three properties.

        Args:
            labels: label of every node in preorder.
            sizes: number of nodes in the subtree of every node, itself included.
            leaves: the words from left to right, one for every node of size 1.

        Returns:
            The tree.

        Raises:
            InputError: if the arrays do not describe exactly one tree.
        """
        if not labels or len(labels) != len(sizes) or sizes[0] != len(sizes):
            raise InputError(
                f"found {len(labels)} labels and {len(sizes)} sizes; expected as many of one as "
                "of the other, at least one, and the first size to be their number"
            )
        ends = [len(sizes)]
        for node, size in enumerate(sizes):
            while ends[-1] == node:
                ends.pop()
            if size < 1 or node + size > ends[-1]:
                raise InputError(
                    f"found the size {size} at node {node}; expected between 1 and "
                    f"{ends[-1] - node}, so that the subtree ends inside its parent"
                )
            ends.append(node + size)
        if sum(size == 1 for size in sizes) != len(leaves):
            raise InputError(
                f"found {len(leaves)} leaves; expected one for each node of size 1, that is "
                f"{sum(size == 1 for size in sizes)}"
            )
        for label in set(labels):
            _check_label(label)
        for word in leaves:
            _check_word(word, "a preterminal")
        return _wrap(tuple(labels), tuple(sizes), tuple(leaves))

    @property
    def label(self) -> str:
        """Label of the root of this (sub)tree."""
        return self._arrays.labels[self._node]

    @property
    def is_preterminal(self) -> bool:
        """Whether this node stands directly over one word."""
        return self._arrays.sizes[self._node] == 1

    @property
    def children(self) -> tuple[Tree, ...] | tuple[str]:
        """The children as views, or for a preterminal its one word."""
        arrays, node = self._arrays, self._node
        sizes = arrays.sizes
        if sizes[node] == 1:
            return (arrays.leaves[arrays.starts()[node]],)
        return tuple(_view(arrays, child) for child in _child_nodes(sizes, node))

    @property
    def subtrees(self) -> tuple[Tree, ...]:
        """The children as views; none for a preterminal."""
        sizes = self._arrays.sizes
        if sizes[self._node] == 1:
            return ()
        return tuple(_view(self._arrays, child) for child in _child_nodes(sizes, self._node))

    @property
    def word(self) -> str:
        """The word under a preterminal.

        Raises:
            InputError: if this node is not a preterminal.
        """
        if not self.is_preterminal:
            raise InputError(
                f"found the phrase {self.label!r} of {self.num_leaves} leaves; only a "
                "preterminal has a word: use leaves"
            )
        return self._arrays.leaves[self._arrays.starts()[self._node]]

    @property
    def node_labels(self) -> tuple[str, ...]:
        """Labels of all nodes in preorder, this one first."""
        arrays, node = self._arrays, self._node
        return arrays.labels[node : node + arrays.sizes[node]]

    @property
    def node_sizes(self) -> tuple[int, ...]:
        """Number of nodes in the subtree of every node, in preorder; 1 for a preterminal."""
        sizes, node = self._arrays.sizes, self._node
        return sizes[node : node + sizes[node]]

    @property
    def num_nodes(self) -> int:
        """Number of nodes, preterminals included, words not."""
        return self._arrays.sizes[self._node]

    @property
    def leaves(self) -> tuple[str, ...]:
        """The words from left to right."""
        arrays, node = self._arrays, self._node
        if arrays.sizes[node] == len(arrays.sizes):
            return arrays.leaves
        starts = arrays.starts()
        return arrays.leaves[starts[node] : starts[node + arrays.sizes[node]]]

    @property
    def num_leaves(self) -> int:
        """Number of words."""
        starts = self._arrays.starts()
        return starts[self._node + self.num_nodes] - starts[self._node]

    @property
    def tags(self) -> tuple[str, ...]:
        """Labels of the preterminals from left to right."""
        return tuple(
            label
            for label, size in zip(self.node_labels, self.node_sizes, strict=True)
            if size == 1
        )

    @property
    def height(self) -> int:
        """Number of nodes on the longest way from this node down; 1 for a preterminal."""
        deepest = 0
        ends: list[int] = []
        for node, size in enumerate(self.node_sizes):
            while ends and ends[-1] == node:
                ends.pop()
            ends.append(node + size)
            deepest = max(deepest, len(ends))
        return deepest

    def node(self, index: int) -> Tree:
        """Return the subtree of a node.

        Args:
            index: preorder number of the node; 0 is this tree.

        Returns:
            A view that shares this tree's arrays.

        Raises:
            InputError: if there is no such node.
        """
        if not 0 <= index < self.num_nodes:
            raise InputError(f"found the node {index}; expected 0 to {self.num_nodes - 1}")
        return _view(self._arrays, self._node + index)

    def node_spans(self) -> tuple[tuple[int, int], ...]:
        """Return the half-open span of leaves of every node, in preorder.

        Returns:
            One (start, end) for every node; the first is (0, num_leaves).

        Example:
            >>> Tree.build("NP", [Tree.build("NN", ["猫"])]).node_spans()
            ((0, 1), (0, 1))
        """
        sizes, first = self.node_sizes, self._node
        starts = self._arrays.starts()
        shift = starts[first]
        return tuple(
            (starts[node] - shift, starts[node + size] - shift)
            for node, size in enumerate(sizes, start=first)
        )

    def node_parents(self) -> tuple[int, ...]:
        """Return the preorder number of every node's parent; -1 for the first node.

        Example:
            >>> Tree.build("NP", [Tree.build("NN", ["猫"])]).node_parents()
            (-1, 0)
        """
        parents: list[int] = []
        path: list[int] = []
        ends: list[int] = []
        for node, size in enumerate(self.node_sizes):
            while ends and ends[-1] == node:
                ends.pop()
                path.pop()
            parents.append(path[-1] if path else -1)
            path.append(node)
            ends.append(node + size)
        return tuple(parents)

    def node_children(self) -> tuple[tuple[int, ...], ...]:
        """Return the preorder numbers of every node's children; none for a preterminal.

        Example:
            >>> noun = Tree.build("NP", [Tree.build("NN", ["猫"])])
            >>> Tree.build("CP", [noun, Tree.build("SP", ["吗"])]).node_children()
            ((1, 3), (2,), (), ())
        """
        sizes = self.node_sizes
        return tuple(tuple(_child_nodes(sizes, node)) for node in range(len(sizes)))

    def preorder(self) -> Iterator[Tree]:
        """Yield every subtree, a node before its children, preterminals included."""
        arrays = self._arrays
        for node in range(self._node, self._node + self.num_nodes):
            yield _view(arrays, node)

    def postorder(self) -> Iterator[Tree]:
        """Yield every subtree, the children of a node before it, preterminals included."""
        arrays = self._arrays
        sizes = arrays.sizes
        path: list[int] = []
        for node in range(self._node, self._node + self.num_nodes):
            while path and path[-1] + sizes[path[-1]] == node:
                yield _view(arrays, path.pop())
            path.append(node)
        while path:
            yield _view(arrays, path.pop())

    def constituents(self, *, preterminals: bool = False) -> tuple[Constituent, ...]:
        """Return the labelled spans in preorder, each member of a unary chain by itself.

        Args:
            preterminals: whether to list the words' own nodes, too.

        Returns:
            Half-open spans over this tree's leaves.

        Example:
            >>> Tree.build("NP", [Tree.build("NN", ["猫"])]).constituents()
            (Constituent(label='NP', start=0, end=1),)
        """
        return tuple(
            Constituent(label=label, start=start, end=end)
            for label, size, (start, end) in zip(
                self.node_labels, self.node_sizes, self.node_spans(), strict=True
            )
            if preterminals or size > 1
        )

    def map_labels(self, change: Callable[[str], str]) -> Tree:
        """Return a tree of the same shape with other labels.

        Args:
            change: gets a label, returns the new one; called once for each distinct label.

        Returns:
            The new tree.

        Raises:
            InputError: if a new label cannot be written in brackets.
        """
        new = {label: change(label) for label in set(self.node_labels)}
        for label in new.values():
            _check_label(label)
        return _wrap(tuple(map(new.__getitem__, self.node_labels)), self.node_sizes, self.leaves)

    def with_leaves(self, leaves: Sequence[str]) -> Tree:
        """Return a tree of the same shape over other words.

        Args:
            leaves: as many words as this tree has.

        Returns:
            The new tree.

        Raises:
            InputError: if the number differs or a word cannot be written in brackets.
        """
        if len(leaves) != self.num_leaves:
            raise InputError(f"found {len(leaves)} words; expected {self.num_leaves}")
        for word in leaves:
            _check_word(word, "a preterminal")
        return _wrap(self.node_labels, self.node_sizes, tuple(leaves))

    def __eq__(self, other: object) -> bool:
        """Compare labels, shape and words."""
        if self is other:
            return True
        if not isinstance(other, Tree):
            return NotImplemented
        return (
            self.node_sizes == other.node_sizes
            and self.node_labels == other.node_labels
            and self.leaves == other.leaves
        )

    def __hash__(self) -> int:
        """Hash the content; kept after the first call."""
        if self._hash is None:
            self._hash = hash((self.node_labels, self.node_sizes, self.leaves))
        return self._hash

    def __str__(self) -> str:
        """Return Penn brackets on one line; parentheses in words become -LRB- and -RRB-."""
        parts: list[str] = []
        ends: list[int] = []
        words = iter(self.leaves)
        for node, (label, size) in enumerate(zip(self.node_labels, self.node_sizes, strict=True)):
            if size == 1:
                word = next(words)
                if "(" in word or ")" in word:
                    word = word.translate(_BRACKETS)
                parts.append(f" ({label} {word})")
                while ends and ends[-1] == node + 1:
                    ends.pop()
                    parts.append(")")
            else:
                parts.append(f" ({label}")
                ends.append(node + size)
        return "".join(parts)[1:]

    def __repr__(self) -> str:
        """Return `Tree(...)` around the brackets."""
        return f"Tree({str(self)!r})"

    def __copy__(self) -> Tree:
        """Return this tree: it cannot change."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Tree:
        """Return this tree: it cannot change."""
        return self

    def __reduce__(self) -> tuple[object, tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]]:
        """Send only this subtree's part of the arrays to another process."""
        return Tree.from_preorder, (self.node_labels, self.node_sizes, self.leaves)


class TreeBuilder:
    """Builds one tree from left to right in time linear in its size.

    Example:
        >>> builder = TreeBuilder()
        >>> builder.open("NP")
        >>> builder.add_word("NN", "猫")
        >>> builder.close()
        >>> builder.finish()
        Tree('(NP (NN 猫))')
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._labels: list[str] = []
        self._sizes: list[int] = []
        self._leaves: list[str] = []
        self._open: list[int] = []

    def open(self, label: str) -> None:
        """Start a phrase; what follows is inside it until it is closed.

        Raises:
            InputError: if the label cannot be written in brackets, or the tree is complete.
        """
        _check_label(label)
        self._check_room(label)
        self._open.append(len(self._labels))
        self._labels.append(label)
        self._sizes.append(0)

    def close(self) -> None:
        """End the innermost open phrase.

        Raises:
            InputError: if no phrase is open or the phrase is empty.
        """
        if not self._open:
            raise InputError("found a close without an open phrase; open one first")
        node = self._open.pop()
        size = len(self._labels) - node
        if size == 1:
            raise InputError(f"found no children of {self._labels[node]!r}; add a word or a phrase")
        self._sizes[node] = size

    def add_word(self, tag: str, word: str) -> None:
        """Add a preterminal and its word.

        Raises:
            InputError: if they cannot be written in brackets, or the tree is complete.
        """
        _check_label(tag)
        _check_word(word, tag)
        self._check_room(tag)
        self._labels.append(tag)
        self._sizes.append(1)
        self._leaves.append(word)

    def add_tree(self, tree: Tree) -> None:
        """Add a copy of a whole tree.

        Raises:
            InputError: if the tree that is being built is complete.
        """
        self._check_room(tree.label)
        self._labels.extend(tree.node_labels)
        self._sizes.extend(tree.node_sizes)
        self._leaves.extend(tree.leaves)

    def finish(self) -> Tree:
        """Return the tree; the builder is empty again.

        Raises:
            InputError: if a phrase is still open or nothing was added.
        """
        if self._open or not self._labels:
            state = f"{len(self._open)} open phrases" if self._open else "nothing"
            raise InputError(f"found {state} at the end; expected one complete tree")
        tree = _wrap(tuple(self._labels), tuple(self._sizes), tuple(self._leaves))
        self._labels, self._sizes, self._leaves = [], [], []
        return tree

    def _check_room(self, label: str) -> None:
        if self._labels and not self._open:
            raise InputError(
                f"found {label!r} after a complete tree; expected one root: open a phrase first"
            )


def _view(arrays: _Arrays, node: int) -> Tree:
    tree = object.__new__(Tree)
    tree._arrays = arrays  # noqa: SLF001  (this is the constructor)
    tree._node = node  # noqa: SLF001
    tree._hash = None  # noqa: SLF001
    return tree


def _wrap(labels: tuple[str, ...], sizes: tuple[int, ...], leaves: tuple[str, ...]) -> Tree:
    """Make a tree from arrays known to be right: only for this package's own modules."""
    return _view(_Arrays(labels, sizes, leaves), 0)


def _child_nodes(sizes: Sequence[int], node: int) -> Iterator[int]:
    end = node + sizes[node]
    child = node + 1
    while child < end:
        yield child
        child += sizes[child]


def _check_label(label: str) -> None:
    if not isinstance(label, str):
        raise InputError(f"found the label {label!r}; expected a string")
    if _FORBIDDEN_IN_LABEL.search(label):
        raise InputError(
            f"found the label {label!r}; expected no white space and no parentheses, which "
            "brackets cannot hold: replace them"
        )


def _check_word(word: str, tag: str) -> None:
    if not isinstance(word, str):
        raise InputError(f"found the word {word!r} under {tag}; expected a string")
    if not word or _WHITE_SPACE.search(word):
        raise InputError(
            f"found the word {word!r} under {tag}; expected at least one character and no ASCII "
            "white space, which brackets cannot hold: split or replace it"
        )

"""Many trees or sequences as flat index arrays, built once on the CPU.

A binary tree over n leaves has n - 1 internal nodes, each known by its start, its split and
its end. In preorder the left child of node i is node i + 1 and the right child is node
i + (split - start), unless that child is a leaf; so shapes need no pointers, and a batch is
put together by array arithmetic alone. A network then computes all nodes of one height with
one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from treenlp.errors import ShapeError
from treenlp.trees.tree import Tree

__all__ = ["Branching", "ChildSlots", "NaryBatch", "SequenceBatch", "TreeBatch", "TreeShape"]

IntArray = NDArray[np.int64]


class Branching(Enum):
    """How a node of more than two children becomes binary.

    RIGHT splits off the first child and goes on with the rest; LEFT splits off the last.
    """

    RIGHT = "right"
    LEFT = "left"


@dataclass(frozen=True, kw_only=True, eq=False)
class TreeShape:
    """The shape of one binary tree; equality is identity.

    Attributes:
        num_leaves: number of leaves n, at least 1.
        starts: (n - 1,) first leaf of each internal node, in preorder.
        splits: (n - 1,) first leaf of its right child.
        ends: (n - 1,) one past its last leaf.
        heights: (n - 1,) 1 for a node over two leaves; leaves have height 0.
    """

    num_leaves: int
    starts: IntArray
    splits: IntArray
    ends: IntArray
    heights: IntArray

    @classmethod
    def from_tree(cls, tree: Tree, branching: Branching = Branching.RIGHT) -> TreeShape:
        """Read the shape of a tree of any arity; unary chains count as one node.

        Time and memory are linear in the nodes, and depth has no limit.

        Args:
            tree: any tree; its preterminals are the leaves of the shape.
            branching: how nodes of more than two children are split.

        Returns:
            The shape.

        Example:
            >>> tree = Tree.build("NP", [Tree.build("DT", ["the"]), Tree.build("NN", ["cat"])])
            >>> TreeShape.from_tree(tree).splits.tolist()
            [1]
        """
        spans = [(c.start, c.end) for c in tree.constituents(preterminals=True)]
        return cls.from_spans(spans, tree.num_leaves, branching)

    @classmethod
    def from_spans(
        cls,
        spans: Sequence[tuple[int, int]],
        num_leaves: int,
        branching: Branching = Branching.RIGHT,
    ) -> TreeShape:
        """Build the shape from all constituents in preorder, single leaves included.

        Args:
            spans: half-open leaf spans in preorder; repeats stand for unary chains.
            num_leaves: number of leaves, at least 1.
            branching: how nodes of more than two children are split.

        Returns:
            The shape.

        Raises:
            ShapeError: if the spans are not those of one tree over all the leaves.
        """
        nodes = _binary_nodes(spans, num_leaves, branching is Branching.RIGHT)
        table = np.array(nodes, dtype=np.int64).reshape(-1, 3)
        if len(table) != num_leaves - 1:
            raise ShapeError(
                f"found {len(table)} binary nodes over {num_leaves} leaves, expected "
                f"{num_leaves - 1}; give every constituent in preorder, single leaves included"
            )
        table = table[np.lexsort((-table[:, 2], table[:, 0]))]
        starts, splits, ends = np.ascontiguousarray(table.T)
        return cls(
            num_leaves=num_leaves,
            starts=starts,
            splits=splits,
            ends=ends,
            heights=_heights(starts, splits, ends),
        )

    @classmethod
    def from_splits(cls, splits: Sequence[int] | IntArray, num_leaves: int) -> TreeShape:
        """Rebuild a shape from its splits in preorder, the form in which it is stored.

        Args:
            splits: (num_leaves - 1,) first leaf of the right child of each node in preorder.
            num_leaves: number of leaves, at least 1.

        Returns:
            The shape.

        Raises:
            ShapeError: if the splits do not describe a binary tree.

        Example:
            >>> TreeShape.from_splits([2, 1], 3).ends.tolist()
            [3, 2]
        """
        given = [int(split) for split in splits]
        if num_leaves < 1 or len(given) != num_leaves - 1:
            raise ShapeError(
                f"found {len(given)} splits for {num_leaves} leaves, expected one fewer than leaves"
            )
        starts: list[int] = []
        ends: list[int] = []
        pending = [(0, num_leaves)]
        for split in given:
            start, end = pending.pop()
            if not start < split < end:
                raise ShapeError(
                    f"split {split} lies outside its span [{start}, {end}); give splits in preorder"
                )
            starts.append(start)
            ends.append(end)
            if end - split > 1:
                pending.append((split, end))
            if split - start > 1:
                pending.append((start, split))
        arrays = [np.array(values, dtype=np.int64) for values in (starts, given, ends)]
        return cls(
            num_leaves=num_leaves,
            starts=arrays[0],
            splits=arrays[1],
            ends=arrays[2],
            heights=_heights(*arrays),
        )


def _binary_nodes(
    spans: Sequence[tuple[int, int]], num_leaves: int, right: bool
) -> list[tuple[int, int, int]]:
    """List (start, split, end) of every binary node, in no particular order."""
    nodes: list[tuple[int, int, int]] = []
    stack: list[tuple[int, int]] = []
    previous: tuple[int, int] | None = None
    opened = False  # whether the span before this one still waits for its first child
    for span in spans:
        start, end = span
        if span == previous:
            continue
        if not 0 <= start < end <= num_leaves:
            raise ShapeError(f"span [{start}, {end}) does not lie in the {num_leaves} leaves")
        if opened and right and previous is not None:
            nodes.append((previous[0], end, previous[1]))
        while stack and stack[-1][1] <= start:
            stack.pop()
        if stack:
            parent_start, parent_end = stack[-1]
            if end > parent_end:
                raise ShapeError(
                    f"span [{start}, {end}) crosses [{parent_start}, {parent_end}); "
                    "the constituents of one tree never cross"
                )
            if start > parent_start:
                if right and end < parent_end:
                    nodes.append((start, end, parent_end))
                elif not right:
                    nodes.append((parent_start, start, end))
        opened = end - start > 1
        if opened:
            stack.append(span)
        previous = span
    return nodes


def _heights(starts: IntArray, splits: IntArray, ends: IntArray) -> IntArray:
    """Compute the height of every node from the preorder arrays."""
    count = len(starts)
    heights = [0] * (count + 1)
    rows = zip(
        range(count - 1, -1, -1),
        starts[::-1].tolist(),
        splits[::-1].tolist(),
        ends[::-1].tolist(),
        strict=True,
    )
    for node, start, split, end in rows:
        left = heights[node + 1] if split - start > 1 else 0
        right = heights[node + split - start] if end - split > 1 else 0
        heights[node] = 1 + max(left, right)
    return np.array(heights[:count], dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class ChildSlots:
    """Some of the children of a batch's nodes, for cells that do not treat all alike.

    Slot 2 n + s holds child s, left 0 and right 1, of internal node n, counted without leaves; so
    a child's sibling stands in its slot ^ 1.

    Attributes:
        slots: (S,) int64 in ascending order, hence by height.
        level_sizes: how many of them belong to nodes of height 1, 2, ...; their sum is S.

    Example:
        >>> batch = TreeBatch.from_shapes([TreeShape.from_splits([1, 2], 3)])
        >>> [side.slots.tolist() for side in (*batch.leaf_slots, *batch.inner_slots)]
        [[0, 2], [1], [], [3]]
    """

    slots: Tensor
    level_sizes: tuple[int, ...]

    @classmethod
    def where(cls, wanted: NDArray[np.bool_], level_sizes: Sequence[int]) -> ChildSlots:
        """The slots that (2 M,) `wanted` says; `level_sizes` are those of the nodes."""
        slots = np.flatnonzero(wanted)
        ends = np.searchsorted(slots, 2 * np.cumsum([0, *level_sizes]))
        return cls(slots=torch.from_numpy(slots), level_sizes=tuple(np.diff(ends).tolist()))

    def by_level(self, *rows: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """For each height the slots, and of each of `rows` (S, ...) what belongs to them."""
        every = (self.slots, *rows)
        return zip(*(one.split_with_sizes(self.level_sizes) for one in every), strict=True)

    def to(self, device: torch.device | str) -> ChildSlots:
        """Return the slots on `device`."""
        return ChildSlots(slots=self.slots.to(device), level_sizes=self.level_sizes)


@dataclass(frozen=True, kw_only=True, eq=False)
class TreeBatch:
    """Many binary trees as flat index arrays.

    Nodes are numbered over the whole batch: first the leaves of all trees, tree by tree from
    left to right, then all internal nodes of height 1, of height 2, and so on, so that the
    nodes of one height are one slice and every child stands before its parent.

    Attributes:
        leaf_counts: (B,) int64 leaves of each tree.
        children: (M, 2) int64 node numbers of the left and right child of each internal node.
        level_sizes: number of internal nodes of height 1, 2, ...; their sum is M.
        leaf_slots: leaves that are left children, and those that are right children.
        inner_slots: internal nodes that are left children, and those that are right children.
        roots: (B,) int64 node number of each tree's root.
        spans: (N, 2) int64 half-open leaf span of each node within its own tree.
        owner: (N,) int64 the tree of each node.
    """

    leaf_counts: Tensor
    children: Tensor
    level_sizes: tuple[int, ...]
    leaf_slots: tuple[ChildSlots, ChildSlots]
    inner_slots: tuple[ChildSlots, ChildSlots]
    roots: Tensor
    spans: Tensor
    owner: Tensor

    @property
    def num_trees(self) -> int:
        """Number of trees B."""
        return len(self.roots)

    @property
    def num_nodes(self) -> int:
        """Number of nodes N, leaves included."""
        return len(self.owner)

    @property
    def num_leaves(self) -> int:
        """Number of leaves of all trees together."""
        return len(self.owner) - len(self.children)

    @classmethod
    def from_trees(cls, trees: Sequence[Tree], branching: Branching = Branching.RIGHT) -> TreeBatch:
        """Batch trees of any arity; see `TreeShape.from_tree`.

        Example:
            >>> pair = Tree.build("NP", [Tree.build("DT", ["the"]), Tree.build("NN", ["cat"])])
            >>> TreeBatch.from_trees([pair, pair]).children.tolist()
            [[0, 1], [2, 3]]
        """
        return cls.from_shapes([TreeShape.from_tree(tree, branching) for tree in trees])

    @classmethod
    def from_shapes(cls, shapes: Sequence[TreeShape]) -> TreeBatch:
        """Batch shapes that were made before.

        Args:
            shapes: one or more shapes.

        Returns:
            The batch, on the CPU.

        Raises:
            ShapeError: if there is no shape at all.
        """
        if not shapes:
            raise ShapeError("found no trees; a batch needs at least one")
        leaf_counts = np.array([shape.num_leaves for shape in shapes], dtype=np.int64)
        leaf_base = np.cumsum(leaf_counts) - leaf_counts
        node_counts = leaf_counts - 1
        node_base = np.cumsum(node_counts) - node_counts
        total_leaves = int(leaf_counts.sum())
        total_nodes = int(node_counts.sum())

        owner = np.repeat(np.arange(len(shapes)), node_counts)  # (M,) in preorder, tree by tree
        starts = np.concatenate([shape.starts for shape in shapes])
        splits = np.concatenate([shape.splits for shape in shapes])
        ends = np.concatenate([shape.ends for shape in shapes])
        heights = np.concatenate([shape.heights for shape in shapes])
        order = np.argsort(heights, kind="stable")
        number = np.empty(total_nodes + 1, dtype=np.int64)  # preorder position -> node number
        number[order] = total_leaves + np.arange(total_nodes)
        number[total_nodes] = -1  # never read for an internal child

        position = np.arange(total_nodes)
        leaf = leaf_base[owner]
        left = np.where(
            splits - starts == 1,
            leaf + starts,
            number[np.minimum(position + 1, total_nodes)],
        )
        right = np.where(
            ends - splits == 1,
            leaf + splits,
            number[np.minimum(position + splits - starts, total_nodes)],
        )
        roots = np.where(leaf_counts == 1, leaf_base, number[np.minimum(node_base, total_nodes)])

        leaf_owner = np.repeat(np.arange(len(shapes)), leaf_counts)
        leaf_start = np.arange(total_leaves) - leaf_base[leaf_owner]
        spans = np.empty((total_leaves + total_nodes, 2), dtype=np.int64)
        spans[:total_leaves, 0] = leaf_start
        spans[:total_leaves, 1] = leaf_start + 1
        spans[total_leaves:, 0] = starts[order]
        spans[total_leaves:, 1] = ends[order]
        children = np.stack([left, right], axis=1)[order]
        level_sizes = tuple(np.bincount(heights)[1:].tolist()) if total_nodes else ()

        def slots_of(side: int, of_leaves: bool) -> ChildSlots:
            wanted = np.zeros_like(children, dtype=np.bool_)
            wanted[:, side] = (children[:, side] < total_leaves) == of_leaves
            return ChildSlots.where(wanted.reshape(-1), level_sizes)

        return cls(
            leaf_counts=torch.from_numpy(leaf_counts),
            children=torch.from_numpy(children),
            level_sizes=level_sizes,
            leaf_slots=(slots_of(0, True), slots_of(1, True)),
            inner_slots=(slots_of(0, False), slots_of(1, False)),
            roots=torch.from_numpy(roots),
            spans=torch.from_numpy(spans),
            owner=torch.from_numpy(np.concatenate([leaf_owner, owner[order]])),
        )

    def to(self, device: torch.device | str) -> TreeBatch:
        """Return the batch with its arrays on `device`."""
        return TreeBatch(
            leaf_counts=self.leaf_counts.to(device),
            children=self.children.to(device),
            level_sizes=self.level_sizes,
            leaf_slots=(self.leaf_slots[0].to(device), self.leaf_slots[1].to(device)),
            inner_slots=(self.inner_slots[0].to(device), self.inner_slots[1].to(device)),
            roots=self.roots.to(device),
            spans=self.spans.to(device),
            owner=self.owner.to(device),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceBatch:
    """Many sequences over one flat matrix of words, as index arrays grouped by step.

    Words are numbered over the whole batch, sequence by sequence. Step t reads word t of every
    sequence that has one, so a step of a sequence is what a height is in a tree.

    Attributes:
        lengths: (B,) int64 words of each sequence, at least 1.
        owner: (N,) int64 the sequence of each word.
        position: (N,) int64 place of each word in its sequence.
        steps: (N,) int64 word numbers, all first words first, then all second words, ...
        step_sizes: how many sequences are still running at step 0, 1, ...; their sum is N.
    """

    lengths: Tensor
    owner: Tensor
    position: Tensor
    steps: Tensor
    step_sizes: tuple[int, ...]

    @classmethod
    def from_lengths(cls, lengths: Sequence[int]) -> SequenceBatch:
        """Build the arrays; within a step longer sequences come first, ties by number.

        Args:
            lengths: one or more lengths, each at least 1.

        Returns:
            The batch, on the CPU.

        Raises:
            ShapeError: if there is no sequence or one is empty.

        Example:
            >>> SequenceBatch.from_lengths([1, 2]).steps.tolist()
            [1, 0, 2]
        """
        sizes = np.array(lengths, dtype=np.int64)
        if not len(sizes) or sizes.min() < 1:
            raise ShapeError(
                f"found sequence lengths {list(lengths)[:5]}, expected at least one sequence "
                "and no empty one; leave empty sequences out"
            )
        base = np.cumsum(sizes) - sizes
        owner = np.repeat(np.arange(len(sizes)), sizes)
        position = np.arange(int(sizes.sum())) - base[owner]
        rank = np.empty(len(sizes), dtype=np.int64)
        rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
        steps = np.lexsort((rank[owner], position))
        return cls(
            lengths=torch.from_numpy(sizes),
            owner=torch.from_numpy(owner),
            position=torch.from_numpy(position),
            steps=torch.from_numpy(steps),
            step_sizes=tuple(np.bincount(position).tolist()),
        )

    @property
    def num_sequences(self) -> int:
        """Number of sequences B."""
        return len(self.lengths)

    def to(self, device: torch.device | str) -> SequenceBatch:
        """Return the batch with its arrays on `device`."""
        return SequenceBatch(
            lengths=self.lengths.to(device),
            owner=self.owner.to(device),
            position=self.position.to(device),
            steps=self.steps.to(device),
            step_sizes=self.step_sizes,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class NaryBatch:
    """Trees of any arity, grouped by height: of dependencies, of constituents, or chains.

    In a dependency tree every node is a word; of constituents the leaves are. Nodes with a word
    come first, tree by tree, then those without one, tree by tree. A sequence is the tree in which
    every word has the word before it as its only child, see `from_chains`.

    Attributes:
        num_words: how many nodes have a word.
        owner: (N,) int64 the tree of each node.
        roots: (B,) int64 the root of each tree.
        spans: (N, 2) int64 first word and one past the last word below each node, its own
            included, counted in its own tree.
        order: (N,) int64 nodes by height: first those without children.
        rank: (N,) int64 place of each node in `order`.
        level_sizes: nodes of height 0, 1, ...; their sum is N.
        children: (E,) int64 ranks of all children, by the rank of their parents.
        parents: (E,) int64 place of each child's parent within its level.
        edge_sizes: children of the nodes of height 0, 1, ...; their sum is E = N - B.
    """

    num_words: int
    owner: Tensor
    roots: Tensor
    spans: Tensor
    order: Tensor
    rank: Tensor
    level_sizes: tuple[int, ...]
    children: Tensor
    parents: Tensor
    edge_sizes: tuple[int, ...]

    @classmethod
    def from_heads(cls, trees: Sequence[Sequence[int]]) -> NaryBatch:
        """Build the arrays of dependency trees in time linear in the words, but for sorting.

        Args:
            trees: for each tree the head of each of its words, from 0; -1 at the one root.

        Returns:
            The batch, on the CPU.

        Raises:
            ShapeError: if there is no tree, one is empty, has not one root, or has a cycle.

        Example:
            >>> NaryBatch.from_heads([[1, -1, 1]]).order.tolist()
            [0, 2, 1]
        """
        if not trees:
            raise ShapeError("found no tree, expected at least one")
        lengths = np.array([len(heads) for heads in trees], dtype=np.int64)
        owner = np.repeat(np.arange(len(trees)), lengths)
        base = (np.cumsum(lengths) - lengths)[owner]
        own = np.array([head for heads in trees for head in heads], dtype=np.int64)
        for tree, heads in enumerate(trees):
            if list(heads).count(-1) != 1 or not all(-1 <= head < len(heads) for head in heads):
                raise ShapeError(
                    f"found the heads {list(heads)[:8]} of {len(heads)} words in tree {tree}, "
                    "expected numbers of its words, from 0, and one root, -1"
                )
        place = np.arange(len(own)) - base
        return cls._from_parents(
            np.where(own < 0, -1, own + base),
            owner=owner,
            spans=np.stack([place, place + 1], axis=1),
            num_words=len(own),
        )

    @classmethod
    def from_constituents(cls, trees: Sequence[Sequence[tuple[int, int]]]) -> NaryBatch:
        """Build the arrays of constituent trees: nodes are all leaves and then all constituents.

        Args:
            trees: for each tree the half-open leaf spans of its constituents in preorder, the whole
                tree first. Single leaves may be among them or not; repeats stand for unary chains,
                which are one node.

        Returns:
            The batch, on the CPU.

        Raises:
            ShapeError: if there is no tree, or spans are not those of one tree in preorder.

        Example:
            >>> NaryBatch.from_constituents([[(0, 4), (1, 4)]]).level_sizes
            (4, 1, 1)
        """
        if not trees:
            raise ShapeError("found no tree, expected at least one")
        found = [_attach(spans, number) for number, spans in enumerate(trees)]
        leaf_counts = np.array([len(leaves) for leaves, _, _ in found], dtype=np.int64)
        inner_counts = np.array([len(inner) for _, inner, _ in found], dtype=np.int64)
        leaves = int(leaf_counts.sum())
        leaf_owner = np.repeat(np.arange(len(trees)), leaf_counts)
        inner_owner = np.repeat(np.arange(len(trees)), inner_counts)
        owner = np.concatenate([leaf_owner, inner_owner])
        parent = np.array(
            [
                *(parent for of_leaves, _, _ in found for parent in of_leaves),
                *(parent for _, of_inner, _ in found for parent in of_inner),
            ],
            dtype=np.int64,
        )
        base = leaves + np.cumsum(inner_counts) - inner_counts
        place = np.arange(leaves) - (np.cumsum(leaf_counts) - leaf_counts)[leaf_owner]
        inner_spans = [span for _, _, own in found for span in own]
        return cls._from_parents(
            np.where(parent < 0, -1, parent + base[owner]),
            owner=owner,
            spans=np.concatenate(
                [
                    np.stack([place, place + 1], axis=1),
                    np.array(inner_spans, dtype=np.int64).reshape(-1, 2),
                ]
            ),
            num_words=leaves,
        )

    @classmethod
    def _from_parents(
        cls, parent: IntArray, *, owner: IntArray, spans: IntArray, num_words: int
    ) -> NaryBatch:
        """Group nodes by height; `spans` are widened to those of the nodes below."""
        height = np.zeros(len(parent), dtype=np.int64)
        first, last = spans.T.copy()
        missing = np.bincount(parent[parent >= 0], minlength=len(parent))
        ready = [*np.flatnonzero(missing == 0).tolist()]
        for node in ready:  # grows while it is read
            above = int(parent[node])
            if above < 0:
                continue
            height[above] = max(height[above], height[node] + 1)
            first[above] = min(first[above], first[node])
            last[above] = max(last[above], last[node])
            missing[above] -= 1
            if missing[above] == 0:
                ready.append(above)
        if len(ready) < len(parent):
            stuck = int(owner[np.flatnonzero(missing)[0]])
            raise ShapeError(f"the heads of tree {stuck} lead in a circle, expected a tree")
        order = np.argsort(height, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        level_sizes = np.bincount(height)
        level_starts = np.cumsum(level_sizes) - level_sizes
        below = np.flatnonzero(parent >= 0)
        below = below[np.argsort(rank[parent[below]], kind="stable")]
        over = parent[below]
        roots = np.flatnonzero(parent < 0)
        return cls(
            num_words=num_words,
            owner=torch.from_numpy(owner),
            roots=torch.from_numpy(roots[np.argsort(owner[roots])]),
            spans=torch.from_numpy(np.stack([first, last], axis=1)),
            order=torch.from_numpy(order),
            rank=torch.from_numpy(rank),
            level_sizes=tuple(level_sizes.tolist()),
            children=torch.from_numpy(rank[below]),
            parents=torch.from_numpy(rank[over] - level_starts[height[over]]),
            edge_sizes=tuple(np.bincount(height[over], minlength=len(level_sizes)).tolist()),
        )

    @classmethod
    def from_chains(cls, lengths: Sequence[int]) -> NaryBatch:
        """Lay sequences out as chains: the head of each word is the word after it.

        Example:
            >>> NaryBatch.from_chains([3]).level_sizes
            (1, 1, 1)
        """
        return cls.from_heads([[*range(1, length), -1] for length in lengths])

    def to(self, device: torch.device | str) -> NaryBatch:
        """Return the batch with its arrays on `device`."""
        moved = {
            name: getattr(self, name).to(device)
            for name in ("owner", "roots", "spans", "order", "rank", "children", "parents")
        }
        return NaryBatch(
            **moved,
            num_words=self.num_words,
            level_sizes=self.level_sizes,
            edge_sizes=self.edge_sizes,
        )


def _attach(
    spans: Sequence[tuple[int, int]], number: int
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Find the constituent right above every leaf and constituent.

    Args:
        spans: of one tree, in preorder.
        number: of the tree, for errors.

    Returns:
        For each leaf the number of that constituent, for each constituent likewise, -1 at the root;
        and the spans of the constituents, which are numbered in preorder.
    """
    size = spans[0][1] if spans else 0
    inner: list[tuple[int, int]] = []
    for span in spans:
        if span[1] - span[0] > 1 and (not inner or span != inner[-1]):
            inner.append(span)
    is_inside = all(0 <= start < end <= size for start, end in spans)
    in_order = sorted({*inner}, key=lambda span: (span[0], -span[1]))
    if not spans or spans[0][0] != 0 or not is_inside or inner != in_order:
        raise ShapeError(
            f"found the spans {list(spans)[:8]} in tree {number}, expected those of one tree in "
            "preorder, the whole tree, from 0, first"
        )
    of_leaves: list[int] = []
    of_inner: list[int] = []
    stack: list[int] = []
    for leaf in range(size):
        while stack and inner[stack[-1]][1] <= leaf:
            stack.pop()
        while len(of_inner) < len(inner) and inner[len(of_inner)][0] == leaf:
            start, end = inner[len(of_inner)]
            above = inner[stack[-1]] if stack else (0, size)
            if end > above[1]:
                raise ShapeError(
                    f"span [{start}, {end}) crosses [{above[0]}, {above[1]}) in tree {number}; the "
                    "constituents of one tree never cross"
                )
            of_inner.append(stack[-1] if stack else -1)
            stack.append(len(of_inner) - 1)
        of_leaves.append(stack[-1] if stack else -1)
    return of_leaves, of_inner, inner

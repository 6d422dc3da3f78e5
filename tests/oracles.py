"""Enumeration of every tree of a short sentence, written apart from the chart on purpose.

Nothing here is clever: a sentence of at most five units has few trees, and all of them are built
and scored one by one. Sums, maxima, k-best lists, marginals and entropy then follow from the list.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

IMPOSSIBLE = -1e8


@dataclass(frozen=True)
class Weights:
    """Scores of one sentence as nested lists; see the docstring of the chart for the shapes."""

    length: int
    phrase: list[list[list[float]]]  # [i][j][label]
    word: list[list[list[float]]]  # [i][units - 1][label]
    child: list[list[float]]  # [parent class][child class]
    root: list[float]  # [child class]
    affinity: list[list[list[float]]]  # [k][j][parent class]
    phrase_inner: Sequence[int]
    phrase_outer: Sequence[int]
    word_outer: Sequence[int]


@dataclass(frozen=True)
class Node:
    start: int
    end: int
    label: int
    children: tuple[Node, ...] = field(default=())

    @property
    def is_word(self) -> bool:
        return not self.children

    def preorder(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.preorder()


def enumerate_trees(weights: Weights) -> list[tuple[float, Node]]:
    """Every possible tree with its score."""
    found = []
    for score, tree in _constituents(weights, 0, weights.length):
        total = score + weights.root[_outer(weights, tree)]
        if total > IMPOSSIBLE:
            found.append((total, tree))
    return found


def _outer(weights: Weights, node: Node) -> int:
    return (weights.word_outer if node.is_word else weights.phrase_outer)[node.label]


def _splits(start: int, end: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Every way to cut a span into one or more spans."""
    if start == end:
        yield ()
    for middle in range(start + 1, end + 1):
        for rest in _splits(middle, end):
            yield ((start, middle), *rest)


def _constituents(weights: Weights, start: int, end: int) -> list[tuple[float, Node]]:
    found = []
    units = end - start
    if units <= len(weights.word[start]):
        for label, score in enumerate(weights.word[start][units - 1]):
            found.append((score, Node(start, end, label)))
    for parts in _splits(start, end):
        if len(parts) < 2:
            continue
        choices = [_constituents(weights, i, j) for i, j in parts]
        for children in product(*choices):
            below = sum(score for score, _ in children)
            for label, own in enumerate(weights.phrase[start][end]):
                inner = weights.phrase_inner[label]
                score = own + below + weights.affinity[children[0][1].end][end][inner]
                for _, child in children:
                    score += weights.child[inner][_outer(weights, child)]
                found.append((score, Node(start, end, label, tuple(c for _, c in children))))
    return [(score, node) for score, node in found if score > IMPOSSIBLE]


def logsumexp(values: Iterable[float]) -> float:
    values = list(values)
    peak = max(values)
    return peak + math.log(sum(math.exp(v - peak) for v in values))


def entropy(trees: Sequence[tuple[float, Node]]) -> float:
    total = logsumexp(score for score, _ in trees)
    return -sum(math.exp(score - total) * (score - total) for score, _ in trees)


def marginals(trees: Sequence[tuple[float, Node]]) -> dict[tuple[int, int, int, bool], float]:
    """Probability of every labelled constituent: (start, end, label, is word)."""
    total = logsumexp(score for score, _ in trees)
    found: dict[tuple[int, int, int, bool], float] = defaultdict(float)
    for score, tree in trees:
        for node in tree.preorder():
            found[node.start, node.end, node.label, node.is_word] += math.exp(score - total)
    return dict(found)


def nodes_of(tree: Node) -> tuple[tuple[int, int, int, bool], ...]:
    return tuple((n.start, n.end, n.label, n.is_word) for n in tree.preorder())


def coarse_trees(
    weights: Weights, trees: Sequence[tuple[float, Node]]
) -> list[tuple[float, tuple[Any, ...]]]:
    """Sum the trees that differ only in labels of equal classes; best first.

    A coarse node is (start, end, inner class or None for a word, outer class).
    """
    groups: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for score, tree in trees:
        groups[coarse_nodes(weights, nodes_of(tree))].append(score)
    found = [(logsumexp(scores), key) for key, scores in groups.items()]
    return sorted(found, key=lambda pair: -pair[0])


def coarse_nodes(weights: Weights, nodes: Iterable[tuple[int, int, int, bool]]) -> tuple[Any, ...]:
    """Replace the labels of nodes in preorder by their classes."""
    return tuple(
        (i, j, None, weights.word_outer[label])
        if is_word
        else (i, j, weights.phrase_inner[label], weights.phrase_outer[label])
        for i, j, label, is_word in nodes
    )


def crosses(node: Node, start: int, end: int) -> bool:
    return node.start < start < node.end < end or start < node.start < end < node.end

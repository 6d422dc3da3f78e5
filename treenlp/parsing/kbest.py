"""The k best trees of one sentence, and exact samples.

Huang & Chiang (2005), "Better k-best Parsing", algorithm 3 (lazy), over the inside tables of one
sentence. A derivation here is one coarse tree: labels that share both their classes are one
choice, worth their sum, and show as the best of them. Departures from the paper: the 1-best pass
is vectorised (`InsideTables.maxima`), the ways of making an item enter its queue one at a time in
the order of their best score, a pair of ranks is reached by one path only, so that no set of seen
pairs is kept, and an explicit stack replaces the recursion.

Ties break by span order: the shorter first child, one sibling after it before several, a phrase
before a word, then the class that comes first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import chain

import numpy as np

from treenlp.parsing.tables import ClassTables, Floats, InsideTables

__all__ = ["Derivation", "LazyKBest", "Node", "Sampler"]

Node = tuple[int, int, int, bool]
"""(start, end, label, is_word) in chart units, as in `treenlp.parsing.viterbi.Viterbi`."""

# Kinds of items: complete constituent, its place under a parent, row of the rest, closed phrase.
_COMPLETE, _FIRST, _REST, _CLOSED, _GOAL = range(5)
_Key = tuple[int, int, int, int]  # kind, start, end, class


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """One coarse tree.

    Attributes:
        score: unnormalized log score.
        nodes: its nodes in preorder, each with the best label of its class.
    """

    score: float
    nodes: tuple[Node, ...]


class _Ways:
    """The ways of making an item and what each leads to."""

    def __init__(self, tables: InsideTables) -> None:
        self._tables = tables
        scores = tables.scores
        outer = scores.pair_outer.tolist()
        self._inner = scores.pair_inner.tolist()
        self._pairs = [
            [q for q, c in enumerate(outer) if c == child] for child in range(len(scores.root))
        ]
        # Pairs are sorted by their outer class: those of a child class are one slice.
        self._slices = [slice(pairs[0], pairs[-1] + 1) if pairs else None for pairs in self._pairs]
        self._inner_of = [scores.pair_inner[pairs] for pairs in self._pairs]

    def values(self, key: _Key) -> Floats:
        """Best score of each way, numbered as `tails` expects."""
        tables, scores = self._tables, self._tables.scores
        kind, i, j, x = key
        if kind == _FIRST:
            as_child: Floats = tables.complete[i, j] + scores.child[x]
            return as_child
        if kind == _COMPLETE:
            pairs = self._slices[x]
            if pairs is None:
                return scores.leaf[i, j, x : x + 1]
            found = np.empty(len(self._pairs[x]) + 1)
            found[:-1] = scores.pair[i, j, pairs]
            found[:-1] += tables.closed[i, j].take(self._inner_of[x])
            found[-1] = scores.leaf[i, j, x]
            return found
        if kind == _GOAL:
            as_root: Floats = tables.complete[i, j] + scores.root
            return as_root
        split: Floats = tables.first[i, i + 1 : j, x] + tables.rest[i + 1 : j, j, x]
        if kind == _CLOSED:
            return split + scores.affinity[i + 1 : j, j, x]
        return np.concatenate((tables.first[i, j, x : x + 1], split))

    def tails(self, key: _Key, way: int) -> tuple[_Key, ...]:
        """Items that a way is made of: none for a word."""
        kind, i, j, x = key
        if kind in (_FIRST, _GOAL):
            return ((_COMPLETE, i, j, way),)
        if kind == _COMPLETE:
            pairs = self._pairs[x]
            return ((_CLOSED, i, j, self._inner[pairs[way]]),) if way < len(pairs) else ()
        if kind == _REST:
            if way == 0:
                return ((_FIRST, i, j, x),)
            way -= 1
        k = i + 1 + way
        return ((_FIRST, i, k, x), (_REST, k, j, x))

    def pair(self, key: _Key, way: int) -> int | None:
        """Class pair that a way of making a complete constituent uses; None for a word."""
        pairs = self._pairs[key[3]]
        return pairs[way] if way < len(pairs) else None


class _Item:
    """An item's derivations found so far, best first, and where to look for more."""

    __slots__ = ("found", "heap", "is_done", "next_way", "pending", "scores", "ways")

    def __init__(self, values: Floats, limit: int) -> None:
        order = np.argsort(-values, kind="stable")[:limit]
        best = values[order]
        self.ways: list[int] = order[best > -np.inf].tolist()
        self.scores: list[float] = best[best > -np.inf].tolist()
        # (-score, index of the way in `ways`, rank of the first tail, rank of the second)
        self.heap: list[tuple[float, int, int, int]] = []
        self.found: list[tuple[float, int, int, int]] = []
        # Successors whose score is not known yet: (score of origin, way, ranks, tail raised)
        self.pending: list[tuple[float, int, int, int, int]] = []
        self.next_way = 0
        self.is_done = False
        self.push_way()

    def push_way(self) -> None:
        if self.next_way < len(self.ways):
            heappush(self.heap, (-self.scores[self.next_way], self.next_way, 0, 0))
            self.next_way += 1


class LazyKBest:
    """Coarse trees of one sentence, best first, found as they are asked for.

    Args:
        tables: maxima over class scores whose labels were summed (`InsideTables.maxima`).
        limit: most trees that will be asked for.
    """

    def __init__(self, tables: InsideTables, limit: int) -> None:
        self._scores = tables.scores
        self._ways = _Ways(tables)
        self._limit = limit
        self._items: dict[_Key, _Item] = {}
        self._labels: dict[tuple[_Key, int], Node] = {}
        self._written: dict[tuple[_Key, int], tuple[Node, ...]] = {}

    def __iter__(self) -> Iterator[Derivation]:
        """Yield at most `limit` trees; scores do not increase and no tree comes twice."""
        goal = (_GOAL, 0, self._scores.size, 0)
        for rank in range(self._limit):
            if not self._find(goal, rank):
                return
            score = self._items[goal].found[rank][0] - self._scores.bonus
            yield Derivation(score=score, nodes=self._nodes(goal, rank))

    def _item(self, key: _Key) -> _Item:
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item(self._ways.values(key), self._limit)
        return item

    def _find(self, key: _Key, rank: int) -> bool:
        """Find the derivations of an item down to a rank; False if it has fewer."""
        stack = [(key, rank)]
        while stack:
            at, need = stack[-1]
            item = self._item(at)
            if len(item.found) > need or item.is_done:
                stack.pop()
            elif item.pending:
                missing = self._settle(at, item)
                if missing is not None:
                    stack.append(missing)
            elif item.heap:
                self._take(at, item)
            else:
                item.is_done = True
        return len(self._items[key].found) > rank

    def _settle(self, key: _Key, item: _Item) -> tuple[_Key, int] | None:
        """Score the last pending successor, or say what must be found before."""
        score, way, a, b, raised = item.pending[-1]
        tail = self._ways.tails(key, item.ways[way])[raised]
        rank = b if raised else a
        below = self._item(tail)
        if len(below.found) <= rank and not below.is_done:
            return tail, rank
        item.pending.pop()
        if len(below.found) > rank:
            score += below.found[rank][0] - below.found[rank - 1][0]
            heappush(item.heap, (-score, way, a, b))
        return None

    def _take(self, key: _Key, item: _Item) -> None:
        """Move the best candidate to the found ones and note its successors."""
        negated, way, a, b = heappop(item.heap)
        item.found.append((-negated, way, a, b))
        if a == b == 0:
            item.push_way()
        num_tails = len(self._ways.tails(key, item.ways[way]))
        if num_tails == 2:
            item.pending.append((-negated, way, a, b + 1, 1))
        if num_tails and b == 0:
            item.pending.append((-negated, way, a + 1, b, 0))

    def _nodes(self, goal: _Key, rank: int) -> tuple[Node, ...]:
        """Write a derivation down in preorder; its parts are kept, for most trees share them."""
        written = self._written
        first = (goal, rank)
        stack = [first]
        while stack:
            at = key, rank = stack[-1]
            if at in written:
                stack.pop()
                continue
            item = self._item(key)
            if not item.found:
                self._find(key, 0)
            _, index, a, b = item.found[rank]
            way = item.ways[index]
            below = tuple(zip(self._ways.tails(key, way), (a, b), strict=False))
            missing = [part for part in below if part not in written]
            if missing:
                stack.extend(missing)
                continue
            own = (self._node(key, way),) if key[0] == _COMPLETE else ()
            written[at] = own + tuple(chain.from_iterable(written[part] for part in below))
            stack.pop()
        return written[first]

    def _node(self, key: _Key, way: int) -> Node:
        node = self._labels.get((key, way))
        if node is None:
            node = self._labels[key, way] = _labelled(self._scores, self._ways, key, way)
        return node


def _labelled(scores: ClassTables, ways: _Ways, key: _Key, way: int) -> Node:
    """Node of a complete constituent with the best label of its class."""
    _, i, j, outer = key
    pair = ways.pair(key, way)
    if pair is None:
        return (i, j, scores.best_word_label(i, j, outer), True)
    return (i, j, scores.best_phrase_label(i, j, pair), False)


class _Plan:
    """The ways of making an item with their cumulated weights, and what follows from each.

    Attributes:
        key: the item.
        cumulated: weights of the ways, summed from the left.
        total: the last of these.
        last: the last way that is possible.
        is_open: whether there is more than one.
        steps: of the ways taken before: the node they add, if any, and what is drawn next.
    """

    __slots__ = ("cumulated", "is_open", "key", "last", "steps", "total")

    def __init__(self, key: _Key, values: Floats) -> None:
        weights = np.exp(values - values.max())
        self.key = key
        self.cumulated: list[float] = weights.cumsum().tolist()
        self.total = self.cumulated[-1]
        possible = weights.nonzero()[0]
        self.last = int(possible[-1])
        self.is_open = len(possible) > 1
        self.steps: dict[int, _Step] = {}

    def pick(self, random: Iterator[float]) -> int:
        """Draw a way; no random number is spent where there is but one."""
        if not self.is_open:
            return self.last
        # An impossible way adds nothing to the sum before it, so that it is never found.
        return min(bisect_right(self.cumulated, next(random) * self.total), self.last)


class _Step:
    """What one way of making an item adds to a tree.

    Attributes:
        node: the node it adds, or None.
        labels: choice of the node's label, or None where it is not drawn.
        after: what is drawn next, the last of it first.
    """

    __slots__ = ("after", "labels", "node")

    def __init__(
        self, node: Node | None, labels: tuple[_Plan, list[int]] | None, after: tuple[_Plan, ...]
    ) -> None:
        self.node = node
        self.labels = labels
        self.after = after


class Sampler:
    """Draws trees exactly from the posterior.

    Args:
        tables: sums over all trees (`InsideTables.sums`).
        seed: of the generator; equal seeds give equal trees.
        labels: whether labels are drawn, too; otherwise each class shows its best label.
    """

    def __init__(self, tables: InsideTables, seed: int, *, labels: bool = True) -> None:
        self._scores = tables.scores
        self._ways = _Ways(tables)
        self._random = _uniform(seed)
        self._draws_labels = labels
        self._plans: dict[_Key, _Plan] = {}

    def draw(self) -> tuple[Node, ...]:
        """Nodes of one tree in preorder."""
        nodes: list[Node] = []
        random = self._random
        stack = [self._plan((_GOAL, 0, self._scores.size, 0))]
        while stack:
            plan = stack.pop()
            way = plan.pick(random)
            step = plan.steps.get(way)
            if step is None:
                step = plan.steps[way] = self._step(plan.key, way)
            if step.node is not None:
                node = step.node
                if step.labels is not None:
                    choice, labels = step.labels
                    node = (node[0], node[1], labels[choice.pick(random)], node[3])
                nodes.append(node)
            stack.extend(step.after)
        return tuple(nodes)

    def _plan(self, key: _Key) -> _Plan:
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = _Plan(key, self._ways.values(key))
        return plan

    def _step(self, key: _Key, way: int) -> _Step:
        after = tuple(self._plan(tail) for tail in reversed(self._ways.tails(key, way)))
        if key[0] != _COMPLETE:
            return _Step(None, None, after)
        node = _labelled(self._scores, self._ways, key, way)
        if not self._draws_labels:
            return _Step(node, None, after)
        _, i, j, outer = key
        pair = self._ways.pair(key, way)
        if pair is None:
            labels = self._scores.word_labels[outer]
            values = self._scores.word[i, j - i - 1, labels]
        else:
            labels = self._scores.pair_labels[pair]
            values = self._scores.phrase[i, j, labels]
        return _Step(node, (_Plan(key, values), labels.tolist()), after)


def _uniform(seed: int) -> Iterator[float]:
    """Random numbers in [0, 1), drawn many at a time."""
    generator = np.random.default_rng(seed)
    while True:
        yield from generator.random(1024).tolist()

"""Inside and outside tables of one sentence in 64-bit floats, over the classes of the grammar.

The recursion is that of `treenlp.parsing.chart`, for a single sentence and in numpy: k-best
lists, samples and marginals of one sentence need its tables, not its gradient. The impossible
is minus infinity here. Every step handles all spans of one width at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from treenlp.errors import ShapeError
from treenlp.parsing.chart import NEG, ChartScores
from treenlp.parsing.grammar import Grammar

__all__ = ["BONUS", "ClassTables", "InsideTables", "Marginals"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BONUS = 1e4
"""Nats that a required constituent adds, so that trees without it have no probability."""

_IMPOSSIBLE = NEG / 10


@dataclass(frozen=True, kw_only=True)
class ClassTables:
    """Scores of one sentence with the labels of each class summed (or maximised) out.

    Class pairs of phrases are sorted by their outer class here; `pair_labels` says which labels
    each one holds.

    Attributes:
        size: T, chart units.
        phrase: (F, F, Lp) the labels' own scores.
        word: (F, W, Lw) likewise.
        pair: (F, F, Q) nats; a required span carries `BONUS`.
        leaf: (F, F, C) nats of the word [i, j) as each child class.
        child: (P, C).
        root: (C,).
        affinity: (F, F, P).
        pair_inner: (Q,) parent class of each pair.
        pair_outer: (Q,) child class of each pair, not decreasing.
        pair_labels: per pair, its phrase labels.
        word_labels: per child class, its word labels.
        bonus: total of `BONUS` in every tree that holds all required spans.
    """

    size: int
    phrase: Floats
    word: Floats
    pair: Floats
    leaf: Floats
    child: Floats
    root: Floats
    affinity: Floats
    pair_inner: Indices
    pair_outer: Indices
    pair_labels: tuple[Indices, ...]
    word_labels: tuple[Indices, ...]
    bonus: float

    @classmethod
    def from_scores(
        cls,
        scores: ChartScores,
        grammar: Grammar,
        *,
        required: Sequence[tuple[int, int]] = (),
        maximise: bool = False,
    ) -> ClassTables:
        """Take the scores of a batch of one sentence.

        Args:
            scores: a batch of one, cut to its length or not.
            grammar: its labels and classes.
            required: spans in chart units that every tree must have as a constituent.
            maximise: whether a class is worth its best label rather than all of them.

        Raises:
            ShapeError: if there is not exactly one sentence, or it is empty.
        """
        if scores.lengths.numel() != 1:
            raise ShapeError(
                f"scores hold {scores.lengths.numel()} sentences, expected one; use scores.item(b)"
            )
        size = int(scores.lengths[0])
        fence = size + 1
        if size < 1 or scores.phrase.shape[1] < fence:
            raise ShapeError(
                f"the length is {size}, expected 1 to {scores.phrase.shape[1] - 1} for a chart of "
                f"{scores.phrase.shape[1]} fenceposts"
            )
        phrase = _to_numpy(scores.phrase[0, :fence, :fence])
        word = _to_numpy(scores.word[0, :fence])
        inner, outer = np.array(grammar.pairs, dtype=np.int64).reshape(-1, 2).T
        order = np.lexsort((inner, outer))
        new_pair = np.empty(len(order), dtype=np.int64)
        new_pair[order] = np.arange(len(order))
        pair_labels = _members(new_pair[np.array(grammar.phrase_pair, dtype=np.int64)], len(order))
        word_labels = _members(
            np.array(grammar.word_outer, dtype=np.int64), len(grammar.child_classes)
        )
        pair = np.full((fence, fence, len(order)), -np.inf)
        start, end = np.triu_indices(fence, 2)
        pair[start, end] = _group(phrase[start, end], pair_labels, maximise=maximise)
        leaf = np.full((fence, fence, len(grammar.child_classes)), -np.inf)
        grouped = _group(word, word_labels, maximise=maximise)
        for width in range(1, min(word.shape[1], size) + 1):
            _diagonal(leaf, width)[...] = grouped[: fence - width, width - 1]
        for i, j in required:
            pair[i, j] += BONUS
            leaf[i, j] += BONUS
        return cls(
            size=size,
            phrase=phrase,
            word=word,
            pair=pair,
            leaf=leaf,
            child=_to_numpy(scores.child),
            root=_to_numpy(scores.root),
            affinity=_to_numpy(scores.affinity[0, :fence, :fence]),
            pair_inner=inner[order],
            pair_outer=outer[order],
            pair_labels=pair_labels,
            word_labels=word_labels,
            bonus=BONUS * len(required),
        )

    @cached_property
    def outer_starts(self) -> Indices:
        """First pair of each outer class that has any, for ``reduceat``."""
        change = np.diff(self.pair_outer, prepend=-1)
        return np.flatnonzero(change)

    def best_phrase_label(self, i: int, j: int, pair: int) -> int:
        """Best label of a class pair over [i, j); of equals, the first."""
        labels = self.pair_labels[pair]
        return int(labels[self.phrase[i, j, labels].argmax()])

    def best_word_label(self, i: int, j: int, outer: int) -> int:
        """Best label of a class of words over [i, j); of equals, the first."""
        labels = self.word_labels[outer]
        return int(labels[self.word[i, j - i - 1, labels].argmax()])


@dataclass(frozen=True, kw_only=True)
class Marginals:
    """Posterior probabilities of the parts of one sentence's trees; spans in chart units.

    Attributes:
        phrase: (F, F, Lp) [i, j, l]: the span is a phrase with this (chain) label.
        word: (F, W, Lw) [i, w, l]: [i, i + w + 1) is a word with this (chain) label.
        child: (P, C) expected number of children of class c under phrases of inner class p.
        root: (C,) class of the outermost constituent.
        affinity: (F, F, P) [k, j, p]: a phrase of inner class p ends at j, its first child at k.
        entropy: of the labelled trees, nats.
    """

    phrase: Floats
    word: Floats
    child: Floats
    root: Floats
    affinity: Floats
    entropy: float

    def constituents(self) -> Floats:
        """(F, F) probability that a span is a constituent, a phrase or a word."""
        total: Floats = self.phrase.sum(-1)
        fence, max_word = self.word.shape[:2]
        for width in range(1, min(max_word, fence - 1) + 1):
            _diagonal(total[..., None], width)[..., 0] += self.word[: fence - width, width - 1].sum(
                -1
            )
        return total


@dataclass(frozen=True, kw_only=True)
class InsideTables:
    """Inside scores of every item: log-sums over all trees, or maxima.

    Attributes:
        complete: (F, F, C) A[i, j, c].
        first: (F, F, P) X[i, j, p].
        rest: (F, F, P) R[i, j, p].
        closed: (F, F, P) a phrase's children with their affinity, before its label.
        total: log-sum or maximum over all trees, the bonus of required spans included.
    """

    scores: ClassTables
    complete: Floats
    first: Floats
    rest: Floats
    closed: Floats
    total: float

    @classmethod
    def sums(cls, scores: ClassTables) -> InsideTables:
        """Sum over all trees: O(T^3 P) time, O(T^2 (P + C)) memory."""
        return cls._fill(scores, maximise=False)

    @classmethod
    def maxima(cls, scores: ClassTables) -> InsideTables:
        """Best tree of every item, at the same cost."""
        return cls._fill(scores, maximise=True)

    @classmethod
    def _fill(cls, scores: ClassTables, *, maximise: bool) -> InsideTables:
        reduce = _max if maximise else _logsumexp
        fence = scores.size + 1
        num_parents, num_children = scores.child.shape
        complete = np.full((fence, fence, num_children), -np.inf)
        first, rest, closed = (np.full((fence, fence, num_parents), -np.inf) for _ in range(3))
        has_outer = scores.pair_outer[scores.outer_starts] if len(scores.pair_outer) else None
        for width in range(1, fence):
            here = _diagonal(scores.leaf, width)
            if width > 1 and has_outer is not None:
                split = _left(first, width) + _right(rest, width)  # (n, width - 1, P)
                full = reduce(split + _right(scores.affinity, width), 1)
                _diagonal(closed, width)[...] = full
                labelled = full[:, scores.pair_inner] + _diagonal(scores.pair, width)  # (n, Q)
                found = np.full_like(here, -np.inf)
                found[:, has_outer] = _reduceat(labelled, scores.outer_starts, maximise=maximise)
                here = np.maximum(here, found) if maximise else np.logaddexp(here, found)
            _diagonal(complete, width)[...] = here
            as_first = reduce(here[:, None, :] + scores.child, 2)  # (n, P)
            _diagonal(first, width)[...] = as_first
            if width > 1 and has_outer is not None:
                longer = reduce(split, 1)
                as_first = (
                    np.maximum(as_first, longer) if maximise else np.logaddexp(as_first, longer)
                )
            _diagonal(rest, width)[...] = as_first
        total = float(reduce(complete[0, scores.size][None] + scores.root, 1)[0])
        return cls(
            scores=scores, complete=complete, first=first, rest=rest, closed=closed, total=total
        )

    def marginals(self) -> Marginals:
        """Probabilities of all parts by one pass from the top, and the entropy of the trees.

        An item's probability is handed down to the ways of making it in proportion to what
        each adds to its inside score; the entropy is the expected entropy of these choices.
        """
        return _Outside(self).run()


class _Outside:
    """The pass from the top: probability of every item, widest spans first."""

    def __init__(self, tables: InsideTables) -> None:
        self.tables = tables
        self.entropy = 0.0
        scores = tables.scores
        self.complete = np.zeros_like(tables.complete)
        self.first = np.zeros_like(tables.first)
        self.rest = np.zeros_like(tables.rest)
        self.affinity = np.zeros_like(scores.affinity)
        self.child = np.zeros_like(scores.child)
        self.pair = np.zeros_like(scores.pair)
        self.leaf = np.zeros_like(scores.leaf)

    def _share(self, mass: Floats | np.float64, part: Floats, whole: Floats | np.float64) -> Floats:
        """Probability of a choice: `mass` of the item times exp(part - whole); adds its entropy."""
        with np.errstate(invalid="ignore"):
            log_share = np.where(part == -np.inf, -np.inf, part - whole)
        found: Floats = mass * np.exp(np.minimum(log_share, 0.0))
        used = found > 0
        self.entropy -= float((found[used] * log_share[used]).sum())
        return found

    def run(self) -> Marginals:
        tables, scores = self.tables, self.tables.scores
        size = scores.size
        root = self._share(
            np.float64(1.0), tables.complete[0, size] + scores.root, np.float64(tables.total)
        )
        self.complete[0, size] = root
        for width in range(size, 0, -1):
            self._spans(width)
        phrase = np.zeros_like(scores.phrase)
        start, end = np.triu_indices(size + 1, 2)
        phrase[start, end] = self._labels(
            self.pair[start, end], scores.phrase[start, end], scores.pair_labels
        )
        word = np.zeros_like(scores.word)
        for width in range(1, min(word.shape[1], size) + 1):
            n = size + 1 - width
            word[:n, width - 1] = self._labels(
                _diagonal(self.leaf, width), scores.word[:n, width - 1], scores.word_labels
            )
        return Marginals(
            phrase=phrase,
            word=word,
            child=self.child,
            root=root,
            affinity=self.affinity,
            entropy=max(0.0, self.entropy),
        )

    def _spans(self, width: int) -> None:
        """Hand down the probability of all items of one width."""
        tables, scores = self.tables, self.tables.scores
        first = _diagonal(self.first, width)
        complete, here = _diagonal(self.complete, width), _diagonal(tables.complete, width)
        whole_first = _diagonal(tables.first, width)
        rest = _diagonal(self.rest, width)
        whole_rest = _diagonal(tables.rest, width)
        first += self._share(rest, whole_first, whole_rest)
        by_child = self._share(
            first[:, :, None], here[:, None, :] + scores.child, whole_first[:, :, None]
        )  # (n, P, C)
        self.child += by_child.sum(0)
        complete += by_child.sum(1)
        _diagonal(self.leaf, width)[...] = self._share(
            complete, _diagonal(scores.leaf, width), here
        )
        if width == 1 or not len(scores.pair_outer):
            return
        full = _diagonal(tables.closed, width)
        by_pair = self._share(
            complete[:, scores.pair_outer],
            full[:, scores.pair_inner] + _diagonal(scores.pair, width),
            here[:, scores.pair_outer],
        )
        _diagonal(self.pair, width)[...] = by_pair
        closed = np.zeros_like(full)
        np.add.at(closed.T, scores.pair_inner, by_pair.T)
        split = _left(tables.first, width) + _right(tables.rest, width)
        by_close = self._share(
            closed[:, None], split + _right(scores.affinity, width), full[:, None]
        )
        _right(self.affinity, width)[...] += by_close
        by_split = by_close + self._share(rest[:, None], split, whole_rest[:, None])
        _left(self.first, width)[...] += by_split
        _right(self.rest, width)[...] += by_split

    def _labels(self, mass: Floats, scores: Floats, members: tuple[Indices, ...]) -> Floats:
        """Share the probability of each class (n, G) among its labels (n, L)."""
        found = np.zeros_like(scores)
        for group, labels in enumerate(members):
            if len(labels):
                part = scores[:, labels]
                found[:, labels] = self._share(
                    mass[:, group, None], part, _logsumexp(part, 1)[:, None]
                )
        return found


def _to_numpy(tensor: object) -> Floats:
    values = tensor.detach().cpu().double().numpy()  # type: ignore[attr-defined]
    return np.where(values <= _IMPOSSIBLE, -np.inf, values)


def _members(group: Indices, size: int) -> tuple[Indices, ...]:
    return tuple(np.flatnonzero(group == g) for g in range(size))


def _group(scores: Floats, members: tuple[Indices, ...], *, maximise: bool) -> Floats:
    """Reduce the last axis (..., L) within groups: (..., G)."""
    found = np.full((*scores.shape[:-1], len(members)), -np.inf)
    present = [g for g, labels in enumerate(members) if len(labels)]
    if present:
        order = np.concatenate([members[g] for g in present])
        sizes = [len(members[g]) for g in present]
        starts = np.cumsum([0, *sizes[:-1]])
        found[..., present] = _reduceat(scores[..., order], starts, maximise=maximise)
    return found


def _reduceat(values: Floats, starts: Indices, *, maximise: bool) -> Floats:
    """Maximum or log-sum of consecutive stretches of the last axis."""
    peak: Floats = np.maximum.reduceat(values, starts, axis=-1)
    if maximise:
        return peak
    shift = np.where(np.isfinite(peak), peak, 0.0)
    lengths = np.diff(starts, append=values.shape[-1])
    with np.errstate(divide="ignore"):
        mass = np.exp(values - np.repeat(shift, lengths, axis=-1))
        found: Floats = np.log(np.add.reduceat(mass, starts, axis=-1)) + shift
    return found


def _logsumexp(values: Floats, axis: int) -> Floats:
    peak = values.max(axis, keepdims=True)
    shift = np.where(np.isfinite(peak), peak, 0.0)
    with np.errstate(divide="ignore"):
        total: Floats = np.log(np.exp(values - shift).sum(axis)) + shift.squeeze(axis)
    return total


def _max(values: Floats, axis: int) -> Floats:
    found: Floats = values.max(axis)
    return found


def _diagonal(table: Floats, width: int) -> Floats:
    """View (n, D) of table[i, i + width]."""
    fence, _, depth = table.shape
    i, j, d = table.strides
    return as_strided(table[0, width:], (fence - width, depth), (i + j, d))


def _left(table: Floats, width: int) -> Floats:
    """View (n, width - 1, D) of table[i, i + k] for k = 1 .. width - 1."""
    fence, _, depth = table.shape
    i, j, d = table.strides
    return as_strided(table[0, 1:], (fence - width, width - 1, depth), (i + j, j, d))


def _right(table: Floats, width: int) -> Floats:
    """View (n, width - 1, D) of table[i + k, i + width] for k = 1 .. width - 1."""
    fence, _, depth = table.shape
    i, j, d = table.strides
    return as_strided(table[1, width:], (fence - width, width - 1, depth), (i + j, i, d))

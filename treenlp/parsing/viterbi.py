"""The best tree of every sentence of a batch, over the grammar of `treenlp.parsing.chart`.

Viterbi's maximum in place of the inside algorithm's sum. Sentences are the last axis throughout, so
that every step runs over contiguous memory, and only maxima are kept: where they came from is asked
again for the few spans that the best trees have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from treenlp.parsing.chart import (
    NEG,
    ChartScores,
    ClassScores,
    diagonal,
    left_parts,
    right_parts,
)
from treenlp.parsing.grammar import Grammar
from treenlp.parsing.tables import Indices

__all__ = ["Viterbi", "viterbi"]

_Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Viterbi:
    """The best coarse tree of one sentence: labels are summed inside their class, then maximised.

    Attributes:
        score: its unnormalized log score.
        nodes: (start, end, label, is_word) in preorder, spans in chart units; the label indexes
            `Grammar.word_labels` for words and `Grammar.phrase_labels` for phrases.
    """

    score: float
    nodes: tuple[tuple[int, int, int, bool], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _ClassOrder:
    """The order of classes and class pairs in which the Viterbi recursion keeps them.

    Outer classes that phrases have come first, those of most pairs before others; the first pair
    of each of them comes first among the pairs, then the second pairs, and so on. So the best
    pair of every class is a maximum of a few slices.

    Attributes:
        pairs: (Q,) int64 index in `Grammar.pairs`.
        inner: (Q,) int64 inner class of each.
        classes: (C,) int64 index in `Grammar.child_classes`.
        num_outer: how many of the classes phrases have, K.
        rounds: (start, stop) in `pairs`, of the first pairs, the second pairs, and so on.
    """

    pairs: Indices
    inner: Indices
    classes: Indices
    num_outer: int
    rounds: tuple[tuple[int, int], ...]

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, grammar: Grammar) -> _ClassOrder:
        """Order the classes of a grammar."""
        members: dict[int, list[int]] = {}
        for pair, (_, outer) in enumerate(grammar.pairs):
            members.setdefault(outer, []).append(pair)
        outers = sorted(members, key=lambda outer: -len(members[outer]))
        others = [c for c in range(len(grammar.child_classes)) if c not in members]
        pairs: list[int] = []
        rounds: list[tuple[int, int]] = []
        for place in range(max(map(len, members.values()), default=0)):
            start = len(pairs)
            pairs += [members[outer][place] for outer in outers if len(members[outer]) > place]
            rounds.append((start, len(pairs)))
        return cls(
            pairs=np.array(pairs, dtype=np.int64),
            inner=np.array([grammar.pairs[pair][0] for pair in pairs], dtype=np.int64),
            classes=np.array([*outers, *others], dtype=np.int64),
            num_outer=len(outers),
            rounds=tuple(rounds),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Spans:
    """Spans of the sentences of a batch, each with its class; (N,) int64 all.

    Attributes:
        item: sentence.
        start: first unit.
        end: one past the last.
        group: index in `Grammar.pairs` of a phrase, in `Grammar.child_classes` of a word.
    """

    item: Indices
    start: Indices
    end: Indices
    group: Indices

    def __getitem__(self, chosen: NDArray[np.bool_] | slice) -> _Spans:
        """Choose some of them."""
        return _Spans(
            item=self.item[chosen],
            start=self.start[chosen],
            end=self.end[chosen],
            group=self.group[chosen],
        )

    @classmethod
    def cat(cls, parts: Sequence[_Spans]) -> _Spans:
        """Join groups of spans."""
        return cls(
            item=np.concatenate([part.item for part in parts]),
            start=np.concatenate([part.start for part in parts]),
            end=np.concatenate([part.end for part in parts]),
            group=np.concatenate([part.group for part in parts]),
        )


@torch.no_grad()
def viterbi(scores: ChartScores, grammar: Grammar) -> list[Viterbi]:
    """Best coarse tree of every sentence of a batch; ties break towards the shorter first child.

    Time O(B T^3 P) in T batched steps, and O(T) small ones for reading the trees off.

    Args:
        scores: log-potentials of B sentences.
        grammar: their labels and classes.
    """
    spans, child, root = _ClassSpans(scores, grammar), scores.child, scores.root
    affinity, lengths = scores.affinity.permute(1, 2, 3, 0), scores.lengths
    order = _ClassOrder.of(grammar)
    fence, _, num_parents, batch = affinity.shape
    depth, num_outer, num_pairs = num_parents * batch, order.num_outer, len(order.pairs)
    inner = torch.from_numpy(order.inner).to(affinity.device)
    ordered = torch.from_numpy(order.classes).to(affinity.device)
    compatible, top = child[:, ordered, None].contiguous(), root[ordered, None]
    pair_affinity = affinity.reshape(1, fence, fence, depth)
    first, rest = (affinity.new_empty(1, fence, fence, depth) for _ in range(2))
    complete = affinity.new_full((fence, fence, len(ordered), batch), NEG)
    by_width = complete.view(1, fence, fence, -1)
    # Phrases with their children: widths 2, 3, ... one after the other.
    labelled = affinity.new_empty((fence - 1) * (fence - 2) // 2, num_pairs, batch)
    at = 0
    for width in range(1, fence):
        n = fence - width
        is_word = width <= grammar.max_word_units
        here = spans.words(width) if is_word else affinity.new_empty(0)
        if width > 1:
            split = left_parts(first, width) + right_parts(rest, width)  # (1, n, width - 1, P B)
            longer = split.amax(2)
            closed = (
                split.add_(right_parts(pair_affinity, width)).amax(2).view(n, num_parents, batch)
            )
            found = labelled[at : at + n]
            torch.add(closed.index_select(1, inner), spans.phrases(width), out=found)
            at += n
            best = found[:, :num_outer].clone()
            for start, stop in order.rounds[1:]:
                some = best[:, : stop - start]
                torch.maximum(some, found[:, start:stop], out=some)
            if is_word:
                here = here.contiguous()
                torch.maximum(here[:, :num_outer], best, out=here[:, :num_outer])
            else:
                here = best  # other classes are words only
        num_here = here.shape[1]
        diagonal(by_width, width)[0].view(n, len(ordered), batch)[:, :num_here].copy_(here)
        single = (here[:, None] + compatible[:, :num_here]).amax(2).view(1, n, depth)
        diagonal(first, width).copy_(single)
        if width > 1:
            single = torch.maximum(single, longer)
        diagonal(rest, width).copy_(single)
    ends = complete[0, lengths, :, torch.arange(batch, device=lengths.device)].T + top  # (C, B)
    score, kind = ends.max(0)
    tables = _Tables(
        grammar=grammar,
        complete=complete.cpu().numpy(),
        first=first.cpu().numpy().reshape(fence, fence, num_parents, batch),
        rest=rest.cpu().numpy().reshape(fence, fence, num_parents, batch),
        affinity=pair_affinity.cpu().numpy().reshape(fence, fence, num_parents, batch),
        labelled=labelled.cpu().numpy(),
        compatible=compatible[..., 0].cpu().numpy(),
    )
    phrases, words = tables.trace(lengths.cpu().numpy(), kind.cpu().numpy())
    labels = np.concatenate([spans.phrase_labels(phrases), spans.word_labels(words)])
    nodes = _Spans.cat([phrases, words])
    preorder = np.lexsort((-nodes.end, nodes.start, nodes.item))
    counts = np.bincount(nodes.item, minlength=batch)
    listed = list(
        zip(
            nodes.start[preorder].tolist(),
            nodes.end[preorder].tolist(),
            labels[preorder].tolist(),
            (preorder >= len(phrases.item)).tolist(),
            strict=True,
        )
    )
    stops = np.cumsum(counts).tolist()
    return [
        Viterbi(score=value, nodes=tuple(listed[stop - count : stop]))
        for value, stop, count in zip(score.tolist(), stops, counts.tolist(), strict=True)
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tables:
    """Maxima of every item; classes and pairs in the order of `_ClassOrder`.

    Attributes:
        grammar: labels and classes.
        complete: (F, F, C, B) A[i, j, c].
        first: (F, F, P, B) X[i, j, p].
        rest: (F, F, P, B) R[i, j, p].
        affinity: (F, F, P, B).
        labelled: (cells, Q, B) phrases with their children, by width from 2 and by start.
        compatible: (P, C).
    """

    grammar: Grammar
    complete: _Floats
    first: _Floats
    rest: _Floats
    affinity: _Floats
    labelled: _Floats
    compatible: _Floats

    def trace(self, lengths: Indices, kinds: Indices) -> tuple[_Spans, _Spans]:
        """Phrases and words of the best tree of every sentence, level by level.

        Args:
            lengths: (B,) units.
            kinds: (B,) class of each sentence's outermost constituent, in order.
        """
        order = _ClassOrder.of(self.grammar)
        start = np.zeros_like(lengths)
        todo = _Spans(item=np.arange(len(lengths)), start=start, end=lengths, group=kinds)
        # What is left of phrases whose first children are done: group is the inner class.
        open_rest = todo[:0]
        phrases, words = [], []
        while len(todo.item) or len(open_rest.item):
            pair = self._pairs(todo)
            is_phrase = pair >= 0
            found, group = todo[is_phrase], pair[is_phrase]
            phrases.append(replace(found, group=order.pairs[group]))
            word = todo[~is_phrase]
            words.append(replace(word, group=order.classes[word.group]))
            i, j, p, b = open_rest.start, open_rest.end, open_rest.group, open_rest.item
            is_longer = self.rest[i, j, p, b] > self.first[i, j, p, b]
            closing = replace(found, group=order.inner[group])
            whole = _Spans.cat([closing, open_rest[is_longer]])
            split = self._splits(whole, len(closing.item))
            children = _Spans.cat([replace(whole, end=split), open_rest[~is_longer]])
            open_rest = replace(whole, start=split)
            todo = replace(children, group=self._kinds(children))
        return _Spans.cat(phrases), _Spans.cat(words)

    def _pairs(self, spans: _Spans) -> Indices:
        """(N,) best class pair of each constituent, -1 for a word, which has to be better."""
        order = _ClassOrder.of(self.grammar)
        fence = len(self.complete)
        width = spans.end - spans.start
        # Widths 2 .. width - 1 come before: F - 2, F - 3, ... cells.
        cell = (width - 2) * (2 * fence - width - 1) // 2 + spans.start
        rounds = np.array(order.rounds, dtype=np.int64).reshape(-1, 2)
        pair = rounds[:, 0] + spans.group[:, None]  # (N, most pairs of a class)
        has_pair = (
            (pair < rounds[:, 1]) & (width > 1)[:, None] & (spans.group < order.num_outer)[:, None]
        )
        values = np.full(pair.shape, -np.inf)
        row, place = has_pair.nonzero()
        values[row, place] = self.labelled[cell[row], pair[row, place], spans.item[row]]
        if not order.rounds:
            return np.full(len(width), -1)
        best = values.argmax(1)
        index = np.arange(len(width))
        own = self.complete[spans.start, spans.end, spans.group, spans.item]
        return np.where(own > values[index, best], -1, pair[index, best])

    def _splits(self, spans: _Spans, num_closing: int) -> Indices:
        """(N,) end of each sequence's first child; the first `num_closing` end their phrase."""
        i, j, p, b = (x[:, None] for x in (spans.start, spans.end, spans.group, spans.item))
        most = int((spans.end - spans.start).max(initial=2)) - 1
        k = i + 1 + np.arange(most)
        is_inside = k < j
        k = np.minimum(k, j - 1)
        value = self.first[i, k, p, b] + self.rest[k, j, p, b]
        top = slice(num_closing)
        value[top] += self.affinity[k[top], j[top], p[top], b[top]]
        found: Indices = spans.start + 1 + np.where(is_inside, value, -np.inf).argmax(1)
        return found

    def _kinds(self, spans: _Spans) -> Indices:
        """(N,) best class of each child of a phrase whose inner class is its group."""
        here = self.complete[spans.start, spans.end, :, spans.item]  # (N, C)
        found: Indices = (here + self.compatible[spans.group]).argmax(1)
        return found


class _ClassSpans:
    """Scores of all labels, laid out as a chart, summed into classes."""

    def __init__(self, scores: ChartScores, grammar: Grammar) -> None:
        order = _ClassOrder.of(grammar)
        classes = ClassScores.from_scores(scores, grammar)
        self._scores, self._grammar = scores, grammar
        self._phrase = classes.phrase[..., order.pairs].contiguous()
        self._word = classes.word[..., order.classes]

    def phrases(self, width: int) -> Tensor:
        return diagonal(self._phrase, width).permute(1, 2, 0)

    def words(self, width: int) -> Tensor:
        word = self._word.new_full(self._word.shape[:2] + self._word.shape[3:], NEG)
        if width <= self._word.shape[2]:
            word = self._word[:, :, width - 1]
        return word[:, : self._phrase.shape[1] - width].permute(1, 2, 0)

    def phrase_labels(self, where: _Spans) -> Indices:
        found = self._scores.phrase[where.item, where.start, where.end]
        return _best_labels(found, self._grammar.phrase_pair, where.group)

    def word_labels(self, where: _Spans) -> Indices:
        found = self._scores.word[where.item, where.start, where.end - where.start - 1]
        return _best_labels(found, self._grammar.word_outer, where.group)


def _best_labels(scores: Tensor, classes: Sequence[int], group: Indices) -> Indices:
    """(N,) best label of each row of scores (N, L) among those whose class is its group."""
    is_other = torch.from_numpy(group[:, None] != np.array(classes)).to(scores.device)
    found: Indices = scores.masked_fill(is_other, 2 * NEG).argmax(-1).cpu().numpy()
    return found

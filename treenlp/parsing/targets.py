"""What a chart is trained towards: whole trees, trees with unknown regions, partial brackets.

The objective is log Z - log Z(constrained): under a whole tree it is the negative log-likelihood of
a tree-CRF; under partial brackets it marginalises over everything that they leave open (Li, Zhang
et al. 2016, "Active Learning for Dependency Parsing with Partial Annotation", for dependencies).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from treenlp.parsing.chart import NEG, ClassScores, group_logsumexp, inside
from treenlp.parsing.grammar import Grammar
from treenlp.parsing.scorer import PackedScores
from treenlp.text import Sentence

__all__ = ["ChartTarget", "TargetBatch", "crf_loss"]

Span = tuple[int, int]
REWARD = 40.0
"""Nats added to every required bracket, so that trees without it weigh nothing; then taken off."""


@dataclass(frozen=True, kw_only=True)
class ChartTarget:
    """One sentence and what is known of its tree; all spans in atoms.

    Attributes:
        sentence: the sentence.
        phrases: (start, end, phrase label) of the known phrases.
        words: (start, end, word label) of the known words; empty if the words are open.
        free: regions inside which any phrase is allowed that crosses no barrier; if no word is
            known, any word, too.
        barriers: spans that no phrase and no word may cross.
        required: (start, end, phrase label) of phrases that are there, even in a free region.
        weight: of its loss.
    """

    sentence: Sentence
    phrases: tuple[tuple[int, int, int], ...] = ()
    words: tuple[tuple[int, int, int], ...] = ()
    free: tuple[Span, ...] = ()
    barriers: tuple[Span, ...] = ()
    required: tuple[tuple[int, int, int], ...] = ()
    weight: float = 1.0

    def allowed(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Whether each span lies in a free region and crosses no barrier, bool."""
        inside_free = np.zeros(len(start), dtype=bool)
        for s, e in self.free:
            inside_free |= (start >= s) & (end <= e)
        for s, e in self.barriers:
            crosses_left = (start < s) & (s < end) & (end < e)
            inside_free &= ~(crosses_left | ((s < start) & (start < e) & (e < end)))
        return inside_free

    @property
    def is_whole(self) -> bool:
        """Whether every bracket and word is known, so that there is one tree."""
        return not self.free

    def edges(self) -> tuple[list[tuple[int, int]], list[tuple[int, int, int]], int]:
        """Structure of a whole tree over node numbers: phrases first, then words.

        Returns:
            (parent, child) of every child; (phrase, end of its first child, its end); the root.
        """
        nodes = [(s, -e, n) for n, (s, e, _) in enumerate(self.phrases)]
        nodes += [(s, -e, n) for n, (s, e, _) in enumerate(self.words, start=len(self.phrases))]
        nodes.sort()
        stack: list[tuple[int, int]] = []
        below: list[tuple[int, int]] = []
        joints: list[tuple[int, int, int]] = []
        opened: set[int] = set()
        for s, minus, n in nodes:
            while stack and stack[-1][0] <= s:
                stack.pop()
            if stack:
                end, parent = stack[-1]
                below.append((parent, n))
                if parent not in opened:
                    opened.add(parent)
                    joints.append((parent, -minus, end))
            stack.append((-minus, n))
        return below, joints, nodes[0][2]


@dataclass(frozen=True, kw_only=True)
class TargetBatch:
    """Targets as index tensors over the packed spans of a batch.

    Whole trees need no sum: their score is gathered. The others (`partial`) are summed over.

    Attributes:
        partial: (B',) int64, the sentences with unknown parts.
        phrase_free: (S,) bool over `PackedScores.phrase`.
        phrase_index: (2, K) packed span and label of the known phrases.
        phrase_owner: (K,) sentence of each.
        word_free: (V,) bool over `PackedScores.word`.
        word_index: (2, M) packed word and label of the known words.
        word_owner: (M,) sentence of each.
        children: (3, E) sentence, parent's phrase label, child's node label (word labels are
            counted on from the number of phrase labels), in whole trees.
        joints: (4, J) sentence, end of the first child, end, phrase label, in whole trees.
        roots: (2, R) sentence and node label, in whole trees.
        boundary: (B, F) float, 1 where a word is known to end, 0 where not, -1 if unknown.
        weight: (B,) float.
    """

    partial: Tensor
    phrase_free: Tensor
    phrase_index: Tensor
    phrase_owner: Tensor
    word_free: Tensor
    word_index: Tensor
    word_owner: Tensor
    children: Tensor
    joints: Tensor
    roots: Tensor
    boundary: Tensor
    weight: Tensor

    @classmethod
    def build(cls, targets: Sequence[ChartTarget], grammar: Grammar) -> TargetBatch:
        """Lay targets out in the order of `SpanScorer.score_fenceposts`."""
        lengths = np.array([target.sentence.num_atoms for target in targets])
        fence = int(lengths.max()) + 1
        at = np.arange(fence)
        width = at[None, :] - at[:, None]
        valid = at[None, None, :] <= lengths[:, None, None]
        phrases = np.stack(((width >= 2) & valid).nonzero())
        words = np.stack(((width >= 1) & (width <= grammar.max_word_units) & valid).nonzero())
        boundary = np.full((len(targets), fence), -1.0, dtype=np.float32)
        phrase_free = np.zeros(phrases.shape[1], dtype=bool)
        word_free = np.zeros(words.shape[1], dtype=bool)
        known_phrases: list[tuple[int, int, int, int]] = []
        required: list[tuple[int, int, int, int]] = []
        known_words: list[tuple[int, int, int, int]] = []
        children: list[tuple[int, int, int]] = []
        joints: list[tuple[int, int, int, int]] = []
        roots: list[tuple[int, int]] = []
        for b, target in enumerate(targets):
            if target.is_whole:
                label = [x for _, _, x in target.phrases]
                label += [x + len(grammar.phrase_labels) for _, _, x in target.words]
                below, firsts, root = target.edges()
                children.extend((b, label[parent], label[child]) for parent, child in below)
                joints.extend((b, k, j, label[phrase]) for phrase, k, j in firsts)
                roots.append((b, label[root]))
            for spans, free, is_open in (
                (phrases, phrase_free, bool(target.free)),
                (words, word_free, bool(target.free) and not target.words),
            ):
                if is_open:
                    low, high = np.searchsorted(spans[0], [b, b + 1])
                    free[low:high] = target.allowed(spans[1, low:high], spans[2, low:high])
            known_phrases.extend((b, *phrase) for phrase in (*target.phrases, *target.required))
            required.extend((b, *phrase) for phrase in target.required)
            known_words.extend((b, *word) for word in target.words)
            if target.words:
                boundary[b, : target.sentence.num_atoms + 1] = 0.0
                for start, end, _ in target.words:
                    boundary[b, start] = boundary[b, end] = 1.0
        phrase_free[_locate(phrases, required, fence)[0].numpy()] = False
        return cls(
            partial=torch.tensor(
                [b for b, target in enumerate(targets) if not target.is_whole], dtype=torch.int64
            ),
            phrase_free=torch.from_numpy(phrase_free),
            phrase_index=_locate(phrases, known_phrases, fence),
            phrase_owner=_columns(known_phrases, 4)[0],
            word_free=torch.from_numpy(word_free),
            word_index=_locate(words, known_words, fence),
            word_owner=_columns(known_words, 4)[0],
            children=_columns(children, 3),
            joints=_columns(joints, 4),
            roots=_columns(roots, 2),
            boundary=torch.from_numpy(boundary),
            weight=torch.tensor([target.weight for target in targets]),
        )


def _columns(rows: Sequence[tuple[int, ...]], count: int) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, count).T


def _locate(spans: np.ndarray, known: Sequence[tuple[int, int, int, int]], fence: int) -> Tensor:
    """Packed position and label of known (sentence, start, end, label)."""
    array = np.array(known, dtype=np.int64).reshape(-1, 4)
    key = (spans[0] * fence + spans[1]) * fence + spans[2]
    wanted = (array[:, 0] * fence + array[:, 1]) * fence + array[:, 2]
    return torch.from_numpy(np.stack([np.searchsorted(key, wanted), array[:, 3]]))


def crf_loss(
    packed: PackedScores,
    targets: TargetBatch,
    child: Tensor,
    root: Tensor,
    grammar: Grammar,
) -> Tensor:
    """Return log Z - log Z(constrained) of every sentence, (B,) nats, at least 0.

    Both sums are taken in one batched pass.
    """
    batch = len(packed.lengths)
    partial = targets.partial
    row = torch.full((batch,), -1)
    row[partial] = batch + torch.arange(len(partial))
    num_pairs, num_children = len(grammar.pairs), len(grammar.child_classes)
    phrase = group_logsumexp(packed.phrase, grammar.phrase_pair, num_pairs)
    word = group_logsumexp(packed.word, grammar.word_outer, num_children)
    fence = packed.boundary.shape[1]

    def dense(at: Tensor, full: Tensor, known: Tensor, shape: tuple[int, ...]) -> Tensor:
        again = row[at[0]] >= 0
        where = torch.cat([at, torch.cat([row[at[:1]], at[1:]])[:, again]], 1)
        table = full.new_full((batch + len(partial), *shape), NEG)
        return table.index_put(tuple(where), torch.cat([full, known[again]]))

    known_phrase = _constrain(
        phrase, packed.phrase + REWARD, targets.phrase_free, targets.phrase_index,
        grammar.phrase_pair,
    )  # fmt: skip
    known_word = _constrain(
        word, packed.word, targets.word_free, targets.word_index, grammar.word_outer
    )
    both = torch.cat([torch.arange(batch), partial])
    total = inside(
        ClassScores(
            phrase=dense(packed.phrase_at, phrase, known_phrase, (fence, fence, num_pairs)),
            word=dense(
                packed.word_at, word, known_word, (fence, grammar.max_word_units, num_children)
            ),
        ),
        child,
        root,
        packed.affinity[both],
        packed.lengths[both],
        grammar=grammar,
    )
    constrained = _gather_trees(packed, targets, child, root, grammar)
    required = (~targets.phrase_free[targets.phrase_index[0]]).float()
    rewards = total.new_zeros(batch).index_add(0, targets.phrase_owner, required * REWARD)
    constrained = constrained.index_put((partial,), total[batch:] - rewards[partial])
    return total[:batch] - constrained


def _constrain(
    classes: Tensor, labels: Tensor, free: Tensor, index: Tensor, group: tuple[int, ...]
) -> Tensor:
    """Class scores in which known spans have one label and only free ones are open."""
    known = torch.where(free[:, None], classes, NEG)
    at, label = index[:, ~free[index[0]]]
    return known.index_put((at, torch.tensor(group)[label]), labels[at, label])


def _gather_trees(
    packed: PackedScores, targets: TargetBatch, child: Tensor, root: Tensor, grammar: Grammar
) -> Tensor:
    """Scores of the whole trees, (B,); those of partial ones mean nothing."""
    inner = torch.tensor(grammar.phrase_inner)
    outer = torch.tensor(grammar.phrase_outer + grammar.word_outer)
    score = packed.phrase.new_zeros(len(packed.lengths))
    at, label = targets.phrase_index
    score = score.index_add(0, targets.phrase_owner, packed.phrase[at, label])
    at, label = targets.word_index
    score = score.index_add(0, targets.word_owner, packed.word[at, label])
    b, above, below = targets.children
    score = score.index_add(0, b, child[inner[above], outer[below]])
    b, k, j, label = targets.joints
    score = score.index_add(0, b, packed.affinity[b, k, j, inner[label]])
    b, label = targets.roots
    return score.index_add(0, b, root[outer[label]])

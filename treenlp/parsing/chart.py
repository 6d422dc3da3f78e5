"""Batched inside algorithm over an unambiguous grammar of trees with any arity.

The grammar has one derivation for each tree: a complete constituent is a word or a labelled
sequence of at least two complete constituents, and a sequence is its first child followed by the
rest. With fenceposts 0..T, child classes c and parent classes p (see `Grammar`):

    X[i,j,p] = logsum_c A[i,j,c] + child[p,c]
    R[i,j,p] = X[i,j,p]  (+)  logsum_k X[i,k,p] + R[k,j,p]
    S[i,j,p] = logsum_k X[i,k,p] + R[k,j,p] + affinity[k,j,p]
    A[i,j,c] = logsum_words(c) word[i,j]  (+)  logsum_p S[i,j,p] + logsum_labels(p,c) phrase[i,j]
    log Z    = logsum_c A[0,T,c] + root[c]

This is the inside algorithm of Lari & Young (1990) for the span grammar of Zhang, Zhou & Li
(2020, "Fast and Accurate Neural CRF Constituency Parsing"), departing from them in its
derivations (theirs binarize with a null label, which gives a tree of arity n Catalan(n-1)
derivations), in semi-Markov words and in the compatibility of parent and child. The gradient is the
outside pass, written out: an autograd graph over T widths is several times slower.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from treenlp.errors import ShapeError
from treenlp.parsing.grammar import Grammar

__all__ = [
    "NEG",
    "ChartScores",
    "ClassScores",
    "diagonal",
    "inside",
    "left_parts",
    "log_partition",
    "right_parts",
]

NEG = -1e9
"""Score of the impossible, in nats: finite, so that differences of two of them are defined."""


@dataclass(frozen=True, kw_only=True)
class ChartScores:
    """Log-potentials of a batch of sentences, in nats; `NEG` marks the impossible.

    Attributes:
        phrase: (B, F, F, Lp), [b, i, j] is the span [i, j); F is the longest sentence plus one.
        word: (B, F, W, Lw), [b, i, w] is the word [i, i + w + 1).
        child: (P, C) compatibility of a phrase of inner class p with a child of outer class c.
        root: (C,) score of the outermost constituent's class.
        affinity: (B, F, F, P), [b, k, j, p] is added when a phrase of inner class p ends at j and
            its first child at k.
        lengths: (B,) int64 chart units.
    """

    phrase: Tensor
    word: Tensor
    child: Tensor
    root: Tensor
    affinity: Tensor
    lengths: Tensor

    def __post_init__(self) -> None:
        """Check the shapes against each other."""
        if self.phrase.dim() != 4 or self.phrase.shape[1] != self.phrase.shape[2]:
            raise ShapeError(f"phrase is {tuple(self.phrase.shape)}, expected (B, F, F, Lp)")
        if self.word.shape[:2] != self.phrase.shape[:2]:
            raise ShapeError(
                f"word is {tuple(self.word.shape)}, expected (B, F, W, Lw) with (B, F) = "
                f"{tuple(self.phrase.shape[:2])}"
            )
        if self.affinity.shape[:3] != self.phrase.shape[:3]:
            raise ShapeError(
                f"affinity is {tuple(self.affinity.shape)}, expected (B, F, F, P) with (B, F, F) = "
                f"{tuple(self.phrase.shape[:3])}"
            )

    def item(self, index: int) -> ChartScores:
        """Scores of one sentence, cut to its length (a batch of one; views, no copies)."""
        fence = int(self.lengths[index]) + 1
        return replace(
            self,
            phrase=self.phrase[index : index + 1, :fence, :fence],
            word=self.word[index : index + 1, :fence],
            affinity=self.affinity[index : index + 1, :fence, :fence],
            lengths=self.lengths[index : index + 1],
        )


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """What the recursion sees: labels summed out inside each class.

    Attributes:
        phrase: (B, F, F, Q) over the class pairs of `Grammar.pairs`.
        word: (B, F, W, C) over child classes.
    """

    phrase: Tensor
    word: Tensor

    @classmethod
    def from_scores(cls, scores: ChartScores, grammar: Grammar) -> ClassScores:
        """Sum labels out: O(F^2 Lp + F W Lw) a sentence."""
        return cls(
            phrase=group_logsumexp(scores.phrase, grammar.phrase_pair, len(grammar.pairs)),
            word=group_logsumexp(scores.word, grammar.word_outer, len(grammar.child_classes)),
        )


def log_partition(scores: ChartScores, grammar: Grammar) -> Tensor:
    """Log of the summed exponentiated scores of every tree of each sentence, differentiable.

    Time O(B T^3 P) in T batched steps; memory O(B T^2 (P + C)).

    Args:
        scores: log-potentials of B sentences.
        grammar: their labels and classes.

    Returns:
        (B,) nats; at most about `NEG` where no tree is possible.

    Raises:
        ShapeError: if a sentence is empty or longer than the chart.
    """
    classes = ClassScores.from_scores(scores, grammar)
    return inside(
        classes, scores.child, scores.root, scores.affinity, scores.lengths, grammar=grammar
    )


def inside(
    classes: ClassScores,
    child: Tensor,
    root: Tensor,
    affinity: Tensor,
    lengths: Tensor,
    *,
    grammar: Grammar,
) -> Tensor:
    """`log_partition` for scores that are already summed into classes; shapes as there."""
    fence = classes.phrase.shape[1]
    if int(lengths.min()) < 1 or int(lengths.max()) >= fence:
        raise ShapeError(
            f"lengths run from {int(lengths.min())} to {int(lengths.max())}, expected 1 to "
            f"{fence - 1} for a chart of {fence} fenceposts"
        )
    total: Tensor = _Inside.apply(  # type: ignore[no-untyped-call]
        classes.phrase, classes.word, child, root, affinity, lengths, grammar.pairs
    )
    return total


def group_logsumexp(scores: Tensor, group: tuple[int, ...], size: int) -> Tensor:
    """Log-sum-exp of the last axis (..., L) within groups: (..., G)."""
    peak = scores.detach().amax(-1, keepdim=True)
    member = torch.zeros(len(group), size, dtype=scores.dtype, device=scores.device)
    member[torch.arange(len(group)), torch.tensor(group)] = 1.0
    mass = (scores - peak).exp() @ member
    return torch.where(mass > 0, mass.clamp_min(_tiny(mass)).log() + peak, NEG)


def _tiny(x: Tensor) -> float:
    return float(torch.finfo(x.dtype).tiny)


def left_parts(table: Tensor, width: int) -> Tensor:
    """View (B, n, width - 1, D) of table[b, i, i + k] for k = 1 .. width - 1."""
    batch, fence, _, depth = table.shape
    b, i, j, d = table.stride()
    return table.as_strided(
        (batch, fence - width, width - 1, depth), (b, i + j, j, d), table.storage_offset() + j
    )


def right_parts(table: Tensor, width: int) -> Tensor:
    """View (B, n, width - 1, D) of table[b, i + k, i + width] for k = 1 .. width - 1."""
    batch, fence, _, depth = table.shape
    b, i, j, d = table.stride()
    return table.as_strided(
        (batch, fence - width, width - 1, depth),
        (b, i + j, i, d),
        table.storage_offset() + i + width * j,
    )


def diagonal(table: Tensor, width: int) -> Tensor:
    """View (B, n, D) of table[b, i, i + width]."""
    batch, fence, _, depth = table.shape
    b, i, j, d = table.stride()
    return table.as_strided(
        (batch, fence - width, depth), (b, i + j, d), table.storage_offset() + width * j
    )


def _log_matmul(scores: Tensor, weights: Tensor) -> Tensor:
    """log(exp(scores) @ weights) over the last axis, `weights` being non-negative."""
    peak = scores.amax(-1, keepdim=True)
    mass = (scores - peak).exp() @ weights
    return torch.where(mass > 0, mass.clamp_min(_tiny(mass)).log() + peak, NEG)


def _ratio(part: Tensor, total: Tensor) -> Tensor:
    """exp(part - total), zero where the total itself is impossible."""
    return torch.where(total > NEG / 2, (part - total).clamp_max(0.0).exp(), 0.0)


class _Inside(torch.autograd.Function):
    """Inside pass forwards, outside pass backwards."""

    @staticmethod
    def forward(
        ctx: Any,
        phrase: Tensor,
        word: Tensor,
        child: Tensor,
        root: Tensor,
        affinity: Tensor,
        lengths: Tensor,
        pairs: tuple[tuple[int, int], ...],
    ) -> Tensor:
        phrase, affinity = phrase.contiguous(), affinity.contiguous()
        batch, fence = phrase.shape[:2]
        num_parents, num_children = child.shape
        max_word = word.shape[2]

        def table(depth: int) -> Tensor:
            return phrase.new_full((batch, fence, fence, depth), NEG)

        inner = torch.tensor([p for p, _ in pairs], device=phrase.device)
        outer = torch.tensor([c for _, c in pairs], device=phrase.device)
        to_child = phrase.new_zeros(len(pairs), num_children)
        to_child[torch.arange(len(pairs)), outer] = 1.0
        complete, phrases = table(num_children), table(num_children)
        first, rest = table(num_parents), table(num_parents)
        sequence, closed = table(num_parents), table(num_parents)
        compatible = child.exp().T
        for width in range(1, fence):
            here = diagonal(complete, width)
            if width > 1:
                split = left_parts(first, width) + right_parts(rest, width)
                seq = split.logsumexp(2)
                full = (split + right_parts(affinity, width)).logsumexp(2)
                diagonal(sequence, width).copy_(seq)
                diagonal(closed, width).copy_(full)
                labelled = full[..., inner] + diagonal(phrase, width)
                found = _log_matmul(labelled, to_child)
                diagonal(phrases, width).copy_(found)
                here.copy_(found)
            if width <= max_word:
                here.copy_(torch.logaddexp(here, word[:, : fence - width, width - 1]))
            as_first = _log_matmul(here, compatible)
            diagonal(first, width).copy_(as_first)
            if width > 1:
                as_first = torch.logaddexp(as_first, seq)
            diagonal(rest, width).copy_(as_first)
        index = torch.arange(batch, device=phrase.device)
        top = complete[index, 0, lengths] + root
        total = top.logsumexp(-1)
        ctx.save_for_backward(
            phrase, word, child, affinity, lengths, top, total,
            complete, phrases, first, rest, sequence, closed, inner, outer, to_child,
        )  # fmt: skip
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        (
            phrase, word, child, affinity, lengths, top, total,
            complete, phrases, first, rest, sequence, closed, inner, outer, to_child,
        ) = ctx.saved_tensors  # fmt: skip
        batch, fence = phrase.shape[:2]
        max_word = word.shape[2]
        d_phrase, d_word = torch.zeros_like(phrase), torch.zeros_like(word)
        d_affinity, d_child = torch.zeros_like(affinity), torch.zeros_like(child)
        d_complete = torch.zeros_like(complete)
        d_first, d_rest = torch.zeros_like(first), torch.zeros_like(rest)
        to_parent = phrase.new_zeros(len(inner), child.shape[0])
        to_parent[torch.arange(len(inner)), inner] = 1.0
        compatible = child.exp()
        index = torch.arange(batch, device=phrase.device)
        d_top = _ratio(top, total[:, None]) * grad[:, None]
        d_complete[index, 0, lengths] = d_top
        for width in range(fence - 1, 0, -1):
            d_r, d_x = diagonal(d_rest, width), diagonal(d_first, width)
            x, a = diagonal(first, width), diagonal(complete, width)
            r = diagonal(rest, width)
            d_x = d_x + d_r * _ratio(x, r)
            # X = log(exp(A) @ compatible): share of class c in X[p], with A's peak taken out.
            peak = a.amax(-1, keepdim=True)
            mass = (a - peak).exp()  # (B, n, C)
            scaled = torch.where(x > NEG / 2, d_x * (peak - x).clamp_max(60.0).exp(), 0.0)
            d_a = diagonal(d_complete, width)
            d_a += (scaled @ compatible) * mass
            d_child += torch.einsum("bnp,bnc->pc", scaled, mass) * compatible
            if width <= max_word:
                w = word[:, : fence - width, width - 1]
                d_word[:, : fence - width, width - 1] = d_a * _ratio(w, a)
            if width == 1:
                continue
            found, full = diagonal(phrases, width), diagonal(closed, width)
            labelled = full[..., inner] + diagonal(phrase, width)
            d_found = d_a * _ratio(found, a)
            d_labelled = d_found[..., outer] * _ratio(labelled, found[..., outer])
            diagonal(d_phrase, width).copy_(d_labelled)
            d_full = d_labelled @ to_parent
            seq = diagonal(sequence, width)
            d_seq = d_r * _ratio(seq, r)
            split = left_parts(first, width) + right_parts(rest, width)
            d_closed = d_full[:, :, None] * _ratio(
                split + right_parts(affinity, width), full[:, :, None]
            )
            right_parts(d_affinity, width).add_(d_closed)
            d_split = d_closed + d_seq[:, :, None] * _ratio(split, seq[:, :, None])
            left_parts(d_first, width).add_(d_split)
            right_parts(d_rest, width).add_(d_split)
        return d_phrase, d_word, d_child, d_top.sum(0), d_affinity, None, None

"""Sentiment of phrases, sentences and texts in five classes.

One task head judges every vector: a node of a tree, a sentence (its root together with the
mean of its contextual pieces), and a text (a weighted mean of its sentences). So a text of
one sentence has exactly that sentence's sentiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.errors import InputError, ShapeError
from treenlp.trees.tree import Tree

__all__ = [
    "LABELS",
    "NEUTRAL",
    "UNLABELLED",
    "SentimentCounts",
    "SentimentHead",
    "TextPooling",
    "best_class",
    "best_classes",
    "carry_labels",
    "class_loss",
    "count_sentiment",
    "is_positive",
    "polarity_logit",
    "polarity_loss",
    "span_labels",
]

LABELS = ("very negative", "negative", "neutral", "positive", "very positive")
NEUTRAL = 2
UNLABELLED = -1


_NEAREST_FIRST = (2, 1, 3, 0, 4)


def best_class(distribution: Sequence[float]) -> int:
    """Return the most probable class; of equals the one nearest to neutral, then the lower.

    Args:
        distribution: five numbers in the order of `LABELS`; they need not sum to 1.

    Example:
        >>> best_class([0.0, 0.4, 0.2, 0.4, 0.0])
        1
    """
    return max(_NEAREST_FIRST, key=distribution.__getitem__)


def best_classes(scores: Tensor) -> Tensor:
    """Return the `best_class` (...) int64 of each row of scores (..., 5).

    Example:
        >>> best_classes(torch.tensor([[0.4, 0.0, 0.4, 0.1, 0.1]])).tolist()
        [2]
    """
    order = torch.tensor(_NEAREST_FIRST, device=scores.device)
    return order[scores[..., order].argmax(-1)]  # of equals, the first


def is_positive(distribution: Sequence[float]) -> bool:
    """Return whether the positive classes outweigh the negative ones, neutral left out."""
    return sum(distribution[NEUTRAL + 1 :]) > sum(distribution[:NEUTRAL])


class SentimentHead(nn.Module):
    """Task head: a vector to five logits through one hidden layer."""

    def __init__(self, input_size: int, hidden_size: int, dropout: float = 0.0) -> None:
        """Create the layers; `dropout` acts on the input and on the hidden layer."""
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(input_size, hidden_size)
        self.out = nn.Linear(hidden_size, len(LABELS))

    def forward(self, vectors: Tensor) -> Tensor:
        """Map vectors (..., input_size) to logits (..., 5)."""
        hidden = torch.tanh(self.hidden(self.dropout(vectors)))
        logits: Tensor = self.out(self.dropout(hidden))
        return logits


class TextPooling(nn.Module):
    """Attention over the sentences of a text.

    A weight for each sentence comes from its own vector through one hidden layer; within a
    text the weights sum to 1, so a text of one sentence is that sentence.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Create the layers; all weights start equal."""
        super().__init__()
        self.hidden = nn.Linear(input_size, hidden_size)
        self.out = nn.Linear(hidden_size, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, sentences: Tensor, text: Tensor, num_texts: int) -> Tensor:
        """Average the sentences of each text.

        Args:
            sentences: (S, input_size) vectors of sentences.
            text: (S,) int64 the text of each sentence; every text has one at least.
            num_texts: number of texts.

        Returns:
            (num_texts, input_size) vectors of texts.

        Raises:
            ShapeError: if the two first arguments differ in length.
        """
        if len(sentences) != len(text):
            raise ShapeError(
                f"found {len(sentences)} sentence vectors and {len(text)} text numbers, expected "
                "one number for each sentence"
            )
        score = self.out(torch.tanh(self.hidden(sentences))).squeeze(-1)  # (S,)
        highest = score.new_full((num_texts,), -torch.inf)
        highest = highest.scatter_reduce(0, text, score.detach(), "amax")
        weight = torch.exp(score - highest[text])
        total = weight.new_zeros(num_texts).index_add(0, text, weight)
        share = (weight / total[text]).to(sentences.dtype)
        pooled = sentences.new_zeros(num_texts, sentences.shape[1])
        return pooled.index_add(0, text, sentences * share.unsqueeze(-1))


def class_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the labelled rows; 0 when no row is labelled.

    Args:
        logits: (N, 5).
        targets: (N,) int64 in 0 to 4, or `UNLABELLED`.
        weights: (N,) weight of each row, or None for 1 everywhere; the mean is weighted.

    Returns:
        Scalar loss in nats.
    """
    labelled = targets != UNLABELLED
    losses = F.cross_entropy(logits.float(), targets.clamp_min(0), reduction="none")
    share = labelled.to(losses.dtype) if weights is None else labelled * weights
    return (losses * share).sum() / share.sum().clamp_min(1e-6)


def polarity_logit(logits: Tensor) -> Tensor:
    """Log-odds of the two positive classes against the two negative ones, neutral left out.

    Args:
        logits: (..., 5).

    Returns:
        (...) log-odds; above 0 means positive.
    """
    positive = torch.logsumexp(logits[..., NEUTRAL + 1 :], dim=-1)
    negative = torch.logsumexp(logits[..., :NEUTRAL], dim=-1)
    return positive - negative


def polarity_loss(logits: Tensor, positive: Tensor) -> Tensor:
    """Mean cross-entropy of binary labels, given that the text is not neutral.

    Args:
        logits: (T, 5).
        positive: (T,) 1 for positive and 0 for negative; values between are soft targets.

    Returns:
        Scalar loss in nats. It has no gradient with respect to the neutral logit.
    """
    odds = polarity_logit(logits.float())
    return F.binary_cross_entropy_with_logits(odds, positive.to(odds.dtype))


def span_labels(tree: Tree) -> dict[tuple[int, int], int]:
    """Read the labels of a sentiment tree by span.

    Args:
        tree: a tree whose labels are the classes 0 to 4.

    Returns:
        Label of each span; of a unary chain its top counts.

    Raises:
        InputError: if a label is not a class.

    Example:
        >>> tree = Tree.build("3", [Tree.build("2", ["very"]), Tree.build("4", ["good"])])
        >>> span_labels(tree)[0, 2]
        3
    """
    labels: dict[tuple[int, int], int] = {}
    for part in tree.constituents(preterminals=True):
        if part.label not in ("0", "1", "2", "3", "4"):
            raise InputError(
                f"found the label {part.label!r} at words {part.start} to {part.end}, expected a "
                "sentiment class from 0 to 4 at every node"
            )
        labels.setdefault((part.start, part.end), int(part.label))
    return labels


def carry_labels(
    labels: Sequence[Mapping[tuple[int, int], int]], spans: Tensor, owner: Tensor
) -> Tensor:
    """Give nodes of other trees over the same words the labels of their spans.

    Args:
        labels: for each tree its labels by span, as `span_labels` gives them.
        spans: (N, 2) span of each node.
        owner: (N,) tree of each node, an index into `labels`.

    Returns:
        (N,) int64 targets; `UNLABELLED` where a span has none.
    """
    targets = [
        labels[tree].get((start, end), UNLABELLED)
        for tree, (start, end) in zip(owner.tolist(), spans.tolist(), strict=True)
    ]
    return torch.tensor(targets, dtype=torch.int64)


@dataclass(frozen=True, kw_only=True)
class SentimentCounts:
    """Right answers and cases; counts of parts of a data set add up with `+`.

    Attributes:
        root_right, root_total: sentences in five classes.
        binary_right, binary_total: sentences whose label is not neutral, by side.
        node_right, node_total: labelled nodes in five classes, roots and leaves included.
    """

    root_right: int = 0
    root_total: int = 0
    binary_right: int = 0
    binary_total: int = 0
    node_right: int = 0
    node_total: int = 0

    def __add__(self, other: SentimentCounts) -> SentimentCounts:
        return SentimentCounts(
            root_right=self.root_right + other.root_right,
            root_total=self.root_total + other.root_total,
            binary_right=self.binary_right + other.binary_right,
            binary_total=self.binary_total + other.binary_total,
            node_right=self.node_right + other.node_right,
            node_total=self.node_total + other.node_total,
        )

    @property
    def root_accuracy(self) -> float:
        """Share of sentences with the right class of five; nan without cases."""
        return _share(self.root_right, self.root_total)

    @property
    def binary_accuracy(self) -> float:
        """Share of non-neutral sentences on the right side; nan without cases."""
        return _share(self.binary_right, self.binary_total)

    @property
    def node_accuracy(self) -> float:
        """Share of labelled nodes with the right class of five; nan without cases."""
        return _share(self.node_right, self.node_total)


def _share(right: int, total: int) -> float:
    return right / total if total else float("nan")


def count_sentiment(
    roots: Tensor, root_targets: Tensor, nodes: Tensor, node_targets: Tensor
) -> SentimentCounts:
    """Count right answers.

    Args:
        roots: (B, 5) logits of sentences.
        root_targets: (B,) classes, or `UNLABELLED`.
        nodes: (N, 5) logits of nodes.
        node_targets: (N,) classes, or `UNLABELLED`.

    Returns:
        The counts; of equal classes `best_class` counts, of equal sides the negative one.
    """
    labelled = root_targets != UNLABELLED
    sided = labelled & (root_targets != NEUTRAL)
    on_side = (polarity_logit(roots.float()) > 0) == (root_targets > NEUTRAL)
    known = node_targets != UNLABELLED
    return SentimentCounts(
        root_right=int(((best_classes(roots) == root_targets) & labelled).sum()),
        root_total=int(labelled.sum()),
        binary_right=int((on_side & sided).sum()),
        binary_total=int(sided.sum()),
        node_right=int(((best_classes(nodes) == node_targets) & known).sum()),
        node_total=int(known.sum()),
    )

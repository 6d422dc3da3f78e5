"""Similarity of two sentences in [0, 1].

The starting point is the cosine of the two mean-pooled trunk vectors, on a scale that is
learned; a small network over symmetric features of the pooled vectors and of the tree roots
adds a correction that is 0 before training. So an untrained head ranks pairs exactly as the
trunk does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.errors import ConfigError, InputError, ShapeError

__all__ = [
    "SimilarityHead",
    "accuracy",
    "graded_loss",
    "paraphrase_loss",
    "pearson",
    "rank_loss",
    "spearman",
]


class SimilarityHead(nn.Module):
    """Task head: two sentences to the log-odds of their similarity.

    Each scale (a kind of label: graded, or paraphrase or not in a certain corpus) has a slope
    and an offset of its own on top of the shared log-odds; the first scale is the one that
    users see.
    """

    def __init__(
        self,
        pooled_size: int,
        root_size: int,
        hidden_size: int,
        *,
        scales: Sequence[str] = ("graded",),
        dropout: float = 0.0,
    ) -> None:
        """Create the layers.

        Args:
            pooled_size: width of the mean-pooled trunk vectors.
            root_size: width of the tree root vectors.
            hidden_size: width of the hidden layer.
            scales: names of the kinds of labels.
            dropout: share of features dropped in training.

        Raises:
            ConfigError: if `scales` is empty or repeats a name.
        """
        super().__init__()
        if not scales or len(set(scales)) != len(scales):
            raise ConfigError(f"found the scales {list(scales)}, expected one or more, all unlike")
        self.scales = tuple(scales)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(2 * (pooled_size + root_size), hidden_size)
        self.out = nn.Linear(hidden_size, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        # the cosines of the trunk lie between 0.7 and 1; 0.85 becomes even odds
        self.slope = nn.Parameter(torch.tensor(16.0))
        self.middle = nn.Parameter(torch.tensor(0.85))
        self.scale_slope = nn.Parameter(torch.ones(len(scales)))
        self.scale_offset = nn.Parameter(torch.zeros(len(scales)))

    def forward(
        self,
        pooled_a: Tensor,
        pooled_b: Tensor,
        root_a: Tensor,
        root_b: Tensor,
        *,
        scale: str | None = None,
    ) -> Tensor:
        """Compare pairs; exchanging a and b changes nothing.

        Args:
            pooled_a: (B, pooled_size) mean-pooled trunk vectors of the first sentences.
            pooled_b: (B, pooled_size) of the second sentences.
            root_a: (B, root_size) tree root vectors of the first sentences.
            root_b: (B, root_size) of the second sentences.
            scale: which kind of label the answer is for; None means the first.

        Returns:
            (B,) log-odds; `torch.sigmoid` gives the similarity.

        Raises:
            ShapeError: if the two sides differ in shape.
            ConfigError: if there is no such scale.
        """
        if pooled_a.shape != pooled_b.shape or root_a.shape != root_b.shape:
            raise ShapeError(
                f"found sides of shapes {tuple(pooled_a.shape)}, {tuple(pooled_b.shape)} and "
                f"{tuple(root_a.shape)}, {tuple(root_b.shape)}, expected two equal ones each"
            )
        name = self.scales[0] if scale is None else scale
        if name not in self.scales:
            raise ConfigError(f"found scale {name!r}, expected one of: {', '.join(self.scales)}")
        cosine = F.cosine_similarity(pooled_a.float(), pooled_b.float(), dim=-1)
        unit_a, unit_b = F.normalize(pooled_a, dim=-1), F.normalize(pooled_b, dim=-1)
        width = float(pooled_a.shape[-1]) ** 0.5  # brings unit vectors to entries of size 1
        features = torch.cat(
            [
                (unit_a - unit_b).abs() * width,
                unit_a * unit_b * (width * width),
                (root_a - root_b).abs(),
                root_a * root_b,
            ],
            dim=-1,
        )  # (B, 2 (pooled + root))
        correction = self.out(self.dropout(torch.relu(self.hidden(self.dropout(features)))))
        shared = self.slope * (cosine - self.middle) + correction.squeeze(-1).float()
        place = self.scales.index(name)
        logits: Tensor = self.scale_slope[place] * shared + self.scale_offset[place]
        return logits


def graded_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean divergence of graded similarities from the predicted ones.

    The target and the answer are each read as the chance of a yes; the loss is the
    Kullback-Leibler divergence between the two, 0 exactly when they agree.

    Args:
        logits: (B,) log-odds.
        targets: (B,) similarities in [0, 1].

    Returns:
        Scalar loss in nats, never negative.
    """
    aims = targets.to(logits.dtype)
    entropy = torch.special.entr(aims) + torch.special.entr(1 - aims)
    loss: Tensor = F.binary_cross_entropy_with_logits(logits, aims) - entropy.mean()
    return loss


def paraphrase_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of binary paraphrase labels.

    Args:
        logits: (B,) log-odds.
        targets: (B,) 1 for a paraphrase, 0 for none.

    Returns:
        Scalar loss in nats.
    """
    return F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype))


def rank_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """One minus the correlation of answers and targets in the batch.

    Args:
        logits: (B,) log-odds, B at least 2.
        targets: (B,) similarities.

    Returns:
        Scalar in [0, 2]: 1 minus Pearson's coefficient of the similarities.
    """
    answers = torch.sigmoid(logits)
    answers = answers - answers.mean()
    aims = targets.to(answers.dtype) - targets.mean().to(answers.dtype)
    scale = answers.square().sum().sqrt() * aims.square().sum().sqrt()
    return 1 - (answers * aims).sum() / scale.clamp_min(1e-6)


def pearson(answers: ArrayLike, targets: ArrayLike) -> float:
    """Pearson's correlation coefficient; nan when one side is constant.

    Args:
        answers: (n,) numbers, n at least 2.
        targets: (n,) numbers.

    Returns:
        The coefficient, in [-1, 1].

    Raises:
        InputError: if the two differ in length or hold fewer than two numbers.

    Example:
        >>> round(pearson([1, 2, 3], [2, 4, 6]), 6)
        1.0
    """
    first, second = _pair(answers, targets)
    first = first - first.mean()
    second = second - second.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    if scale == 0.0:
        return float("nan")
    return float(np.clip((first * second).sum() / scale, -1.0, 1.0))


def spearman(answers: ArrayLike, targets: ArrayLike) -> float:
    """Spearman's rank correlation; ties share their mean rank.

    Args:
        answers: (n,) numbers, n at least 2.
        targets: (n,) numbers.

    Returns:
        Pearson's coefficient of the ranks; nan when one side is constant.

    Raises:
        InputError: if the two differ in length or hold fewer than two numbers.

    Example:
        >>> round(spearman([1, 2, 30], [2, 4, 6]), 6)
        1.0
    """
    first, second = _pair(answers, targets)
    return pearson(_ranks(first), _ranks(second))


def accuracy(similarities: ArrayLike, targets: ArrayLike, threshold: float = 0.5) -> float:
    """Share of pairs on the right side of the threshold.

    Args:
        similarities: (n,) similarities in [0, 1].
        targets: (n,) 1 for a paraphrase, 0 for none.
        threshold: from which similarity on the answer is yes.

    Returns:
        The share, in [0, 1].

    Raises:
        InputError: if the two differ in length or hold fewer than two numbers.
    """
    first, second = _pair(similarities, targets)
    return float(((first >= threshold) == (second >= 0.5)).mean())


def _pair(
    answers: ArrayLike, targets: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first = np.asarray(answers, dtype=np.float64).reshape(-1)
    second = np.asarray(targets, dtype=np.float64).reshape(-1)
    if len(first) != len(second) or len(first) < 2:
        raise InputError(
            f"found {len(first)} answers and {len(second)} targets, expected as many of each and "
            "at least two"
        )
    return first, second


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank from 1 up, ties at their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean = last - (counts - 1) / 2
    ranks: NDArray[np.float64] = mean[place.reshape(-1)]
    return ranks

"""What runs say about networks: means over seeds, intervals over sentences, paired tests.

The unit of an interval and of a test is the sentence or pair: of each, the share of the seeds that
judged it right, or how far they were off its grade. Paired tests flip the signs of the differences
at random (Noreen 1989, "Computer-Intensive Methods for Testing Hypotheses"); several tests are
corrected after Holm (1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from treenlp.errors import DataError
from treenlp.tasks.similarity import pearson

__all__ = ["holm", "mean_and_deviation", "paired_p_value", "score", "unit_scores"]

_DRAWS = 10_000
_SEED = 20


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; nan where there are too few values.

    Example:
        >>> mean_and_deviation([1.0, 3.0])
        (2.0, 1.4142135623730951)
    """
    if not values:
        return math.nan, math.nan
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return float(np.mean(values)), deviation


def score(answers: ArrayLike, targets: ArrayLike, *, is_graded: bool) -> float:
    """Accuracy of classes, or Pearson's coefficient of grades (0 where all answers are one).

    Args:
        answers: (S,) classes or grades.
        targets: (S,) what is right.
        is_graded: which of the two.

    Example:
        >>> score([1, 0], [1, 1], is_graded=False), score([0.2, 0.4], [0.5, 0.6], is_graded=True)
        (0.5, 1.0)
    """
    if not is_graded:
        return float((np.asarray(answers) == np.asarray(targets)).mean())
    found = pearson(answers, targets)
    return 0.0 if math.isnan(found) else found


def unit_scores(runs: ArrayLike, targets: ArrayLike, *, is_graded: bool) -> NDArray[np.float64]:
    """For each item the share of the runs that judged it right; of grades minus the squared error.

    Args:
        runs: (R, S) classes or grades.
        targets: (S,) what is right.
        is_graded: which of the two.
    """
    found, right = np.asarray(runs), np.asarray(targets)
    units = -((found - right) ** 2) if is_graded else found == right
    return np.asarray(units.mean(0), dtype=np.float64)


def paired_p_value(first: ArrayLike, second: ArrayLike) -> float:
    """Two-sided p-value of the mean difference of two measures of the same items.

    Args:
        first: (S,) measures.
        second: (S,) measures of the same items.

    Returns:
        The share of random sign flips whose mean difference is at least as far from 0, the
        observed one counted in: never below 1 in 10,001.

    Raises:
        DataError: if the two differ in length.

    Example:
        >>> paired_p_value([1, 0, 1], [1, 0, 1])
        1.0
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise DataError(f"found measures of {one.shape} and {other.shape} items, expected as many")
    difference = one - other
    difference = difference[difference != 0.0]
    if not len(difference):
        return 1.0
    rng = np.random.default_rng(_SEED)
    seen = abs(difference.sum())
    extreme = 0
    for at in range(0, _DRAWS, 500):
        signs = rng.choice((-1.0, 1.0), size=(min(500, _DRAWS - at), len(difference)))
        extreme += int((np.abs(signs @ difference) >= seen - 1e-12).sum())
    return (extreme + 1) / (_DRAWS + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Correct p-values of several tests.

    Example:
        >>> holm({"a": 0.01, "b": 0.03, "c": 0.04})
        {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    corrected: dict[str, float] = {}
    highest = 0.0
    order = sorted(p_values, key=lambda name: p_values[name])
    for rank, name in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[name]))
        corrected[name] = highest
    return {name: corrected[name] for name in p_values}

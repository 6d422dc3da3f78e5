"""What a count of neighbours makes of a blank: the baselines of networks that read further.

The answer is the candidate c that maximizes P(c | before) P(c | after) / P(c): a trigram model of
each side, joined as if the sides were independent given the answer. Each P backs off from two
neighbours to one and from one to none by a Dirichlet prior of strength m, in the way of MacKay &
Peto (1995), "A Hierarchical Dirichlet Language Model":
P(c | x y) = (count(x y c) + m P(c | y)) / (count(x y) + m).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from treenlp.errors import DataError

__all__ = ["Gap", "NeighbourModel"]

_STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A blank as neighbours see it.

    Attributes:
        before: up to two symbols before it, the nearest one first; empty where nothing is shown.
        after: up to two symbols after it, the nearest one first.
        candidates: classes to choose from.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    candidates: tuple[int, ...]


_Key = tuple[tuple[int, ...], str, tuple[int, ...]]


class NeighbourModel:
    """Counts of what stood between which neighbours, for each set of candidates.

    Attributes:
        reach: neighbours that are looked at on each side; with 0 the answer is the candidate that
            was right most often.
        strength: m of the prior.

    Example:
        >>> gaps = [Gap(before=(n,), after=(), candidates=(0, 1)) for n in (7, 7, 8)]
        >>> NeighbourModel(gaps, [0, 0, 1]).answer(gaps[2])
        1
    """

    def __init__(
        self, gaps: Sequence[Gap], answers: Sequence[int], *, reach: int = 2, strength: float = 1.0
    ) -> None:
        """Count.

        Args:
            gaps: to learn from.
            answers: the class of each.
            reach: 0, 1 or 2 neighbours on each side.
            strength: m of the prior, above 0.

        Raises:
            DataError: if the two differ in length.
        """
        if len(gaps) != len(answers):
            raise DataError(f"found {len(gaps)} gaps and {len(answers)} answers, expected as many")
        self.reach = reach
        self.strength = strength
        self._counts: defaultdict[_Key, Counter[int]] = defaultdict(Counter)
        for gap, answer in zip(gaps, answers, strict=True):
            self._counts[gap.candidates, "", ()][answer] += 1
            for side, shown in (("before", gap.before), ("after", gap.after)):
                for order in range(1, min(reach, len(shown)) + 1):
                    self._counts[gap.candidates, side, shown[:order]][answer] += 1

    @property
    def size(self) -> int:
        """Number of counts that are not 0."""
        return sum(len(counts) for counts in self._counts.values())

    def tune(self, gaps: Sequence[Gap], answers: Sequence[int]) -> None:
        """Choose the strength that is right most often on other gaps; of equals the lowest."""
        best, most = self.strength, -1
        for strength in _STRENGTHS:
            self.strength = strength
            right = sum(
                self.answer(gap) == answer for gap, answer in zip(gaps, answers, strict=True)
            )
            if right > most:
                best, most = strength, right
        self.strength = best

    def answer(self, gap: Gap) -> int:
        """Return the most probable candidate; of equals the first."""
        scores = self.log_scores(gap)
        return gap.candidates[max(range(len(scores)), key=scores.__getitem__)]

    def log_scores(self, gap: Gap) -> list[float]:
        """Unnormalized log-probability of each candidate, in nats."""
        own = self._counts.get((gap.candidates, "", ()), Counter())
        total = own.total() + len(gap.candidates)
        prior = [(own[c] + 1) / total for c in gap.candidates]
        before = self._side("before", gap.before, gap.candidates, prior)
        after = self._side("after", gap.after, gap.candidates, prior)
        return [
            math.log(b) + math.log(a) - math.log(p)
            for b, a, p in zip(before, after, prior, strict=True)
        ]

    def _side(
        self, side: str, shown: tuple[int, ...], candidates: tuple[int, ...], prior: list[float]
    ) -> list[float]:
        found = prior
        for order in range(1, min(self.reach, len(shown)) + 1):
            counts = self._counts.get((candidates, side, shown[:order]))
            if counts is None:
                break  # what was never seen says nothing, and nothing longer was seen either
            total = counts.total() + self.strength
            found = [
                (counts[c] + self.strength * p) / total
                for c, p in zip(candidates, found, strict=True)
            ]
        return found

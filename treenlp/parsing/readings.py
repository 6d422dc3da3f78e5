"""Readings: the trees of a sentence grouped by what they mean.

Trees come best first. Those with equal skeletons (`treenlp.parsing.skeleton`) are one reading at
once; a reading whose words differ then joins the best one that it agrees with up to the splitting
of compounds. Since that is no equivalence (AB|C and A|BC both split into A|B|C), the better reading
decides, and the order of trees makes the result reproducible.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from treenlp.errors import InputError
from treenlp.parsing.glosses import contrast
from treenlp.parsing.skeleton import Skeleton
from treenlp.text import Sentence
from treenlp.trees.tree import Tree

__all__ = ["Interpretation", "Reading", "Readings", "group_readings"]

Span = tuple[int, int]

_ENOUGH = 0.005  # mass of unseen trees that cannot matter
_NEGLIGIBLE = 1e-3  # a tree this much worse than the best changes no reading that is listed


@dataclass(frozen=True, kw_only=True)
class Interpretation:
    """A tree with its probability and its skeleton.

    Attributes:
        tree: over the caller's own words.
        words: atoms of each leaf, half-open.
        log_prob: nats, normalized over all trees of the sentence.
        skeleton: what of it matters to meaning.
    """

    tree: Tree
    words: tuple[Span, ...]
    log_prob: float
    skeleton: Skeleton


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way to understand a sentence.

    Attributes:
        tree: its best tree.
        words: atoms of each leaf of that tree, half-open.
        log_prob: nats, of all its trees that were seen; not renormalised over the list.
        rank: 1 is best.
        gloss: how the contested part groups, as in ``[两个大学]的|老师``.
        num_trees: trees that were grouped.
    """

    tree: Tree
    words: tuple[Span, ...]
    log_prob: float
    rank: int
    gloss: str
    num_trees: int

    @property
    def prob(self) -> float:
        """Posterior probability."""
        return math.exp(self.log_prob)


@dataclass(frozen=True, kw_only=True)
class Readings:
    """The readings of one sentence that are worth listing.

    Attributes:
        listed: by falling probability; at least one.
        omitted: posterior mass of everything that is not listed.
        num_trees: trees looked at.
    """

    listed: tuple[Reading, ...]
    omitted: float
    num_trees: int


@dataclass(frozen=True, kw_only=True)
class _Group:
    best: Interpretation
    mass: float
    num_trees: int


def group_readings(
    interpretations: Iterable[Interpretation],
    sentence: Sentence,
    *,
    k: int = 5,
    min_prob: float = 0.05,
    max_trees: int = 128,
) -> Readings:
    """Group trees into readings.

    Looks at trees until the rest has next to no mass or each is negligible beside the best, at
    most at `max_trees`: in a long sentence only the best trees matter.

    Args:
        interpretations: trees by falling probability, taken one by one as needed.
        sentence: the sentence.
        k: most readings listed.
        min_prob: readings less probable are not listed; the best always is.
        max_trees: most trees looked at.

    Raises:
        InputError: if there is no tree, or an argument is out of range.
    """
    if k < 1 or max_trees < 1 or not 0.0 <= min_prob <= 1.0:
        raise InputError(
            f"found k={k}, max_trees={max_trees}, min_prob={min_prob}; expected at least 1, at "
            "least 1 and a probability"
        )
    groups: dict[Hashable, _Group] = {}
    seen = 0
    mass = best_prob = 0.0
    for item in interpretations:
        prob = math.exp(min(item.log_prob, 0.0))
        best_prob = max(best_prob, prob)
        if seen and (1.0 - mass < min(_ENOUGH, min_prob / 10) or prob < _NEGLIGIBLE * best_prob):
            break
        seen += 1
        mass += prob
        old = groups.get(item.skeleton.key)
        groups[item.skeleton.key] = (
            _Group(best=item, mass=prob, num_trees=1)
            if old is None
            else _Group(best=old.best, mass=old.mass + prob, num_trees=old.num_trees + 1)
        )
        if seen == max_trees:
            break
    if not groups:
        raise InputError("found no tree to read; expected one or more: check the constraints")
    merged = _merge_compounds(list(groups.values()))
    # Sorting is stable: of equals, the one with the better tree.
    merged.sort(key=lambda group: -group.mass)
    chosen = [group for rank, group in enumerate(merged[:k]) if rank == 0 or group.mass >= min_prob]
    place = _contested(chosen if len(chosen) > 1 else merged[:2])
    best = [(group.best.tree, group.best.words) for group in chosen]
    glosses = contrast(best, sentence, place)
    listed = tuple(
        Reading(
            tree=group.best.tree,
            words=group.best.words,
            log_prob=min(0.0, math.log(group.mass)) if group.mass > 0 else group.best.log_prob,
            rank=rank,
            gloss=text,
            num_trees=group.num_trees,
        )
        for rank, (group, text) in enumerate(zip(chosen, glosses, strict=True), start=1)
    )
    omitted = max(0.0, 1.0 - sum(reading.prob for reading in listed))
    return Readings(listed=listed, omitted=omitted, num_trees=seen)


def _merge_compounds(groups: Sequence[_Group]) -> list[_Group]:
    """Let each reading join the first better one that differs by split compounds only."""
    leaders: list[_Group] = []
    for group in groups:
        for place, leader in enumerate(leaders):
            if leader.best.skeleton.agrees(group.best.skeleton):
                leaders[place] = _Group(
                    best=leader.best,
                    mass=leader.mass + group.mass,
                    num_trees=leader.num_trees + group.num_trees,
                )
                break
        else:
            leaders.append(group)
    return leaders


def _contested(groups: Sequence[_Group]) -> Span | None:
    """Stretch of atoms in which the best reading differs from the others."""
    places = [groups[0].best.skeleton.difference(group.best.skeleton) for group in groups[1:]]
    found = [place for place in places if place is not None]
    if not found:
        return None
    return min(start for start, _ in found), max(end for _, end in found)

"""Trees that know nothing of the sentence: what a parser's trees must beat.

Shi, Zhou, Chen & Li (2018), "On Tree-Based Neural Sentence Modeling", found such trees about as
good as parsed ones.
"""

from __future__ import annotations

import random
from typing import Literal, get_args

from treenlp.composition.batch import TreeShape
from treenlp.errors import ConfigError

__all__ = ["ControlName", "control_shape"]

ControlName = Literal["right", "left", "balanced", "random"]


def control_shape(name: ControlName, num_leaves: int, *, seed: int = 0) -> TreeShape:
    """Make a binary tree over `num_leaves` leaves without looking at them.

    Args:
        name: "right" splits off the first leaf of every span and "left" the last; "balanced"
            splits in the middle, the odd leaf to the left; "random" anywhere, every place alike.
        num_leaves: 1 or more.
        seed: of random trees, together with the number of leaves.

    Returns:
        The shape, in time linear in the leaves.

    Raises:
        ConfigError: if there is no such control.
        ShapeError: if there is no leaf.

    Example:
        >>> control_shape("balanced", 5).splits.tolist()
        [3, 2, 1, 4]
    """
    if name not in get_args(ControlName):
        known = ", ".join(get_args(ControlName))
        raise ConfigError(f"found the control tree {name!r}, expected one of: {known}")
    rng = random.Random(f"{seed} {num_leaves}")
    splits: list[int] = []
    pending = [(0, num_leaves)]
    while pending:
        start, end = pending.pop()
        if end - start < 2:
            continue
        split = {
            "right": start + 1,
            "left": end - 1,
            "balanced": start + (end - start + 1) // 2,
            "random": rng.randrange(start + 1, end),
        }[name]
        splits.append(split)
        pending += [(split, end), (start, split)]
    return TreeShape.from_splits(splits, num_leaves)

"""Which examples each step of a run learns from: sources in fixed shares, like sizes together.

A plan depends on sizes, shares and the seed alone, so that a run that was killed goes on with the
batches that it would have had.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["cut_by_size", "plan_batches"]


def plan_batches(
    sizes: Sequence[Sequence[int]],
    shares: Sequence[float],
    limits: Sequence[int],
    *,
    steps: int,
    seed: int,
    spread: float = 0.0,
) -> list[tuple[int, tuple[int, ...]]]:
    """Say for every step which source it learns from, and which examples of it.

    The next batch is that of the source which is furthest behind its share, the first one if
    several are. A source's examples all come once before one comes again.

    Args:
        sizes: of every example (atoms, pieces), for each source; no source is empty.
        shares: of each source in what is learned from, by size; positive, of any sum.
        limits: padded size of a batch of each source.
        steps: batches in all.
        seed: of the order.
        spread: examples are shuffled among those up to 4 plus this share of their size larger.

    Returns:
        Source and examples of every step, by their numbers.

    Example:
        >>> plan = plan_batches([[1, 1], [2]], [1.0, 1.0], [2, 2], steps=4, seed=0)
        >>> [source for source, _ in plan]
        [0, 1, 0, 1]
    """
    rng = random.Random(seed)
    queues: list[list[list[int]]] = [[] for _ in sizes]
    spent = [0.0] * len(sizes)
    plan: list[tuple[int, tuple[int, ...]]] = []
    while len(plan) < steps:
        n = min(range(len(sizes)), key=lambda i: (spent[i] / shares[i], i))
        own = sizes[n]
        if not queues[n]:
            noisy = [size + rng.random() * (4 + spread * size) for size in own]
            order = sorted(range(len(own)), key=noisy.__getitem__)
            queues[n] = list(cut_by_size(order, own, limits[n]))
            rng.shuffle(queues[n])
        chosen = queues[n].pop()
        spent[n] += sum(own[i] for i in chosen)
        plan.append((n, tuple(chosen)))
    return plan


def cut_by_size(order: Iterable[int], sizes: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Cut an order into batches whose padded size stays within `limit` where it can.

    Args:
        order: numbers of examples; those of like size should stand together.
        sizes: of all examples.
        limit: greatest number of examples times the largest size; an example that is larger is a
            batch of its own.

    Example:
        >>> list(cut_by_size([0, 1, 2], [1, 2, 5], 4))
        [[0, 1], [2]]
    """
    current: list[int] = []
    widest = 0
    for n in order:
        widest = max(widest, sizes[n])
        if current and (len(current) + 1) * widest > limit:
            yield current
            current, widest = [], sizes[n]
        current.append(n)
    if current:
        yield current

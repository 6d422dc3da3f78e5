"""The plan of a run: shares by size, every example in turn, and the padded size of batches."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treenlp.experiment.planning import cut_by_size, plan_batches

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@given(SIZES, st.integers(1, 120))
def test_batches_hold_everything_once_and_stay_within_the_limit(
    sizes: list[int], limit: int
) -> None:
    order = list(range(len(sizes)))
    batches = list(cut_by_size(order, sizes, limit))
    assert [n for batch in batches for n in batch] == order
    for batch, following in zip(batches, [*batches[1:], []], strict=True):
        widest = max(sizes[n] for n in batch)
        assert len(batch) == 1 or len(batch) * widest <= limit
        if following:  # no batch ends early
            assert (len(batch) + 1) * max(widest, sizes[following[0]]) > limit


def test_nothing_makes_no_batch() -> None:
    assert list(cut_by_size([], [], 10)) == []


@given(
    st.lists(st.tuples(SIZES, st.floats(0.05, 2.0)), min_size=1, max_size=4),
    st.integers(0, 5),
    st.sampled_from([0.0, 0.25]),
)
def test_shares_are_kept_and_examples_come_in_turn(
    sources: list[tuple[list[int], float]], seed: int, spread: float
) -> None:
    sizes, shares = [list(own) for own, _ in sources], [share for _, share in sources]
    plan = plan_batches(sizes, shares, [60] * len(sizes), steps=40, seed=seed, spread=spread)
    spent = [0] * len(sizes)
    seen: list[Counter[int]] = [Counter() for _ in sizes]
    for source, chosen in plan:
        behind = min(spent[n] / shares[n] for n in range(len(sizes)))
        assert spent[source] / shares[source] == behind
        spent[source] += sum(sizes[source][n] for n in chosen)
        seen[source].update(chosen)
        times = [seen[source][n] for n in range(len(sizes[source]))]
        assert max(times) - min(times) <= 1


def test_a_plan_depends_on_its_seed_and_a_longer_one_begins_alike() -> None:
    sizes = [[5, 9, 7, 30, 4, 18], [3, 3, 8]]
    plans = {
        (steps, seed): plan_batches(sizes, [2.0, 1.0], [20, 9], steps=steps, seed=seed)
        for steps in (10, 30)
        for seed in (1, 2)
    }
    assert plans[10, 1] == plans[30, 1][:10]
    assert plans[30, 1] != plans[30, 2]
    spent = Counter[int]()
    for source, chosen in plans[30, 1]:
        spent[source] += sum(sizes[source][n] for n in chosen)
    assert spent[0] / spent.total() == pytest.approx(2 / 3, abs=0.08)

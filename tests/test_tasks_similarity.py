"""Similarity: the head, its losses, and metrics against scipy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from treenlp.errors import ConfigError, InputError, ShapeError
from treenlp.tasks.similarity import (
    SimilarityHead,
    accuracy,
    graded_loss,
    paraphrase_loss,
    pearson,
    rank_loss,
    spearman,
)


def sides(count: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(11)
    return [torch.randn(count, width, generator=generator) for width in (8, 8, 4, 4)]


def test_an_untrained_head_ranks_as_the_cosine_does() -> None:
    pooled_a, pooled_b, root_a, root_b = sides()
    answers = SimilarityHead(8, 4, 5)(pooled_a, pooled_b, root_a, root_b)
    cosine = torch.nn.functional.cosine_similarity(pooled_a, pooled_b)
    assert answers.argsort().tolist() == cosine.argsort().tolist()


def test_exchanging_the_sentences_changes_nothing() -> None:
    head = SimilarityHead(8, 4, 5, scales=("graded", "yes-no")).eval()
    torch.nn.init.normal_(head.out.weight)
    pooled_a, pooled_b, root_a, root_b = sides()
    there = head(pooled_a, pooled_b, root_a, root_b, scale="yes-no")
    torch.testing.assert_close(there, head(pooled_b, pooled_a, root_b, root_a, scale="yes-no"))
    other = head(pooled_a, pooled_b, root_a.flip(0), root_b)
    assert not torch.allclose(there, other)


def test_each_scale_has_its_own_slope_and_offset() -> None:
    head = SimilarityHead(8, 4, 5, scales=("graded", "yes-no"))
    with torch.no_grad():
        head.scale_slope[1] = 2.0
        head.scale_offset[1] = 1.0
    first = head(*sides())
    torch.testing.assert_close(head(*sides(), scale="yes-no"), 2 * first + 1)
    with pytest.raises(ConfigError, match="'nli', expected one of: graded, yes-no"):
        head(*sides(), scale="nli")
    with pytest.raises(ConfigError, match="expected one or more"):
        SimilarityHead(8, 4, 5, scales=())


def test_sides_of_other_shapes_are_refused() -> None:
    pooled_a, pooled_b, root_a, root_b = sides()
    with pytest.raises(ShapeError, match="expected two equal ones"):
        SimilarityHead(8, 4, 5)(pooled_a, pooled_b[:2], root_a, root_b)


def test_graded_loss_is_zero_exactly_at_the_target() -> None:
    targets = torch.tensor([0.0, 0.3, 0.5, 1.0])
    logits = torch.logit(targets.clamp(1e-7, 1 - 1e-7))
    assert graded_loss(logits, targets).item() == pytest.approx(0.0, abs=1e-5)
    found = graded_loss(torch.tensor([0.0]), torch.tensor([0.25])).item()
    assert found == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), rel=1e-5)


def test_paraphrase_loss_by_hand() -> None:
    found = paraphrase_loss(torch.tensor([0.0, math.log(3.0)]), torch.tensor([1, 0])).item()
    assert found == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-5)


def test_rank_loss_is_one_minus_the_correlation() -> None:
    logits, targets = torch.tensor([0.3, -1.0, 2.0, 0.1]), torch.tensor([0.2, 0.1, 0.9, 0.8])
    wanted = stats.pearsonr(torch.sigmoid(logits).numpy(), targets.numpy()).statistic
    assert rank_loss(logits, targets).item() == pytest.approx(1 - wanted, rel=1e-5)


numbers = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=3, max_size=40
).filter(lambda rows: len({a for a, _ in rows}) > 1 and len({b for _, b in rows}) > 1)


@given(numbers)
def test_correlations_equal_those_of_scipy(rows: list[tuple[int, int]]) -> None:
    first, second = zip(*rows, strict=True)
    assert pearson(first, second) == pytest.approx(
        stats.pearsonr(first, second).statistic, abs=1e-9
    )
    assert spearman(first, second) == pytest.approx(
        stats.spearmanr(first, second).statistic, abs=1e-9
    )


def test_correlations_by_hand() -> None:
    assert pearson([1, 2, 3], [1, 2, 2]) == pytest.approx(math.sqrt(3) / 2)
    assert spearman([1, 20, 3], [5, 6, 7]) == pytest.approx(0.5)
    assert math.isnan(pearson([1, 1, 1], [1, 2, 3]))
    with pytest.raises(InputError, match="3 answers and 2 targets"):
        pearson([1, 2, 3], [1, 2])


def test_accuracy_by_hand() -> None:
    assert accuracy(np.array([0.5, 0.4, 0.9, 0.1]), [1, 1, 0, 0]) == 0.5
    assert accuracy([0.5, 0.4, 0.9, 0.1], [1, 1, 0, 0], threshold=0.3) == 0.75

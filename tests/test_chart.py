"""The batched chart against enumeration, on all items of a batch."""

from __future__ import annotations

import math

import oracles
import pytest
import torch
from charts import CASES, COUNTING, SMALL, random_scores, trees_of, weights_of, zero_scores

from treenlp.errors import ShapeError
from treenlp.parsing.chart import NEG, ChartScores, log_partition
from treenlp.parsing.viterbi import viterbi

LENGTHS = [5, 3, 1, 4, 2]


@pytest.mark.parametrize(("length", "count"), [(1, 1), (2, 1), (3, 3), (4, 11), (5, 45)])
def test_counts_each_tree_once(length: int, count: int) -> None:
    scores = zero_scores(COUNTING, [length])
    assert math.exp(float(log_partition(scores, COUNTING))) == pytest.approx(count)
    trees = oracles.enumerate_trees(weights_of(scores, COUNTING, 0))
    assert len(trees) == len({tree for _, tree in trees}) == count


@pytest.mark.parametrize(("seed", "impossible", "lengths"), CASES)
def test_log_partition_sums_all_trees(
    seed: int, impossible: float, lengths: tuple[int, ...]
) -> None:
    scores = random_scores(SMALL, list(lengths), seed=seed, impossible=impossible)
    found = log_partition(scores, SMALL)
    for item in range(len(lengths)):
        trees = trees_of(seed, impossible, lengths, item)
        assert float(found[item]) == pytest.approx(
            oracles.logsumexp(score for score, _ in trees), abs=1e-9
        )


@pytest.mark.parametrize(("seed", "impossible", "lengths"), CASES)
def test_viterbi_finds_the_best_coarse_tree(
    seed: int, impossible: float, lengths: tuple[int, ...]
) -> None:
    scores = random_scores(SMALL, list(lengths), seed=seed, impossible=impossible)
    for item, found in enumerate(viterbi(scores, SMALL)):
        weights = weights_of(scores, SMALL, item)
        score, best = oracles.coarse_trees(weights, trees_of(seed, impossible, lengths, item))[0]
        assert found.score == pytest.approx(score)
        assert oracles.coarse_nodes(weights, found.nodes) == best


@pytest.mark.parametrize(("seed", "impossible", "lengths"), CASES)
def test_gradient_is_the_marginals(seed: int, impossible: float, lengths: tuple[int, ...]) -> None:
    scores = random_scores(SMALL, list(lengths), seed=seed, impossible=impossible)
    phrase = scores.phrase.clone().requires_grad_()
    word = scores.word.clone().requires_grad_()
    root = scores.root.clone().requires_grad_()
    total = log_partition(
        ChartScores(
            phrase=phrase,
            word=word,
            child=scores.child,
            root=root,
            affinity=scores.affinity,
            lengths=scores.lengths,
        ),
        SMALL,
    )
    d_phrase, d_word, d_root = torch.autograd.grad(total.sum(), (phrase, word, root))
    for item in range(len(lengths)):
        trees = trees_of(seed, impossible, lengths, item)
        expected_phrase, expected_word = torch.zeros_like(phrase[0]), torch.zeros_like(word[0])
        for (i, j, label, is_word), prob in oracles.marginals(trees).items():
            if is_word:
                expected_word[i, j - i - 1, label] = prob
            else:
                expected_phrase[i, j, label] = prob
        torch.testing.assert_close(d_phrase[item], expected_phrase)
        torch.testing.assert_close(d_word[item], expected_word)
    assert float(d_root.sum()) == pytest.approx(len(lengths))


def test_gradcheck_over_all_inputs() -> None:
    scores = random_scores(SMALL, [4, 2, 3], seed=5)
    inputs = [scores.phrase, scores.word, scores.child, scores.root, scores.affinity]
    inputs = [x.clone().requires_grad_() for x in inputs]

    def total(*values: torch.Tensor) -> torch.Tensor:
        phrase, word, child, root, affinity = values
        chart = ChartScores(
            phrase=phrase,
            word=word,
            child=child,
            root=root,
            affinity=affinity,
            lengths=scores.lengths,
        )
        return log_partition(chart, SMALL)

    assert torch.autograd.gradcheck(total, inputs)


def test_padding_and_neighbours_change_nothing() -> None:
    scores = random_scores(SMALL, LENGTHS, seed=3, impossible=0.2, padding=3)
    together = log_partition(scores, SMALL)
    best = viterbi(scores, SMALL)
    for item in range(len(LENGTHS)):
        alone = scores.item(item)
        assert float(log_partition(alone, SMALL)) == pytest.approx(float(together[item]))
        assert viterbi(alone, SMALL)[0].nodes == best[item].nodes


def test_impossible_sentence_stays_impossible() -> None:
    scores = random_scores(SMALL, [3, 2], seed=0)
    word = scores.word.clone()
    word[0, 1:3, 0] = NEG
    word[0, 0:3, 1] = NEG
    blocked = ChartScores(
        phrase=scores.phrase,
        word=word,
        child=scores.child,
        root=scores.root,
        affinity=scores.affinity,
        lengths=scores.lengths,
    )
    found = log_partition(blocked, SMALL)
    assert float(found[0]) < NEG / 2
    assert float(found[1]) == pytest.approx(float(log_partition(scores, SMALL)[1]))


@pytest.mark.parametrize("length", [0, 4])
def test_length_outside_the_chart(length: int) -> None:
    scores = random_scores(SMALL, [3])
    wrong = ChartScores(
        phrase=scores.phrase,
        word=scores.word,
        child=scores.child,
        root=scores.root,
        affinity=scores.affinity,
        lengths=torch.tensor([length]),
    )
    with pytest.raises(ShapeError, match="expected 1 to 3"):
        log_partition(wrong, SMALL)


def test_shapes_are_checked() -> None:
    scores = random_scores(SMALL, [3])
    with pytest.raises(ShapeError, match=r"expected \(B, F, F, Lp\)"):
        ChartScores(
            phrase=scores.phrase[0],
            word=scores.word,
            child=scores.child,
            root=scores.root,
            affinity=scores.affinity,
            lengths=scores.lengths,
        )

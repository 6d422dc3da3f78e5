"""Tables, k-best lists and samples of single sentences against enumeration."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice

import numpy as np
import oracles
import pytest
import torch
from charts import CASES, COUNTING, SMALL, random_scores, trees_of, weights_of, zero_scores

from treenlp.errors import ShapeError
from treenlp.parsing.chart import ChartScores, log_partition
from treenlp.parsing.grammar import Grammar
from treenlp.parsing.kbest import LazyKBest, Sampler
from treenlp.parsing.tables import ClassTables, InsideTables
from treenlp.parsing.viterbi import viterbi

BATCH = pytest.mark.parametrize(("seed", "impossible", "lengths"), CASES)


def sums(scores: ChartScores, grammar: Grammar = SMALL) -> InsideTables:
    return InsideTables.sums(ClassTables.from_scores(scores, grammar))


@BATCH
def test_whole_kbest_list(seed: int, impossible: float, lengths: tuple[int, ...]) -> None:
    scores = random_scores(SMALL, list(lengths), seed=seed, impossible=impossible)
    for item in range(len(lengths)):
        weights = weights_of(scores, SMALL, item)
        trees = trees_of(seed, impossible, lengths, item)
        expected = oracles.coarse_trees(weights, trees)
        maxima = InsideTables.maxima(sums(scores.item(item)).scores)
        found = list(LazyKBest(maxima, 10**6))
        assert [d.score for d in found] == pytest.approx([score for score, _ in expected])
        assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
        by_key = {key: score for score, key in expected}
        keys = [oracles.coarse_nodes(weights, d.nodes) for d in found]
        assert len(set(keys)) == len(keys)
        assert [by_key[key] for key in keys] == pytest.approx([d.score for d in found])
        # Each class shows its best label.
        values = dict(zip(map(oracles.nodes_of, (t for _, t in trees)), trees, strict=True))
        for derivation, key in zip(found, keys, strict=True):
            same = [s for n, (s, _) in values.items() if oracles.coarse_nodes(weights, n) == key]
            assert values[derivation.nodes][0] == pytest.approx(max(same))
            if len(trees) > 2000:
                break


@BATCH
def test_best_labelled_tree(seed: int, impossible: float, lengths: tuple[int, ...]) -> None:
    scores = random_scores(SMALL, list(lengths), seed=seed, impossible=impossible)
    for item in range(len(lengths)):
        score, tree = max(trees_of(seed, impossible, lengths, item), key=lambda pair: pair[0])
        tables = ClassTables.from_scores(scores.item(item), SMALL, maximise=True)
        found = next(iter(LazyKBest(InsideTables.maxima(tables), 1)))
        assert found.score == pytest.approx(score)
        assert found.nodes == oracles.nodes_of(tree)


@BATCH
def test_marginals_and_entropy(seed: int, impossible: float, lengths: tuple[int, ...]) -> None:
    scores = random_scores(SMALL, list(lengths), seed=seed, impossible=impossible)
    for item in range(len(lengths)):
        trees = trees_of(seed, impossible, lengths, item)
        tables = sums(scores.item(item))
        assert tables.total == pytest.approx(oracles.logsumexp(s for s, _ in trees))
        found = tables.marginals()
        phrase, word = np.zeros_like(found.phrase), np.zeros_like(found.word)
        constituents = np.zeros(phrase.shape[:2])
        for (i, j, label, is_word), prob in oracles.marginals(trees).items():
            constituents[i, j] += prob
            if is_word:
                word[i, j - i - 1, label] = prob
            else:
                phrase[i, j, label] = prob
        np.testing.assert_allclose(found.phrase, phrase, atol=1e-9)
        np.testing.assert_allclose(found.word, word, atol=1e-9)
        np.testing.assert_allclose(found.constituents(), constituents, atol=1e-9)
        assert found.entropy == pytest.approx(oracles.entropy(trees), abs=1e-9)
        # A phrase has one first child; a tree has one root, and one edge to each other node.
        assert found.affinity.sum() == pytest.approx(phrase.sum())
        assert found.root.sum() == pytest.approx(1.0)
        assert found.child.sum() == pytest.approx(phrase.sum() + word.sum() - 1.0)


def test_agrees_with_the_batched_chart() -> None:
    scores = random_scores(SMALL, [9, 12, 1, 6], seed=7, impossible=0.3, dtype=torch.float32)
    totals = log_partition(scores, SMALL)
    for item, best in enumerate(viterbi(scores, SMALL)):
        tables = sums(scores.item(item))
        assert tables.total == pytest.approx(float(totals[item]), abs=1e-3)
        found = next(iter(LazyKBest(InsideTables.maxima(tables.scores), 1)))
        assert found.nodes == best.nodes
        assert found.score == pytest.approx(best.score, abs=1e-3)


@pytest.mark.parametrize(("length", "count"), [(1, 1), (2, 1), (3, 3), (4, 11), (5, 45)])
def test_fewer_trees_than_asked_for(length: int, count: int) -> None:
    tables = sums(zero_scores(COUNTING, [length]), COUNTING)
    found = [d.nodes for d in LazyKBest(InsideTables.maxima(tables.scores), 100)]
    assert len(found) == len(set(found)) == count


def test_ties_break_towards_the_shorter_first_child() -> None:
    tables = sums(zero_scores(COUNTING, [3]), COUNTING)
    found = [d.nodes for d in LazyKBest(InsideTables.maxima(tables.scores), 3)]
    assert [[(i, j) for i, j, _, is_word in nodes if not is_word] for nodes in found] == [
        [(0, 3), (1, 3)],
        [(0, 3)],
        [(0, 3), (0, 2)],
    ]


@pytest.mark.parametrize("labels", [True, False])
def test_samples_follow_the_posterior(labels: bool) -> None:
    seed, impossible, lengths = CASES[1]
    item, n = 1, 6000
    scores = random_scores(SMALL, list(lengths), seed=seed, impossible=impossible)
    weights, trees = (
        weights_of(scores, SMALL, item),
        trees_of(seed, impossible, lengths, item),
    )
    total = oracles.logsumexp(score for score, _ in trees)
    if labels:
        expected = {oracles.nodes_of(tree): np.exp(score - total) for score, tree in trees}
    else:
        coarse = oracles.coarse_trees(weights, trees)
        expected = {key: np.exp(score - total) for score, key in coarse}
    sampler = Sampler(sums(scores.item(item)), 11, labels=labels)
    drawn = (sampler.draw() for _ in range(n))
    counts = Counter(nodes if labels else oracles.coarse_nodes(weights, nodes) for nodes in drawn)
    assert counts.keys() <= expected.keys()
    # Pearson's statistic over all trees that are expected often enough.
    often = [key for key, prob in expected.items() if prob * n >= 5]
    statistic = sum((counts[key] - n * expected[key]) ** 2 / (n * expected[key]) for key in often)
    assert len(often) > 10
    assert statistic < len(often) + 4 * np.sqrt(2 * len(often))


def test_equal_seeds_draw_equal_trees() -> None:
    tables = sums(random_scores(SMALL, [6], seed=2))
    draws = [[s.draw() for _ in range(5)] for s in (Sampler(tables, 3), Sampler(tables, 3))]
    assert draws[0] == draws[1]
    assert draws[0] != [s.draw() for s in [Sampler(tables, 4)] for _ in range(5)]


def test_long_chain_needs_no_recursion() -> None:
    length = 300
    scores = zero_scores(COUNTING, [length])
    phrase = torch.full_like(scores.phrase, -1e9)
    phrase[0, range(length - 1), length] = 0.0  # only the rightmost spine
    chain = ChartScores(
        phrase=phrase,
        word=scores.word,
        child=scores.child,
        root=scores.root,
        affinity=scores.affinity,
        lengths=scores.lengths,
    )
    found = list(LazyKBest(InsideTables.maxima(sums(chain, COUNTING).scores), 5))
    assert len(found) == 5
    assert len(Sampler(sums(chain, COUNTING), 0).draw()) > length


def test_kbest_is_fast_enough() -> None:
    size, parents, children = 40, 10, 24
    rng = np.random.default_rng(0)
    grammar = Grammar(
        phrase_labels=tuple(f"P{x}" for x in range(80)),
        word_labels=tuple(f"W{x}" for x in range(60)),
        parent_classes=tuple(f"p{x}" for x in range(parents)),
        child_classes=tuple(f"c{x}" for x in range(children)),
        phrase_inner=tuple(rng.integers(0, parents, 80).tolist()),
        phrase_outer=tuple(rng.integers(0, children, 80).tolist()),
        word_outer=tuple(rng.integers(0, children, 60).tolist()),
        max_word_units=4,
    )
    scores = random_scores(grammar, [size], dtype=torch.float32)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        tables = ClassTables.from_scores(scores, grammar)
        found = list(islice(LazyKBest(InsideTables.maxima(tables), 50), 50))
        seconds.append(time.perf_counter() - start)
    assert len({d.nodes for d in found}) == 50
    # About 25 ms on an idle core; the bound leaves room for a busy one.
    assert min(seconds) < 0.5


def test_one_sentence_at_a_time() -> None:
    with pytest.raises(ShapeError, match="hold 2 sentences, expected one"):
        ClassTables.from_scores(random_scores(SMALL, [3, 2]), SMALL)

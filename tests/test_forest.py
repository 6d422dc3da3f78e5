"""The forest: posterior, constraints and trees over the caller's words, against enumeration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import oracles
import pytest
import torch
from charts import CASES, SMALL, forest_of, random_scores, trees_of, weights_of
from oracles import Node

from treenlp.errors import GrammarError, InputError
from treenlp.parsing.chart import log_partition
from treenlp.parsing.constraints import (
    Constraint,
    mask_scores,
    partial_brackets,
    tree_items,
    tree_scores,
    word_mask,
)
from treenlp.parsing.forest import Forest
from treenlp.text import Sentence

SEED, IMPOSSIBLE, LENGTHS = CASES[1]
WORDS = "甲乙丙丁戊"
LOW = "(NP (DNP (NP (QP (CD 两) (CLP (M 个))) (NP (NN 大学))) (DEG 的)) (NP (NN 老师)))"
HIGH = "(NP (QP (CD 两) (CLP (M 个))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))"


def forest(item: int) -> Forest:
    scores = random_scores(SMALL, list(LENGTHS), seed=SEED, impossible=IMPOSSIBLE)
    sentence = Sentence.from_text(WORDS[: LENGTHS[item]], lang="zh")
    assert sentence is not None
    return Forest(
        sentence=sentence,
        scores=scores.item(item),
        grammar=SMALL,
        fenceposts=tuple(range(LENGTHS[item] + 1)),
    )


def trees(item: int) -> list[tuple[float, Node]]:
    return trees_of(SEED, IMPOSSIBLE, LENGTHS, item)


@pytest.mark.parametrize("item", range(len(LENGTHS)))
def test_answers_are_those_of_all_trees(item: int) -> None:
    view, all_trees = forest(item), trees(item)
    total = oracles.logsumexp(score for score, _ in all_trees)
    assert view.log_partition() == pytest.approx(total)
    assert view.entropy() == pytest.approx(oracles.entropy(all_trees), abs=1e-9)
    listed = view.kbest(1000)
    assert sum(np.exp(tree.log_prob) for tree in listed) == pytest.approx(
        1.0, abs=1e-9 if len(listed) < 1000 else 0.5
    )
    assert all(tree.log_prob <= 0 for tree in listed)
    assert view.argmax() == listed[0].tree
    for (start, end), prob in _spans(all_trees).items():
        assert view.span_prob(start, end) == pytest.approx(prob)


def _spans(all_trees: list[tuple[float, Node]]) -> dict[tuple[int, int], float]:
    found: dict[tuple[int, int], float] = {}
    for (i, j, _, _), prob in oracles.marginals(all_trees).items():
        found[i, j] = found.get((i, j), 0.0) + prob
    return found


def test_span_prob_reads_labels_of_chains() -> None:
    view = forest_of("两个大学的老师", [(LOW, 0.25), (HIGH, 0.75)])
    assert view.span_prob(0, 5, label="DNP") == pytest.approx(0.25)
    assert view.span_prob(2, 5, label="DNP") == pytest.approx(0.75)
    assert view.span_prob(2, 4, label="NP") == pytest.approx(1.0)
    assert view.span_prob(2, 4, label="NN") == pytest.approx(1.0)
    assert view.span_prob(2, 4) == pytest.approx(1.0)
    assert view.span_prob(0, 5, label="NP") == 0.0
    assert view.span_prob(3, 5) == 0.0


def has(start: int, end: int, *labels: str) -> Callable[[Node], bool]:
    def test(tree: Node) -> bool:
        return any(
            (n.start, n.end) == (start, end) and (not labels or name(n) in labels)
            for n in tree.preorder()
        )

    return test


def name(node: Node) -> str:
    return (SMALL.word_labels if node.is_word else SMALL.phrase_labels)[node.label]


def no_phrase_crosses(start: int, end: int) -> Callable[[Node], bool]:
    return lambda tree: (
        not any(oracles.crosses(n, start, end) for n in tree.preorder() if not n.is_word)
    )


def words_are(*spans: tuple[int, int]) -> Callable[[Node], bool]:
    def test(tree: Node) -> bool:
        words = {(n.start, n.end) for n in tree.preorder() if n.is_word}
        return words >= set(spans)

    return test


CONSTRAINTS: list[tuple[Constraint, Callable[[Node], bool]]] = [
    (Constraint.constituent(1, 3), has(1, 3)),
    (Constraint.constituent(0, 3), has(0, 3)),
    (Constraint.constituent(1, 4, label="NX"), has(1, 4, "NX")),
    (Constraint.constituent(2, 4, label="NP"), has(2, 4, "NP")),
    (Constraint.constituent(0, 1, label="NN"), has(0, 1, "NN")),
    (Constraint.no_constituent(1, 3), lambda tree: not has(1, 3)(tree)),
    (Constraint.no_constituent(1, 3, label="VP"), lambda tree: not has(1, 3, "VP")(tree)),
    (Constraint.no_constituent(1, 2, label="NN"), lambda tree: not has(1, 2, "NN")(tree)),
    (Constraint.words([(0, 1), (1, 2)]), words_are((0, 1), (1, 2))),
    (Constraint.words([(0, 1), (1, 3)]), words_are((0, 1), (1, 3))),
    (Constraint.tag(0, 1, "NN"), has(0, 1, "NN")),
    (Constraint.tag(3, 4, "NN"), has(3, 4, "NN")),
    (Constraint.uncrossed(1, 3), no_phrase_crosses(1, 3)),
    (Constraint.uncrossed(0, 2), no_phrase_crosses(0, 2)),
]


def check(constraints: list[tuple[Constraint, Callable[[Node], bool]]], item: int) -> int:
    """Compare a constrained forest with the trees that fit; how many these are."""
    fitting = [
        (score, tree) for score, tree in trees(item) if all(test(tree) for _, test in constraints)
    ]
    constrained = forest(item).constrain(*(constraint for constraint, _ in constraints))
    if not fitting:
        with pytest.raises(GrammarError, match="no tree that fits"):
            constrained.log_partition()
        return 0
    assert constrained.log_partition() == pytest.approx(
        oracles.logsumexp(score for score, _ in fitting), abs=1e-7
    )
    assert constrained.entropy() == pytest.approx(oracles.entropy(fitting), abs=1e-7)
    weights = weights_of(
        random_scores(SMALL, list(LENGTHS), seed=SEED, impossible=IMPOSSIBLE), SMALL, item
    )
    expected = oracles.coarse_trees(weights, fitting)
    found = constrained.kbest(1000)
    assert len(found) == min(len(expected), 1000)
    total = oracles.logsumexp(score for score, _ in fitting)
    assert [tree.log_prob for tree in found] == pytest.approx(
        [score - total for score, _ in expected[:1000]], abs=1e-7
    )
    spans = _spans(fitting)
    assert constrained.span_prob(0, 2) == pytest.approx(spans.get((0, 2), 0.0), abs=1e-7)
    return len(fitting)


@pytest.mark.parametrize("number", range(len(CONSTRAINTS)))
@pytest.mark.parametrize("item", [0, 3])
def test_constraint_keeps_the_trees_that_fit(number: int, item: int) -> None:
    check([CONSTRAINTS[number]], item)


def test_the_constraints_of_these_tests_do_something() -> None:
    for pair in CONSTRAINTS:
        assert 0 < check([pair], 0) < len(trees(0))


@pytest.mark.parametrize("pair", [(0, 8), (1, 12), (5, 12), (3, 5), (0, 10), (1, 0)])
def test_constraints_combine(pair: tuple[int, int]) -> None:
    check([CONSTRAINTS[number] for number in pair], 0)


def test_constraints_combine_one_after_the_other() -> None:
    one, two = CONSTRAINTS[1][0], CONSTRAINTS[0][0]
    view = forest(0)
    before = view.scores.phrase.clone()
    stepwise = view.constrain(one).constrain(two)
    assert stepwise.log_partition() == pytest.approx(view.constrain(one, two).log_partition())
    assert torch.equal(view.scores.phrase, before)
    assert view.required == ()


@pytest.mark.parametrize("nats", [-2.0, 0.7])
@pytest.mark.parametrize("item", range(len(LENGTHS)))
def test_a_weight_changes_the_odds_of_a_span_and_nothing_else(item: int, nats: float) -> None:
    view = forest(item)
    for start in range(LENGTHS[item]):
        for end in range(start + 1, LENGTHS[item] + 1):
            weighed = [
                (
                    score
                    + nats * any((i, j) == (start, end) for i, j, _, _ in oracles.nodes_of(tree)),
                    tree,
                )
                for score, tree in trees(item)
            ]
            found = view.weigh(start, end, nats)
            assert found.log_partition() == pytest.approx(
                oracles.logsumexp(score for score, _ in weighed)
            )
            for span, prob in _spans(weighed).items():
                assert found.span_prob(*span) == pytest.approx(prob)


def test_samples_keep_to_constraints() -> None:
    constrained = forest(0).constrain(Constraint.constituent(1, 3))
    for tree in constrained.sample(50, seed=1):
        spans = {
            (len("".join(tree.leaves[:i])), len("".join(tree.leaves[:j])))
            for i, j in tree.node_spans()
        }
        assert (1, 3) in spans


def test_constraint_picks_a_reading() -> None:
    view = forest_of("两个大学的老师", [(LOW, 0.01), (HIGH, 0.99)])
    low = view.constrain(Constraint.constituent(0, 4))
    assert str(low.argmax()) == LOW
    assert low.readings().listed[0].prob == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (Constraint.constituent(0, 2, label="QX"), "label 'QX' is none of the grammar's"),
        (Constraint.tag(0, 1, "QX"), "tag 'QX' is none of the grammar's"),
        (Constraint.words([(0, 3)]), "expected at most 2"),
        (Constraint.constituent(0, 9), "boundary 9 .* outside the sentence of 5 atoms"),
    ],
)
def test_constraints_that_cannot_be(constraint: Constraint, message: str) -> None:
    with pytest.raises(GrammarError, match=message):
        forest(0).constrain(constraint)


def test_empty_span_is_refused() -> None:
    with pytest.raises(InputError, match=r"span \[2, 2\)"):
        Constraint.constituent(2, 2)


def test_pruned_boundaries() -> None:
    scores = random_scores(SMALL, [3], seed=4)
    sentence = Sentence.from_text("  甲 乙丙丁戊", lang="zh")
    assert sentence is not None
    view = Forest(sentence=sentence, scores=scores, grammar=SMALL, fenceposts=(0, 2, 3, 5))
    tree = view.kbest(1)[0]
    assert "".join(tree.tree.leaves) == "甲乙丙丁戊"
    assert {edge for span in tree.words for edge in span} <= {0, 2, 3, 5}
    assert view.span_prob(0, 1) == 0.0
    assert view.span_prob(0, 5) == pytest.approx(1.0)
    with pytest.raises(GrammarError, match="boundary 1 .* none of the chart's boundaries"):
        view.constrain(Constraint.constituent(0, 1))
    with pytest.raises(InputError, match="rising from 0 to the number of atoms"):
        Forest(sentence=sentence, scores=scores, grammar=SMALL, fenceposts=(0, 3, 2, 5))


def test_chains_become_nodes() -> None:
    view = forest_of("去学校", [("(IP (VP (VV 去) (NP (NN 学校))))", 1.0)])
    assert str(view.argmax()) == "(IP (VP (VV 去) (NP (NN 学校))))"
    assert str(view.argmax(fine=True)) == "(IP (VP (VV 去) (NP (NN 学校))))"
    assert view.kbest(5)[0].words == ((0, 1), (1, 3))


def test_tree_scores_are_those_of_the_trees() -> None:
    scores = random_scores(SMALL, list(LENGTHS), seed=SEED, impossible=IMPOSSIBLE)
    chosen = [
        (item, score, oracles.nodes_of(tree))
        for item in range(len(LENGTHS))
        for score, tree in trees(item)[:40]
    ]
    items = tree_items(
        [nodes for _, _, nodes in chosen], SMALL, sentences=[item for item, _, _ in chosen]
    )
    found = tree_scores(scores, items)
    assert found.tolist() == pytest.approx([score for _, score, _ in chosen])


def test_partial_brackets_in_a_batch() -> None:
    scores = random_scores(SMALL, list(LENGTHS), seed=SEED, impossible=IMPOSSIBLE)
    spans = [[(1, 3), (0, 4)], [], [], [(1, 3)], []]
    fence = scores.phrase.shape[1]
    found = log_partition(mask_scores(scores, partial_brackets(spans, fence)), SMALL)
    for item, brackets in enumerate(spans):
        fitting = [
            score
            for score, tree in trees(item)
            if all(no_phrase_crosses(*span)(tree) for span in brackets)
        ]
        assert float(found[item]) == pytest.approx(oracles.logsumexp(fitting))


def test_given_words_in_a_batch() -> None:
    scores = random_scores(SMALL, list(LENGTHS), seed=SEED, impossible=IMPOSSIBLE)
    given = [[(0, 1), (1, 2), (3, 4)], [(0, 1)], [], [(2, 3)], []]
    allowed = word_mask(given, scores.phrase.shape[1], SMALL.max_word_units)
    found = log_partition(mask_scores(scores, None, allowed), SMALL)
    for item, spans in enumerate(given):
        fitting = [score for score, tree in trees(item) if words_are(*spans)(tree)]
        assert float(found[item]) == pytest.approx(oracles.logsumexp(fitting))


def test_masks_pass_gradients_to_what_is_left() -> None:
    scores = random_scores(SMALL, [4], seed=1)
    phrase = scores.phrase.clone().requires_grad_()
    allowed = partial_brackets([[(1, 3)]], 5)
    masked = mask_scores(type(scores)(**{**vars(scores), "phrase": phrase}), allowed)
    (grad,) = torch.autograd.grad(log_partition(masked, SMALL).sum(), phrase)
    assert float(grad[0, 0, 2].abs().sum()) == 0.0
    assert float(grad[0, 1, 3].abs().sum()) > 0.0


def test_arguments_out_of_range() -> None:
    with pytest.raises(InputError, match="found k=0"):
        forest(1).kbest(0)
    with pytest.raises(InputError, match="found n=-1"):
        forest(1).sample(-1)

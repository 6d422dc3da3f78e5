"""Sentiment: values, heads, losses, labels carried by span, and counts."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from treenlp import analysis
from treenlp.composition import TreeBatch
from treenlp.errors import InputError, ShapeError
from treenlp.tasks.sentiment import (
    LABELS,
    NEUTRAL,
    UNLABELLED,
    SentimentCounts,
    SentimentHead,
    TextPooling,
    best_class,
    best_classes,
    carry_labels,
    class_loss,
    count_sentiment,
    is_positive,
    polarity_logit,
    polarity_loss,
    span_labels,
)
from treenlp.trees.brackets import parse_brackets

DISTRIBUTIONS = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5]), min_size=5, max_size=5)


@given(DISTRIBUTIONS)
def test_one_rule_says_which_class_is_the_most_probable(values: list[float]) -> None:
    found = best_class(values)
    equals = [place for place in range(5) if values[place] == max(values)]
    assert found == min(equals, key=lambda place: (abs(place - NEUTRAL), place))
    assert best_classes(torch.tensor([values, values[::-1]]))[0] == found
    a, b, c, d, e = values
    assert analysis.Sentiment(distribution=(a, b, c, d, e)).label == LABELS[found]


def test_of_equal_sides_the_negative_one_counts() -> None:
    assert not is_positive([0.1, 0.2, 0.4, 0.3, 0.0])
    assert is_positive([0.1, 0.2, 0.3, 0.3, 0.1])
    tied = torch.tensor([[0.0, 0.0, 5.0, 0.0, 0.0]])
    counts = count_sentiment(tied, torch.tensor([3]), tied, torch.tensor([2]))
    assert (counts.binary_right, counts.binary_total, counts.node_right) == (0, 1, 1)


def test_polarity_leaves_neutral_out() -> None:
    logits = torch.tensor([[0.0, 1.0, 50.0, 2.0, 0.5]], requires_grad=True)
    odds = polarity_logit(logits)
    wanted = math.log((math.exp(2) + math.exp(0.5)) / (math.exp(0) + math.exp(1)))
    assert odds.item() == pytest.approx(wanted, rel=1e-5)
    loss = polarity_loss(logits, torch.tensor([1]))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-wanted)), rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 2] == 0.0
    assert logits.grad[0, 3] < 0.0 < logits.grad[0, 0]


def test_class_loss_ignores_unlabelled_rows_and_weighs_the_others() -> None:
    logits = torch.tensor([[2.0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0], [5.0, 1, 0, 0, 0]])
    targets = torch.tensor([0, 3, UNLABELLED])
    first = -2 + math.log(math.exp(2) + 4)
    second = math.log(5)
    assert class_loss(logits, targets).item() == pytest.approx((first + second) / 2, rel=1e-5)
    weighted = class_loss(logits, targets, torch.tensor([3.0, 1.0, 9.0]))
    assert weighted.item() == pytest.approx((3 * first + second) / 4, rel=1e-5)
    assert class_loss(logits, torch.full((3,), UNLABELLED)).item() == 0.0


def test_labels_are_carried_by_span() -> None:
    gold = parse_brackets("(3 (2 (2 a) (4 (4 lovely) (2 film))) (2 .))")
    parsed = parse_brackets("(FRAG (NP (DT a) (JJ lovely) (NN film)) (. .))")
    flat = parse_brackets("(FRAG (NP (NP (DT a) (JJ lovely)) (NN film)) (. .))")
    batch = TreeBatch.from_trees([parsed, flat])
    targets = carry_labels([span_labels(gold)] * 2, batch.spans, batch.owner)
    by_span = {
        (tree, *span): label
        for tree, span, label in zip(
            batch.owner.tolist(), batch.spans.tolist(), targets.tolist(), strict=True
        )
    }
    assert by_span[0, 0, 4] == by_span[1, 0, 4] == 3
    assert by_span[0, 1, 3] == by_span[0, 1, 2] == 4
    assert by_span[1, 0, 2] == UNLABELLED
    assert by_span[1, 0, 3] == 2


def test_the_top_of_a_unary_chain_gives_the_label() -> None:
    assert span_labels(parse_brackets("(4 (2 (1 fine)))")) == {(0, 1): 4}


def test_a_label_that_is_no_class_is_refused() -> None:
    with pytest.raises(InputError, match=r"label 'NP' at words 0 to 1"):
        span_labels(parse_brackets("(3 (NP x) (2 y))"))


def test_counts_by_hand() -> None:
    roots = torch.eye(5)[[4, 3, 2, 0, 1]] * 9
    targets = torch.tensor([4, 4, 2, 3, UNLABELLED])
    counts = count_sentiment(roots, targets, roots[:3], torch.tensor([4, UNLABELLED, 1]))
    assert counts == SentimentCounts(
        root_right=2, root_total=4, binary_right=2, binary_total=3, node_right=1, node_total=2
    )
    both = counts + counts
    assert both.root_accuracy == 0.5
    assert both.binary_accuracy == pytest.approx(2 / 3)
    assert both.node_accuracy == 0.5
    assert math.isnan(SentimentCounts().root_accuracy)


def test_a_text_of_one_sentence_is_that_sentence() -> None:
    pooling = TextPooling(4, 3)
    torch.nn.init.normal_(pooling.out.weight)
    sentences = torch.randn(3, 4)
    pooled = pooling(sentences, torch.tensor([0, 1, 1]), 2)
    torch.testing.assert_close(pooled[0], sentences[0])
    low, high = sentences[1:].min(0).values, sentences[1:].max(0).values
    assert ((low - 1e-6 <= pooled[1]) & (pooled[1] <= high + 1e-6)).all()


def test_text_pooling_ignores_order_and_other_texts() -> None:
    pooling = TextPooling(4, 3).double()
    torch.nn.init.normal_(pooling.out.weight)
    sentences = torch.randn(5, 4, dtype=torch.float64)
    text = torch.tensor([0, 1, 0, 1, 0])
    pooled = pooling(sentences, text, 2)
    torch.testing.assert_close(pooled, pooling(sentences.flip(0), text.flip(0), 2))
    alone = pooling(sentences[text == 0], torch.zeros(3, dtype=torch.int64), 1)
    torch.testing.assert_close(pooled[:1], alone)
    values = sentences.requires_grad_()
    assert torch.autograd.gradcheck(lambda rows: pooling(rows, text, 2), (values,))
    with pytest.raises(ShapeError, match="5 sentence vectors and 2 text numbers"):
        pooling(sentences, text[:2], 2)


def test_head_gives_five_logits() -> None:
    assert SentimentHead(4, 3)(torch.zeros(2, 7, 4)).shape == (2, 7, 5)

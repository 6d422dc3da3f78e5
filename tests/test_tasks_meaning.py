"""The meaning model: leaves from pieces, batches built ahead, invariances, learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from treenlp.composition import TreeShape
from treenlp.errors import ConfigError, ShapeError
from treenlp.tasks.meaning import (
    MeaningBatch,
    MeaningConfig,
    MeaningModel,
    leaf_piece_ranges,
)
from treenlp.tasks.sentiment import class_loss
from treenlp.tasks.similarity import graded_loss
from treenlp.trees.brackets import parse_brackets

SMALL = MeaningConfig(
    trunk_size=6, hidden_size=5, sentiment_size=4, similarity_size=4, scales=("graded",)
)
TREES = [
    parse_brackets("(S (NP (DT the) (NN film)) (VP (VBZ is) (ADJP (JJ good))))"),
    parse_brackets("(NN film)"),
    parse_brackets("(NP (DT the) (JJ good) (NN film))"),
]
RANGES = [[(1, 2), (2, 4), (4, 5), (5, 6)], [(1, 3)], [(1, 2), (2, 2), (3, 5)]]


def model(dtype: torch.dtype = torch.float64) -> MeaningModel:
    torch.manual_seed(2)
    return MeaningModel(SMALL).to(dtype).eval()


def pieces(rows: int = 3, width: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    top, static = torch.randn(2, rows, width, 6, generator=generator, dtype=torch.float64)
    mask = torch.arange(width) < torch.tensor([7, 4, 6])[:rows, None]
    return top, static, mask


def test_a_leaf_is_the_mean_of_its_pieces() -> None:
    top, static, mask = pieces()
    judge = model()
    once = judge.encode(top, static, mask, MeaningBatch.build(TREES, RANGES))
    for values in (top, static):
        values[0, 2:4] = values[0, 2:4].mean(0)  # what the pair 2, 3 amounts to
    again = judge.encode(top, static, mask, MeaningBatch.build(TREES, RANGES))
    torch.testing.assert_close(once.nodes, again.nodes)
    top[0, 6] += 1.0  # under no leaf
    torch.testing.assert_close(
        once.nodes, judge.encode(top, static, mask, MeaningBatch.build(TREES, RANGES)).nodes
    )
    static[0, 5, 0] += 1.0
    changed = judge.encode(top, static, mask, MeaningBatch.build(TREES, RANGES))
    assert not torch.allclose(once.root[0], changed.root[0])
    torch.testing.assert_close(once.root[1:], changed.root[1:])


def test_padding_and_batch_order_change_nothing() -> None:
    top, static, mask = pieces()
    judge = model()
    batch = MeaningBatch.build(TREES, RANGES)
    once = judge.judge(top, static, mask, batch)
    wide = [torch.cat([values, values.new_full((3, 4, 6), 9.0)], dim=1) for values in (top, static)]
    padded = judge.judge(*wide, torch.cat([mask, torch.zeros(3, 4) > 0], dim=1), batch)
    torch.testing.assert_close(once.sentence_logits, padded.sentence_logits)
    torch.testing.assert_close(once.node_logits, padded.node_logits)
    order = [2, 0, 1]
    moved = judge.judge(
        top[order],
        static[order],
        mask[order],
        MeaningBatch.build([TREES[i] for i in order], [RANGES[i] for i in order]),
    )
    torch.testing.assert_close(moved.sentence_logits, once.sentence_logits[order])
    torch.testing.assert_close(moved.pooled, once.pooled[order])


def test_several_trees_may_share_a_row() -> None:
    top, static, mask = pieces()
    other = parse_brackets("(S (NP (DT the) (NN film) (VBZ is)) (ADJP (JJ good)))")
    judge = model()
    batch = MeaningBatch.build([TREES[0], other], [RANGES[0], RANGES[0]], rows=[0, 0])
    both = judge.judge(top[:1], static[:1], mask[:1], batch)
    first = judge.judge(top[:1], static[:1], mask[:1], MeaningBatch.build(TREES[:1], RANGES[:1]))
    torch.testing.assert_close(both.sentence_logits[:1], first.sentence_logits)
    assert not torch.allclose(both.sentence_logits[0], both.sentence_logits[1])


def test_the_static_view_does_not_see_the_context() -> None:
    top, static, mask = pieces()
    judge = model()
    batch = MeaningBatch.build(TREES, RANGES, contextual=[False, True, False])
    once = judge.encode(top, static, mask, batch)
    changed = judge.encode(top + 1.0, static, mask, batch)
    torch.testing.assert_close(once.root[[0, 2]], changed.root[[0, 2]])
    assert not torch.allclose(once.root[1], changed.root[1])


def test_training_drops_the_contextual_view_of_a_share_of_the_trees() -> None:
    top, static, mask = pieces()
    always = MeaningConfig(trunk_size=6, hidden_size=5, dropout=0.0, leaf_dropout=1.0)
    judge = MeaningModel(always).double().train()
    batch = MeaningBatch.build(TREES, RANGES)
    torch.testing.assert_close(
        judge.encode(top, static, mask, batch).nodes,
        judge.encode(top + 1.0, static, mask, batch).nodes,
    )


def test_built_on_the_spot_equals_built_ahead() -> None:
    top, static, mask = pieces()
    judge = model()
    there = judge.encode_trees(top, static, mask, RANGES, TREES)
    ahead = judge.encode(top, static, mask, MeaningBatch.build(TREES, RANGES))
    assert torch.equal(there.nodes, ahead.nodes)


def test_gradients_reach_the_pieces() -> None:
    top, static, mask = pieces()
    judge = model()
    batch = MeaningBatch.build(TREES, RANGES)

    def run(high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        return judge.encode(high, low, mask, batch).root

    assert torch.autograd.gradcheck(run, (top.requires_grad_(), static.requires_grad_()))


def test_node_logits_are_log_probabilities_and_the_root_is_the_sentence() -> None:
    top, static, mask = pieces()
    batch = MeaningBatch.build(TREES, RANGES)
    judged = model().judge(top, static, mask, batch)
    torch.testing.assert_close(
        judged.node_logits.exp().sum(-1), torch.ones(len(judged.node_logits))
    )
    torch.testing.assert_close(
        judged.node_logits[batch.trees.roots],
        torch.log_softmax(judged.sentence_logits.float(), -1),
        atol=1e-6,
        rtol=1e-5,
    )


def test_a_text_of_one_sentence_has_its_sentiment() -> None:
    top, static, mask = pieces()
    judge = model()
    judged = judge.judge(top, static, mask, MeaningBatch.build(TREES, RANGES))
    texts = judge.text_logits(judged.sentences, torch.tensor([0, 1, 1]), 2)
    torch.testing.assert_close(texts[0], judged.sentence_logits[0])


def test_similarity_lies_in_bounds_and_is_highest_for_the_same_sentence() -> None:
    top, static, mask = pieces()
    judge = model()
    judged = judge.judge(top, static, mask, MeaningBatch.build(TREES, RANGES))
    left, right = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2])
    answers = torch.sigmoid(
        judge.similarity_logits(judged.pooled, judged.encoding.root, left, right)
    )
    assert ((answers >= 0) & (answers <= 1)).all()
    assert answers.argmax() == 0


def test_pooling_leaves_padding_out() -> None:
    top, _, mask = pieces()
    torch.testing.assert_close(model().pool(top, mask)[1], top[1, :4].mean(0).float())
    assert (model().pool(top, torch.zeros_like(mask)) == 0).all()


def test_it_learns_both_tasks_by_heart() -> None:
    torch.manual_seed(0)
    config = MeaningConfig(trunk_size=6, hidden_size=16, scales=("graded",), dropout=0.0)
    judge = MeaningModel(config)
    top, static, mask = pieces()
    batch = MeaningBatch.build(TREES, RANGES)
    targets = torch.tensor([4, 2, 0])
    aims = torch.tensor([0.9, 0.1])
    optimizer = torch.optim.Adam(judge.parameters(), lr=0.01)
    for _ in range(120):
        encoding = judge.encode(top, static, mask, batch)
        pooled = judge.pool(top, mask)
        sentences = judge.sentence_vectors(encoding.root, pooled)
        answers = judge.similarity_logits(
            pooled, encoding.root, torch.tensor([0, 0]), torch.tensor([1, 2])
        )
        loss = class_loss(judge.sentiment(sentences), targets) + graded_loss(answers, aims)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_piece_ranges_hold_every_overlapping_piece() -> None:
    leaves = [(0, 3), (3, 4), (5, 9), (9, 10)]
    table = [(0, 2), (2, 4), (4, 4), (5, 6), (6, 9)]
    found = leaf_piece_ranges(leaves, table)
    assert found.tolist() == [[0, 2], [1, 2], [3, 5], [5, 5]]
    assert leaf_piece_ranges(leaves, []).tolist() == [[0, 0]] * 4
    rng = np.random.default_rng(0)
    cuts = np.sort(rng.choice(60, 20, replace=False))
    spans = list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))
    other = np.sort(rng.choice(60, 15, replace=False))
    words = list(zip(other[:-1].tolist(), other[1:].tolist(), strict=True))
    for (start, end), (first, last) in zip(
        words, leaf_piece_ranges(words, spans).tolist(), strict=True
    ):
        wanted = [n for n, (a, b) in enumerate(spans) if a < end and start < b]
        assert wanted == list(range(first, last))


def test_bad_batches_are_refused() -> None:
    with pytest.raises(ShapeError, match="tree 1 has 1 leaves and 2 piece ranges"):
        MeaningBatch.build(TREES[:2], [RANGES[0], [(0, 1), (1, 2)]])
    with pytest.raises(ShapeError, match="found 3 trees, 2 lists"):
        MeaningBatch.build(TREES, RANGES[:2])
    top, static, mask = pieces()
    far = MeaningBatch.build([TreeShape.from_splits([], 1)], [[(6, 9)]])
    with pytest.raises(ShapeError, match="a leaf reaches piece 8, but rows have 7"):
        model().encode(top, static, mask, far)
    beyond = MeaningBatch.build([TREES[1]], [RANGES[1]], rows=[3])
    with pytest.raises(ShapeError, match="row 3, but there are 3"):
        model().encode(top, static, mask, beyond)
    with pytest.raises(ShapeError, match=r"expected \(R, P, H\) twice"):
        model().encode(top, static, mask[:, :3], beyond)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="leaf_dropout = 1.5, expected 0 to 1"):
        MeaningConfig(leaf_dropout=1.5)
    with pytest.raises(ConfigError, match="hidden_size = 0"):
        MeaningConfig(hidden_size=0)

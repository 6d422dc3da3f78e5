"""Every registered composition function against its slow twin, and the batches under them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from twins import (
    Nested,
    Spans,
    deep_recursive_twin,
    matrix_vector_twin,
    recursive_twin,
    tensor_twin,
    tree_gru_twin,
    tree_lstm_twin,
)

from treenlp.composition import (
    COMPOSITIONS,
    NETWORKS,
    Branching,
    Composition,
    ControlName,
    DeepRecursiveNet,
    Encoding,
    MatrixVectorNet,
    NaryBatch,
    SequenceBatch,
    TensorNetwork,
    TreeBatch,
    TreeShape,
    control_shape,
    make_composition,
    make_network,
)
from treenlp.errors import ConfigError, ShapeError
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.tree import Tree


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table: what is known of a composition function."""

    twin: Callable[[nn.Module, Tensor, Nested], Spans]
    is_order_sensitive: bool


TABLE: dict[str, Row] = {
    "recursive": Row(twin=recursive_twin, is_order_sensitive=True),
    "deep-recursive": Row(twin=deep_recursive_twin, is_order_sensitive=True),
    "matrix-vector": Row(twin=matrix_vector_twin, is_order_sensitive=True),
    "tensor": Row(twin=tensor_twin, is_order_sensitive=True),
    "tree-gru": Row(twin=tree_gru_twin, is_order_sensitive=True),
    "tree-lstm": Row(twin=tree_lstm_twin, is_order_sensitive=True),
}

every_cell = pytest.mark.parametrize("name", sorted(TABLE))


def random_tree(count: int, rng: random.Random, first: int = 0) -> Nested:
    if count == 1:
        return first
    left = rng.randint(1, count - 1)
    return (
        random_tree(left, rng, first),
        random_tree(count - left, rng, first + left),
    )


def splits_of(tree: Nested) -> list[int]:
    def visit(node: Nested) -> tuple[int, int, list[int]]:
        if isinstance(node, int):
            return node, node + 1, []
        start, middle, left = visit(node[0])
        _, end, right = visit(node[1])
        return start, end, [middle, *left, *right]

    return visit(tree)[2]


def shape_of(tree: Nested) -> TreeShape:
    splits = splits_of(tree)
    return TreeShape.from_splits(splits, len(splits) + 1)


def make(
    name: str, dtype: torch.dtype = torch.float64, inputs: int = 3, size: int = 4
) -> Composition:
    torch.manual_seed(7)
    cell = make_composition(name, inputs, size).to(dtype)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return cell


def some_trees(seed: int = 0) -> list[Nested]:
    rng = random.Random(seed)
    return [random_tree(count, rng) for count in (1, 2, 5, 1, 9, 3)]


def encode(cell: Composition, trees: list[Nested], leaves: list[Tensor]) -> Encoding:
    return cell(torch.cat(leaves), TreeBatch.from_shapes([shape_of(tree) for tree in trees]))


def leaves_for(trees: list[Nested], width: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randn(len(splits_of(tree)) + 1, width, generator=generator, dtype=torch.float64)
        for tree in trees
    ]


def test_table_covers_the_registry() -> None:
    assert set(TABLE) == set(COMPOSITIONS)


@every_cell
def test_every_node_equals_the_slow_twin(name: str) -> None:
    cell, trees = make(name), some_trees()
    leaves = leaves_for(trees)
    result = encode(cell, trees, leaves)
    index = result.index()
    seen = 0
    for place, tree in enumerate(trees):
        for (start, end), (hidden, _) in TABLE[name].twin(cell, leaves[place], tree).items():
            torch.testing.assert_close(result.nodes[index[place, start, end]], hidden)
            seen += 1
        torch.testing.assert_close(
            result.root[place], result.nodes[index[place, 0, len(leaves[place])]]
        )
    assert seen == len(result.nodes)


@every_cell
def test_gradients_equal_those_of_the_slow_twin(name: str) -> None:
    cell, trees = make(name), some_trees(1)
    leaves = [row.requires_grad_() for row in leaves_for(trees)]
    wanted = [*leaves, *cell.parameters()]
    fast = encode(cell, trees, leaves).nodes.square().sum()
    twin_states = [
        state
        for row, tree in zip(leaves, trees, strict=True)
        for state, _ in TABLE[name].twin(cell, row, tree).values()
    ]
    slow = torch.stack(twin_states).square().sum()
    for left, right in zip(
        torch.autograd.grad(fast, wanted), torch.autograd.grad(slow, wanted), strict=True
    ):
        torch.testing.assert_close(left, right)


@every_cell
def test_nothing_changes_where_no_gradients_are_asked_for(name: str) -> None:
    cell, trees = make(name), some_trees(2)
    leaves = leaves_for(trees)
    with torch.inference_mode():
        found = encode(cell, trees, leaves).nodes
    torch.testing.assert_close(found, encode(cell, trees, leaves).nodes, rtol=0, atol=0)


@every_cell
def test_gradcheck_over_inputs_and_parameters(name: str) -> None:
    cell = make(name, inputs=2, size=2)
    batch = TreeBatch.from_shapes([shape_of(tree) for tree in (((0, 1), (2, 3)), 0, (0, (1, 2)))])
    names = [key for key, _ in cell.named_parameters()]

    def run(leaves: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
        result = torch.func.functional_call(
            cell, dict(zip(names, values, strict=True)), (leaves, batch)
        )
        return result.nodes, result.root

    leaves = torch.randn(8, 2, dtype=torch.float64, requires_grad=True)
    values = [value.detach().requires_grad_() for value in cell.parameters()]
    assert torch.autograd.gradcheck(run, (leaves, *values))


@every_cell
def test_batched_equals_single(name: str) -> None:
    cell, trees = make(name), some_trees(2)
    leaves = leaves_for(trees)
    together = encode(cell, trees, leaves)
    for place, tree in enumerate(trees):
        alone = encode(cell, [tree], [leaves[place]])
        torch.testing.assert_close(together.root[place], alone.root[0])
        torch.testing.assert_close(
            together.nodes[together.owner == place].sum(0), alone.nodes.sum(0)
        )


@every_cell
def test_order_of_trees_changes_nothing(name: str) -> None:
    cell, trees = make(name), some_trees(3)
    leaves = leaves_for(trees)
    order = [4, 2, 0, 5, 1, 3]
    moved = encode(cell, [trees[i] for i in order], [leaves[i] for i in order])
    torch.testing.assert_close(moved.root, encode(cell, trees, leaves).root[order])


@every_cell
def test_mirroring_a_tree_changes_the_result_where_order_counts(name: str) -> None:
    cell = make(name)
    leaves = leaves_for([(0, 1)])[0]
    there = encode(cell, [(0, 1)], [leaves]).root
    back = encode(cell, [(0, 1)], [leaves.flip(0)]).root
    assert torch.allclose(there, back) != TABLE[name].is_order_sensitive


@every_cell
def test_structure_changes_the_result(name: str) -> None:
    cell = make(name)
    leaves = leaves_for([((0, 1), 2)])[0]
    left = encode(cell, [((0, 1), 2)], [leaves]).root
    right = encode(cell, [(0, (1, 2))], [leaves]).root
    assert not torch.allclose(left, right)


@every_cell
def test_saved_and_loaded_weights_are_equal(name: str, tmp_path: Path) -> None:
    cell, trees = make(name), some_trees()
    leaves = leaves_for(trees)
    save_file(cell.state_dict(), tmp_path / "cell.safetensors")
    other = make_composition(name, 3, 4).double()
    assert not torch.equal(encode(cell, trees, leaves).root, encode(other, trees, leaves).root)
    other.load_state_dict(load_file(tmp_path / "cell.safetensors"))
    assert torch.equal(encode(cell, trees, leaves).root, encode(other, trees, leaves).root)


@every_cell
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)], ids=str
)
def test_lower_precision_stays_near_double(name: str, dtype: torch.dtype, tolerance: float) -> None:
    cell, trees = make(name), some_trees()
    leaves = leaves_for(trees)
    exact = encode(cell, trees, leaves).nodes
    result = encode(cell.to(dtype), trees, [row.to(dtype) for row in leaves]).nodes
    assert result.dtype == dtype
    assert (result.double() - exact).abs().max() < tolerance


@every_cell
def test_autocast_does_not_change_the_result(name: str) -> None:
    cell, trees = make(name, torch.float32), some_trees()
    leaves = [row.float() for row in leaves_for(trees)]
    plain = encode(cell, trees, leaves).nodes
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = encode(cell, trees, leaves).nodes
    assert torch.equal(plain, cast)


@every_cell
def test_overfits_eight_trees(name: str) -> None:
    rng = random.Random(5)
    trees = [random_tree(count, rng) for count in (2, 3, 4, 5, 5, 6, 7, 8)]
    leaves = [row.float() for row in leaves_for(trees, 8)]
    torch.manual_seed(1)
    cell, out = make_composition(name, 8, 16), nn.Linear(16, 2)
    targets = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    optimizer = torch.optim.Adam([*cell.parameters(), *out.parameters()], lr=0.02)
    for _ in range(60):
        loss = nn.functional.cross_entropy(out(encode(cell, trees, leaves).root), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def zigzag(count: int) -> TreeShape:
    """The deepest tree over so many leaves, whose nodes lose the first and the last in turn."""
    start, end, splits = 0, count, []
    while end - start > 1:
        is_first = len(splits) % 2 == 0
        splits.append(start + 1 if is_first else end - 1)
        start, end = (start + 1, end) if is_first else (start, end - 1)
    return TreeShape.from_splits(splits, count)


@every_cell
def test_twenty_thousand_levels_deep(name: str) -> None:
    count = 20_001
    shape = zigzag(count)
    assert int(shape.heights.max()) == 20_000
    cell = make(name, torch.float32)
    leaves = torch.randn(count, 3, requires_grad=True)
    root = cell(leaves, TreeBatch.from_shapes([shape])).root
    root.sum().backward()
    assert torch.isfinite(root).all()
    assert leaves.grad is not None
    assert torch.isfinite(leaves.grad).all()


@pytest.mark.parametrize("hidden_size", [16, 128])
def test_new_matrices_of_wide_leaves_are_near_the_identity(hidden_size: int) -> None:
    cell = make_composition("matrix-vector", 384, hidden_size)
    assert isinstance(cell, MatrixVectorNet)
    change = cell.leaf_matrices(torch.randn(20, 384)) - torch.eye(hidden_size)
    assert torch.linalg.matrix_norm(change, 2).max() < 0.5
    assert not torch.allclose(change, torch.zeros(()), atol=1e-3)


def test_a_step_of_adam_moves_a_node_by_the_tensor_no_more_than_by_the_matrix() -> None:
    """The largest change of p before tanh when each entry moves by the rate, children all 1."""
    cell = make_composition("tensor", 3, 8)
    assert isinstance(cell, TensorNetwork)
    children, rate = torch.ones(16), 1e-3
    of_weight = (torch.full_like(cell.weight, rate) @ children).max().item()
    slices = torch.full_like(cell.tensor, rate)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.leaf.bias.fill_(20.0)  # tanh: 1
        cell.tensor.copy_(slices)
        found = cell(torch.zeros(2, 3), TreeBatch.from_shapes([TreeShape.from_splits([1], 2)]))
    assert torch.atanh(found.root).max().item() == pytest.approx(of_weight, rel=1e-4)


@every_cell
def test_wrong_number_of_leaves_is_refused(name: str) -> None:
    batch = TreeBatch.from_shapes([TreeShape.from_splits([1], 2)])
    with pytest.raises(ShapeError, match=r"\(3, 3\), expected \(2, 3\)"):
        make(name)(torch.zeros(3, 3, dtype=torch.float64), batch)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'lstm', expected one of: .*tree-lstm"):
        make_composition("lstm", 3, 4)


WIDE = "(S (NP (DT the) (JJ old) (NN cat)) (VP (VBD sat) (ADVP (RB down))) (. .))"


def spans_of(shape: TreeShape) -> set[tuple[int, int, int]]:
    columns = zip(shape.starts.tolist(), shape.splits.tolist(), shape.ends.tolist(), strict=True)
    return set(columns)


def test_right_branching_splits_off_the_first_child() -> None:
    shape = TreeShape.from_tree(parse_brackets(WIDE))
    assert spans_of(shape) == {(0, 3, 6), (0, 1, 3), (1, 2, 3), (3, 5, 6), (3, 4, 5)}


def test_left_branching_splits_off_the_last_child() -> None:
    shape = TreeShape.from_tree(parse_brackets(WIDE), Branching.LEFT)
    assert spans_of(shape) == {(0, 5, 6), (0, 3, 5), (0, 2, 3), (0, 1, 2), (3, 4, 5)}


def test_unary_chains_are_one_node() -> None:
    tree = parse_brackets("(ROOT (S (NP (NP (PRP it))) (VP (VBZ is))))")
    batch = TreeBatch.from_trees([tree])
    assert batch.num_nodes == 3
    assert batch.spans.tolist() == [[0, 1], [1, 2], [0, 2]]


def test_one_leaf_is_its_own_root() -> None:
    batch = TreeBatch.from_trees([Tree.build("NN", ["x"]), parse_brackets("(NP (A a) (B b))")])
    assert batch.roots.tolist() == [0, 3]
    assert batch.level_sizes == (1,)
    assert TreeBatch.from_trees([Tree.build("NN", ["x"])]).level_sizes == ()


def test_children_stand_before_parents_and_levels_are_slices() -> None:
    shapes = [shape_of(tree) for tree in some_trees(4)]
    batch = TreeBatch.from_shapes(shapes)
    assert sum(batch.level_sizes) == len(batch.children)
    first = batch.num_leaves
    for size in batch.level_sizes:
        inside = batch.children[first - batch.num_leaves : first - batch.num_leaves + size]
        assert int(inside.max()) < first
        first += size
    assert sorted(batch.children.reshape(-1).tolist() + batch.roots.tolist()) == list(
        range(batch.num_nodes)
    )


@given(st.integers(1, 30), st.integers(0, 10_000), st.sampled_from(list(Branching)))
def test_binary_trees_keep_their_shape(count: int, seed: int, branching: Branching) -> None:
    wanted = shape_of(random_tree(count, random.Random(seed)))
    inner = zip(wanted.starts.tolist(), wanted.ends.tolist(), strict=True)
    spans = sorted([*inner, *((i, i + 1) for i in range(count))], key=lambda s: (s[0], -s[1]))
    found = TreeShape.from_spans(spans, count, branching)
    assert found.splits.tolist() == wanted.splits.tolist()
    assert found.heights.tolist() == wanted.heights.tolist()


@pytest.mark.parametrize(
    ("spans", "count", "message"),
    [
        ([(0, 2), (0, 1), (1, 2)], 3, "found 1 binary nodes over 3 leaves"),
        ([(0, 3), (0, 2), (0, 1), (1, 3)], 3, r"\[1, 3\) crosses \[0, 2\)"),
        ([(0, 5)], 3, r"\[0, 5\) does not lie in the 3 leaves"),
    ],
)
def test_spans_that_are_no_tree_are_refused(
    spans: list[tuple[int, int]], count: int, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        TreeShape.from_spans(spans, count)


def test_splits_that_are_no_tree_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"split 3 lies outside its span \[0, 3\)"):
        TreeShape.from_splits([3, 1], 3)
    with pytest.raises(ShapeError, match="found 1 splits for 3 leaves"):
        TreeShape.from_splits([1], 3)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ShapeError, match="found no trees"):
        TreeBatch.from_shapes([])


def test_sequences_are_grouped_by_step() -> None:
    batch = SequenceBatch.from_lengths([2, 3, 1])
    assert batch.step_sizes == (3, 2, 1)
    assert batch.owner.tolist() == [0, 0, 1, 1, 1, 2]
    assert batch.steps.tolist() == [2, 0, 5, 3, 1, 4]
    assert batch.position[batch.steps].tolist() == [0, 0, 0, 1, 1, 2]
    with pytest.raises(ShapeError, match="no empty one"):
        SequenceBatch.from_lengths([2, 0])


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("right", [1, 2, 3, 4]),
        ("left", [4, 3, 2, 1]),
        ("balanced", [3, 2, 1, 4]),
    ],
)
def test_control_trees(name: ControlName, splits: list[int]) -> None:
    assert control_shape(name, 5).splits.tolist() == splits


def test_random_control_trees_take_every_place_and_repeat() -> None:
    first = {int(control_shape("random", 4, seed=seed).splits[0]) for seed in range(30)}
    assert first == {1, 2, 3}
    one, other = (control_shape("random", 40, seed=3).splits.tolist() for _ in range(2))
    assert one == other
    assert one != control_shape("random", 40, seed=4).splits.tolist()


def test_control_trees_of_one_leaf_and_of_none() -> None:
    assert control_shape("random", 1).splits.tolist() == []
    with pytest.raises(ShapeError, match="0 leaves"):
        control_shape("balanced", 0)
    with pytest.raises(ConfigError, match="'up', expected one of: right, left"):
        control_shape("up", 3)  # type: ignore[arg-type]


def three_items(name: str) -> TreeBatch | SequenceBatch | NaryBatch:
    """Items of 2, 1 and 4 words, as the network of that name reads them."""
    batches: dict[str, TreeBatch | SequenceBatch | NaryBatch] = {
        "trees": TreeBatch.from_shapes([control_shape("random", n) for n in (2, 1, 4)]),
        "sequences": SequenceBatch.from_lengths([2, 1, 4]),
        "dependencies": NaryBatch.from_heads([[-1, 0], [-1], [1, -1, 3, 1]]),
        "constituents": NaryBatch.from_constituents([[(0, 2)], [(0, 1)], [(0, 4), (1, 4)]]),
    }
    return batches[NETWORKS[name].reads]


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_runs_in_16_bits(name: str) -> None:
    torch.manual_seed(1)
    words, batch = torch.randn(7, 3), three_items(name)
    network = make_network(name, 3, 4)
    wanted = network(words, batch).nodes
    found = network.bfloat16()(words, batch).nodes
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, atol=0.06, rtol=0.06)
    found.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_encodes_its_batches(name: str) -> None:
    words, batch = torch.randn(7, 3), three_items(name)
    network = make_network(name, 3, 4)
    found = network(words, batch)
    assert found.root.shape == (3, 4)
    assert found.nodes.shape == (len(found.owner), 4) == (len(found.spans), 4)
    tops = {(0, 0, 2), (1, 0, 1), (2, 0, 4)}
    if NETWORKS[name].reads != "sequences":
        assert tops <= set(found.index())
    found.root.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'transformer', expected one of: bi-gru, .*tree-lstm"):
        make_network("transformer", 3, 4)


def test_deep_recursive_network_of_one_layer_is_the_recursive_one() -> None:
    deep, flat = DeepRecursiveNet(3, 4, layers=1), make_composition("recursive", 3, 4)
    flat.load_state_dict(deep.state_dict())
    batch = TreeBatch.from_shapes([control_shape("random", 6)])
    leaves = torch.randn(6, 3)
    assert torch.equal(deep(leaves, batch).nodes, flat(leaves, batch).nodes)
    with pytest.raises(ConfigError, match="found 0 layers"):
        DeepRecursiveNet(3, 4, layers=0)

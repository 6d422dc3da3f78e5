"""Child-sum networks against a recursion a node at a time, and against recurrent networks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import trees
from torch import Tensor

from treenlp.composition import ChildSumNet, NaryBatch, RecurrentNet, SequenceBatch
from treenlp.composition.recurrent import CellName
from treenlp.errors import ConfigError, ShapeError
from treenlp.trees import Tree
from treenlp.trees.conllu import read_conllu

CELLS = get_args(CellName)
every_cell = pytest.mark.parametrize("cell", CELLS)
LENGTHS = [3, 1, 6, 2]
TREES = [[1, -1, 1, 1], [-1], [2, 0, -1, 2, 3, 3], [-1, 0, 1]]


def make(cell: str, inputs: int = 3, size: int = 4) -> ChildSumNet:
    torch.manual_seed(5)
    return ChildSumNet(inputs, size, cell=cell).double()  # type: ignore[arg-type]


def vectors(count: int, width: int = 3) -> Tensor:
    return torch.randn(
        count, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )


def twin(network: ChildSumNet, heads: Sequence[int], words: Tensor) -> Tensor:
    """States (n, H) of one tree by the equations, children first."""
    found: dict[int, tuple[Tensor, Tensor]] = {}

    def visit(node: int) -> tuple[Tensor, Tensor]:
        below = [visit(child) for child, head in enumerate(heads) if head == node]
        found[node] = compose(network, words[node], below)
        return found[node]

    visit(list(heads).index(-1))
    return torch.stack([found[node][0] for node in range(len(heads))])


def compose(
    network: ChildSumNet, word: Tensor, below: Sequence[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """State (h, c) of one node by the equations."""
    size = network.hidden_size
    c = torch.zeros(size, dtype=word.dtype)
    total = sum((h for h, _ in below), c)
    x = network.weight_input @ word + network.bias_input
    s = network.weight_state @ total + network.bias_state
    if network.cell == "plain":
        h = torch.tanh(x + s)
    elif network.cell == "gru":
        (r_x, z_x, n_x), (r_s, z_s, n_s) = x.chunk(3), s.chunk(3)
        z = torch.sigmoid(z_x + z_s)
        h = (1 - z) * torch.tanh(n_x + torch.sigmoid(r_x + r_s) * n_s) + z * total
    else:
        i, _, u, o = (x + s).chunk(4)
        c = torch.sigmoid(i) * torch.tanh(u)
        rows = slice(size, 2 * size)
        for h_child, c_child in below:
            forget = network.weight_state[rows] @ h_child + network.bias_state[rows]
            c = c + torch.sigmoid(x[rows] + forget) * c_child
        h = torch.sigmoid(o) * torch.tanh(c)
    return h, c


def states_by_span(
    network: ChildSumNet, tree: Tree, words: Tensor, start: int = 0
) -> dict[tuple[int, int], tuple[Tensor, Tensor]]:
    """State of every constituent of a tree of any arity, which has no word but at its leaves."""
    if tree.is_preterminal:
        return {(start, start + 1): compose(network, words[start], [])}
    found: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    below, at = [], start
    for child in tree.subtrees:
        found |= states_by_span(network, child, words, at)
        below.append(found[at, at + child.num_leaves])
        at += child.num_leaves
    if len(below) > 1:  # a unary chain is one node
        found[start, at] = compose(network, torch.zeros_like(words[0]), below)
    return found


@every_cell
def test_every_node_equals_the_slow_twin(cell: str) -> None:
    network, words = make(cell), vectors(sum(map(len, TREES)))
    found = network(words, NaryBatch.from_heads(TREES))
    for place, heads in enumerate(TREES):
        own = twin(network, heads, words[found.owner == place])
        torch.testing.assert_close(found.nodes[found.owner == place], own)
        torch.testing.assert_close(found.root[place], own[heads.index(-1)])
    assert found.spans[found.owner == 2].tolist() == [
        [0, 2],
        [1, 2],
        [0, 6],
        [3, 6],
        [4, 5],
        [5, 6],
    ]


CONLLU = """\
# text = 两位老师写书
1\t两\t_\tNUM\t_\t_\t2\tnummod\t_\t_
2\t位\t_\tNOUN\t_\t_\t3\tclf\t_\t_
3\t老师\t_\tNOUN\t_\t_\t4\tnsubj\t_\t_
4\t写\t_\tVERB\t_\t_\t0\troot\t_\t_
5\t书\t_\tNOUN\t_\t_\t4\tobj\t_\t_

"""


@every_cell
def test_a_treebank_file_reaches_the_network(cell: str) -> None:
    trees = list(read_conllu(CONLLU.splitlines(keepends=True)))
    network, words = make(cell), vectors(5)
    found = network(words, NaryBatch.from_heads([tree.heads for tree in trees]))
    torch.testing.assert_close(found.nodes, twin(network, [1, 2, 3, -1, 3], words))
    assert found.spans.tolist() == [[0, 1], [0, 2], [0, 3], [0, 5], [4, 5]]


@every_cell
def test_gradients(cell: str) -> None:
    network = make(cell, inputs=2, size=2)
    batch = NaryBatch.from_heads(TREES[:3])
    words = vectors(11, 2).requires_grad_()

    def run(rows: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        found = network(rows, batch)
        return found.nodes, found.root

    assert torch.autograd.gradcheck(run, (words, *network.parameters()))


@every_cell
def test_a_recurrent_network_is_the_recursive_one_on_a_chain(cell: str) -> None:
    torch.manual_seed(7)
    recurrent = RecurrentNet(3, 4, cell=cell, directions=1).double()  # type: ignore[arg-type]
    recursive = ChildSumNet.from_recurrent(recurrent)
    words = vectors(sum(LENGTHS))
    wanted = recurrent(words, SequenceBatch.from_lengths(LENGTHS))
    chains = NaryBatch.from_chains(LENGTHS)
    for network_found in (
        recursive(words, chains),
        recursive.to_recurrent()(words, SequenceBatch.from_lengths(LENGTHS)),
    ):
        torch.testing.assert_close(network_found.nodes, wanted.nodes, atol=1e-6, rtol=0)
        torch.testing.assert_close(network_found.root, wanted.root, atol=1e-6, rtol=0)


@settings(max_examples=40, deadline=None)
@given(forest=st.lists(trees(), min_size=1, max_size=3), cell=st.sampled_from(CELLS))
def test_every_constituent_of_any_arity_equals_the_slow_twin(forest: list[Tree], cell: str) -> None:
    network = make(cell)
    words = vectors(sum(tree.num_leaves for tree in forest))
    found = network(
        words,
        NaryBatch.from_constituents(
            [[(c.start, c.end) for c in tree.constituents(preterminals=True)] for tree in forest]
        ),
    )
    start = 0
    for place, tree in enumerate(forest):
        own = states_by_span(network, tree, words[start : start + tree.num_leaves])
        start += tree.num_leaves
        spans = [(a, b) for a, b in found.spans[found.owner == place].tolist()]
        assert sorted(spans) == sorted(own)
        wanted = torch.stack([own[span][0] for span in spans])
        torch.testing.assert_close(found.nodes[found.owner == place], wanted)
        torch.testing.assert_close(found.root[place], own[0, tree.num_leaves][0])


@every_cell
def test_gradients_over_constituents(cell: str) -> None:
    network = make(cell, inputs=2, size=2)
    batch = NaryBatch.from_constituents([[(0, 4), (1, 4)], [(0, 1)], [(0, 3)]])
    words = vectors(8, 2).requires_grad_()

    def run(rows: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        found = network(rows, batch)
        return found.nodes, found.root

    assert torch.autograd.gradcheck(run, (words, *network.parameters()))


@pytest.mark.parametrize(
    ("spans", "complaint"),
    [
        ([], r"found the spans \[\] in tree 1, expected those of one tree"),
        ([(1, 3)], r"found the spans \[\(1, 3\)\] in tree 1"),
        ([(0, 3), (2, 2)], "in tree 1, expected"),
        ([(0, 3), (2, 4)], "in tree 1, expected"),
        ([(0, 4), (2, 4), (0, 2)], "in preorder"),
        ([(0, 4), (0, 2), (2, 4), (0, 2)], "in preorder"),
        ([(0, 4), (0, 3), (1, 4)], r"span \[1, 4\) crosses \[0, 3\) in tree 1"),
    ],
)
def test_spans_of_no_tree_are_refused(spans: list[tuple[int, int]], complaint: str) -> None:
    with pytest.raises(ShapeError, match=complaint):
        NaryBatch.from_constituents([[(0, 2)], spans])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cell=st.sampled_from(CELLS))
def test_children_come_in_no_order(seed: int, cell: str) -> None:
    """A tree whose words are numbered otherwise has the same states at the same words."""
    rng = random.Random(seed)
    count = rng.randint(1, 12)
    heads = [-1, *(rng.randrange(node) for node in range(1, count))]
    places = rng.sample(range(count), count)  # node n moves to places[n]
    moved = [0] * count
    for node, head in enumerate(heads):
        moved[places[node]] = -1 if head < 0 else places[head]
    network, words = make(cell), vectors(count)
    other = torch.empty_like(words)
    other[places] = words
    found = network(words, NaryBatch.from_heads([heads])).nodes
    again = network(other, NaryBatch.from_heads([moved])).nodes
    torch.testing.assert_close(again[places], found)


def test_a_chain_of_twenty_thousand_words_has_no_limit() -> None:
    network = ChildSumNet(2, 2)
    words = torch.zeros(20_000, 2, requires_grad=True)
    network(words, NaryBatch.from_chains([20_000])).root.sum().backward()
    assert words.grad is not None
    assert bool(torch.isfinite(words.grad).all())


@pytest.mark.parametrize(
    ("heads", "complaint"),
    [
        ([], "found no tree"),
        ([[]], r"found the heads \[\] of 0 words in tree 0"),
        ([[-1], [-1, -1]], "of 2 words in tree 1, expected numbers of its words"),
        ([[-1, 2]], "expected numbers of its words, from 0, and one root"),
        ([[-1, 2, 1]], "tree 0 lead in a circle"),
    ],
)
def test_what_is_no_tree_is_refused(heads: list[list[int]], complaint: str) -> None:
    with pytest.raises(ShapeError, match=complaint):
        NaryBatch.from_heads(heads)
    with pytest.raises(ShapeError, match="found no tree"):
        NaryBatch.from_constituents([])


def test_a_batch_moves_whole() -> None:
    batch = NaryBatch.from_heads(TREES)
    moved = batch.to("meta")
    for name, value in vars(batch).items():
        if isinstance(value, Tensor):
            assert getattr(moved, name).device.type == "meta"
            assert getattr(moved, name).shape == value.shape
        else:
            assert getattr(moved, name) == value


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="found the child-sum cell 'elman', expected one of: pl"):
        make("elman")
    with pytest.raises(ConfigError, match="2 directions and 1 layers, expected one of each"):
        ChildSumNet.from_recurrent(RecurrentNet(3, 4))
    with pytest.raises(ShapeError, match=r"\(2, 3\), expected \(3, 3\)"):
        make("gru")(torch.zeros(2, 3), NaryBatch.from_heads([[1, -1, 1]]))

"""Slow recursive twins of the composition functions, one node at a time.

They follow the papers' equations literally and import nothing from `treenlp.composition`, so
that a mistake there cannot be repeated here. A tree is a nested pair: an int is the number of
a leaf, a tuple holds the left and the right child.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Nested = int | tuple[Any, Any]
Spans = dict[tuple[int, int], tuple[Tensor, Tensor]]


def recursive_twin(cell: nn.Module, leaves: Tensor, tree: Nested) -> Spans:
    """Vectors by span, after Socher et al. (2011)."""
    return _visit(tree, _leaf_vectors(cell, leaves), lambda b, c: _layer(cell, b, c))


def deep_recursive_twin(cell: nn.Module, leaves: Tensor, tree: Nested) -> Spans:
    """Vectors of the last layer by span, after Irsoy & Cardie (2014), equation 10."""
    states = recursive_twin(cell, leaves, tree)
    for layer, weight in zip(cell.above, cell.weights, strict=True):
        below = {span: layer.weight @ vector + layer.bias for span, (vector, _) in states.items()}
        states = {}

        def visit(node: Nested) -> tuple[int, int]:
            if isinstance(node, int):
                span, children = (node, node + 1), 0.0
            else:
                left, right = visit(node[0]), visit(node[1])
                span = (left[0], right[1])
                children = weight @ torch.cat([states[left][0], states[right][0]])  # noqa: B023
            vector = torch.tanh(below[span] + children)  # noqa: B023
            states[span] = (vector, vector)  # noqa: B023
            return span

        visit(tree)
    return states


def tree_gru_twin(cell: nn.Module, leaves: Tensor, tree: Nested) -> Spans:
    """Vectors by span: the gates of Cho et al. (2014) with two children, one unit at a time."""
    size = cell.hidden_size

    def compose(b: Tensor, c: Tensor) -> Tensor:
        gates = cell.gate_weight @ torch.cat([b, c]) + cell.gate_bias
        reset_b, reset_c = torch.sigmoid(gates[:size]), torch.sigmoid(gates[size : 2 * size])
        new = torch.tanh(cell.weight @ torch.cat([reset_b * b, reset_c * c]) + cell.bias)
        units = []
        for n in range(size):
            keep_b, keep_c = gates[2 * size + n].exp(), gates[3 * size + n].exp()
            units.append((keep_b * b[n] + keep_c * c[n] + new[n]) / (keep_b + keep_c + 1))
        return torch.stack(units)

    return _visit(tree, _leaf_vectors(cell, leaves), compose)


def tensor_twin(cell: nn.Module, leaves: Tensor, tree: Nested) -> Spans:
    """Vectors by span, after Socher et al. (2013), section 4.3, one slice at a time."""

    def compose(b: Tensor, c: Tensor) -> Tensor:
        both = torch.cat([b, c])
        bilinear = torch.stack([both @ part @ both for part in cell.tensor]) / len(both)
        return torch.tanh(bilinear + cell.weight @ both + cell.bias)

    return _visit(tree, _leaf_vectors(cell, leaves), compose)


def matrix_vector_twin(cell: nn.Module, leaves: Tensor, tree: Nested) -> Spans:
    """Vectors (with matrices) by span, after Socher et al. (2012)."""
    size, rank = cell.hidden_size, cell.rank
    states: Spans = {}

    def visit(node: Nested) -> tuple[int, int]:
        if isinstance(node, int):
            rows = (cell.factors.weight @ leaves[node] + cell.factors.bias).split(size)
            matrix = torch.diag(rows[-1]) + torch.eye(size, dtype=leaves.dtype)
            for u, v in zip(rows[:rank], rows[rank : 2 * rank], strict=True):
                matrix = matrix + torch.outer(u, v)
            vector = torch.tanh(cell.leaf.weight @ leaves[node] + cell.leaf.bias)
            states[node, node + 1] = (vector, matrix)
            return node, node + 1
        left, right = visit(node[0]), visit(node[1])
        (a, a_matrix), (b, b_matrix) = states[left], states[right]
        vector = _layer(cell, b_matrix @ a, a_matrix @ b)
        matrix = cell.matrix_weight @ torch.cat([a_matrix, b_matrix])
        states[left[0], right[1]] = (vector, matrix)
        return left[0], right[1]

    visit(tree)
    return states


def _layer(cell: nn.Module, first: Tensor, second: Tensor) -> Tensor:
    return torch.tanh(cell.weight @ torch.cat([first, second]) + cell.bias)


def _leaf_vectors(cell: nn.Module, leaves: Tensor) -> list[Tensor]:
    return [torch.tanh(cell.leaf.weight @ leaf + cell.leaf.bias) for leaf in leaves]


def _visit(
    tree: Nested, leaves: list[Tensor], compose: Callable[[Tensor, Tensor], Tensor]
) -> Spans:
    """Apply a function of two children bottom-up; there is no second state."""
    states: Spans = {}

    def visit(node: Nested) -> tuple[int, int]:
        if isinstance(node, int):
            states[node, node + 1] = (leaves[node], leaves[node])
            return node, node + 1
        left, right = visit(node[0]), visit(node[1])
        vector = compose(states[left][0], states[right][0])
        states[left[0], right[1]] = (vector, vector)
        return left[0], right[1]

    visit(tree)
    return states


def tree_lstm_twin(cell: nn.Module, leaves: Tensor, tree: Nested) -> Spans:
    """States (h, c) by span, after Tai et al. (2015), equations 9 to 14 with N = 2."""
    size = cell.hidden_size
    own, other = cell.leaf.weight[:size], cell.leaf.weight[size:]
    own_bias, other_bias = cell.leaf.bias[:size], cell.leaf.bias[size:]
    blocks = cell.weight.reshape(5, size, 2, size)  # gate, output, child, input
    biases = cell.bias.reshape(4, size)
    states: Spans = {}

    def gate(which: int, bias: int, left: Tensor, right: Tensor) -> Tensor:
        return blocks[which, :, 0] @ left + blocks[which, :, 1] @ right + biases[bias]

    def visit(node: Nested) -> tuple[int, int]:
        if isinstance(node, int):
            c = other @ leaves[node] + other_bias
            h = torch.sigmoid(own @ leaves[node] + own_bias) * torch.tanh(c)
            states[node, node + 1] = (h, c)
            return node, node + 1
        left, right = visit(node[0]), visit(node[1])
        (h_left, c_left), (h_right, c_right) = states[left], states[right]
        i = torch.sigmoid(gate(0, 0, h_left, h_right))
        f_left = torch.sigmoid(gate(1, 1, h_left, h_right))
        f_right = torch.sigmoid(gate(2, 1, h_left, h_right))
        o = torch.sigmoid(gate(3, 2, h_left, h_right))
        u = torch.tanh(gate(4, 3, h_left, h_right))
        c = i * u + f_left * c_left + f_right * c_right
        states[left[0], right[1]] = (o * torch.tanh(c), c)
        return left[0], right[1]

    visit(tree)
    return states

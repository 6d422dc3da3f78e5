"""Slow recursive twins of the composition functions, one node at a time.

They follow the papers' equations literally and import nothing from `treenlp.composition`, so
that a mistake there cannot be repeated here. A tree is a nested pair: an int is the number of
a leaf, a tuple holds the left and the right child.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

Nested = int | tuple[Any, Any]
Spans = dict[tuple[int, int], tuple[Tensor, Tensor]]


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

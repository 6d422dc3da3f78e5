"""Binary Tree-LSTM, computed one height at a time.

Tai, Socher & Manning (2015), "Improved Semantic Representations From Tree-Structured Long
Short-Term Memory Networks", equations 9 to 14 with N = 2. As in their constituency trees,
words stand at leaves only: an internal node has no input x, and a leaf, which has no
children, has a transform of its own, c = W x + b and h = sigmoid(V x + d) * tanh(c).

The recursion over heights carries a backward pass of its own. Every level reads and writes
slices of buffers shared by the whole batch, so time and memory are linear in the nodes at
any depth, and the weights' gradient is a single matrix product at the end. What is left beside
the matrix products is kept small: no node has two parents, so gradients go down by reading, not
by adding up; derivatives of all gates are taken at once; and tanh(x) is 2 sigmoid(2 x) - 1, which
is several times faster on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from treenlp.composition.base import Composition
from treenlp.composition.batch import TreeBatch

__all__ = ["TreeLstm"]


class TreeLstm(Composition):
    """Binary Tree-LSTM over the trees of a batch.

    Parameters are kept in 32 bits, or in what `module.to(dtype)` asks for: bfloat16 and float64
    work.

    Example:
        >>> from treenlp.composition import TreeShape
        >>> cell = TreeLstm(input_size=3, hidden_size=4)
        >>> batch = TreeBatch.from_shapes([TreeShape.from_splits([1], 2)])
        >>> cell(torch.zeros(2, 3), batch).root.shape
        torch.Size([1, 4])
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Create the parameters; forget gates start open (bias 1)."""
        super().__init__(input_size, hidden_size)
        self.leaf = nn.Linear(input_size, 2 * hidden_size)
        # rows: input gate, forget gate of the left and of the right child, output gate, update
        self.weight = nn.Parameter(torch.empty(5 * hidden_size, 2 * hidden_size))
        # equation 10 shares one forget bias between the children
        self.bias = nn.Parameter(torch.zeros(4 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew: uniform by fan-in and fan-out, biases 0 and 1."""
        size = self.hidden_size
        with torch.no_grad():
            for matrix in (*self.leaf.weight.chunk(2), *self.weight.chunk(5)):
                nn.init.xavier_uniform_(matrix)
            self.leaf.bias.zero_()
            self.bias.zero_()
            self.bias[size : 2 * size] = 1.0

    def node_states(self, leaves: Tensor, batch: TreeBatch) -> Tensor:
        """Hidden states (N, hidden_size) of all nodes."""
        gate, cell = self.leaf(leaves).chunk(2, dim=1)
        hidden = torch.sigmoid(gate) * torch.tanh(cell)
        if not batch.level_sizes:
            return hidden
        inputs, forget, output, update = self.bias.chunk(4)
        bias = torch.cat([inputs, forget, forget, output, update])
        states: Tensor = _LevelScan.apply(  # type: ignore[no-untyped-call]
            hidden, cell, self.weight, bias, batch.children, batch.level_sizes
        )
        return states


class _LevelScan(torch.autograd.Function):
    """The recursion over heights with its backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        leaf_h: Tensor,
        leaf_c: Tensor,
        weight: Tensor,
        bias: Tensor,
        children: Tensor,
        level_sizes: tuple[int, ...],
    ) -> Tensor:
        """Compute h (N, H) of all nodes from h and c of the leaves."""
        leaves, size = leaf_h.shape
        inner = len(children)
        h = leaf_h.new_empty(leaves + inner, size)
        c = leaf_h.new_empty(leaves + inner, size)
        h[:leaves] = leaf_h
        c[:leaves] = leaf_c
        child_h = leaf_h.new_empty(2 * inner, size)
        child_c = leaf_h.new_empty(2 * inner, size)
        gates = leaf_h.new_empty(inner, 5 * size)
        tanh_c = leaf_h.new_empty(inner, size)
        flat = children.reshape(-1)
        # the update's rows twice as large: one sigmoid then serves all five
        doubled = torch.cat([weight[: 4 * size], weight[4 * size :] * 2]).t()
        bias = torch.cat([bias[: 4 * size], bias[4 * size :] * 2])
        first = 0
        for count in level_sizes:
            last = first + count
            here, pairs = slice(first, last), slice(2 * first, 2 * last)
            above = slice(leaves + first, leaves + last)
            torch.index_select(h, 0, flat[pairs], out=child_h[pairs])
            torch.index_select(c, 0, flat[pairs], out=child_c[pairs])
            act = gates[here]
            torch.addmm(bias, child_h[pairs].view(count, 2 * size), doubled, out=act).sigmoid_()
            gate_i, left, right, gate_o, update = act.split_with_sizes([size] * 5, dim=1)
            update.mul_(2).sub_(1)
            below = child_c[pairs].view(count, 2, size)
            torch.mul(gate_i, update, out=c[above])
            c[above].addcmul_(left, below[:, 0]).addcmul_(right, below[:, 1])
            squashed = torch.mul(c[above], 2, out=tanh_c[here]).sigmoid_().mul_(2).sub_(1)
            torch.mul(gate_o, squashed, out=h[above])
            first = last
        ctx.save_for_backward(child_h, child_c, gates, tanh_c, weight, flat)
        ctx.level_sizes = level_sizes
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Go down the heights; see the gates' derivatives in the comments."""
        child_h, child_c, gates, tanh_c, weight, flat = ctx.saved_tensors
        inner, size = tanh_c.shape
        leaves = len(grad) - inner
        # What every child gets of its parent, in the order of `flat`; roots read the last row.
        down_h, down_c = grad.new_empty(2, 2 * inner + 1, size)
        down_h[-1], down_c[-1] = 0, 0
        place = flat.new_full((len(grad),), 2 * inner)
        place[flat] = torch.arange(2 * inner, device=flat.device)
        sigmoids, update = gates[:, : 4 * size], gates[:, 4 * size :]
        slopes = torch.empty_like(gates)  # sigmoid' = s (1 - s), tanh' = 1 - t^2
        torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1, out=slopes[:, : 4 * size])
        torch.addcmul(grad.new_ones(()), update, update, value=-1, out=slopes[:, 4 * size :])
        d_gates = torch.empty_like(gates)
        last = inner
        for count in reversed(ctx.level_sizes):
            first = last - count
            here, pairs = slice(first, last), slice(2 * first, 2 * last)
            above = slice(leaves + first, leaves + last)
            d_h = down_h.index_select(0, place[above]).add_(grad[above])
            d_c = down_c.index_select(0, place[above])
            squashed = tanh_c[here]
            gate_i, forget, gate_o, update = gates[here].split_with_sizes(
                [size, 2 * size, size, size], dim=1
            )
            # h = o tanh(c)
            through = d_h * gate_o
            d_c.add_(through).addcmul_(through.mul_(squashed), squashed, value=-1)
            # c = i u + f_left c_left + f_right c_right
            d_i, d_forget, d_o, d_update = d_gates[here].split_with_sizes(
                [size, 2 * size, size, size], dim=1
            )
            torch.mul(d_h, squashed, out=d_o)
            torch.mul(d_c, update, out=d_i)
            torch.mul(d_c, gate_i, out=d_update)
            twice = d_c.unsqueeze(1)  # (m, 1, H)
            below = child_c[pairs].view(count, 2, size)
            torch.mul(twice, below, out=d_forget.view(count, 2, size))
            torch.mul(twice, forget.view(count, 2, size), out=down_c[pairs].view(count, 2, size))
            d_gates[here].mul_(slopes[here])
            torch.mm(d_gates[here], weight, out=down_h[pairs].view(count, 2 * size))
            last = first
        of_leaves = place[:leaves]
        return (
            down_h.index_select(0, of_leaves).add_(grad[:leaves]),
            down_c.index_select(0, of_leaves),
            d_gates.t() @ child_h.view(inner, 2 * size),
            d_gates.sum(0),
            None,
            None,
        )

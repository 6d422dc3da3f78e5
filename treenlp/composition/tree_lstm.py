"""Binary Tree-LSTM, computed one height at a time.

Tai, Socher & Manning (2015), "Improved Semantic Representations From Tree-Structured Long
Short-Term Memory Networks", equations 9 to 14 with N = 2. As in their constituency trees,
words stand at leaves only: an internal node has no input x, and a leaf, which has no
children, has a transform of its own, c = W x + b and h = sigmoid(V x + d) * tanh(c).

The recursion over heights carries a backward pass of its own. Every level reads and writes
slices of buffers shared by the whole batch, so time and memory are linear in the nodes at
any depth, and the weights' gradient is a single matrix product at the end.
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
        )[0]
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
    ) -> tuple[Tensor, Tensor]:
        """Compute h and c (N, H) of all nodes from those of the leaves."""
        leaves, size = leaf_h.shape
        inner = len(children)
        h = leaf_h.new_empty(leaves + inner, size)
        c = leaf_h.new_empty(leaves + inner, size)
        h[:leaves] = leaf_h
        c[:leaves] = leaf_c
        child_h = leaf_h.new_empty(inner, 2 * size)
        gates = leaf_h.new_empty(inner, 5 * size)
        flat = children.reshape(-1)
        transposed = weight.t()
        first = 0
        for count in level_sizes:
            last = first + count
            index = flat[2 * first : 2 * last]
            read = child_h[first:last]
            torch.index_select(h, 0, index, out=read.view(2 * count, size))
            act = torch.addmm(bias, read, transposed, out=gates[first:last])  # (m, 5H)
            act[:, : 4 * size].sigmoid_()
            act[:, 4 * size :].tanh_()
            cells = c.index_select(0, index).view(count, 2 * size)
            cells.mul_(act[:, size : 3 * size])
            new_c = c[leaves + first : leaves + last]
            torch.mul(act[:, :size], act[:, 4 * size :], out=new_c)
            new_c.add_(cells[:, :size]).add_(cells[:, size:])
            torch.mul(
                act[:, 3 * size : 4 * size],
                new_c.tanh(),
                out=h[leaves + first : leaves + last],
            )
            first = last
        ctx.save_for_backward(c, child_h, gates, weight, flat)
        ctx.level_sizes = level_sizes
        return h, c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor, grad_c: Tensor) -> tuple[Tensor | None, ...]:
        """Go down the heights; see the gates' derivatives in the comments."""
        c, child_h, gates, weight, flat = ctx.saved_tensors
        inner, size = len(gates), c.shape[1]
        leaves = len(c) - inner
        dh_all = grad_h.clone()
        dc_all = grad_c.clone()
        dpre_all = torch.empty_like(gates)
        last = inner
        for count in reversed(ctx.level_sizes):
            first = last - count
            index = flat[2 * first : 2 * last]
            act = gates[first:last]
            dpre = dpre_all[first:last]
            dh = dh_all[leaves + first : leaves + last]
            dc = dc_all[leaves + first : leaves + last]
            tanh_c = c[leaves + first : leaves + last].tanh()
            gate_i, gate_o = act[:, :size], act[:, 3 * size : 4 * size]
            update = act[:, 4 * size :]
            # h = o tanh(c)
            torch.mul(dh, tanh_c, out=dpre[:, 3 * size : 4 * size])
            dc.addcmul_(dh * gate_o, 1 - tanh_c * tanh_c)
            # c = i u + f_left c_left + f_right c_right
            torch.mul(dc, update, out=dpre[:, :size])
            torch.mul(dc, gate_i, out=dpre[:, 4 * size :])
            twice = torch.cat([dc, dc], dim=1)  # (m, 2H)
            forget = act[:, size : 3 * size]
            cells = c.index_select(0, index).view(count, 2 * size)
            torch.mul(twice, cells, out=dpre[:, size : 3 * size])
            dc_all.index_add_(0, index, (twice * forget).view(2 * count, size))
            # sigmoid' = s (1 - s), tanh' = 1 - t^2
            sigmoids = act[:, : 4 * size]
            dpre[:, : 4 * size].mul_(sigmoids * (1 - sigmoids))
            dpre[:, 4 * size :].mul_(1 - update * update)
            dh_all.index_add_(0, index, (dpre @ weight).view(2 * count, size))
            last = first
        return (
            dh_all[:leaves],
            dc_all[:leaves],
            dpre_all.t() @ child_h,
            dpre_all.sum(0),
            None,
            None,
        )

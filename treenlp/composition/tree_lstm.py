"""Binary Tree-LSTM, computed one height at a time.

Tai, Socher & Manning (2015), "Improved Semantic Representations From Tree-Structured Long
Short-Term Memory Networks", equations 9 to 14 with N = 2. As in their constituency trees,
words stand at leaves only: an internal node has no input x, and a leaf, which has no
children, has a transform of its own, c = W x + b and h = sigmoid(V x + d) * tanh(c).

The recursion over heights carries a backward pass of its own. Every level reads and writes
slices of buffers shared by the whole batch, so time and memory are linear in the nodes at
any depth, and the weights' gradient is a single matrix product at the end. What is left beside
the matrix products is kept small, above all the number of operations a level, each of which costs
the same for one node as for fifty: derivatives that a node needs no parent for are taken for all
nodes at once; no node has two parents, so gradients go down by reading, not by adding up, and
what comes from outside waits where they are written; and tanh(x) is 2 sigmoid(2 x) - 1, which is
several times faster on a CPU.

Training in 32 bits on a CPU takes the compiled loops of `tree_lstm_fused` if numba is installed.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from treenlp.composition.base import Composition
from treenlp.composition.batch import TreeBatch

__all__ = ["TreeLstm", "compiled_loops"]


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
        inputs, forget, output, update = self.bias.chunk(4)
        bias = torch.cat([inputs, forget, forget, output, update])
        leaf = self.leaf(leaves)
        # To answer a line, the half second that loading them takes is too long.
        loops = compiled_loops(leaf, self.weight) if torch.is_grad_enabled() else None
        scan = loops.FusedLevelScan if loops else _LevelScan
        states: Tensor = scan.apply(leaf, self.weight, bias, batch.children, batch.level_sizes)
        return states


def compiled_loops(*tensors: Tensor) -> ModuleType | None:
    """The module `tree_lstm_fused` if it is of use here and can compute with `tensors`."""
    loops = _load_loops()
    return loops if loops is not None and loops.serves(*tensors) else None


@functools.cache
def _load_loops() -> ModuleType | None:
    """None without numba, with one that does not fit the other packages, or none that may compile.

    The last is told by a RuntimeError: it finds no folder in which it could keep what it compiled.
    """
    try:
        from treenlp.composition import tree_lstm_fused
    except (ImportError, RuntimeError):
        return None
    return tree_lstm_fused


class _LevelScan(torch.autograd.Function):
    """The recursion over heights with its backward pass.

    Here the update comes first, so that the four gates that reach h through c stand together, and
    c is kept twice as large: tanh(c) is then 2 sigmoid(2 c) - 1 without a product of its own.
    """

    @staticmethod
    def forward(
        ctx: Any,
        leaf: Tensor,
        weight: Tensor,
        bias: Tensor,
        children: Tensor,
        level_sizes: tuple[int, ...],
    ) -> Tensor:
        """Compute h (N, H) of all nodes from the gate and the c of the leaves (L, 2 H)."""
        leaves, inner = len(leaf), len(children)
        size = weight.shape[1] // 2
        h = leaf.new_empty(leaves + inner, size)
        twice_c, tanh_c = torch.empty_like(h), torch.empty_like(h)
        child_h = leaf.new_empty(2 * inner, size)
        child_c = torch.empty_like(child_h)
        gates = leaf.new_empty(inner, 5 * size)
        flat = children.reshape(-1)
        less_one, less_two = leaf.new_tensor(-1.0), leaf.new_tensor(-2.0)

        leaf_gate = torch.sigmoid(leaf[:, :size])
        torch.mul(leaf[:, size:], 2, out=twice_c[:leaves])
        squashed = torch.sigmoid(twice_c[:leaves])
        torch.add(less_one, squashed, alpha=2, out=tanh_c[:leaves])
        torch.mul(leaf_gate, tanh_c[:leaves], out=h[:leaves])

        # the update's rows twice as large: one sigmoid then serves all five
        rows = _update_first(weight)
        rows[:size] *= 2
        columns, bias = rows.t(), _update_first(bias)
        bias[:size] *= 2
        both = [2 * count for count in level_sizes]
        below = child_c.view(inner, 2, size)
        levels = zip(
            flat.split_with_sizes(both),
            child_h.split_with_sizes(both),
            child_c.split_with_sizes(both),
            child_h.view(inner, 2 * size).split_with_sizes(level_sizes),
            gates.split_with_sizes(level_sizes),
            zip(
                *(gate.split_with_sizes(level_sizes) for gate in gates.chunk(5, dim=1)), strict=True
            ),
            zip(*(c.split_with_sizes(level_sizes) for c in below.unbind(1)), strict=True),
            zip(
                *(own[leaves:].split_with_sizes(level_sizes) for own in (twice_c, tanh_c, h)),
                strict=True,
            ),
            strict=True,
        )
        for here, pair_h, pair_c, pair, act, by_gate, (left_c, right_c), own in levels:
            update, gate_i, left, right, gate_o = by_gate
            own_c, tanh, own_h = own
            torch.index_select(h, 0, here, out=pair_h)
            torch.index_select(twice_c, 0, here, out=pair_c)
            torch.addmm(bias, pair, columns, out=act).sigmoid_()
            torch.add(less_two, update, alpha=4, out=update)  # twice the tanh
            torch.mul(gate_i, update, out=own_c)
            own_c.addcmul_(left, left_c).addcmul_(right, right_c)
            torch.sigmoid(own_c, out=tanh)
            torch.add(less_one, tanh, alpha=2, out=tanh)
            torch.mul(gate_o, tanh, out=own_h)
        ctx.save_for_backward(h, child_h, child_c, gates, leaf_gate, tanh_c, weight, flat)
        ctx.level_sizes = level_sizes
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Take what is local to a node for all nodes at once, then go down the heights."""
        h, child_h, child_c, gates, leaf_gate, tanh_c, weight, flat = ctx.saved_tensors
        leaves, size = leaf_gate.shape
        inner = len(gates)
        sizes = ctx.level_sizes
        update, sigmoids = gates[:, :size], gates[:, size:]
        gate_i, forget, gate_o = sigmoids.split_with_sizes([size, 2 * size, size], dim=1)
        # By the gates' inputs: c = i u + f_left c_left + f_right c_right and h = o tanh(c), all c
        # and the update twice as large; sigmoid' = s (1 - s) and (2 tanh)' = 2 - (2 tanh)^2 / 2.
        d_gates = torch.empty_like(gates)
        d_update, d_sigmoids = d_gates[:, :size], d_gates[:, size:]
        d_i, d_forget, d_o = d_sigmoids.split_with_sizes([size, 2 * size, size], dim=1)
        torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1, out=d_sigmoids)
        torch.addcmul(grad.new_tensor(2.0), update, update, value=-0.5, out=d_update)
        d_update.mul_(gate_i)
        d_i.mul_(update)
        d_forget.mul_(child_c.view(inner, 2 * size))
        d_o.mul_(tanh_c[leaves:])
        # h by c: o (1 - tanh(c)^2) / 2
        slope = torch.empty_like(h)
        for nodes, gate in ((slice(0, leaves), leaf_gate), (slice(leaves, None), gate_o)):
            torch.addcmul(gate, h[nodes], tanh_c[nodes], value=-1, out=slope[nodes]).mul_(0.5)

        # What every child gets of its parent and of outside, in the order of `flat`, then roots.
        is_root = flat.new_ones(len(grad), dtype=torch.bool)
        is_root[flat] = False
        order = torch.cat([flat, is_root.nonzero().view(-1)])
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        down_h = grad.index_select(0, order)
        down_c = torch.empty_like(down_h)
        down_c[len(flat) :] = 0
        rows = _update_first(weight)
        levels = zip(
            place[leaves:].split_with_sizes(sizes),
            slope[leaves:].split_with_sizes(sizes),
            d_gates.split_with_sizes(sizes),
            d_gates[:, : 4 * size].view(inner, 4, size).split_with_sizes(sizes),
            d_o.split_with_sizes(sizes),
            forget.view(inner, 2, size).split_with_sizes(sizes),
            down_h[: len(flat)].view(inner, 2 * size).split_with_sizes(sizes),
            down_c[: len(flat)].view(inner, 2, size).split_with_sizes(sizes),
            strict=True,
        )
        for here, by_c, d_act, through_c, d_output, kept, below_h, below_c in reversed([*levels]):
            d_h = down_h.index_select(0, here)
            d_c = down_c.index_select(0, here).addcmul_(d_h, by_c).unsqueeze(1)
            through_c.mul_(d_c)
            d_output.mul_(d_h)
            torch.mul(d_c, kept, out=below_c)
            below_h.addmm_(d_act, rows)
        d_leaf = grad.new_empty(leaves, 2 * size)
        d_h = down_h.index_select(0, place[:leaves])
        d_c = down_c.index_select(0, place[:leaves]).addcmul_(d_h, slope[:leaves])
        torch.mul(d_c, 2, out=d_leaf[:, size:])
        gate_slope = torch.addcmul(leaf_gate, leaf_gate, leaf_gate, value=-1)
        torch.mul(d_h.mul_(tanh_c[:leaves]), gate_slope, out=d_leaf[:, :size])
        d_weight = d_gates.t() @ child_h.view(inner, 2 * size)
        return d_leaf, _update_last(d_weight), _update_last(d_gates.sum(0)), None, None


def _update_first(gates: Tensor) -> Tensor:
    """A copy with the last fifth of the rows before the others."""
    return gates.roll(len(gates) // 5, 0)


def _update_last(gates: Tensor) -> Tensor:
    """A copy with the first fifth of the rows after the others."""
    return gates.roll(-(len(gates) // 5), 0)

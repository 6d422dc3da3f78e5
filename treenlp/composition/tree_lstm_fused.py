"""The Tree-LSTM's recursion over heights in loops that numba compiles: 32 bits, on a CPU.

Equations, parameters and results are those of `tree_lstm`. What differs is what a height costs
beside its matrix product: there each of some twenty operations reads and writes all nodes of a
height, here one loop does everything for a node while its numbers are in the cache.

Every node has a slot: child s of the internal node n, counted without leaves, has slot 2 n + s,
and roots come after all children. A node writes its state where its parent reads it, so that no
height gathers anything, and it reads its gradient where its parent wrote it.

The loops run on numba's threads, as many as torch has. numba stops a process that uses them after
it was forked from one that did, and with some threading layers one that uses them from two threads
at once: `serves` says no in a forked process, and a lock keeps threads apart.
"""

from __future__ import annotations

import math
import os
import threading
from typing import Any

import numba
import numpy as np
import torch
from numba import njit, prange
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["FusedLevelScan", "serves"]

Rows = NDArray[np.float32]
Index = NDArray[np.int64]

_config: Any = numba.config  # type hints of numba leave its entries out
_one_at_a_time = threading.Lock()
_was_forked = False


def _note_fork() -> None:
    global _was_forked
    _was_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def serves(*tensors: Tensor) -> bool:
    """Whether these loops can compute with `tensors`: 32 bits on a CPU, in a process not forked.

    With `NUMBA_DISABLE_JIT=1` in the environment they never do: they would be plain Python.
    """
    return not (_was_forked or _config.DISABLE_JIT) and all(
        tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors
    )


class FusedLevelScan(torch.autograd.Function):
    """The recursion with its backward pass; takes and returns what `tree_lstm._LevelScan` does."""

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
        leaf = leaf.contiguous()
        inner, size = len(children), weight.shape[1] // 2
        count = len(leaf) + inner
        slots = _slots(children.numpy(), count)
        h = leaf.new_empty(count, size)
        slot_h, slot_c = torch.empty_like(h), torch.empty_like(h)
        pairs = slot_h[: 2 * inner].view(inner, 2 * size)
        gates = leaf.new_empty(inner, 5 * size)
        states = h.numpy(), slot_h.numpy(), slot_c.numpy()
        act, offsets = gates.numpy(), bias.detach().numpy()
        columns = weight.t()
        levels = zip(
            pairs.split_with_sizes(level_sizes), gates.split_with_sizes(level_sizes), strict=True
        )
        with _one_at_a_time:
            _use_as_many_threads_as_torch()
            _compose_leaves(leaf.detach().numpy(), slots, *states)
            start = 0
            for pair, product in levels:
                torch.mm(pair, columns, out=product)
                _compose_nodes(start, start + len(pair), act, offsets, slots, *states)
                start += len(pair)
        ctx.save_for_backward(leaf, weight, pairs, slot_c, gates)
        ctx.slots, ctx.level_sizes = slots, level_sizes
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Go down the heights; the weights' gradient is one matrix product at the end."""
        leaf, weight, pairs, slot_c, gates = ctx.saved_tensors
        grad = grad.contiguous()
        inner, size = len(gates), grad.shape[1]
        d_gates = torch.empty_like(gates)
        down_h, down_c = torch.empty_like(grad), torch.empty_like(grad)
        down_h[2 * inner :] = 0  # roots have no parent
        down_c[2 * inner :] = 0
        below = down_h[: 2 * inner].view(inner, 2 * size)
        d_leaf = torch.empty_like(leaf)
        outside, act, states = grad.numpy(), gates.numpy(), slot_c.numpy()
        d_act, down = d_gates.numpy(), (down_h.numpy(), down_c.numpy())
        levels = zip(
            d_gates.split_with_sizes(ctx.level_sizes),
            below.split_with_sizes(ctx.level_sizes),
            strict=True,
        )
        with _one_at_a_time:
            _use_as_many_threads_as_torch()
            end = inner
            for d_product, d_pair in reversed([*levels]):
                start = end - len(d_pair)
                _nodes_backward(start, end, act, states, ctx.slots, outside, *down, d_act)
                torch.mm(d_product, weight, out=d_pair)
                end = start
            _leaves_backward(leaf.detach().numpy(), ctx.slots, outside, *down, d_leaf.numpy())
        return d_leaf, d_gates.t() @ pairs, d_gates.sum(0), None, None


def _slots(children: Index, count: int) -> Index:
    """The slot (N,) of every node."""
    flat = children.reshape(-1)
    slots = np.full(count, -1, dtype=np.int64)
    slots[flat] = np.arange(len(flat))
    slots[slots < 0] = np.arange(len(flat), count)
    return slots


def _use_as_many_threads_as_torch() -> None:
    numba.set_num_threads(min(torch.get_num_threads(), _config.NUMBA_NUM_THREADS))


# Sums stay in the order in which they are written; a product and a sum may be one instruction.
_compiled = njit(
    parallel=True, cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"}
)
_inlined = njit(inline="always", error_model="numpy", fastmath={"contract", "nsz"})

_ONE, _TWO = np.float32(1), np.float32(2)
_LOG2_E = np.float32(1 / math.log(2))
_LN2_HIGH = np.float32(355 / 512)  # few bits, so that products with small integers are exact
_LN2_LOW = np.float32(math.log(2) - 355 / 512)
_TO_INTEGER = np.float32(1.5 * 2**23)  # a sum with it is rounded to an integer, in its low bits
_LIMIT = np.float32(87)  # exp of it, and of its negative, is a normal number
_C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(1 / math.factorial(k)) for k in range(2, 8))


@_inlined
def _sigmoid(x: np.float32) -> np.float32:
    """1 / (1 + exp(-x)) to 2e-7, without a branch or a call, so that a loop becomes vectors.

    exp(y) is 2^k exp(r) with |r| <= ln(2) / 2, and exp(r) its series to the seventh power.
    """
    y = min(max(-x, -_LIMIT), _LIMIT)
    shifted = y * _LOG2_E + _TO_INTEGER
    k = shifted - _TO_INTEGER
    r = y - k * _LN2_HIGH - k * _LN2_LOW
    series = ((((((_C7 * r + _C6) * r + _C5) * r + _C4) * r + _C3) * r + _C2) * r + _ONE) * r + _ONE
    exponent = np.int32((np.float32(shifted).view(np.int32) << 23) + (127 << 23))
    return _ONE / (_ONE + series * exponent.view(np.float32))


@_inlined
def _tanh(x: np.float32) -> np.float32:
    return _TWO * _sigmoid(_TWO * x) - _ONE


# Within a node every loop reads and writes few rows: only such loops become vectors.


@_compiled
def _compose_leaves(leaf: Rows, slots: Index, h: Rows, slot_h: Rows, slot_c: Rows) -> None:
    """Leaves: h = sigmoid(gate) tanh(c)."""
    size = h.shape[1]
    for n in prange(len(leaf)):
        gate, given = leaf[n, :size], leaf[n, size:]
        own, for_parent, c = h[n], slot_h[slots[n]], slot_c[slots[n]]
        for j in range(size):
            own[j] = _sigmoid(gate[j]) * _tanh(given[j])
        for j in range(size):
            for_parent[j] = own[j]
        for j in range(size):
            c[j] = given[j]


@_compiled
def _compose_nodes(
    start: int, end: int, gates: Rows, bias: Rows, slots: Index, h: Rows, slot_h: Rows, slot_c: Rows
) -> None:
    """Equations 9 to 14 for the internal nodes `start` to `end`, whose products `gates` holds."""
    size = h.shape[1]
    leaves = len(h) - len(gates)
    for n in prange(start, end):
        act, slot = gates[n], slots[leaves + n]
        own, for_parent, c = h[leaves + n], slot_h[slot], slot_c[slot]
        c_left, c_right = slot_c[2 * n], slot_c[2 * n + 1]
        i, left, right = act[:size], act[size : 2 * size], act[2 * size : 3 * size]
        o, u, u_bias = act[3 * size : 4 * size], act[4 * size :], bias[4 * size :]
        for j in range(4 * size):
            act[j] = _sigmoid(act[j] + bias[j])
        for j in range(size):
            u[j] = _tanh(u[j] + u_bias[j])
        for j in range(size):
            c[j] = i[j] * u[j] + left[j] * c_left[j] + right[j] * c_right[j]
        for j in range(size):
            own[j] = o[j] * _tanh(c[j])
        for j in range(size):
            for_parent[j] = own[j]


@_compiled
def _nodes_backward(
    start: int,
    end: int,
    gates: Rows,
    slot_c: Rows,
    slots: Index,
    outside: Rows,
    down_h: Rows,
    down_c: Rows,
    d_gates: Rows,
) -> None:
    """Gradients of the gates' inputs and of the children's c.

    A node's row of `d_gates` and its left child's of `down_c` hold d_h, d_c and tanh(c) until
    they are written: sigmoid' = s (1 - s) and tanh' = 1 - t^2.
    """
    size = outside.shape[1]
    leaves = len(outside) - len(gates)
    for n in prange(start, end):
        act, d_act, slot = gates[n], d_gates[n], slots[leaves + n]
        given, from_h, from_c, c = outside[leaves + n], down_h[slot], down_c[slot], slot_c[slot]
        c_left, c_right = slot_c[2 * n], slot_c[2 * n + 1]
        to_left, to_right = down_c[2 * n], down_c[2 * n + 1]
        i, left, right = act[:size], act[size : 2 * size], act[2 * size : 3 * size]
        o, u = act[3 * size : 4 * size], act[4 * size :]
        d_i, d_left, d_right = d_act[:size], d_act[size : 2 * size], d_act[2 * size : 3 * size]
        d_o, d_u = d_act[3 * size : 4 * size], d_act[4 * size :]
        t, d_h, d_c = to_left, d_o, d_u
        for j in range(size):
            t[j] = _tanh(c[j])
        for j in range(size):
            d_h[j] = given[j] + from_h[j]
        for j in range(size):
            d_c[j] = from_c[j] + d_h[j] * o[j] * (_ONE - t[j] * t[j])
        for j in range(size):
            d_o[j] = d_h[j] * t[j] * o[j] * (_ONE - o[j])
        for j in range(size):
            d_i[j] = d_c[j] * u[j] * i[j] * (_ONE - i[j])
        for j in range(size):
            to_left[j] = d_c[j] * left[j]
        for j in range(size):
            to_right[j] = d_c[j] * right[j]
        for j in range(size):
            d_left[j] = to_left[j] * c_left[j] * (_ONE - left[j])
        for j in range(size):
            d_right[j] = to_right[j] * c_right[j] * (_ONE - right[j])
        for j in range(size):
            d_u[j] = d_c[j] * i[j] * (_ONE - u[j] * u[j])


@_compiled
def _leaves_backward(
    leaf: Rows, slots: Index, outside: Rows, down_h: Rows, down_c: Rows, d_leaf: Rows
) -> None:
    """Gradients of the gate and the c of all leaves; a row holds d_h and tanh(c) on the way."""
    size = outside.shape[1]
    for n in prange(len(leaf)):
        gate, c, d_gate, d_c = leaf[n, :size], leaf[n, size:], d_leaf[n, :size], d_leaf[n, size:]
        given, from_h, from_c = outside[n], down_h[slots[n]], down_c[slots[n]]
        for j in range(size):
            d_c[j] = _tanh(c[j])
        for j in range(size):
            opened = _sigmoid(gate[j])
            d_h = given[j] + from_h[j]
            t = d_c[j]
            d_gate[j] = d_h * t * opened * (_ONE - opened)
            d_c[j] = from_c[j] + d_h * opened * (_ONE - t * t)

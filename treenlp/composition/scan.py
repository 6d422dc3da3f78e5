"""Backpropagation through structure for any cell, in time and memory linear in the nodes.

Goller & Küchler (1996), "Learning Task-Dependent Distributed Representations by Backpropagation
Through Structure", one height at a time. An autograd graph over heights would copy the states of
the whole batch once a level, which is quadratic in a deep tree. Here the states of all nodes are
one buffer that every level reads and writes in place; on the way down each level is computed once
more to get its gradients, so training costs one forward pass more than its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from treenlp.composition.batch import TreeBatch

__all__ = ["Cell", "scan_levels"]

Cell = Callable[..., Tensor]
"""A pure function of the states (m, 2, S) of m nodes' children and of parameters: states (m, S)."""


def scan_levels(cell: Cell, leaves: Tensor, batch: TreeBatch, *parameters: Tensor) -> Tensor:
    """Compute the states of all nodes from those of the leaves.

    Args:
        cell: computes parents from children.
        leaves: (N_leaves, S) states of the leaves.
        batch: the trees over them.
        *parameters: what the cell gets beside the children; gradients flow to these.

    Returns:
        (N, S) states in the numbering of `batch`.
    """
    if not batch.level_sizes:
        return leaves
    states: Tensor = _Scan.apply(  # type: ignore[no-untyped-call]
        cell, batch.level_sizes, batch.children, leaves, *parameters
    )
    return states


class _Scan(torch.autograd.Function):
    """The recursion over heights, up and down."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        level_sizes: tuple[int, ...],
        children: Tensor,
        leaves: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        count, size = leaves.shape
        states = leaves.new_empty(count + len(children), size)
        states[:count] = leaves
        flat = children.reshape(-1)
        first = 0
        for nodes in level_sizes:
            last = first + nodes
            below = states.index_select(0, flat[2 * first : 2 * last]).view(nodes, 2, size)
            states[count + first : count + last] = cell(below, *parameters)
            first = last
        ctx.save_for_backward(states, flat, *parameters)
        ctx.cell, ctx.level_sizes = cell, level_sizes
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        states, flat, *parameters = ctx.saved_tensors
        size = states.shape[1]
        last = len(flat) // 2
        count = len(states) - last
        grads = grad.clone()
        own = [parameter.detach().requires_grad_() for parameter in parameters]
        found = [torch.zeros_like(parameter) for parameter in parameters]
        for nodes in reversed(ctx.level_sizes):
            first = last - nodes
            index = flat[2 * first : 2 * last]
            below = states.index_select(0, index).view(nodes, 2, size).requires_grad_()
            with torch.enable_grad():
                above = ctx.cell(below, *own)
            d_below, *d_own = torch.autograd.grad(
                above, [below, *own], grads[count + first : count + last]
            )
            grads.index_add_(0, index, d_below.reshape(2 * nodes, size))
            for total, part in zip(found, d_own, strict=True):
                total.add_(part)
            last = first
        return None, None, None, grads[:count], *found

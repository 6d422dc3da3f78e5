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

from treenlp.composition.batch import NaryBatch, TreeBatch

__all__ = ["BinaryCell", "ChildSumCell", "scan_heights", "scan_levels"]

BinaryCell = Callable[..., Tensor]
"""A pure function of the states (m, 2, S) of m nodes' children, of the nodes' own inputs (m, G) if
they have any, and of parameters: states (m, S)."""

ChildSumCell = Callable[..., Tensor]
"""A pure function of the words (m, G) of m nodes, of the states (e, S) of all their children, of
the parent (e,) of each child, from 0 to m - 1, and of parameters: states (m, S)."""


def scan_levels(
    cell: BinaryCell,
    leaves: Tensor,
    batch: TreeBatch,
    *parameters: Tensor,
    inputs: Tensor | None = None,
) -> Tensor:
    """Compute the states of all nodes of binary trees from those of the leaves.

    Args:
        cell: computes parents from children.
        leaves: (N_leaves, S) states of the leaves.
        batch: the trees over them.
        *parameters: what the cell gets beside the children; gradients flow to these.
        inputs: (M, G) what the cell gets of each internal node, in the numbering of `batch`;
            None if nodes have no inputs.

    Returns:
        (N, S) states in the numbering of `batch`.
    """
    if not batch.level_sizes:
        return leaves

    def from_pairs(seen: Tensor, below: Tensor, _: Tensor, *own: Tensor) -> Tensor:
        pairs = below.view(len(below) // 2, 2, -1)
        return cell(pairs, *own) if inputs is None else cell(pairs, seen, *own)

    children = batch.children.reshape(-1)
    states: Tensor = _Scan.apply(  # type: ignore[no-untyped-call]
        from_pairs,
        batch.level_sizes,
        tuple(2 * nodes for nodes in batch.level_sizes),
        children,
        children,  # who the parent is, the cell knows
        leaves,
        leaves.new_empty(len(batch.children), 0) if inputs is None else inputs,
        *parameters,
    )
    return states


def scan_heights(
    cell: ChildSumCell, words: Tensor, size: int, batch: NaryBatch, *parameters: Tensor
) -> Tensor:
    """Compute the states of all nodes of trees of any arity.

    Args:
        cell: computes nodes from their words and children; gets no children at height 0.
        words: (N, G) what the cell gets of each node, in the numbering of `batch`.
        size: width S of a state.
        batch: the trees.
        *parameters: what the cell gets beside; gradients flow to these.

    Returns:
        (N, S) states in the numbering of `batch`.
    """
    states: Tensor = _Scan.apply(  # type: ignore[no-untyped-call]
        cell,
        batch.level_sizes,
        batch.edge_sizes,
        batch.children,
        batch.parents,
        words.new_empty(0, size),
        words.index_select(0, batch.order),
        *parameters,
    )
    return states.index_select(0, batch.rank)


class _Scan(torch.autograd.Function):
    """The recursion over heights, up and down."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: ChildSumCell,
        level_sizes: tuple[int, ...],
        edge_sizes: tuple[int, ...],
        children: Tensor,
        parents: Tensor,
        leaves: Tensor,
        words: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        count, size = leaves.shape
        states = leaves.new_empty(count + len(words), size)
        states[:count] = leaves
        first = edge = 0
        for nodes, edges in zip(level_sizes, edge_sizes, strict=True):
            here = slice(edge, edge + edges)
            below = states.index_select(0, children[here])
            states[count + first : count + first + nodes] = cell(
                words[first : first + nodes], below, parents[here], *parameters
            )
            first, edge = first + nodes, edge + edges
        ctx.save_for_backward(states, children, parents, words, *parameters)
        ctx.cell, ctx.level_sizes, ctx.edge_sizes = cell, level_sizes, edge_sizes
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        states, children, parents, words, *parameters = ctx.saved_tensors
        last, edge = len(words), len(children)
        count = len(states) - last
        grads = grad.clone()
        d_words = torch.zeros_like(words)
        own = [parameter.detach().requires_grad_() for parameter in parameters]
        found = [torch.zeros_like(parameter) for parameter in parameters]
        for nodes, edges in zip(reversed(ctx.level_sizes), reversed(ctx.edge_sizes), strict=True):
            first, here = last - nodes, slice(edge - edges, edge)
            below = states.index_select(0, children[here]).requires_grad_()
            seen = words[first:last].detach().requires_grad_()
            with torch.enable_grad():
                above = ctx.cell(seen, below, parents[here], *own)
            d_below, d_words[first:last], *d_own = torch.autograd.grad(
                above,
                [below, seen, *own],
                grads[count + first : count + last],
                allow_unused=True,
                materialize_grads=True,
            )
            grads.index_add_(0, children[here], d_below)
            for total, part in zip(found, d_own, strict=True):
                total.add_(part)
            last, edge = first, edge - edges
        return None, None, None, None, None, grads[:count], d_words, *found

"""Recursive neural tensor network.

Socher et al. (2013), "Recursive Deep Models for Semantic Compositionality Over a Sentiment
Treebank", section 4.3: p = f([b; c]^T V [b; c] + W [b; c]) with f = tanh, one slice of V for each
entry of p. Departures: a bias, and leaves brought to the width of nodes by tanh(U x + d); and the
tensor is kept 2 H times as large as V. An optimizer that moves every parameter by about its rate,
such as Adam, then moves p by V no more than by W, which has 2 H times fewer parameters for each
entry of p; without that, rates at which the other networks learn throw this one about.

A slice counts only by its symmetric part S, for x^T V x = x^T S x. So S x, which the way up needs,
is half the slope of x^T V x too: the way down has no product with the tensor. The gradient of the
tensor is one product over the nodes of all heights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from treenlp.composition.batch import TreeBatch
from treenlp.composition.recursive import RecursiveNet

__all__ = ["TensorNetwork"]


class TensorNetwork(RecursiveNet):
    """The recursive network with a tensor of 4 hidden_size^3 entries.

    Training keeps 2 hidden_size^2 numbers a node.

    Example:
        >>> from treenlp.composition import TreeShape
        >>> cell = TensorNetwork(input_size=3, hidden_size=4)
        >>> batch = TreeBatch.from_shapes([TreeShape.from_splits([1], 2)])
        >>> cell(torch.zeros(2, 3), batch).root.shape
        torch.Size([1, 4])
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Create the parameters: those of the recursive network, V near 0."""
        super().__init__(input_size, hidden_size)
        self.tensor = nn.Parameter(torch.empty(hidden_size, 2 * hidden_size, 2 * hidden_size))
        nn.init.uniform_(self.tensor, -0.5, 0.5)

    def node_states(self, leaves: Tensor, batch: TreeBatch) -> Tensor:
        """Hidden states (N, hidden_size) of all nodes."""
        states: Tensor = _LevelScan.apply(  # type: ignore[no-untyped-call]
            torch.tanh(self.leaf(leaves)),
            self.weight,
            self.bias,
            self.tensor,
            batch.children,
            batch.level_sizes,
            torch.is_grad_enabled(),
        )
        return states


class _LevelScan(torch.autograd.Function):
    """The recursion over heights with its backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        leaves: Tensor,
        weight: Tensor,
        bias: Tensor,
        tensor: Tensor,
        children: Tensor,
        level_sizes: tuple[int, ...],
        is_training: bool,
    ) -> Tensor:
        """Compute the states (N, H) of all nodes from those of the leaves (L, H)."""
        count, size = leaves.shape
        inner, width = len(children), 2 * size
        states = leaves.new_empty(count + inner, size)
        states[:count] = leaves
        pairs = leaves.new_empty(inner, width)
        # 2 S x of every node, or of one height where no gradients are asked for
        kept = inner if is_training else max(level_sizes, default=0)
        turned = leaves.new_empty(kept, size, width)
        slices = (tensor + tensor.mT).view(-1, width).t()  # (2 H, H 2 H): 2 S of all slices
        flat, columns = children.reshape(-1), weight.t()
        first = 0
        for nodes in level_sizes:
            last = first + nodes
            pair = pairs[first:last]
            torch.index_select(states, 0, flat[2 * first : 2 * last], out=pair.view(-1, size))
            own = turned[first:last] if is_training else turned[:nodes]
            torch.mm(pair, slices, out=own.view(nodes, -1))
            bilinear = (own * pair.unsqueeze(1)).sum(2)
            found = torch.addmm(bias, pair, columns).add_(bilinear, alpha=0.5 / width)
            torch.tanh(found, out=states[count + first : count + last])
            first = last
        ctx.save_for_backward(states, pairs, turned, weight, flat)
        ctx.level_sizes = level_sizes
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Go down the heights, then take the parameters' gradients of all nodes at once."""
        states, pairs, turned, weight, flat = ctx.saved_tensors
        inner, width = pairs.shape
        count = len(states) - inner
        grads = grad.clone()
        # by what tanh is taken of: first its derivative, then the gradient
        d_sums = 1 - states[count:].square()
        last = inner
        for nodes in reversed(ctx.level_sizes):
            first = last - nodes
            d_sum = d_sums[first:last].mul_(grads[count + first : count + last])
            d_pair = torch.bmm(d_sum.unsqueeze(1), turned[first:last]).squeeze(1).div_(width)
            d_pair.addmm_(d_sum, weight)
            grads.index_add_(0, flat[2 * first : 2 * last], d_pair.view(2 * nodes, -1))
            last = first
        outer = (d_sums / width).unsqueeze(2) * pairs.unsqueeze(1)  # (M, H, 2 H)
        d_tensor = (outer.flatten(1).t() @ pairs).view(-1, width, width)
        d_weight, d_bias = d_sums.t() @ pairs, d_sums.sum(0)
        return grads[:count], d_weight, d_bias, d_tensor, None, None, None

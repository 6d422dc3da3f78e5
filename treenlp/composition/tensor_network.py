"""Recursive neural tensor network.

Socher et al. (2013), "Recursive Deep Models for Semantic Compositionality Over a Sentiment
Treebank", section 4.3: p = f([b; c]^T V [b; c] + W [b; c]) with f = tanh, one slice of V for each
entry of p. Departures: a bias, and leaves brought to the width of nodes by tanh(U x + d); and the
tensor is kept 2 H times as large as V. An optimizer that moves every parameter by about its rate,
such as Adam, then moves p by V no more than by W, which has 2 H times fewer parameters for each
entry of p; without that, rates at which the other networks learn throw this one about.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from treenlp.composition.batch import TreeBatch
from treenlp.composition.recursive import RecursiveNet
from treenlp.composition.scan import scan_levels

__all__ = ["TensorNetwork"]


class TensorNetwork(RecursiveNet):
    """The recursive network with a tensor of 4 hidden_size^3 entries.

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
        hidden = torch.tanh(self.leaf(leaves))
        # rows by the right-hand entry, once for all heights: it is the largest thing of all
        slices = self.tensor.permute(2, 0, 1).flatten(1) / (2 * self.hidden_size)
        return scan_levels(_compose, hidden, batch, self.weight, self.bias, slices)


def _compose(children: Tensor, weight: Tensor, bias: Tensor, slices: Tensor) -> Tensor:
    both = children.flatten(1)  # (m, 2 H)
    right = (both @ slices).view(len(both), len(bias), -1)  # (m, H, 2 H)
    bilinear = torch.bmm(right, both.unsqueeze(2)).squeeze(2)
    return torch.tanh(bilinear + torch.addmm(bias, both, weight.t()))

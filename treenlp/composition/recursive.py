"""Recursive network.

Socher, Lin, Ng & Manning (2011), "Parsing Natural Scenes and Natural Language with Recursive Neural
Networks": p = f(W [c1; c2] + b) with f = tanh. Departure: leaves are brought to the
width of nodes by tanh(V x + d).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from treenlp.composition.base import Composition
from treenlp.composition.batch import TreeBatch
from treenlp.composition.scan import scan_levels

__all__ = ["RecursiveNet"]


class RecursiveNet(Composition):
    """The plain recursive network over the trees of a batch.

    Example:
        >>> from treenlp.composition import TreeShape
        >>> cell = RecursiveNet(input_size=3, hidden_size=4)
        >>> batch = TreeBatch.from_shapes([TreeShape.from_splits([1], 2)])
        >>> cell(torch.zeros(2, 3), batch).root.shape
        torch.Size([1, 4])
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Create the parameters: uniform by fan-in and fan-out, biases 0."""
        super().__init__(input_size, hidden_size)
        self.leaf = nn.Linear(input_size, hidden_size)
        self.weight = nn.Parameter(torch.empty(hidden_size, 2 * hidden_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        nn.init.xavier_uniform_(self.weight)
        nn.init.xavier_uniform_(self.leaf.weight)
        nn.init.zeros_(self.leaf.bias)

    def node_states(self, leaves: Tensor, batch: TreeBatch) -> Tensor:
        """Hidden states (N, hidden_size) of all nodes."""
        hidden = torch.tanh(self.leaf(leaves))
        return scan_levels(_compose, hidden, batch, self.weight, self.bias)


def _compose(children: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.tanh(torch.addmm(bias, children.flatten(1), weight.t()))

"""Stacked recursive network.

Irsoy & Cardie (2014), "Deep Recursive Neural Networks for Compositionality in Language", equation
10: layer i of a node reads layer i of its children and layer i - 1 of the node itself. Departure:
leaves are brought to the width of nodes by tanh(V x + d).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from treenlp.composition.batch import TreeBatch
from treenlp.composition.recursive import RecursiveNet
from treenlp.composition.scan import scan_levels
from treenlp.errors import ConfigError

__all__ = ["DeepRecursiveNet"]


class DeepRecursiveNet(RecursiveNet):
    """Recursive networks one upon the other over the same trees.

    Attributes:
        above: for each layer from the second the transform of the layer below it.
        weights: for each layer from the second (hidden_size, 2 hidden_size) of the children.

    Example:
        >>> from treenlp.composition import TreeShape
        >>> cell = DeepRecursiveNet(input_size=3, hidden_size=4, layers=3)
        >>> batch = TreeBatch.from_shapes([TreeShape.from_splits([1], 2)])
        >>> cell(torch.zeros(2, 3), batch).root.shape
        torch.Size([1, 4])
    """

    def __init__(self, input_size: int, hidden_size: int, *, layers: int = 2) -> None:
        """Create the parameters: uniform by fan-in and fan-out, biases 0.

        Raises:
            ConfigError: if there is not one layer at least.
        """
        if layers < 1:
            raise ConfigError(f"found {layers} layers, expected 1 or more")
        super().__init__(input_size, hidden_size)
        self.above, self.weights = nn.ModuleList(), nn.ParameterList()
        for _ in range(layers - 1):
            layer = nn.Linear(hidden_size, hidden_size)
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
            self.above.append(layer)
            self.weights.append(nn.init.xavier_uniform_(torch.empty(hidden_size, 2 * hidden_size)))

    def node_states(self, leaves: Tensor, batch: TreeBatch) -> Tensor:
        """Hidden states (N, hidden_size) of all nodes in the last layer."""
        states = super().node_states(leaves, batch)
        for layer, weight in zip(self.above, self.weights, strict=True):
            below = layer(states)  # (N, H), of all nodes at once
            lowest = torch.tanh(below[: batch.num_leaves])
            states = scan_levels(_compose, lowest, batch, weight, inputs=below[batch.num_leaves :])
        return states


def _compose(children: Tensor, below: Tensor, weight: Tensor) -> Tensor:
    return torch.tanh(torch.addmm(below, children.flatten(1), weight.t()))

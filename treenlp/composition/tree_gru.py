"""Binary tree network with the gates of a GRU.

Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
Machine Translation", equations 5 to 8, carried over to two children: each child has a reset gate of
its own, and what is kept of each child and what is new are three shares of each entry that sum to 1
by a softmax, as z and 1 - z do over a sequence. So states stay between -1 and 1 at any depth.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from treenlp.composition.batch import TreeBatch
from treenlp.composition.recursive import RecursiveNet
from treenlp.composition.scan import scan_levels

__all__ = ["TreeGru"]


class TreeGru(RecursiveNet):
    """The recursive network with reset and update gates.

    Example:
        >>> from treenlp.composition import TreeShape
        >>> cell = TreeGru(input_size=3, hidden_size=4)
        >>> batch = TreeBatch.from_shapes([TreeShape.from_splits([1], 2)])
        >>> cell(torch.zeros(2, 3), batch).root.shape
        torch.Size([1, 4])
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Create the parameters: those of the recursive network, and the gates', biases 0."""
        super().__init__(input_size, hidden_size)
        # rows: reset of the left and of the right child, keep of the left and of the right child
        self.gate_weight = nn.Parameter(torch.empty(4 * hidden_size, 2 * hidden_size))
        self.gate_bias = nn.Parameter(torch.zeros(4 * hidden_size))
        with torch.no_grad():
            for part in self.gate_weight.chunk(4):
                nn.init.xavier_uniform_(part)

    def node_states(self, leaves: Tensor, batch: TreeBatch) -> Tensor:
        """Hidden states (N, hidden_size) of all nodes."""
        hidden = torch.tanh(self.leaf(leaves))
        own = (self.weight, self.bias, self.gate_weight, self.gate_bias)
        return scan_levels(_compose, hidden, batch, *own)


def _compose(
    children: Tensor, weight: Tensor, bias: Tensor, gate_weight: Tensor, gate_bias: Tensor
) -> Tensor:
    both = children.flatten(1)  # (m, 2 H)
    reset, keep = torch.addmm(gate_bias, both, gate_weight.t()).chunk(2, dim=1)
    new = torch.tanh(torch.addmm(bias, torch.sigmoid(reset) * both, weight.t()))
    shares = torch.cat([keep.view_as(children), torch.zeros_like(new).unsqueeze(1)], dim=1)
    candidates = torch.cat([children, new.unsqueeze(1)], dim=1)  # (m, 3, H)
    return (torch.softmax(shares, dim=1) * candidates).sum(1)

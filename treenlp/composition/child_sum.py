"""Networks over trees of any arity: dependencies, with a word at every node, or constituents.

The child-sum Tree-LSTM of Tai, Socher & Manning (2015), equations 2 to 8, and its two relatives: a
plain cell h = tanh(W x + U s + b), and a gated one in which s takes the place of the state before
in the GRU of Cho et al. (2014), where s is the sum of the children's states. A constituent has no
word: x is 0 there. On a chain, where every word has the word before it as its only child, they are
`RecurrentNet` in one direction with one layer, exactly; weights have the layout of PyTorch's
recurrent layers and are copied both ways.
"""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor, nn

from treenlp.composition.base import check_inputs
from treenlp.composition.batch import NaryBatch
from treenlp.composition.encoding import Encoding
from treenlp.composition.recurrent import CellName, RecurrentNet
from treenlp.composition.scan import scan_heights
from treenlp.errors import ConfigError

__all__ = ["ChildSumNet"]

_GATES: dict[CellName, int] = {"plain": 1, "lstm": 4, "gru": 3}


class ChildSumNet(nn.Module):
    """A recursive network whose nodes sum the states of their children, of any number.

    Attributes:
        input_size: width of the word vectors.
        hidden_size: width of the node vectors.
        cell: name of the cell.

    Example:
        >>> network = ChildSumNet(input_size=3, hidden_size=4)
        >>> network(torch.zeros(3, 3), NaryBatch.from_heads([[1, -1, 1]])).root.shape
        torch.Size([1, 4])
    """

    def __init__(self, input_size: int, hidden_size: int, *, cell: CellName = "lstm") -> None:
        """Create the parameters: uniform by fan-in and fan-out, biases 0.

        Raises:
            ConfigError: if there is no such cell.
        """
        super().__init__()
        if cell not in _GATES:
            known = ", ".join(get_args(CellName))
            raise ConfigError(f"found the child-sum cell {cell!r}, expected one of: {known}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.cell = cell
        rows = _GATES[cell] * hidden_size
        # rows as PyTorch's: LSTM input, forget, update, output; GRU reset, keep, new
        self.weight_input = nn.Parameter(torch.empty(rows, input_size))
        self.weight_state = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_input = nn.Parameter(torch.zeros(rows))
        self.bias_state = nn.Parameter(torch.zeros(rows))
        with torch.no_grad():
            for weight in (self.weight_input, self.weight_state):
                for part in weight.chunk(_GATES[cell]):
                    nn.init.xavier_uniform_(part)

    @classmethod
    def from_recurrent(cls, network: RecurrentNet) -> ChildSumNet:
        """Copy the weights of a recurrent network of one direction and one layer.

        Raises:
            ConfigError: if it has more.

        Example:
            >>> from treenlp.composition import SequenceBatch
            >>> recurrent, words = RecurrentNet(3, 4, directions=1), torch.randn(5, 3)
            >>> recursive = ChildSumNet.from_recurrent(recurrent)
            >>> states = recursive(words, NaryBatch.from_chains([5])).nodes
            >>> wanted = recurrent(words, SequenceBatch.from_lengths([5])).nodes
            >>> torch.allclose(states, wanted, atol=1e-6)
            True
        """
        layer = _only_layer(network)
        names: dict[type[nn.Module], CellName] = {nn.RNN: "plain", nn.LSTM: "lstm", nn.GRU: "gru"}
        copied = cls(network.input_size, network.hidden_size, cell=names[type(layer)])
        copied = copied.to(next(layer.parameters()).dtype)
        with torch.no_grad():
            for own, theirs in zip(copied.parameters(), layer.parameters(), strict=True):
                own.copy_(theirs)
        return copied

    def to_recurrent(self) -> RecurrentNet:
        """Copy the weights into a recurrent network, which says the same of every chain."""
        network = RecurrentNet(self.input_size, self.hidden_size, cell=self.cell, directions=1).to(
            self.weight_input.dtype
        )
        with torch.no_grad():
            for theirs, own in zip(network.parameters(), self.parameters(), strict=True):
                theirs.copy_(own)
        return network

    def forward(self, words: Tensor, batch: NaryBatch) -> Encoding:
        """Encode every node with all that is below it.

        Words are cast to the type of the parameters; autocast does not reach inside.

        Args:
            words: (batch.num_words, input_size) word vectors, in the numbering of `batch`.
            batch: the trees over them.

        Returns:
            The vectors of all nodes, in the numbering of `batch`.

        Raises:
            ShapeError: if `words` does not fit the batch or the input size.
        """
        check_inputs(words, batch.num_words, self.input_size, of="word")
        cell, width = _CELLS[self.cell]
        with torch.autocast(words.device.type, enabled=False):
            own = torch.addmm(
                self.bias_input, words.to(self.weight_input.dtype), self.weight_input.t()
            )
            wordless = len(batch.owner) - batch.num_words
            if wordless:
                own = torch.cat([own, self.bias_input.expand(wordless, -1)])
            states = scan_heights(
                cell, own, width * self.hidden_size, batch, self.weight_state, self.bias_state
            )
        nodes = states[:, : self.hidden_size]
        return Encoding(
            root=nodes.index_select(0, batch.roots),
            nodes=nodes,
            spans=batch.spans,
            owner=batch.owner,
        )


def _only_layer(network: RecurrentNet) -> nn.RNNBase:
    layer: nn.RNNBase = network.network
    if network.directions != 1 or layer.num_layers != 1:
        raise ConfigError(
            f"found a recurrent network of {network.directions} directions and "
            f"{layer.num_layers} layers, expected one of each: a tree is read upwards only"
        )
    return layer


def _sum(states: Tensor, parents: Tensor, nodes: int) -> Tensor:
    """Sum the rows of each parent: (e, H) to (nodes, H)."""
    return states.new_zeros(nodes, states.shape[1]).index_add(0, parents, states)


def _plain(words: Tensor, below: Tensor, parents: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    total = _sum(below, parents, len(words))
    return torch.tanh(words + torch.addmm(bias, total, weight.t()))


def _lstm(words: Tensor, below: Tensor, parents: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """States are h and c next to each other; every child has a forget gate of its own."""
    size = weight.shape[1]
    hidden, cells = below.chunk(2, dim=1)
    sums = _sum(hidden, parents, len(words))
    forget_rows = slice(size, 2 * size)
    forget = words[:, forget_rows].index_select(0, parents) + torch.addmm(
        bias[forget_rows], hidden, weight[forget_rows].t()
    )
    inputs, _, update, output = (words + torch.addmm(bias, sums, weight.t())).chunk(4, dim=1)
    cell = torch.sigmoid(inputs) * torch.tanh(update)
    cell = cell + _sum(torch.sigmoid(forget) * cells, parents, len(words))
    return torch.cat([torch.sigmoid(output) * torch.tanh(cell), cell], dim=1)


def _gru(words: Tensor, below: Tensor, parents: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    total = _sum(below, parents, len(words))
    own_reset, own_keep, own_new = words.chunk(3, dim=1)
    reset, keep, new = torch.addmm(bias, total, weight.t()).chunk(3, dim=1)
    keep = torch.sigmoid(own_keep + keep)
    new = torch.tanh(own_new + torch.sigmoid(own_reset + reset) * new)
    return (1 - keep) * new + keep * total


_CELLS = {"plain": (_plain, 1), "lstm": (_lstm, 2), "gru": (_gru, 1)}
"""Cells by name, and how many times a state is as wide as a vector."""

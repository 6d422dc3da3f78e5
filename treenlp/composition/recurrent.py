"""Recurrent networks over the words of a batch as plain sequences: the baseline of the trees.

The cells are PyTorch's: the plain one of Elman (1990), "Finding Structure in Time"; the LSTM of
Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000); the GRU of Cho et al.
(2014), which departs from their equation in multiplying by the reset gate after the matrix, not
before. Forget gates start open (bias 1; Jozefowicz et al. 2015, section 5), as those of the
Tree-LSTM do. Two directions share no weights (Schuster & Paliwal 1997); layer i reads at step t
what layer i - 1 says at t in all its directions. Gradients go back through all of time, or through
stretches of a given length (Williams & Peng 1990, "An Efficient Gradient-Based Algorithm for
On-Line Training of Recurrent Network Trajectories").
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from treenlp.composition.base import check_inputs
from treenlp.composition.batch import SequenceBatch
from treenlp.composition.encoding import Encoding
from treenlp.errors import ConfigError

__all__ = ["RecurrentNet"]

CellName = Literal["plain", "lstm", "gru"]


class RecurrentNet(nn.Module):
    """A recurrent network of any depth in one or two directions.

    Attributes:
        input_size: width of the word vectors.
        hidden_size: width of the vectors of words and of sequences, all directions together.

    Example:
        >>> network = RecurrentNet(input_size=3, hidden_size=4)
        >>> network(torch.zeros(5, 3), SequenceBatch.from_lengths([2, 3])).root.shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        cell: CellName = "lstm",
        directions: Literal[1, 2] = 2,
        layers: int = 1,
        truncate: int | None = None,
    ) -> None:
        """Create the parameters.

        Args:
            input_size: width of the word vectors.
            hidden_size: width of the vectors returned, all directions together.
            cell: "plain", "lstm" or "gru".
            directions: 1 or 2.
            layers: 1 or more.
            truncate: steps of a stretch that gradients do not leave, of one direction only; None
                for no bound. What the network says does not depend on it.

        Raises:
            ConfigError: if there is no such cell, the directions do not divide the width, or the
                truncation is not possible.
        """
        super().__init__()
        if cell not in get_args(CellName):
            known = ", ".join(get_args(CellName))
            raise ConfigError(f"found the recurrent cell {cell!r}, expected one of: {known}")
        if directions not in (1, 2) or layers < 1 or hidden_size % directions:
            raise ConfigError(
                f"found {directions} directions, {layers} layers and a width of {hidden_size}, "
                "expected 1 or 2, 1 or more, and a width that the directions divide"
            )
        if truncate is not None and (truncate < 1 or directions == 2):
            raise ConfigError(
                f"found truncate = {truncate} with {directions} directions, expected 1 or more "
                "steps and one direction: the other one would have to be cut elsewhere"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.directions = directions
        self.truncate = truncate
        make = {"plain": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.network = make(
            input_size,
            hidden_size // directions,
            num_layers=layers,
            bidirectional=directions == 2,
        )
        if cell == "lstm":
            own = hidden_size // directions
            with torch.no_grad():
                for name, bias in self.network.named_parameters():
                    if name.startswith("bias_ih"):
                        bias[own : 2 * own] = 1.0

    def forward(self, words: Tensor, batch: SequenceBatch) -> Encoding:
        """Encode every word and every sequence.

        Words are cast to the type of the parameters; autocast does not reach inside.

        Args:
            words: (N, input_size) word vectors, sequence by sequence.
            batch: the sequences over them.

        Returns:
            As nodes the last layer's states at each word; as roots the last state of each
            direction, which for the backward one is that at the first word.

        Raises:
            ShapeError: if `words` does not fit the batch or the input size.
        """
        check_inputs(words, len(batch.owner), self.input_size, of="word")
        dtype = next(self.parameters()).dtype
        with torch.autocast(words.device.type, enabled=False):
            ordered = words.to(dtype).index_select(0, batch.steps)
            found = self._read(ordered, batch.step_sizes)  # (N, H), step by step
        nodes = torch.empty_like(found).index_copy(0, batch.steps, found)
        ends = batch.lengths.cumsum(0)
        half = self.hidden_size // self.directions
        root = nodes.index_select(0, ends - 1)
        if self.directions == 2:
            first = nodes.index_select(0, ends - batch.lengths)
            root = torch.cat([root[:, :half], first[:, half:]], dim=1)
        return Encoding(
            root=root,
            nodes=nodes,
            spans=torch.stack([batch.position, batch.position + 1], dim=1),
            owner=batch.owner,
        )

    def _read(self, words: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """Run the network over words (N, input_size) that stand step by step."""
        length = len(sizes) if self.truncate is None else self.truncate
        stretches = [sizes[at : at + length] for at in range(0, len(sizes), length)]
        found: list[Tensor] = []
        state = None
        for rows, own in zip(
            words.split_with_sizes([sum(own) for own in stretches]), stretches, strict=True
        ):
            if state is not None:  # longer sequences come first: the first ones go on
                state = _detached(state, own[0])
            output, state = self.network(PackedSequence(rows, torch.tensor(own)), state)
            found.append(output.data)
        return torch.cat(found)


def _detached(state: Tensor | tuple[Tensor, Tensor], count: int) -> Tensor | tuple[Tensor, Tensor]:
    """The states (layers, B, H) of the first `count` sequences without their history."""
    if isinstance(state, Tensor):
        return state[:, :count].detach().contiguous()
    hidden, cell = state
    return hidden[:, :count].detach().contiguous(), cell[:, :count].detach().contiguous()

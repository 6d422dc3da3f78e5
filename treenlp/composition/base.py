"""The interface of a composition function."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from treenlp.composition.batch import TreeBatch
from treenlp.composition.encoding import Encoding
from treenlp.errors import ShapeError

__all__ = ["Composition", "check_inputs"]


class Composition(nn.Module, ABC):
    """Composes the vectors of leaves into vectors of all nodes of their trees.

    Attributes:
        input_size: width of the leaf vectors.
        hidden_size: width of the node vectors.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Keep the sizes; a subclass with other settings gives them defaults."""
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    def forward(self, leaves: Tensor, batch: TreeBatch) -> Encoding:
        """Encode every node.

        Leaves are cast to the type of the parameters; autocast does not reach inside.

        Args:
            leaves: (N_leaves, input_size) leaf vectors, in the order of the batch's leaves.
            batch: the trees over them.

        Returns:
            The vectors of all nodes, in the numbering of `batch`.

        Raises:
            ShapeError: if `leaves` does not fit the batch or the input size.
        """
        check_inputs(leaves, batch.num_leaves, self.input_size, of="leaf")
        with torch.autocast(leaves.device.type, enabled=False):
            nodes = self.node_states(leaves.to(next(self.parameters()).dtype), batch)
        return Encoding(
            root=nodes.index_select(0, batch.roots),
            nodes=nodes,
            spans=batch.spans,
            owner=batch.owner,
        )

    @abstractmethod
    def node_states(self, leaves: Tensor, batch: TreeBatch) -> Tensor:
        """Compute the hidden states (N, hidden_size) of all nodes from checked leaves."""


def check_inputs(vectors: Tensor, count: int, size: int, *, of: str) -> None:
    """Refuse vectors that are not one row of `size` for each of `count` leaves or words.

    Args:
        vectors: what a network was given.
        count: rows that its batch has.
        size: its input size.
        of: what a row stands for, for the error.

    Raises:
        ShapeError: if the shape is another one.
    """
    if tuple(vectors.shape) != (count, size):
        raise ShapeError(
            f"found {of} vectors of shape {tuple(vectors.shape)}, expected {(count, size)}: one "
            f"row for each {of} of the batch, as wide as input_size"
        )

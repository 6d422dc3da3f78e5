"""The interface of a composition function."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from treenlp.composition.batch import TreeBatch
from treenlp.composition.encoding import Encoding

__all__ = ["Composition"]


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

    @abstractmethod
    def forward(self, leaves: Tensor, batch: TreeBatch) -> Encoding:
        """Encode every node.

        Args:
            leaves: (N_leaves, input_size) leaf vectors, in the order of the batch's leaves.
            batch: the trees over them.

        Returns:
            The vectors of all nodes, in the numbering of `batch`.

        Raises:
            ShapeError: if `leaves` does not fit the batch or the input size.
        """

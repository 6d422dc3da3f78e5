"""What every composition function and every sequence encoder returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Encoding"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoding:
    """Vectors of the roots and of all nodes of a batch.

    Attributes:
        root: (B, H) hidden state of each tree's root.
        nodes: (N, H) hidden states of all nodes, leaves included.
        spans: (N, 2) int64 half-open leaf span of each node in its own tree.
        owner: (N,) int64 the tree of each node.
    """

    root: Tensor
    nodes: Tensor
    spans: Tensor
    owner: Tensor

    def index(self) -> dict[tuple[int, int, int], int]:
        """Map (tree, start, end) to the row of `nodes`, for look-ups by constituent.

        Where several nodes of a tree cover the same span the last one counts.
        """
        keys = zip(self.owner.tolist(), self.spans.tolist(), strict=True)
        return {(tree, start, end): row for row, (tree, (start, end)) in enumerate(keys)}

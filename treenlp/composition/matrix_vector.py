"""Matrix-vector recursive network (MV-RNN).

Socher, Huval, Manning & Ng (2012), "Semantic Compositionality through Recursive Matrix-Vector
Spaces": every node has a vector and a matrix that changes its sibling's vector. The parent of
(a, A) and (b, B) has p = tanh(W [B a; A b]) and P = W_M [A; B]. Departures: a bias; and where they
learn a matrix for every word of a vocabulary, a leaf's is made from its vector, in the form that
they give for low rank, U V plus a diagonal.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from treenlp.composition.base import Composition
from treenlp.composition.batch import TreeBatch
from treenlp.composition.scan import scan_levels

__all__ = ["MatrixVectorNet"]


class MatrixVectorNet(Composition):
    """The matrix-vector network over the trees of a batch; memory hidden_size^2 a node.

    Example:
        >>> from treenlp.composition import TreeShape
        >>> cell = MatrixVectorNet(input_size=3, hidden_size=4)
        >>> batch = TreeBatch.from_shapes([TreeShape.from_splits([1], 2)])
        >>> cell(torch.zeros(2, 3), batch).root.shape
        torch.Size([1, 4])
    """

    def __init__(self, input_size: int, hidden_size: int, rank: int = 3) -> None:
        """Create the parameters; `rank` is that of the leaves' matrices, diagonal left out.

        A new network's matrices are near the identity, as in the paper, for leaves of any width
        whose entries are about 1: farther away, their products up a deep tree explode.
        """
        super().__init__(input_size, hidden_size)
        self.rank = rank
        self.leaf = nn.Linear(input_size, hidden_size)
        self.factors = nn.Linear(input_size, (2 * rank + 1) * hidden_size)
        self.weight = nn.Parameter(torch.empty(hidden_size, 2 * hidden_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        self.matrix_weight = nn.Parameter(torch.empty(hidden_size, 2 * hidden_size))
        nn.init.xavier_uniform_(self.weight)
        nn.init.xavier_uniform_(self.leaf.weight)
        nn.init.zeros_(self.leaf.bias)
        bound = 0.5 / math.sqrt(input_size * hidden_size)  # factors of length 0.3
        nn.init.uniform_(self.factors.weight, -bound, bound)
        nn.init.zeros_(self.factors.bias)
        half = 0.5 * torch.eye(hidden_size)
        with torch.no_grad():
            self.matrix_weight.copy_(torch.cat([half, half], 1))
            self.matrix_weight.add_(0.01 * torch.randn_like(self.matrix_weight))

    def node_states(self, leaves: Tensor, batch: TreeBatch) -> Tensor:
        """Hidden states (N, hidden_size) of all nodes: the vectors, not the matrices."""
        vectors = torch.tanh(self.leaf(leaves))
        # matrices are kept transposed: those of all parents of a height are then one product
        states = torch.cat([vectors, self.leaf_matrices(leaves).mT.flatten(1)], 1)
        found = scan_levels(_compose, states, batch, self.weight, self.bias, self.matrix_weight)
        return found[:, : self.hidden_size]

    def leaf_matrices(self, leaves: Tensor) -> Tensor:
        """Matrices (N_leaves, hidden_size, hidden_size) of leaves (N_leaves, input_size)."""
        size = self.hidden_size
        factors = self.factors(leaves).view(-1, 2 * self.rank + 1, size)
        left, right = factors[:, : self.rank], factors[:, self.rank : -1]
        identity = torch.eye(size, dtype=leaves.dtype, device=leaves.device)
        return torch.baddbmm(torch.diag_embed(factors[:, -1]) + identity, left.mT, right)


def _compose(children: Tensor, weight: Tensor, bias: Tensor, matrix_weight: Tensor) -> Tensor:
    size = len(bias)
    vectors = children[..., :size].unsqueeze(-1)  # (m, 2, H, 1)
    matrices = children[..., size:].view(-1, 2, size, size)  # (m, 2, H, H), transposed
    changed = torch.matmul(matrices.mT, vectors.flip(1)).flip(1).flatten(1)  # B a, A b
    vector = torch.tanh(torch.addmm(bias, changed, weight.t()))
    matrix = matrices.transpose(1, 2).flatten(2) @ matrix_weight.t()  # (m, H, H)
    return torch.cat([vector, matrix.flatten(1)], 1)

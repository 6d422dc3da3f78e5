"""Matrix-vector recursive network (MV-RNN).

Socher, Huval, Manning & Ng (2012), "Semantic Compositionality through Recursive Matrix-Vector
Spaces": every node has a vector and a matrix that changes its sibling's vector. The parent of
(a, A) and (b, B) has p = tanh(W [B a; A b]) and P = W_M [A; B]. Departures: a bias; and where they
learn a matrix for every word of a vocabulary, a leaf's is made from its vector, in the form that
they give for low rank, U V plus a diagonal.

Nearly all the work is in the products of matrices, W_M [A; B] = M A + N B. Half of all children
are leaves, whose low rank saves that product; a leaf's matrix is never written out. The way down
has a pass of its own, in which the gradient of W_M is one product over the nodes of all heights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from treenlp.composition.base import Composition
from treenlp.composition.batch import TreeBatch

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
        flat = batch.children.reshape(-1)
        factors = [
            factor
            for side in batch.leaf_slots
            for factor in self._leaf_factors(
                leaves.index_select(0, flat.index_select(0, side.slots))
            )
        ]
        states: Tensor = _LevelScan.apply(  # type: ignore[no-untyped-call]
            batch, vectors, self.weight, self.bias, self.matrix_weight, *factors
        )
        return states

    def leaf_matrices(self, leaves: Tensor) -> Tensor:
        """Matrices (N_leaves, hidden_size, hidden_size) of leaves (N_leaves, input_size)."""
        diagonal, left, right = self._leaf_factors(leaves)
        return torch.baddbmm(torch.diag_embed(diagonal), left.mT, right)

    def _leaf_factors(self, leaves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Diagonals (L, hidden_size) and factors U^T and V (L, rank, hidden_size)."""
        factors = self.factors(leaves).view(-1, 2 * self.rank + 1, self.hidden_size)
        return 1 + factors[:, -1], factors[:, : self.rank], factors[:, self.rank : -1]


class _LevelScan(torch.autograd.Function):
    """The recursion over heights with its backward pass.

    Matrices are kept transposed: those of all nodes of a side are then one product a height. Slots
    are those of `ChildSlots`; what stands in one is changed by its sibling's matrix.
    """

    @staticmethod
    def forward(
        ctx: Any,
        batch: TreeBatch,
        vectors: Tensor,
        weight: Tensor,
        bias: Tensor,
        matrix_weight: Tensor,
        *factors: Tensor,
    ) -> Tensor:
        """Compute the vectors (N, H) of all nodes from those of the leaves (L, H).

        Factors are the diagonals, U^T and V of the leaves on the left, then of those on the right.
        """
        count, size = vectors.shape
        inner = len(batch.children)
        states = vectors.new_empty(count + inner, size)
        states[:count] = vectors
        matrices = vectors.new_zeros(inner, size, size)
        below = vectors.new_empty(2 * inner, size)  # by slot
        changed = torch.empty_like(below)
        flat = batch.children.reshape(-1)
        columns = [part.t() for part in matrix_weight.chunk(2, 1)]
        sides = zip(batch.leaf_slots, _by_side(factors), columns, strict=True)
        for leaves, (diagonal, left, right), rows in sides:
            shares = torch.baddbmm(diagonal.unsqueeze(2) * rows, right.mT, left @ rows)
            matrices.index_add_(0, leaves.slots // 2, shares)
        first = 0
        for nodes, leaf_sides, inner_sides in _levels(batch, factors):
            here = slice(2 * first, 2 * (first + nodes))
            torch.index_select(states, 0, flat[here], out=below[here])
            for slots, diagonal, left, right in leaf_sides:
                vector = below.index_select(0, slots ^ 1)
                found = torch.bmm(torch.bmm(vector.unsqueeze(1), right.mT), left).squeeze(1)
                changed.index_copy_(0, slots ^ 1, found.addcmul_(diagonal, vector))
            for (slots,), rows in zip(inner_sides, columns, strict=True):
                own = matrices.index_select(0, flat.index_select(0, slots) - count)
                vector = below.index_select(0, slots ^ 1).unsqueeze(1)
                changed.index_copy_(0, slots ^ 1, torch.bmm(vector, own).squeeze(1))
                matrices.index_add_(0, slots // 2, (own.view(-1, size) @ rows).view_as(own))
            both = changed[here].view(nodes, -1)
            level = states[count + first : count + first + nodes]
            torch.tanh(torch.addmm(bias, both, weight.t()), out=level)
            first += nodes
        ctx.save_for_backward(states, matrices, below, changed, weight, matrix_weight, *factors)
        ctx.batch = batch
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Go down the heights, then take the gradients of parameters of all nodes at once."""
        states, matrices, below, changed, weight, matrix_weight, *factors = ctx.saved_tensors
        batch: TreeBatch = ctx.batch
        inner, size, _ = matrices.shape
        count = len(states) - inner
        flat = batch.children.reshape(-1)
        grads = grad.clone()
        d_sums = 1 - states[count:].square()  # of tanh; with the gradient of its sum below
        d_matrices = torch.zeros_like(matrices)
        d_changed, d_below = torch.empty_like(below), torch.empty_like(below)
        last = inner
        for nodes, leaf_sides, inner_sides in reversed([*_levels(batch, factors)]):
            first = last - nodes
            here = slice(2 * first, 2 * last)
            d_sum = d_sums[first:last].mul_(grads[count + first : count + last])
            torch.mm(d_sum, weight, out=d_changed[here].view(nodes, -1))
            for slots, diagonal, left, right in leaf_sides:
                d_vector = d_changed.index_select(0, slots ^ 1)
                found = torch.bmm(torch.bmm(d_vector.unsqueeze(1), left.mT), right).squeeze(1)
                d_below.index_copy_(0, slots ^ 1, found.addcmul_(diagonal, d_vector))
            for (slots,), rows in zip(inner_sides, matrix_weight.chunk(2, 1), strict=True):
                nodes_here = flat.index_select(0, slots) - count
                own = matrices.index_select(0, nodes_here)
                d_vector = d_changed.index_select(0, slots ^ 1)
                found = torch.bmm(own, d_vector.unsqueeze(2)).squeeze(2)
                d_below.index_copy_(0, slots ^ 1, found)
                above = d_matrices.index_select(0, slots // 2).view(-1, size)
                d_own = (above @ rows).view_as(own)
                vector = below.index_select(0, slots ^ 1)
                d_own.baddbmm_(vector.unsqueeze(2), d_vector.unsqueeze(1))
                d_matrices.index_copy_(0, nodes_here, d_own)
            grads.index_add_(0, flat[here], d_below[here])
            last = first

        d_factors, d_matrix_weight = [], torch.empty_like(matrix_weight)
        sides = zip(
            batch.leaf_slots,
            batch.inner_slots,
            _by_side(factors),
            matrix_weight.chunk(2, 1),
            d_matrix_weight.chunk(2, 1),
            strict=True,
        )
        for leaves, nodes, (diagonal, left, right), rows, d_rows in sides:
            own = matrices.index_select(0, flat.index_select(0, nodes.slots) - count)
            above = d_matrices.index_select(0, nodes.slots // 2)
            torch.mm(above.view(-1, size).t(), own.view(-1, size), out=d_rows)
            # a leaf's matrix adds diagonal * rows^T + V^T (U^T rows^T) to that of its parent
            above = d_matrices.index_select(0, leaves.slots // 2)
            d_low = torch.bmm(right, above)
            d_rows += (above * diagonal.unsqueeze(2)).sum(0).t()
            d_rows += d_low.flatten(0, 1).t() @ left.flatten(0, 1)
            # and changes its sibling by diagonal * vector + U (V vector)
            vector = below.index_select(0, leaves.slots ^ 1).unsqueeze(1)
            d_vector = d_changed.index_select(0, leaves.slots ^ 1).unsqueeze(1)
            d_factors += [
                torch.einsum("lij,ji->li", above, rows) + (d_vector * vector).squeeze(1),
                d_low @ rows + torch.bmm(torch.bmm(right, vector.mT), d_vector),
                torch.bmm(left @ rows.t(), above.mT)
                + torch.bmm(torch.bmm(left, d_vector.mT), vector),
            ]
        d_weight = d_sums.t() @ changed.view(inner, 2 * size)
        d_bias = d_sums.sum(0)
        return None, grads[:count], d_weight, d_bias, d_matrix_weight, *d_factors


def _by_side(factors: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    return factors[:3], factors[3:]


def _levels(batch: TreeBatch, factors: Sequence[Tensor]) -> Iterator[Any]:
    """For each height: nodes, slots and factors of leaves by side, slots of inner nodes by side."""
    sides = zip(batch.leaf_slots, _by_side(factors), strict=True)
    leaves = zip(*(side.by_level(*own) for side, own in sides), strict=True)
    inner = zip(*(side.by_level() for side in batch.inner_slots), strict=True)
    return zip(batch.level_sizes, leaves, inner, strict=True)

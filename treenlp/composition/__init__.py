"""Trees and sequences to vectors."""

from __future__ import annotations

from treenlp.composition.base import Composition
from treenlp.composition.batch import (
    Branching,
    DependencyBatch,
    SequenceBatch,
    TreeBatch,
    TreeShape,
)
from treenlp.composition.child_sum import ChildSumNet
from treenlp.composition.encoding import Encoding
from treenlp.composition.matrix_vector import MatrixVectorNet
from treenlp.composition.recurrent import RecurrentNet
from treenlp.composition.recursive import RecursiveNet
from treenlp.composition.registry import COMPOSITIONS, make_composition
from treenlp.composition.tensor_network import TensorNetwork
from treenlp.composition.tree_lstm import TreeLstm

__all__ = [
    "COMPOSITIONS",
    "Branching",
    "ChildSumNet",
    "Composition",
    "DependencyBatch",
    "Encoding",
    "MatrixVectorNet",
    "RecurrentNet",
    "RecursiveNet",
    "SequenceBatch",
    "TensorNetwork",
    "TreeBatch",
    "TreeLstm",
    "TreeShape",
    "make_composition",
]

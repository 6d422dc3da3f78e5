"""Trees and sequences to vectors."""

from __future__ import annotations

from treenlp.composition.base import Composition
from treenlp.composition.batch import (
    Branching,
    NaryBatch,
    SequenceBatch,
    TreeBatch,
    TreeShape,
)
from treenlp.composition.child_sum import ChildSumNet
from treenlp.composition.controls import ControlName, control_shape
from treenlp.composition.deep_recursive import DeepRecursiveNet
from treenlp.composition.encoding import Encoding
from treenlp.composition.matrix_vector import MatrixVectorNet
from treenlp.composition.recurrent import RecurrentNet
from treenlp.composition.recursive import RecursiveNet
from treenlp.composition.registry import (
    COMPOSITIONS,
    NETWORKS,
    Network,
    make_composition,
    make_network,
)
from treenlp.composition.tensor_network import TensorNetwork
from treenlp.composition.tree_gru import TreeGru
from treenlp.composition.tree_lstm import TreeLstm

__all__ = [
    "COMPOSITIONS",
    "NETWORKS",
    "Branching",
    "ChildSumNet",
    "Composition",
    "ControlName",
    "DeepRecursiveNet",
    "NaryBatch",
    "Encoding",
    "MatrixVectorNet",
    "Network",
    "RecurrentNet",
    "RecursiveNet",
    "SequenceBatch",
    "TensorNetwork",
    "TreeBatch",
    "TreeGru",
    "TreeLstm",
    "TreeShape",
    "control_shape",
    "make_composition",
    "make_network",
]

"""Trees and sequences to vectors."""

from __future__ import annotations

from treenlp.composition.base import Composition
from treenlp.composition.batch import Branching, SequenceBatch, TreeBatch, TreeShape
from treenlp.composition.encoding import Encoding, NodeState
from treenlp.composition.registry import COMPOSITIONS, make_composition
from treenlp.composition.tree_lstm import TreeLstm

__all__ = [
    "COMPOSITIONS",
    "Branching",
    "Composition",
    "Encoding",
    "NodeState",
    "SequenceBatch",
    "TreeBatch",
    "TreeLstm",
    "TreeShape",
    "make_composition",
]

"""The networks by name: a new one adds one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from treenlp.composition.base import Composition
from treenlp.composition.child_sum import ChildSumNet
from treenlp.composition.deep_recursive import DeepRecursiveNet
from treenlp.composition.matrix_vector import MatrixVectorNet
from treenlp.composition.recurrent import RecurrentNet
from treenlp.composition.recursive import RecursiveNet
from treenlp.composition.tensor_network import TensorNetwork
from treenlp.composition.tree_gru import TreeGru
from treenlp.composition.tree_lstm import TreeLstm
from treenlp.errors import ConfigError

__all__ = ["COMPOSITIONS", "NETWORKS", "Network", "make_composition", "make_network"]

COMPOSITIONS: dict[str, type[Composition]] = {
    "recursive": RecursiveNet,
    "deep-recursive": DeepRecursiveNet,
    "matrix-vector": MatrixVectorNet,
    "tensor": TensorNetwork,
    "tree-gru": TreeGru,
    "tree-lstm": TreeLstm,
}
"""Networks over binary trees whose words are leaves."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that returns an `Encoding`.

    Attributes:
        make: gets the width of word vectors and that of the vectors it returns.
        reads: the batches it takes: "trees" `TreeBatch`, "sequences" `SequenceBatch`,
            "dependencies" and "constituents" `NaryBatch`.
    """

    make: Callable[[int, int], nn.Module]
    reads: Literal["trees", "sequences", "dependencies", "constituents"]


NETWORKS: dict[str, Network] = {
    **{name: Network(make=made, reads="trees") for name, made in COMPOSITIONS.items()},
    "plain": Network(make=partial(RecurrentNet, cell="plain", directions=1), reads="sequences"),
    "lstm": Network(make=partial(RecurrentNet, cell="lstm", directions=1), reads="sequences"),
    "gru": Network(make=partial(RecurrentNet, cell="gru", directions=1), reads="sequences"),
    "bi-plain": Network(make=partial(RecurrentNet, cell="plain"), reads="sequences"),
    "bi-lstm": Network(make=partial(RecurrentNet, cell="lstm"), reads="sequences"),
    "bi-gru": Network(make=partial(RecurrentNet, cell="gru"), reads="sequences"),
    "child-sum-plain": Network(make=partial(ChildSumNet, cell="plain"), reads="dependencies"),
    "child-sum-lstm": Network(make=partial(ChildSumNet, cell="lstm"), reads="dependencies"),
    "child-sum-gru": Network(make=partial(ChildSumNet, cell="gru"), reads="dependencies"),
    "constituent-plain": Network(make=partial(ChildSumNet, cell="plain"), reads="constituents"),
    "constituent-lstm": Network(make=partial(ChildSumNet, cell="lstm"), reads="constituents"),
    "constituent-gru": Network(make=partial(ChildSumNet, cell="gru"), reads="constituents"),
}
"""All networks; what they read is the only difference that a user of one has to know."""


def make_network(name: str, input_size: int, hidden_size: int) -> nn.Module:
    """Make any network by its registered name.

    Args:
        name: a key of `NETWORKS`.
        input_size: width of the word vectors.
        hidden_size: width of the vectors it returns.

    Returns:
        The module with freshly drawn parameters.

    Raises:
        ConfigError: if no network has that name.

    Example:
        >>> make_network("bi-lstm", 3, 4).hidden_size
        4
    """
    if name not in NETWORKS:
        raise ConfigError(f"found network {name!r}, expected one of: {', '.join(sorted(NETWORKS))}")
    return NETWORKS[name].make(input_size, hidden_size)


def make_composition(name: str, input_size: int, hidden_size: int) -> Composition:
    """Make a composition function by its registered name.

    Args:
        name: a key of `COMPOSITIONS`.
        input_size: width of the leaf vectors.
        hidden_size: width of the node vectors.

    Returns:
        The module with freshly drawn parameters.

    Raises:
        ConfigError: if no function has that name.

    Example:
        >>> make_composition("tree-lstm", 3, 4).hidden_size
        4
    """
    if name not in COMPOSITIONS:
        known = ", ".join(sorted(COMPOSITIONS))
        raise ConfigError(f"found composition {name!r}, expected one of: {known}")
    return COMPOSITIONS[name](input_size, hidden_size)

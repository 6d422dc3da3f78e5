"""The composition functions by name: a new one adds one line here."""

from __future__ import annotations

from treenlp.composition.base import Composition
from treenlp.composition.matrix_vector import MatrixVectorNet
from treenlp.composition.recursive import RecursiveNet
from treenlp.composition.tensor_network import TensorNetwork
from treenlp.composition.tree_lstm import TreeLstm
from treenlp.errors import ConfigError

__all__ = ["COMPOSITIONS", "make_composition"]

COMPOSITIONS: dict[str, type[Composition]] = {
    "recursive": RecursiveNet,
    "matrix-vector": MatrixVectorNet,
    "tensor": TensorNetwork,
    "tree-lstm": TreeLstm,
}


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

"""Encoder layers with a low-rank change of their matrices: a second use of one set of weights.

Hu et al. (2022), "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1: h = W x + B A x
with B at zero in the beginning. Departures: all four matrices of a layer are changed, without
their scale alpha, the layer has norms of its own, and B is kept transposed, so that the long axis
of both factors comes last and is stored in blocks.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.encoder.blank import without_initial_weights
from treenlp.encoder.trunk import EncoderLayer
from treenlp.errors import ConfigError

__all__ = ["AdaptedLayer", "LowRankLinear", "layers_to_read"]


class LowRankLinear(nn.Module):
    """A linear layer of another module plus a change of low rank; only the change is its own.

    Example:
        >>> base = nn.Linear(4, 3)
        >>> bool((LowRankLinear(base, 2)(torch.ones(4)) == base(torch.ones(4))).all())
        True
    """

    def __init__(self, base: nn.Linear, rank: int) -> None:
        """Start without any change.

        Args:
            base: W and b, shared: neither trained nor saved here, nor moved to another device.
            rank: at least 1.

        Raises:
            ConfigError: if the rank is below 1.
        """
        super().__init__()
        if rank < 1:
            raise ConfigError(f"found rank = {rank}, expected at least 1")
        self._base = (base,)  # in a tuple: not a submodule
        size = base.in_features
        self.down = nn.Parameter(torch.empty(rank, size))  # A
        self.up = nn.Parameter(torch.empty(rank, base.out_features))  # B, transposed
        nn.init.normal_(self.down, std=size**-0.5)
        nn.init.zeros_(self.up)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        weight, bias = (value.detach() for value in (self._base[0].weight, self._base[0].bias))
        return F.linear(x, weight, bias) + F.linear(x, self.down) @ self.up

    def merged(self) -> nn.Linear:
        """A plain layer with the change added to the matrix: faster, and of any precision."""
        base = self._base[0]
        with without_initial_weights():
            found: nn.Linear = nn.Linear(base.in_features, base.out_features)
        with torch.no_grad():
            found.weight = nn.Parameter(base.weight + self.up.T @ self.down, requires_grad=False)
            found.bias = nn.Parameter(base.bias.clone(), requires_grad=False)
        return found


class AdaptedLayer(EncoderLayer):
    """An encoder layer that shares another one's matrices; its changes and norms are its own."""

    def __init__(self, base: EncoderLayer, rank: int) -> None:
        """Start as the layer that it changes; see `LowRankLinear` for what is shared."""
        nn.Module.__init__(self)  # not EncoderLayer's: it would make matrices
        self.num_heads = base.num_heads
        self.query_key_value = _changed(base.query_key_value, rank)
        self.attention_output = _changed(base.attention_output, rank)
        self.attention_norm = copy.deepcopy(base.attention_norm).requires_grad_(True)
        self.inner = _changed(base.inner, rank)
        self.outer = _changed(base.outer, rank)
        self.output_norm = copy.deepcopy(base.output_norm).requires_grad_(True)

    def merged(self) -> EncoderLayer:
        """A plain layer that computes the same; nothing of it is shared."""
        found = EncoderLayer.__new__(EncoderLayer)
        nn.Module.__init__(found)
        found.num_heads = self.num_heads
        for name in ("query_key_value", "attention_output", "inner", "outer"):
            setattr(found, name, cast(LowRankLinear, getattr(self, name)).merged())
        for name in ("attention_norm", "output_norm"):
            setattr(found, name, copy.deepcopy(getattr(self, name)))
        return found


def layers_to_read(layers: Iterable[nn.Module], dtype: torch.dtype) -> list[nn.Module]:
    """Layers for reading alone: changes are merged, for that is faster, and all have one precision.

    Args:
        layers: encoder layers with or without changes; they stay as they are.
        dtype: of the result. A layer that is of it already, and has no changes, is shared.
    """
    found: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, AdaptedLayer):
            found.append(layer.merged().to(dtype))
        elif next(layer.parameters()).dtype == dtype:
            found.append(layer)
        else:
            found.append(copy.deepcopy(layer).to(dtype))
    return found


def _changed(base: nn.Module, rank: int) -> LowRankLinear:
    return LowRankLinear(cast(nn.Linear, base), rank)

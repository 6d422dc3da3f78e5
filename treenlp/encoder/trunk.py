"""The bilingual trunk: a post-norm transformer encoder of the BERT family.

Devlin et al. (2019), "BERT: Pre-training of Deep Bidirectional Transformers", with the sizes of
multilingual-e5-small (Wang et al. 2024, "Multilingual E5 Text Embeddings"). Layers can be run in
ranges, because the parser and the sentiment and similarity models fork off the same lower layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.errors import ShapeError

__all__ = ["EncoderLayer", "Trunk", "TrunkConfig", "run_layers"]


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """Sizes of a trunk.

    Attributes:
        vocab_size: pieces, the special ones included.
        hidden_size: H.
        num_layers: layers that this trunk holds (a shipped one may hold only the shared ones).
        num_heads: attention heads; divides H.
        intermediate_size: width of the feed-forward layer.
        max_positions: longest row of pieces, the two special ones included.
        layer_norm_eps: added to the variance.
    """

    vocab_size: int
    hidden_size: int = 384
    num_layers: int = 12
    num_heads: int = 12
    intermediate_size: int = 1536
    max_positions: int = 512
    layer_norm_eps: float = 1e-12


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each added to its input and then normalized."""

    def __init__(self, config: TrunkConfig) -> None:
        """Create one layer with PyTorch's default initial weights."""
        super().__init__()
        size, inner = config.hidden_size, config.intermediate_size
        self.num_heads = config.num_heads
        self.query_key_value: nn.Module = nn.Linear(size, 3 * size)
        self.attention_output: nn.Module = nn.Linear(size, size)
        self.attention_norm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.inner: nn.Module = nn.Linear(size, inner)
        self.outer: nn.Module = nn.Linear(inner, size)
        self.output_norm = nn.LayerNorm(size, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor, mask: Tensor | None, dropout: float = 0.0) -> Tensor:
        """Transform (B, P, H); `mask` is (B, P) bool, True at pieces, or None if all are."""
        batch, pieces, size = hidden.shape
        heads = self.query_key_value(hidden).view(batch, pieces, 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, heads, P, H / heads)
        keep = None if mask is None else mask[:, None, None, :]
        attend = _attend if torch.is_grad_enabled() else F.scaled_dot_product_attention
        mixed = attend(query, key, value, keep)
        mixed = self.attention_output(mixed.transpose(1, 2).reshape(batch, pieces, size))
        hidden = self.attention_norm(hidden + F.dropout(mixed, dropout, self.training))
        fed = self.outer(F.gelu(self.inner(hidden)))
        normed: Tensor = self.output_norm(hidden + F.dropout(fed, dropout, self.training))
        return normed


def _attend(query: Tensor, key: Tensor, value: Tensor, keep: Tensor | None) -> Tensor:
    """Attention in plain products: going back through the fused kernel takes a CPU 3 times as long.

    Args:
        query: (B, heads, P, H / heads); `key` and `value` likewise.
        key: see `query`.
        value: see `query`.
        keep: (B, 1, 1, P) bool, True where a key is seen, or None if all are.
    """
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)  # (B, heads, P, P)
    if keep is not None:
        scores = scores.masked_fill(~keep, -torch.inf)
    mixed: Tensor = scores.softmax(-1).to(value.dtype) @ value
    return mixed


class Trunk(nn.Module):
    """Piece embeddings and a stack of encoder layers.

    Example:
        >>> trunk = Trunk(TrunkConfig(vocab_size=10, hidden_size=8, num_layers=2, num_heads=2,
        ...                           intermediate_size=16))
        >>> ids = torch.tensor([[0, 5, 6, 2]])
        >>> trunk(ids, torch.ones_like(ids, dtype=torch.bool)).shape
        torch.Size([1, 4, 8])
    """

    def __init__(self, config: TrunkConfig) -> None:
        """Create a trunk of `config.num_layers` layers."""
        super().__init__()
        self.config = config
        self.pieces: nn.Module = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Embedding(config.max_positions, config.hidden_size)
        self.embedding_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_layers))

    def embed(self, ids: Tensor) -> Tensor:
        """Input vectors (B, P, H) of piece ids (B, P) int64, positions counted from 0."""
        if ids.shape[1] > self.config.max_positions:
            raise ShapeError(
                f"a row has {ids.shape[1]} pieces, expected at most {self.config.max_positions}; "
                "cut it into windows"
            )
        here = torch.arange(ids.shape[1], device=ids.device)
        embedded: Tensor = self.embedding_norm(self.pieces(ids) + self.positions(here))
        return embedded

    def run(self, hidden: Tensor, mask: Tensor | None, first: int, last: int) -> Tensor:
        """Apply layers first, first + 1, ... last - 1 to (B, P, H)."""
        return run_layers(list(self.layers)[first:last], hidden, mask)

    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Contextual vectors (B, P, H) of piece ids (B, P)."""
        return self.run(self.embed(ids), mask, 0, len(self.layers))


def run_layers(
    layers: Sequence[nn.Module], hidden: Tensor, mask: Tensor | None, dropout: float = 0.0
) -> Tensor:
    """Apply encoder layers in order to (B, P, H), which is cast to their precision first."""
    if layers:
        hidden = hidden.to(next(layers[0].parameters()).dtype)
    for layer in layers:
        hidden = layer(hidden, mask, dropout)
    return hidden

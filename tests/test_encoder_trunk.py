"""The trunk's layers: two ways to compute attention, and padding."""

from __future__ import annotations

import pytest
import torch

from treenlp.encoder import EncoderLayer, TrunkConfig

SIZES = TrunkConfig(
    vocab_size=30,
    hidden_size=8,
    num_layers=3,
    num_heads=2,
    intermediate_size=16,
    max_positions=20,
)


@pytest.fixture
def layer() -> EncoderLayer:
    torch.manual_seed(1)
    return EncoderLayer(SIZES).eval()


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_the_same_with_and_without_gradients(
    layer: EncoderLayer, masked: bool
) -> None:
    hidden = 3 * torch.randn(4, 7, 8)
    mask = torch.arange(7) < torch.tensor([[7], [2], [5], [1]]) if masked else None
    learning = layer(hidden, mask)
    with torch.no_grad():
        judging = layer(hidden, mask)
    assert learning.requires_grad
    assert not judging.requires_grad
    assert torch.allclose(learning, judging, atol=1e-5)


def test_padding_changes_nothing(layer: EncoderLayer) -> None:
    hidden = torch.randn(1, 7, 8)
    mask = torch.arange(7) < torch.tensor([[4]])
    alone = layer(hidden[:, :4], None)
    assert torch.allclose(layer(hidden, mask)[:, :4], alone, atol=1e-5)
    hidden[:, 4:] = 100.0
    assert torch.allclose(layer(hidden, mask)[:, :4], alone, atol=1e-5)

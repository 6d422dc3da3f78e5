"""The trunk's layers: attention, padding, and low-rank changes of their matrices."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from treenlp.encoder import EncoderLayer, TrunkConfig
from treenlp.encoder.low_rank import AdaptedLayer, LowRankLinear

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


def test_an_adapted_layer_starts_as_the_layer_that_it_changes() -> None:
    torch.manual_seed(1)
    base = EncoderLayer(SIZES)
    hidden = torch.randn(2, 5, 8)
    assert torch.equal(AdaptedLayer(base, 2)(hidden, None), base(hidden, None))


def test_a_low_rank_change_is_added_to_each_matrix() -> None:
    torch.manual_seed(1)
    base, plain = EncoderLayer(SIZES), EncoderLayer(SIZES)
    plain.load_state_dict(base.state_dict())
    adapted = AdaptedLayer(base, 2)
    for name in ("query_key_value", "attention_output", "inner", "outer"):
        change, matrix = getattr(adapted, name), getattr(plain, name).weight
        nn.init.normal_(change.up)
        with torch.no_grad():
            matrix += change.up.T @ change.down
    hidden, mask = torch.randn(2, 5, 8), torch.arange(5) < torch.tensor([[5], [3]])
    assert torch.allclose(adapted(hidden, mask), plain(hidden, mask), atol=1e-5)
    assert not torch.allclose(adapted(hidden, mask), base(hidden, mask), atol=1e-2)


def test_a_merged_layer_computes_the_same_and_shares_nothing() -> None:
    torch.manual_seed(1)
    base = EncoderLayer(SIZES)
    adapted = AdaptedLayer(base, 2)
    for parameter in adapted.parameters():
        nn.init.normal_(parameter)
    hidden, mask = torch.randn(2, 5, 8), torch.arange(5) < torch.tensor([[5], [3]])
    merged = adapted.merged()
    assert type(merged) is EncoderLayer
    assert torch.allclose(merged(hidden, mask), adapted(hidden, mask), atol=1e-4)
    before = {name: value.clone() for name, value in merged.state_dict().items()}
    assert before.keys() == base.state_dict().keys()
    with torch.no_grad():
        for parameter in (*base.parameters(), *adapted.parameters()):
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in merged.state_dict().items())


def test_only_changes_and_norms_are_learned_and_saved() -> None:
    base = EncoderLayer(SIZES)
    adapted = AdaptedLayer(base, 2)
    adapted(torch.randn(1, 4, 8), None).square().sum().backward()
    assert all(parameter.grad is not None for parameter in adapted.parameters())
    assert all(parameter.grad is None for parameter in base.parameters())
    assert {name.rsplit(".", 1)[1] for name in adapted.state_dict()} == {
        "down",
        "up",
        "weight",
        "bias",
    }
    assert (
        sum(value.numel() for value in adapted.state_dict().values()) == 192 + 32
    )  # 2 (8 + 24) + 2 (8 + 8) + 2 (8 + 16) + 2 (16 + 8), and the norms


def test_gradients_of_a_low_rank_change() -> None:
    torch.manual_seed(1)
    change = LowRankLinear(nn.Linear(4, 3).double().requires_grad_(False), 2).double()
    nn.init.normal_(change.up)
    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)

    def run(x: torch.Tensor, down: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        found = torch.func.functional_call(change, {"down": down, "up": up}, (x,))
        assert isinstance(found, torch.Tensor)
        return found

    assert torch.autograd.gradcheck(run, (x, change.down, change.up))

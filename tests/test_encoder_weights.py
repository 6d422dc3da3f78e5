"""Weights in few bits: rounding, files, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from treenlp.encoder import load_table, load_weights, quantize, save_weights
from treenlp.errors import ModelError


@pytest.mark.parametrize(("bits", "levels"), [(4, 8), (6, 31), (8, 127)])
def test_quantising_errs_by_half_a_step_at_most(bits: int, levels: int) -> None:
    tensor = torch.randn(5, 64, generator=torch.Generator().manual_seed(bits))
    restored = quantize(tensor, bits).dequantize()
    step = tensor.reshape(-1, 32).abs().amax(-1, keepdim=True) / levels
    # The 4-bit grid is not symmetric: the far end of the other sign may err by a whole step.
    bound = step * (1.01 if bits == 4 else 0.51)
    assert ((restored - tensor).reshape(-1, 32).abs() <= bound).all()


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_quantising_twice_changes_nothing(bits: int) -> None:
    once = quantize(torch.randn(7, 96, generator=torch.Generator().manual_seed(1)), bits)
    again = quantize(once.dequantize(), bits)
    assert torch.allclose(again.dequantize(), once.dequantize(), atol=0, rtol=2e-3)


def test_zero_blocks_stay_zero() -> None:
    for bits in (4, 6, 8):
        assert not quantize(torch.zeros(2, 32), bits).dequantize().any()


def test_files_give_back_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    matrix, vector = torch.randn(3, 64), torch.randn(5)
    save_weights(path, {"m": quantize(matrix, 6), "v": vector}, version="one")
    found = load_weights(path, version="one")
    assert torch.equal(found["m"], quantize(matrix, 6).dequantize())
    assert torch.allclose(found["v"], vector, atol=1e-3)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_a_packed_table_gives_the_rows_of_the_restored_one(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "some.safetensors"
    save_weights(path, {"t": quantize(torch.randn(9, 64), bits)}, version="one")
    table, ids = load_table(path, "t", version="one"), torch.tensor([[3, 3], [8, 0]])
    assert torch.equal(table(ids), load_weights(path, version="one")["t"][ids])
    assert load_weights(path, version="one", without=("t",)) == {}


def test_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    with pytest.raises(ModelError, match=r"no weights at .*some\.safetensors"):
        load_weights(path, version="one")
    save_weights(path, {"v": torch.ones(4)}, version="one")
    with pytest.raises(ModelError, match="version 'one', expected 'two'"):
        load_weights(path, version="two")
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(ModelError, match="truncated or damaged"):
        load_weights(path, version="one")
    save_file({"v": torch.ones(2)}, path)
    with pytest.raises(ModelError, match="format None"):
        load_weights(path, version="one")


def test_odd_shapes_are_refused() -> None:
    with pytest.raises(ModelError, match="multiple of 32"):
        quantize(torch.ones(3, 33), 8)

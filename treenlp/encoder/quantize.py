"""Weights in few bits: blocks of 32 with one 16-bit scale each, stored in safetensors files.

Codes are signed integers in offset form. 4-bit codes hold -8..7 and two of them share a byte
(element j of a block in the low half of byte j, element j + 16 in the high half). 6-bit codes hold
-31..31: their low four bits are laid out likewise, and the two high bits of elements j, j + 8,
j + 16 and j + 24 are in byte 16 + j, from the low end. 8-bit codes hold -127..127. A quantised
tensor NAME is stored as ``NAME.codes`` (uint8 or int8) and ``NAME.scale`` (float16); others are
stored as float16. The shapes are in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from treenlp.errors import ModelError

__all__ = [
    "BLOCK",
    "QuantizedEmbedding",
    "QuantizedTensor",
    "load_table",
    "load_weights",
    "quantize",
    "save_weights",
]

BLOCK = 32
FORMAT = "treenlp-weights-1"


@dataclass(frozen=True, kw_only=True)
class QuantizedTensor:
    """A tensor in blocks of few bits along its last axis.

    Attributes:
        codes: (blocks, 16) uint8 for 4 bits, (blocks, 24) uint8 for 6, (blocks, 32) int8 for 8.
        scale: (blocks,) float16.
        shape: of the tensor; its last axis is a multiple of 32.
        bits: 4, 6 or 8.
    """

    codes: Tensor
    scale: Tensor
    shape: tuple[int, ...]
    bits: int

    def dequantize(self) -> Tensor:
        """The tensor in float32."""
        if self.bits == 8:
            values = self.codes.float()
        else:
            low = self.codes[:, :16]
            nibbles = torch.cat([low & 0x0F, low >> 4], -1)
            if self.bits == 6:
                high = self.codes[:, 16:]
                nibbles |= torch.cat([(high >> shift & 3) << 4 for shift in (0, 2, 4, 6)], -1)
            values = nibbles.float() - float(1 << (self.bits - 1))
        return (values * self.scale.float()[:, None]).reshape(self.shape)


def quantize(tensor: Tensor, bits: int) -> QuantizedTensor:
    """Round a tensor to blocks of `bits` (4, 6 or 8) by the largest magnitude of each block."""
    if bits not in (4, 6, 8) or tensor.shape[-1] % BLOCK:
        raise ModelError(
            f"cannot quantise shape {tuple(tensor.shape)} to {bits} bits; expected 4, 6 or 8 bits "
            f"and a last axis that is a multiple of {BLOCK}"
        )
    blocks = tensor.detach().float().reshape(-1, BLOCK)
    if bits == 8:
        scale = (blocks.abs().amax(-1) / 127).to(torch.float16)
        step = scale.float().clamp_min(1e-8)[:, None]
        codes = (blocks / step).round().clamp(-127, 127).to(torch.int8)
    elif bits == 6:
        scale = (blocks.abs().amax(-1) / 31).to(torch.float16)
        step = scale.float().clamp_min(1e-8)[:, None]
        six = ((blocks / step).round().clamp(-31, 31) + 32).to(torch.uint8)
        low, high = six & 0x0F, (six >> 4).reshape(-1, 4, 8)
        packed = high[:, 0] | high[:, 1] << 2 | high[:, 2] << 4 | high[:, 3] << 6
        codes = torch.cat([low[:, :16] | low[:, 16:] << 4, packed], -1)
    else:
        peak = blocks.gather(1, blocks.abs().argmax(-1, keepdim=True))[:, 0]
        scale = (peak / -8).to(torch.float16)
        step = torch.where(scale == 0, 1.0, scale.float())[:, None]
        nibbles = ((blocks / step).round().clamp(-8, 7) + 8).to(torch.uint8)
        codes = nibbles[:, :16] | (nibbles[:, 16:] << 4)
    return QuantizedTensor(codes=codes, scale=scale, shape=tuple(tensor.shape), bits=bits)


def save_weights(
    path: Path, weights: Mapping[str, Tensor | QuantizedTensor], *, version: str
) -> None:
    """Write weights atomically: quantised ones as they are, others in float16.

    Args:
        path: the ``.safetensors`` file.
        weights: name to tensor.
        version: what `load_weights` has to ask for.
    """
    flat: dict[str, Tensor] = {}
    shapes: dict[str, list[int]] = {}
    for name, value in weights.items():
        if isinstance(value, QuantizedTensor):
            flat[f"{name}.codes"], flat[f"{name}.scale"] = value.codes, value.scale
            shapes[name] = [value.bits, *value.shape]
        else:
            flat[name] = value.detach().to(torch.float16).contiguous()
    metadata = {"format": FORMAT, "version": version, "quantized": json.dumps(shapes)}
    partial = path.with_suffix(".partial")
    save_file(flat, partial, metadata=metadata)
    partial.chmod(0o644)  # safetensors writes files that only their owner can read
    partial.replace(path)


class QuantizedEmbedding(nn.Module):
    """A lookup table that stays in few bits: only the rows that are asked for are restored.

    A vocabulary of 45,000 pieces takes 10 MB this way, not 70, and nothing to load.
    """

    codes: Tensor
    scale: Tensor

    def __init__(self, table: QuantizedTensor) -> None:
        """Wrap a quantised (rows, columns) table."""
        super().__init__()
        rows, self.columns = table.shape
        self.bits = table.bits
        self.register_buffer("codes", table.codes.reshape(rows, -1, table.codes.shape[-1]))
        self.register_buffer("scale", table.scale.reshape(rows, -1))

    def forward(self, ids: Tensor) -> Tensor:
        """Rows (..., columns) float32 of ids (...) int64."""
        return QuantizedTensor(
            codes=self.codes[ids].flatten(0, -2),
            scale=self.scale[ids].flatten(),
            shape=(*ids.shape, self.columns),
            bits=self.bits,
        ).dequantize()


def load_table(path: Path, name: str, *, version: str) -> QuantizedEmbedding:
    """Read one quantised matrix as a lookup table; errors as for `load_weights`."""
    with _opened(path, version) as (file, shapes):
        bits, *shape = shapes[name]
        return QuantizedEmbedding(_read(file, name, bits, shape))


def load_weights(path: Path, *, version: str, without: Collection[str] = ()) -> dict[str, Tensor]:
    """Read weights back as float32 tensors.

    Args:
        path: the ``.safetensors`` file.
        version: what the weights must be.
        without: names to leave out.

    Raises:
        ModelError: if the file is missing, truncated, not of this format or of another version.
    """
    with _opened(path, version) as (file, shapes):
        weights = {
            name: _read(file, name, bits, shape).dequantize()
            for name, (bits, *shape) in shapes.items()
            if name not in without
        }
        packed = {f"{name}.{part}" for name in shapes for part in ("codes", "scale")}
        for name in file.keys():  # noqa: SIM118 - a safetensors file is not a mapping
            if name not in packed and name not in without:
                weights[name] = file.get_tensor(name).float()
    return weights


def _read(file: Any, name: str, bits: int, shape: Sequence[int]) -> QuantizedTensor:
    return QuantizedTensor(
        codes=file.get_tensor(f"{name}.codes"),
        scale=file.get_tensor(f"{name}.scale"),
        shape=tuple(shape),
        bits=bits,
    )


@contextmanager
def _opened(path: Path, version: str) -> Iterator[tuple[Any, dict[str, list[int]]]]:
    """The open file and, by name, bits and shape of its quantised tensors."""
    if not path.is_file():
        raise ModelError(f"no weights at {path}; reinstall treenlp or give another --model")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ModelError(
                    f"{path} is in format {metadata.get('format')!r}, expected {FORMAT!r}; "
                    "reinstall treenlp or rebuild the model with `treenlp train`"
                )
            if metadata.get("version") != version:
                raise ModelError(
                    f"{path} holds weights of version {metadata.get('version')!r}, expected "
                    f"{version!r}; reinstall treenlp or rebuild the model with `treenlp train`"
                )
            yield file, json.loads(metadata["quantized"])
    except SafetensorError as error:
        raise ModelError(
            f"{path} cannot be read ({error}); it is truncated or damaged: reinstall treenlp"
        ) from error

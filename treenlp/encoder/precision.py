"""Which processors multiply in bfloat16 faster than in 32 bits."""

from __future__ import annotations

import torch

__all__ = ["has_fast_bfloat16"]


def has_fast_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether bfloat16 is worth using there.

    The tile unit (AMX) is what makes it fast. A processor with AVX2 alone imitates it: its products
    took six times as long as those in 32 bits; on one with the dot products of AVX-512 they took
    one to four times as long, by their shape.
    """
    kind = torch.device(device).type
    if kind != "cpu":
        return kind == "cuda"
    return bool(torch.cpu._is_amx_tile_supported())

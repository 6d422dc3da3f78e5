"""Which processors multiply in bfloat16 faster than in 32 bits."""

from __future__ import annotations

import torch

__all__ = ["has_fast_bfloat16"]


def has_fast_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether bfloat16 is worth using there.

    A processor without instructions for it imitates them: on one with AVX2 alone its products took
    six times as long as those in 32 bits.
    """
    kind = torch.device(device).type
    if kind != "cpu":
        return kind == "cuda"
    return bool(torch.cpu._is_avx512_bf16_supported())

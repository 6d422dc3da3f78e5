"""Where to compute, and which processors multiply in bfloat16 faster than in 32 bits."""

from __future__ import annotations

import torch

from treenlp.errors import ConfigError

__all__ = ["check_device", "has_fast_bfloat16"]


def check_device(device: str) -> None:
    """Make a tensor there.

    Args:
        device: a torch device, such as "cpu" or "cuda".

    Raises:
        ConfigError: if torch does not know it or cannot use it here.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"found the device {device!r}, which torch cannot use ({reason}); give cpu or another "
            "one"
        ) from error


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

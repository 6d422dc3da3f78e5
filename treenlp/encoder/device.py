"""Where to compute, and which processors multiply in bfloat16 faster than in 32 bits."""

from __future__ import annotations

import math
import time
from functools import cache

import torch
from torch.nn import functional as F

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

    The tile unit (AMX) makes it fast, and a processor without instructions for it imitates it: on
    one with AVX2 alone its products took six times as long as those in 32 bits. What the dot
    products of AVX-512 do depends on the processor, a fifth of the time on one and up to four times
    on another, so there a product of both kinds is timed, once a process (some 10 ms).
    """
    kind = torch.device(device).type
    if kind != "cpu":
        return kind == "cuda"
    if torch.cpu._is_amx_tile_supported():
        return True
    return bool(torch.cpu._is_avx512_bf16_supported()) and _takes_less_time(torch.bfloat16)


@cache
def _takes_less_time(dtype: torch.dtype) -> bool:
    """Whether a product of an encoder layer's size clearly takes less time than in 32 bits."""
    generator = torch.Generator().manual_seed(0)  # the caller's random numbers stay
    rows, matrix = (torch.randn(size, 512, generator=generator) for size in (64, 1024))
    own = [(rows.to(kind), matrix.to(kind)) for kind in (torch.float32, dtype)]
    least = [math.inf, math.inf]
    with torch.inference_mode():
        # In turn, and often: the first ones are slow, and a busy machine must not change what is
        # found, for analyses follow from it.
        for _ in range(12):
            for n, factors in enumerate(own):
                start = time.perf_counter()
                F.linear(*factors)
                least[n] = min(least[n], time.perf_counter() - start)
    return least[1] < 0.7 * least[0]

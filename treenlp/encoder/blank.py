"""Making a network whose weights are about to be loaded, without making initial ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["without_initial_weights"]


class _Leave(TorchFunctionMode):
    """Leaves tensors as they are where `torch.nn.init` would fill them."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = {} if kwargs is None else dict(kwargs)
        if getattr(func, "__module__", None) == "torch.nn.init":
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)


@contextmanager
def without_initial_weights() -> Iterator[None]:
    """Make modules on the meta device and skip their initialisation.

    Drawing normal numbers there would import some 800 modules of torch, which takes a second.
    Load weights with ``assign=True`` afterwards.

    Example:
        >>> with without_initial_weights():
        ...     table = torch.nn.Embedding(9, 4)
        >>> table.weight.device.type
        'meta'
    """
    with torch.device("meta"), _Leave():
        yield

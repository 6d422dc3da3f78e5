"""Several processes that train one model together, as ``torchrun`` starts them.

Every process holds the whole model and computes its share of the batches of a step; the gradients
are added up, so that all take the same step (data parallelism, synchronous). One process writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from treenlp.errors import ConfigError

__all__ = ["Processes", "joined_processes", "refuse_processes"]


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes at work.

    Attributes:
        rank: number of this one, from 0.
        count: of all.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> Processes:
        """The processes that were joined, or this one alone."""
        import torch.distributed as dist

        if not (dist.is_available() and dist.is_initialized()):
            return cls()
        return cls(rank=dist.get_rank(), count=dist.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def share(self, batches: int) -> range:
        """Which of the batches of a step are this process's.

        Raises:
            ConfigError: if they cannot be shared out evenly.

        Example:
            >>> list(Processes(rank=1, count=2).share(4))
            [1, 3]
        """
        if batches % self.count:
            raise ConfigError(
                f"found batches_per_step = {batches} and {self.count} processes, expected a "
                "multiple: set batches_per_step, or start as many processes as divide it"
            )
        return range(self.rank, batches, self.count)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in one exchange.

        Args:
            tensors: of the same shapes everywhere; their values are replaced in place.
        """
        if self.count == 1 or not tensors:
            return
        import torch.distributed as dist

        flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])
        dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def wait(self) -> None:
        """Go on when all processes are here: what the first one wrote can be read then."""
        if self.count > 1:
            import torch.distributed as dist

            dist.barrier()


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Join the other processes if ``torchrun`` started this one; else it is alone.

    Example:
        >>> with joined_processes() as processes:
        ...     processes.count
        1
    """
    if _started() == 1:
        yield Processes()
        return
    import torch.distributed as dist

    dist.init_process_group("gloo")
    try:
        yield Processes.current()
    finally:
        dist.destroy_process_group()


def refuse_processes(what: str) -> None:
    """Refuse to run in several processes, which would write into the same files.

    Args:
        what: runs in one process.

    Raises:
        ConfigError: if ``torchrun`` started this process with others.
    """
    if _started() > 1:
        raise ConfigError(
            f"found {_started()} processes (WORLD_SIZE), expected one: {what} does not share its "
            "work; start it without torchrun"
        )


def _started() -> int:
    """How many processes ``torchrun`` started together."""
    return int(os.environ.get("WORLD_SIZE", "1"))

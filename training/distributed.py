"""Data parallelism under ``torchrun``: one flat average of the gradients a step."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: Index of this process.
        world: Number of processes; 1 without ``torchrun``.
        local_rank: Index on this machine, which is the index of its GPU.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes the run folder."""
        return self.rank == 0

    def average(self, parameters: Iterable[nn.Parameter], extra: Tensor) -> Tensor:
        """Replace every gradient by its mean over the processes.

        Args:
            parameters: The same parameters in the same order in every process.
            extra: ``(k,)`` further numbers to average.

        Returns:
            ``(k,)`` the averaged numbers.
        """
        if self.world == 1:
            return extra
        grads = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([*(g.flatten().float() for g in grads), extra.float()])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        start = 0
        for grad in grads:
            grad.copy_(flat[start : start + grad.numel()].view_as(grad))
            start += grad.numel()
        return flat[start:]

    def average_values(self, values: Iterable[Tensor]) -> None:
        """Replace every tensor by its mean over the processes, in place."""
        for value in values if self.world > 1 else ():
            torch.distributed.all_reduce(value)
            value /= self.world

    def share(self, value: Any) -> Any:
        """Return the first process's ``value`` in every process."""
        if self.world == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]


def join(device: str) -> Processes:
    """Join the processes that ``torchrun`` started; alone without it.

    Args:
        device: ``cpu`` (gloo) or ``cuda`` (nccl).
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Processes()
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    return Processes(torch.distributed.get_rank(), world, int(os.environ.get("LOCAL_RANK", "0")))


def leave() -> None:
    """Leave the group, if one was joined."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

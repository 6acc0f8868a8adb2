"""The order of samples as a function of seed and step: the position is one integer."""

from __future__ import annotations

import torch
from torch import LongTensor


class Sampler:
    """A shuffle per epoch, cut into batches, cut into one part a process.

    Args:
        n: Samples.
        batch_size: Samples a step, over all processes together.
        seed: Seed of the shuffles.
        rank: Index of this process.
        world: Number of processes.

    Raises:
        ValueError: The batch does not divide among the processes, or there are no samples.

    Example:
        >>> sampler = Sampler(n=10, batch_size=4, seed=0)
        >>> sampler.steps_per_epoch, sampler.batch(0).shape
        (2, torch.Size([4]))
    """

    def __init__(self, n: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if n < 1:
            raise ValueError("the training set is empty")
        batch_size = min(batch_size, n // world * world)
        if batch_size < 1 or batch_size % world:
            raise ValueError(f"a batch of {batch_size} cannot be divided among {world} processes")
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self.rank, self.world = rank, world
        self.steps_per_epoch = n // batch_size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def batch(self, step: int) -> LongTensor:
        """Return this process's sample indices at ``step``; the remainder of an epoch is dropped."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self._epoch, self._order = epoch, torch.randperm(self.n, generator=generator)
        start = position * self.batch_size
        return self._order[start + self.rank : start + self.batch_size : self.world]

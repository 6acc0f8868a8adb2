"""Clouds of points, and the nearest neighbours of each point in any feature space."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from equizoo.nn.compiled import kernels_apply
from equizoo.nn.vector_activation import Elements

#: Points whose distances to all others of their cloud are held at a time.
CHUNK = 2048


class Clouds(NamedTuple):
    """Which points make a cloud; points of a cloud follow each other.

    Attributes:
        batch: ``(R,)`` cloud of each point, ascending.
        counts: ``(B,)`` number of points of each cloud.
        size: Number of points of each cloud if it is the same for all, else None.
    """

    batch: Tensor
    counts: Tensor
    size: int | None

    @classmethod
    def equal(cls, clouds: int, size: int, device: torch.device) -> Clouds:
        """Return clouds of one size."""
        batch = torch.arange(clouds, device=device).repeat_interleave(size)
        return cls(batch, torch.full((clouds,), size, device=device), size)

    @classmethod
    def of(cls, batch: Tensor, clouds: int) -> Clouds:
        """Return the clouds that a sorted ``batch`` tells of."""
        return cls(batch, torch.bincount(batch, minlength=clouds), None)

    def mean(self, x: Tensor) -> Tensor:
        """Return the mean ``(B, D)`` of features ``(R, D)`` over each cloud."""
        if self.size is not None:
            return x.unflatten(0, (-1, self.size)).mean(1)
        total = x.new_zeros(self.counts.shape[0], x.shape[1]).index_add(0, self.batch, x)
        return total / self.counts.unsqueeze(1)


@torch.no_grad()
def nearest_neighbours(x: Tensor, clouds: Clouds, k: int) -> Elements:
    """Pair each point with the k nearest points of its cloud, itself among them.

    Args:
        x: ``(R, D)`` coordinates.
        clouds: The clouds; a point of a cloud with fewer than k points has them all for neighbours.
        k: Number of neighbours.

    Returns:
        The pairs: neighbours send, points receive.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [3.0]])
        >>> nearest_neighbours(x, Clouds.equal(1, 3, x.device), 2).senders.tolist()
        [0, 1, 1, 0, 2, 1]
    """
    if clouds.size is not None:
        k = min(k, clouds.size)
        rows = torch.arange(x.shape[0] + 1, device=x.device)
        receivers, first = rows[:-1].repeat_interleave(k), k * rows
    else:
        found = clouds.counts.clamp(max=k).index_select(0, clouds.batch)
        receivers = torch.arange(x.shape[0], device=x.device).repeat_interleave(found)
        first = torch.nn.functional.pad(found.cumsum(0), (1, 0))
    if kernels_apply(x):
        from equizoo.nn._neighbour_kernels import nearest

        senders = torch.empty_like(receivers)
        starts = torch.nn.functional.pad(clouds.counts.cumsum(0), (1, 0))
        nearest(x.contiguous().numpy(), starts.numpy(), first.numpy(), senders.numpy())
    elif clouds.size is not None:
        start = torch.arange(0, x.shape[0], clouds.size, device=x.device)
        senders = (_nearest(x.unflatten(0, (-1, clouds.size)), k) + start[:, None, None]).flatten()
    else:
        parts = zip(x.split(clouds.counts.tolist()), clouds.counts.cumsum(0) - clouds.counts, strict=True)
        senders = torch.cat([(_nearest(part, k) + start).flatten() for part, start in parts])
    return Elements(senders, receivers, first)


def _nearest(x: Tensor, k: int) -> Tensor:
    """Return the ``(..., N, k)`` nearest rows of each row of ``x`` (..., N, D), many rows part by part."""
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    few = torch.compiler.is_compiling() or x.shape[-2] <= CHUNK
    parts = [x] if few else x.split(CHUNK, -2)
    distances = (torch.cdist(part, x, compute_mode="donot_use_mm_for_euclid_dist") for part in parts)
    return torch.cat([part.topk(min(k, x.shape[-2]), largest=False).indices for part in distances], -2)

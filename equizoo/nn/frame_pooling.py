"""Invariants of vectors seen from a frame of each point, pooled over clouds.

References:
    Deng et al., "Vector Neurons", ICCV 2021, Section 3.4 (invariant layer).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from equizoo.nn.compiled import kernels_apply
from equizoo.nn.neighbours import Clouds


def pool_invariants(x: Tensor, frames: Tensor, clouds: Clouds) -> Tensor:
    """Return the maximum and the mean over each cloud of ``Σ_m x[r, m, c]·frames[r, m, a]``.

    Args:
        x: ``(R, 3, C)`` vectors.
        frames: ``(R, 3, 3)`` three vectors a point, the last index tells which.
        clouds: The clouds.

    Returns:
        ``(B, 6·C)``: three maxima a channel, then three means.

    Example:
        >>> x, frames = torch.randn(5, 3, 4), torch.randn(5, 3, 3)
        >>> pool_invariants(x, frames, Clouds.equal(1, 5, x.device)).shape
        torch.Size([1, 24])
    """
    if kernels_apply(x, frames):
        starts = torch.nn.functional.pad(clouds.counts.cumsum(0), (1, 0))
        return torch.cat(_Pool.apply(x, frames, starts), 1).flatten(1)
    values = (frames.mT @ x).flatten(1)
    shape, index = (clouds.counts.shape[0], values.shape[1]), clouds.batch.unsqueeze(1).expand_as(values)
    largest = values.new_zeros(shape).scatter_reduce(0, index, values, "amax", include_self=False)
    return torch.cat([largest, clouds.mean(values)], 1)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, frames: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        from equizoo.nn._frame_kernels import pool

        x, frames = x.contiguous(), frames.contiguous()
        largest = x.new_empty(starts.shape[0] - 1, 3, x.shape[2])
        mean, place = torch.empty_like(largest), torch.zeros(largest.shape, dtype=torch.int32)
        arrays = (x.detach(), frames.detach(), starts, largest, mean, place)
        pool(*(array.numpy() for array in arrays))
        ctx.save_for_backward(x, frames, starts, place)
        return largest, mean

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_largest: Tensor, grad_mean: Tensor) -> tuple[Tensor, Tensor, None]:
        from equizoo.nn._frame_kernels import pool_backward

        x, frames, starts, place = ctx.saved_tensors
        grads = torch.zeros_like(x), torch.zeros_like(frames)
        arrays = (grad_largest.contiguous(), grad_mean.contiguous(), x, frames, starts, place, *grads)
        pool_backward(*(array.detach().numpy() for array in arrays))
        return (*grads, None)

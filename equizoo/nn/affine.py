"""Chains of affine maps, followed on their coefficients instead of on every node."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NormalisedLinear(nn.Sequential):
    """Batch normalisation followed by a linear map, ``(N, C)`` to ``(N, C)``.

    Given the statistics of a batch, both are affine. On rows that are an affine function ``x·A + b`` of few
    numbers x, :meth:`compose` finds A and b of the result at a cost that does not depend on N.

    Args:
        width: C.

    Example:
        >>> layer, x = NormalisedLinear(4).double(), torch.randn(9, 3, dtype=torch.float64)
        >>> x = x - x.mean(0)
        >>> a, b = torch.randn(3, 4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
        >>> new_a, new_b = layer.compose(a, b, x.T @ x / 9, 9)
        >>> torch.allclose(x @ new_a + new_b, layer(x @ a + b))
        True

    References:
        Ioffe and Szegedy, "Batch normalization" (2015), Algorithms 1 and 2.
    """

    def __init__(self, width: int) -> None:
        super().__init__(nn.BatchNorm1d(width), nn.Linear(width, width))

    def compose(
        self, weight: Tensor, offset: Tensor, covariance: Tensor, count: int
    ) -> tuple[Tensor, Tensor]:
        """Apply the module to the rows ``x·weight + offset``; running statistics move as in a forward pass.

        Args:
            weight: ``(D, C)`` matrix A.
            offset: ``(C,)`` offset b.
            covariance: ``(D, D)`` mean of ``x xᵀ`` over the rows x, whose own mean is zero.
            count: N, number of rows.

        Returns:
            Matrix ``(D, C)`` and offset ``(C,)`` of the result as a function of x.

        Raises:
            ValueError: A single row in training mode, which has no variance.
        """
        norm, linear = self
        if not norm.training:
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            return (weight * scale) @ linear.weight.T, linear(
                (offset - norm.running_mean) * scale + norm.bias
            )
        if count < 2:
            raise ValueError("batch normalisation needs more than one row in training mode")
        variance = (weight * (covariance @ weight)).sum(0)
        with torch.no_grad():
            norm.num_batches_tracked += 1
            norm.running_mean.lerp_(offset, norm.momentum)
            norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        return (weight * scale) @ linear.weight.T, linear(norm.bias)

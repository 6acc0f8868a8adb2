"""Convolution over a few moments in time, by its lowest frequencies.

Xu, Han, Lou, Kossaifi, Ramanathan, Azizzadenesheli, Leskovec, Ermon, Anandkumar, "Equivariant Graph Neural
Operator for Modeling 3D Dynamics" (EGNO), ICML 2024, Section 4.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class TemporalFourier(nn.Module):
    """Multiplies the lowest Fourier modes of a signal in time by complex matrices.

    With few moments T, the transform and its inverse are two small real matrices. The mean and the highest
    mode of an even T are real, so the imaginary part of their matrices has no effect.

    Args:
        channels: C.
        frames: T.
        modes: Number of modes K, from the mean upwards.
        scale: Entries of the matrices start uniform in 0 to ``scale``.

    Attributes:
        weight: ``(K, 2, C, C)`` real and imaginary part for each mode, input channel and output channel.

    Raises:
        ValueError: T moments do not have so many modes.

    Example:
        >>> conv = TemporalFourier(4, frames=5, modes=2, scale=0.1)
        >>> conv(torch.randn(5, 7, 4)).shape
        torch.Size([5, 7, 4])

    References:
        EGNO, Equations 7 to 9.
    """

    def __init__(self, channels: int, frames: int, modes: int, scale: float) -> None:
        super().__init__()
        if not 1 <= modes <= frames // 2 + 1:
            raise ValueError(
                f"modes must lie in 1 to {frames // 2 + 1}, the number that {frames} frames have, got {modes}"
            )
        self.weight = nn.Parameter(scale * torch.rand(modes, 2, channels, channels))
        waves = [[1.0] * frames]
        for mode in range(1, modes):
            angles = [2 * math.pi * mode * t / frames for t in range(frames)]
            waves += [[math.cos(angle) for angle in angles], [math.sin(angle) for angle in angles]]
        self._analysis = waves
        self._synthesis = [
            [wave[t] * (1 if k == 0 or k + k % 2 == frames else 2) / frames for k, wave in enumerate(waves)]
            for t in range(frames)
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Return a ``(T, ..., C)`` signal from a ``(T, ..., C)`` one."""
        waves = (x.new_tensor(self._analysis) @ x.flatten(1)).unflatten(1, x.shape[1:])
        parts = [waves[:1] @ self.weight[0, 0]]
        for mode, (real, imaginary) in enumerate(self.weight[1:]):
            cosine, sine = waves[2 * mode + 1], waves[2 * mode + 2]
            parts.append((cosine @ real + sine @ imaginary).unsqueeze(0))
            parts.append((sine @ real - cosine @ imaginary).unsqueeze(0))
        return (x.new_tensor(self._synthesis) @ torch.cat(parts).flatten(1)).unflatten(1, x.shape[1:])

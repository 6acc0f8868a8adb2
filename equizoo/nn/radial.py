"""Radial functions shared by the distance-based models."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def shifted_softplus(x: Tensor) -> Tensor:
    """Return ``ln(½·eˣ + ½)`` elementwise, a smooth activation that is 0 at 0.

    References:
        Schütt et al., "SchNet" (2017), Section 4.3.
    """
    return nn.functional.softplus(x) - math.log(2.0)


def cosine_envelope(distance: Tensor, cutoff: float) -> Tensor:
    """Return ``½(cos(π·d/cutoff) + 1)``: 1 at distance 0, 0 with zero slope at the cutoff.

    Args:
        distance: ``(...)`` distances [Å], none beyond the cutoff.
        cutoff: Radius [Å].

    Returns:
        ``(...)`` factors in [0, 1].

    References:
        Behler, "Atom-centered symmetry functions" (2011), Eq. 4.
    """
    return 0.5 * (torch.cos(distance * (math.pi / cutoff)) + 1.0)


class GaussianBasis(nn.Module):
    """Gaussians with equally spaced centres, as wide as their spacing.

    Args:
        count: Number of Gaussians K, at least 2.
        cutoff: Centre of the last one [Å]; the first sits at 0.

    Example:
        >>> GaussianBasis(50, 10.0)(torch.tensor([0.0, 1.5])).shape
        torch.Size([2, 50])

    References:
        Schütt et al., "SchNet" (2017), Section 4.2.
    """

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        if count < 2:
            raise ValueError(f"a Gaussian basis needs at least 2 centres, got {count}")
        self.register_buffer("centres", torch.linspace(0.0, cutoff, count), persistent=False)
        self.coefficient = -0.5 / (cutoff / (count - 1)) ** 2

    def forward(self, distance: Tensor) -> Tensor:
        """Expand ``(P,)`` distances [Å] into ``(P, K)`` values."""
        return torch.exp(self.coefficient * (distance.unsqueeze(-1) - self.centres).square())


class ExponentialBasis(nn.Module):
    """Gaussians of ``exp(-α·d)``, denser and narrower at short distances, times the cosine envelope.

    Centres and widths are trained.

    Args:
        count: Number of functions K, at least 2.
        cutoff: Radius [Å].

    Example:
        >>> ExponentialBasis(16, 5.0)(torch.tensor([0.0, 1.5])).shape
        torch.Size([2, 16])

    References:
        Unke and Meuwly, "PhysNet" (2019), Equation 7, with the scale of TorchMD-NET, ``α = 5 / cutoff``.
    """

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        if count < 2:
            raise ValueError(f"a radial basis needs at least 2 functions, got {count}")
        self.cutoff, last = cutoff, math.exp(-cutoff)
        self.centres = nn.Parameter(torch.linspace(last, 1.0, count))
        self.widths = nn.Parameter(torch.full((count,), (2 / count * (1 - last)) ** -2))

    def forward(self, distance: Tensor) -> Tensor:
        """Expand ``(E,)`` distances [Å] into ``(E, K)`` values."""
        distance = distance.unsqueeze(-1)
        bumps = torch.exp(-self.widths * (torch.exp(-5.0 / self.cutoff * distance) - self.centres).square())
        return bumps * cosine_envelope(distance.clamp(max=self.cutoff), self.cutoff)

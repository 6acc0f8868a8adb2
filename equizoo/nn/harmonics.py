"""Spherical harmonics of directions, up to any degree."""

from __future__ import annotations

import math

import torch
from torch import Tensor

NORMALIZATIONS = {"integral": 1 / math.sqrt(4 * math.pi), "component": 1.0}
"""Value of the harmonic of degree 0."""


def spherical_harmonics(degree: int, vectors: Tensor, normalization: str = "integral") -> Tensor:
    """Return the spherical harmonics of degrees 0 to ``degree`` of the directions of vectors.

    Args:
        degree: Largest degree.
        vectors: ``(E, 3)`` vectors; the harmonics of a zero vector are 0 above degree 0.
        normalization: ``"integral"`` or ``"component"``, as in e3nn.

    Returns:
        ``(E, (degree + 1)²)`` values, in e3nn's order (x, y, z for degree 1).

    Raises:
        ValueError: No such normalization.

    Example:
        >>> spherical_harmonics(1, torch.tensor([[0.0, 2.0, 0.0]]), "component").tolist()
        [[1.0, 0.0, 1.7320507764816284, 0.0]]
    """
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"normalization is one of {sorted(NORMALIZATIONS)}, got {normalization!r}")
    if degree > 1:
        from e3nn import o3

        kinds = o3.Irreps.spherical_harmonics(degree)
        return o3.spherical_harmonics(kinds, vectors, normalize=True, normalization=normalization)
    constant = NORMALIZATIONS[normalization]
    scalar = vectors.new_full((vectors.shape[0], 1), constant)
    if degree == 0:
        return scalar
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    return torch.cat([scalar, math.sqrt(3) * constant * unit], dim=-1)

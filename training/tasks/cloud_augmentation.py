"""Point clouds, drawn anew, stretched, scaled, shifted, jittered, thinned and turned at random."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from equizoo.data.modelnet40 import drop_points, to_unit_sphere
from equizoo.symmetry import SO2, SO3
from equizoo.symmetry.groups import Group

ROTATIONS: dict[str, Group] = {"so3": SO3(), "z": SO2("z"), "aligned": Group()}


@dataclass(frozen=True)
class Augmentation:
    """What is done to each training cloud, anew whenever it is seen. The defaults do nothing.

    Attributes:
        stretch: Largest factor s on an axis: each of the three gets its own, whose logarithm is uniform in
            ±log s. It makes another shape of the same kind, as ``scale`` does not.
        scale: Ends of the range that a factor on all coordinates is drawn from.
        shift: Half width of the range that each coordinate of a shift is drawn from [radius of the cloud].
        jitter: Standard deviation of the noise on each coordinate of each point [radius of the cloud].
        dropout: Largest share of the points of a cloud that is replaced by its first point.

    Raises:
        ValueError: A range is not one.

    References:
        C. R. Qi, L. Yi, H. Su, L. J. Guibas, "PointNet++", NeurIPS 2017, supplement: all but the first.
        R. Klokov, V. Lempitsky, "Escape from Cells: Deep Kd-Networks", ICCV 2017: factors of each axis.
    """

    stretch: float = 1.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    jitter: float = 0.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 1 <= self.stretch < inf:
            raise ValueError(f"stretch must be a number from 1 on, got {self.stretch}")
        if not 0 < low <= high:
            raise ValueError(f"scale needs 0 < low <= high, got {low} and {high}")
        if min(self.shift, self.jitter) < 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "shift and jitter must not be negative and dropout must lie in 0 to 1, "
                f"got {self.shift}, {self.jitter} and {self.dropout}"
            )

    def __call__(self, points: Tensor) -> Tensor:
        """Return changed clouds (B, N, 3), drawn from torch's global generator."""
        low, high = self.scale
        if self.stretch > 1:
            points = to_unit_sphere(points * self.stretch ** (2 * torch.rand(len(points), 1, 3) - 1))
        if low < high:
            points = points * (low + (high - low) * torch.rand(len(points), 1, 1))
        if self.shift:
            points = points + self.shift * (2 * torch.rand(len(points), 1, 3) - 1)
        if self.jitter:
            points = points + self.jitter * torch.randn_like(points)
        return dropped(points, self.dropout) if self.dropout else points


def dropped(points: Tensor, most: float, generator: torch.Generator | None = None) -> Tensor:
    """Replace points by the first of their cloud, each cloud's by a share drawn from 0 to ``most``.

    Args:
        points: (B, N, 3) positions.
        most: Largest share; published: 0.875.
        generator: Source of randomness; torch's own unless given.

    Returns:
        (B, N, 3).
    """
    return drop_points(points, most * torch.rand(len(points), generator=generator), generator)


def turned(points: Tensor, rotations: str, generator: torch.Generator | None = None) -> Tensor:
    """Turn each cloud about the origin by an element of its own of one of :data:`ROTATIONS`.

    Args:
        points: (B, N, 3) positions.
        rotations: ``so3``, ``z`` (about the vertical) or ``aligned`` (none).
        generator: Source of randomness; torch's own unless given.

    Returns:
        (B, N, 3).

    Example:
        >>> cloud = torch.randn(2, 5, 3)
        >>> torch.equal(turned(cloud, "aligned"), cloud)
        True
        >>> torch.allclose(turned(cloud, "z")[..., 2], cloud[..., 2], atol=1e-6)
        True
    """
    if rotations == "aligned":
        return points
    matrices = ROTATIONS[rotations].sample(len(points), generator, points.dtype, points.device).rotation
    return points @ matrices.mT


def redrawn(points: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Return ``n`` of the points of each cloud, drawn without replacement, centred and scaled.

    Args:
        points: (B, P, 3) positions, P ≥ n.
        n: Number of points.
        generator: Source of randomness; torch's own unless given.

    Returns:
        (B, n, 3) positions in the unit sphere.

    Example:
        >>> redrawn(torch.randn(2, 50, 3), 20).shape
        torch.Size([2, 20, 3])
    """
    chosen = torch.rand(points.shape[:2], generator=generator).argsort(1)[:, :n, None]
    return to_unit_sphere(points.gather(1, chosen.expand(-1, -1, 3)))

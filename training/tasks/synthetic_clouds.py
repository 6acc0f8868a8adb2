"""Small made-up point clouds of a few kinds of shape, for runs that take seconds and read nothing."""

from __future__ import annotations

import torch

from equizoo.data.modelnet40 import PointCloudSet, to_unit_sphere

AXES = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.2], [1.0, 0.2, 0.2], [1.0, 0.6, 0.2]])
"""Half axes (K, 3) of the ellipsoid that each kind of shape is: ball, disc, rod, bar."""


def synthetic_clouds(n: int, points: int, seed: int) -> PointCloudSet:
    """Make clouds of points on ellipsoids whose proportions tell their kind.

    Args:
        n: Number of clouds.
        points: Number of points of each.
        seed: Seed of the clouds; the kinds do not depend on it.

    Returns:
        The clouds, in the unit sphere; the kinds take turns as labels 0 to 3.

    Example:
        >>> clouds = synthetic_clouds(6, points=50, seed=0)
        >>> clouds.points.shape, clouds.label.tolist()
        (torch.Size([6, 50, 3]), [0, 1, 2, 3, 0, 1])
    """
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % len(AXES)
    ball = torch.nn.functional.normalize(torch.randn(n, points, 3, generator=generator), dim=-1)
    stretch = 0.9 + 0.2 * torch.rand(n, 1, 3, generator=generator)
    return PointCloudSet(to_unit_sphere(ball * stretch * AXES[label][:, None]), label)

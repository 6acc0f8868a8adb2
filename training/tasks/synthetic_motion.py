"""Small made-up motions of a body, for runs that take seconds and read nothing."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from equizoo.data.mocap import SKELETON, MotionSet


def synthetic_motion(n: int, seed: int, horizon: int = 30, frames: int = 5) -> MotionSet:
    """Make upright bodies that drift along +z while each joint swings at its own amplitude and phase.

    Args:
        n: Number of samples.
        seed: Seed of the samples; amplitudes and phases of the joints do not depend on it.
        horizon: Frames from the input to the last target.
        frames: Number T of target frames, the last ones up to the horizon.

    Returns:
        The samples; lengths are near those of the data set.

    Example:
        >>> synthetic_motion(4, seed=0).target.shape
        torch.Size([4, 5, 31, 3])
    """
    joints = len(SKELETON.joints)
    rule, generator = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
    rest = torch.tensor([0.0, 15.0, 0.0]).repeat(joints, 1)
    for child, parent in SKELETON.bones:  # parents come first
        rest[child] = rest[parent] + torch.tensor([0.7, 4.0, 0.7]) * torch.randn(3, generator=rule)
    swing = 0.5 * torch.rand(joints, 3, generator=rule)
    phase = 2 * math.pi * torch.rand(joints, 3, generator=rule)
    start = 100.0 * torch.rand(n, 1, 1, generator=generator)
    place = 10.0 * torch.rand(n, 1, 3, generator=generator) * torch.tensor([1.0, 0.0, 1.0])
    speed = torch.tensor([0.0, 0.0, 0.5]) * (0.9 + 0.2 * torch.rand(n, 1, 1, generator=generator))

    def at(frame: int) -> Tensor:
        return place + rest + frame * speed + swing * torch.sin(phase + 0.08 * (start + frame))

    target = torch.stack([at(frame) for frame in range(horizon - frames + 1, horizon + 1)], 1)
    return MotionSet(at(0), at(1) - at(0), target)

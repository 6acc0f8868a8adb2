"""Training samples of motions, turned and mirrored at random."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equizoo.data.mocap import MotionSet
from equizoo.symmetry import SO2, SO3
from equizoo.symmetry.groups import Group

ROTATIONS: dict[str, Group] = {"none": Group(), "vertical": SO2("y"), "so3": SO3()}


def augmented(samples: MotionSet, rotate: str, mirrored: float) -> MotionSet:
    """Turn and mirror each sample about the centre of its body, drawing from torch's global generator.

    Args:
        samples: B samples.
        rotate: One of :data:`ROTATIONS`.
        mirrored: Share of the samples that is mirrored, each in the vertical plane of its way.

    Returns:
        The samples; the same ones if nothing is to be done.
    """
    if rotate == "none" and not mirrored:
        return samples
    mirror = along_heading(samples.vel)
    mirror[torch.rand(len(samples)) >= mirrored] = torch.eye(3, dtype=mirror.dtype)
    matrix = ROTATIONS[rotate].sample(len(samples), dtype=mirror.dtype).rotation @ mirror
    centre = samples.pos.mean(1, keepdim=True)
    target = (samples.target - centre[:, None]) @ matrix.mT[:, None] + centre[:, None]
    return MotionSet((samples.pos - centre) @ matrix.mT + centre, samples.vel @ matrix.mT, target)


def along_heading(vel: Tensor) -> Tensor:
    """Return the reflections of bodies in the vertical planes that hold their directions of motion.

    Args:
        vel: (B, J, 3) velocities of the joints; a body that stands is mirrored in the plane x = 0.

    Returns:
        (B, 3, 3) matrices.

    Example:
        >>> along_heading(torch.tensor([[[0.0, 0.2, 1.0]]])).diagonal(dim1=1, dim2=2)
        tensor([[-1.,  1.,  1.]])
    """
    mean = vel.mean(1)
    normal = torch.stack([mean[:, 2], torch.zeros_like(mean[:, 0]), -mean[:, 0]], 1)
    still = normal.norm(dim=1, keepdim=True) < 1e-6
    axis = torch.tensor([1.0, 0.0, 0.0], dtype=vel.dtype)
    normal = nn.functional.normalize(torch.where(still, axis, normal), dim=1)
    return torch.eye(3, dtype=vel.dtype) - 2 * normal[:, :, None] * normal[:, None]

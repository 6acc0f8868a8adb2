"""Which symmetries motion data have: their symmetry gap under rotations and under a change of place."""

from __future__ import annotations

import torch
from torch import Tensor

from equizoo.data.mocap import MotionSet
from equizoo.symmetry import SO2, SO3, GapEstimate, Vectors, symmetry_gap
from equizoo.symmetry.groups import Group

_MOST, _SAMPLES = 1000, 4
_ROTATIONS: dict[str, Group] = {"SO(3)": SO3(), "SO(2) about the vertical": SO2("y")}
_TRANSLATIONS = "horizontal translations"


def symmetry_gaps(samples: MotionSet, seed: int = 0) -> dict[str, list[float]]:
    """Estimate how far the law of body and displacement is from its symmetrisation, relative to its size.

    The law is that of the joints' positions and of their displacements up to the last target frame. Under
    rotations, positions are relative to the centre of the body. Translations have no Haar measure, so the
    law is compared with the one in which bodies trade places at random: it is the same if how a body stands
    and moves does not depend on where it is.

    Frames of one trial are not independent, so the standard errors are too small.

    Args:
        samples: The samples; the first 1,000 of a random order are used.
        seed: Seed of the order and of the group elements.

    Returns:
        ``{group: [squared energy distance, its standard error]}``, over the mean norm of a sample [1].

    Example:
        >>> from equizoo.training.tasks.synthetic_motion import synthetic_motion
        >>> gaps = symmetry_gaps(synthetic_motion(64, seed=0))
        >>> gaps["SO(3)"][0] > 10 * gaps["SO(3)"][1]
        True
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = samples.subset(torch.randperm(len(samples), generator=generator)[:_MOST])
    pos, moved = chosen.pos.double(), (chosen.target[:, -1] - chosen.pos).double()
    kind, centre = Vectors(pos.shape[1]), pos.mean(1, keepdim=True)
    body, displacement = (pos - centre).flatten(1), moved.flatten(1)
    found = {
        name: symmetry_gap(body, displacement, kind, kind, group, samples=_SAMPLES, generator=generator)
        for name, group in _ROTATIONS.items()
    }
    found[_TRANSLATIONS] = _gap_of_places(pos, moved, centre, generator)
    size = float(torch.cat([body, displacement], 1).norm(dim=1).mean())
    return {name: [gap.value / size, gap.standard_error / size] for name, gap in found.items()}


def _gap_of_places(pos: Tensor, moved: Tensor, centre: Tensor, generator: torch.Generator) -> GapEstimate:
    """Return the squared energy distance from the law in which bodies trade horizontal places."""
    horizontal = torch.tensor([1.0, 0.0, 1.0], dtype=pos.dtype)
    half = len(pos) // 2

    def rows(shift: Tensor | float) -> Tensor:
        return torch.cat([(pos + shift).flatten(1), moved.flatten(1)], 1)

    here = rows(0.0)
    kernel = -torch.cdist(here[:half], here[half:])
    for _ in range(_SAMPLES):
        others = centre[torch.randint(len(pos), (len(pos),), generator=generator)]
        there = rows((others - centre) * horizontal)
        kernel += torch.cdist(here[:half], there[half:]) / _SAMPLES
    down, across = kernel.mean(1), kernel.mean(0)
    variance = down.var() / len(down) + across.var() / len(across)
    return GapEstimate(float(kernel.mean()), float(variance.sqrt()))

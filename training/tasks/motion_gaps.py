"""Which symmetries motion data have: their symmetry gap under rotations and under a change of place."""

from __future__ import annotations

import torch
from torch import Tensor

from equizoo.data.mocap import MotionSet
from equizoo.symmetry import SO2, SO3, GapEstimate, Vectors, symmetry_gap
from equizoo.symmetry.groups import Group

_LEAST, _MOST, _SAMPLES = 8, 1000, 4
_ROTATIONS: dict[str, Group] = {"SO(3)": SO3(), "SO(2) about the vertical": SO2("y")}
_TRANSLATIONS = "horizontal translations"


def symmetry_gaps(samples: MotionSet, seed: int = 0) -> dict[str, list[float]]:
    """Estimate how far the law of body and displacement is from its symmetrisation, relative to its size.

    The law is that of the joints' positions and of their displacements up to the last target frame. Under
    rotations, positions are relative to the centre of the body. Translations have no Haar measure, so the
    law is compared with the one in which bodies trade places in pairs: it is the same if how a body stands
    and moves does not depend on where it is.

    Frames of one trial are not independent, so the standard errors are too small.

    Args:
        samples: The samples; the first 1,000 of a random order are used.
        seed: Seed of the order and of the group elements.

    Returns:
        ``{group: [squared energy distance, its standard error]}``, over the mean norm of a sample [1].

    Raises:
        ValueError: There are fewer than 8 samples: two pairs that trade places in each half.

    Example:
        >>> from equizoo.training.tasks.synthetic_motion import synthetic_motion
        >>> gaps = symmetry_gaps(synthetic_motion(64, seed=0))
        >>> gaps["SO(3)"][0] > 10 * gaps["SO(3)"][1]
        True
    """
    if len(samples) < _LEAST:
        raise ValueError(f"a symmetry gap needs at least {_LEAST} samples, got {len(samples)}")
    generator = torch.Generator().manual_seed(seed)
    chosen = samples.subset(torch.randperm(len(samples), generator=generator)[:_MOST])
    pos, moved = chosen.pos.double(), (chosen.target[:, -1] - chosen.pos).double()
    kind, centre = Vectors(pos.shape[1]), pos.mean(1, keepdim=True)
    body, displacement = (pos - centre).flatten(1), moved.flatten(1)
    found = {
        name: symmetry_gap(body, displacement, kind, kind, group, samples=_SAMPLES, generator=generator)
        for name, group in _ROTATIONS.items()
    }
    found[_TRANSLATIONS] = _gap_of_places(pos, moved, centre)
    size = float(torch.cat([body, displacement], 1).norm(dim=1).mean())
    return {name: [gap.value / size, gap.standard_error / size] for name, gap in found.items()}


def _gap_of_places(pos: Tensor, moved: Tensor, centre: Tensor) -> GapEstimate:
    """Return the squared energy distance from the law in which bodies trade horizontal places.

    Trading places is no action of a group, so all three terms of ``2 E‖v − w‖ − E‖v − v'‖ − E‖w − w'‖`` are
    needed, w from the law of trades. Each row is in one pair, in which both bodies as they are and both after
    the trade give one feature; pairs are independent if rows are. As in
    :func:`~equizoo.symmetry.symmetry_gap`, one half of the pairs meets the other: the estimate is unbiased,
    and its standard error counts both halves.
    """
    pairs = len(pos) // 2
    rows = torch.arange(2 * pairs).unflatten(0, (2, pairs))
    trade = (centre[rows.flip(0)] - centre[rows]) * torch.tensor([1.0, 0.0, 1.0], dtype=pos.dtype)
    kept, traded = (
        torch.cat([place.flatten(2), moved[rows].flatten(2)], 2) for place in (pos[rows], pos[rows] + trade)
    )
    signed = [(1.0, kept[0]), (1.0, kept[1]), (-1.0, traded[0]), (-1.0, traded[1])]
    half = pairs // 2
    kernel = torch.zeros(half, pairs - half, dtype=pos.dtype)
    for sign, first in signed:
        for other, second in signed:
            kernel -= sign * other / 4 * torch.cdist(first[:half], second[half:])
    down, across = kernel.mean(1), kernel.mean(0)
    variance = down.var() / len(down) + across.var() / len(across)
    return GapEstimate(float(kernel.mean()), float(variance.sqrt()))

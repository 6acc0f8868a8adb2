"""Charged particles: from positions and velocities at one time to positions one time unit later.

The data set of EGNN and SEGNN ("nbody_small": five particles, 10,000 + 2,000 + 2,000 systems) is simulated
when it is first asked for, in seconds, and kept; worlds with less symmetry, or more particles, likewise.

References:
    V. G. Satorras, E. Hoogeboom, M. Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021, 5.1.
    J. Brandstetter et al., "Geometric and Physical Quantities Improve E(3) Equivariant Message Passing",
    ICLR 2022, 4.1: frames 30 and 40.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from equizoo.data.nbody_files import (
    SOURCES,
    Frames,
    cache_name,
    find_released,
    folders,
    read_cache,
    read_released,
    settings,
    write_cache,
)
from equizoo.data.nbody_simulation import Trajectories, integrate, mean_coulomb_acceleration, simulate
from equizoo.data.nbody_worlds import World, coulomb_acceleration, energy

__all__ = [
    "SOURCES",
    "SPLITS",
    "NBodySet",
    "Trajectories",
    "World",
    "coulomb_acceleration",
    "energy",
    "integrate",
    "load_nbody",
    "mean_coulomb_acceleration",
    "simulate",
]

log = logging.getLogger(__name__)

SPLITS = ("train", "valid", "test")
FRAMES = 49
_PUBLISHED_SEED, _PUBLISHED_COUNTS = 43, (10_000, 2_000, 2_000)


@dataclass(frozen=True)
class NBodySet:
    """S systems of n particles at one time, and where the particles are later.

    Attributes:
        pos: (S, n, 3) float32 positions [length].
        vel: (S, n, 3) float32 velocities [length/time].
        charge: (S, n) float32 charges, ±1.
        target: (S, n, 3) float32 positions at the later time [length].

    Raises:
        ValueError: The shapes do not fit together.
    """

    pos: Tensor
    vel: Tensor
    charge: Tensor
    target: Tensor

    def __post_init__(self) -> None:
        shapes = [tuple(x.shape) for x in (self.pos, self.vel, self.target)]
        if self.pos.ndim != 3 or len(set(shapes)) > 1 or self.charge.shape != self.pos.shape[:2]:
            raise ValueError(
                "pos, vel and target need one shape (S, n, 3) and charge (S, n), "
                f"got {shapes[0]}, {shapes[1]}, {shapes[2]} and {tuple(self.charge.shape)}"
            )

    def __len__(self) -> int:
        return self.pos.shape[0]

    def subset(self, indices: Tensor) -> NBodySet:
        """Return the systems at ``indices`` (B,) int64, in that order, as a set of their own."""
        return NBodySet(self.pos[indices], self.vel[indices], self.charge[indices], self.target[indices])


def load_nbody(
    root: str | os.PathLike[str] | None = None,
    *,
    world: World | None = None,
    split: str = "train",
    samples: int | None = None,
    seed: int = _PUBLISHED_SEED,
    start: int = 30,
    end: int = 40,
    counts: Sequence[int] = _PUBLISHED_COUNTS,
) -> NBodySet:
    """Load a part of the data set, simulating it the first time.

    All parts of a world, seed and counts are simulated together and kept as one file, 82 MB by default, in
    ``root``, or in the user's cache folder ``~/.cache/equizoo`` if ``root`` cannot be written. For the
    published settings the original ``loc_train_charged5_initvel1small.npy`` and so on are read if they are in
    ``root``.

    Args:
        root: Folder; the environment variable ``EQUIZOO_DATA``, or the user's cache folder, unless given.
        world: What moves the particles; the published system unless given.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        samples: Number of systems, the first of the part; all unless given. Published models train on 3,000.
        seed: Seed of the simulation.
        start: Frame of the inputs, 0 to 47; frame ``k`` is at time ``0.1·(k + 1)``.
        end: Frame of the targets, ``start + 1`` to 48.
        counts: Numbers of systems simulated for the three parts, in that order.

    Returns:
        The systems.

    Raises:
        ValueError: There is no such split or frame, or more samples are asked for than there are; or an
            original file is damaged.
        FileNotFoundError: Some of the original files of a part are there, but not all.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     valid = load_nbody(folder, split="valid", counts=(8, 4, 4))
        >>> len(valid), valid.target.shape
        (4, torch.Size([4, 5, 3]))
    """
    world, counts = world or World(), tuple(int(count) for count in counts)
    if split not in SPLITS:
        raise ValueError(f"no part named {split!r}; the parts are {', '.join(SPLITS)}")
    if len(counts) != len(SPLITS) or min(counts) < 1:
        raise ValueError(f"counts={counts}: three numbers of at least 1 are needed, for {', '.join(SPLITS)}")
    if not 0 <= start < end < FRAMES:
        raise ValueError(f"frames {start} and {end}: they must rise and lie in 0 to {FRAMES - 1}")
    part = SPLITS.index(split)
    places = folders(root)
    published = world == World() and seed == _PUBLISHED_SEED and counts == _PUBLISHED_COUNTS
    released = find_released(places, split) if published else None
    if released is not None:
        log.info("reading %s", released)
        frames, first, count = read_released(released), 0, counts[part]
        if len(frames.pos) != count:
            log.warning("%s has %d of the %d systems of the part", released, len(frames.pos), count)
            count = len(frames.pos)
    else:
        frames, first, count = _frames(world, seed, counts, places), sum(counts[:part]), counts[part]
    samples = count if samples is None else samples
    if not 1 <= samples <= count:
        raise ValueError(f"samples={samples}: the {split} part has {count} systems")
    rows = slice(first, first + samples)
    pos, vel, target = frames.pos[rows, start], frames.vel[rows, start], frames.pos[rows, end]
    arrays = (pos, vel, frames.charge[rows], target)
    return NBodySet(*(torch.from_numpy(np.array(array, dtype=np.float32, order="C")) for array in arrays))


def _frames(world: World, seed: int, counts: Sequence[int], places: Sequence[Path]) -> Frames:
    """Read all parts from the cache, or simulate and keep them."""
    depends_on = settings(world, seed, counts)
    name = cache_name(world, depends_on)
    for path in (place / name for place in places):
        if path.is_file() and (frames := read_cache(path, depends_on)) is not None:
            return frames
    log.info("simulating %d systems of the %s world", sum(counts), world.name)
    made = simulate(world, sum(counts), seed)
    pos, vel = (x.to(torch.float32).numpy() for x in (made.pos, made.vel))
    frames = Frames(pos, vel, made.charge.to(torch.int8).numpy())
    write_cache(frames, name, depends_on, places)
    return frames

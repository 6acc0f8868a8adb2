"""CMU motion capture: from the joints of a walking or running body to their places a quarter second later.

The trials of each part and their start frames are the published ones. Which recording is which published
trial is known for the runs if they come prepared; for the walks it is assumed to be the order of their names.

References:
    W. Huang et al., "Equivariant Graph Mechanics Networks with Constraints" (GMN), ICLR 2022, Section 5.2.
    M. Xu et al., "Equivariant Graph Neural Operator for Modeling 3D Dynamics" (EGNO), ICML 2024, Section 5.2.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from equizoo.data.mocap_files import SOURCES, read_trials

__all__ = ["FRAME_RATE", "SKELETON", "SOURCES", "SPLITS", "TRIALS", "MotionSet", "Skeleton", "load_mocap"]

FRAME_RATE = 120
"""Frames in a second."""
UNIT = 0.0254 / 0.45
"""Length unit of the positions [m]."""
SPLITS = ("train", "valid", "test")
STARTS = ("published", "all")
TRIALS = {
    "run": {"train": (1, 2, 5, 6, 10), "valid": (0, 4, 9), "test": (3, 7, 8)},
    "walk": {
        "train": (20, 1, 17, 13, 14, 9, 4, 2, 7, 5, 16),
        "valid": (3, 8, 11, 12, 15, 18),
        "test": (6, 19, 21, 0, 22, 10),
    },
}
"""Published trials of each part."""
_DRAWN = {"run": (90, 80), "walk": (300, 100)}
"""Published start frames of a trial: drawn from so many, so many of them."""
_SAMPLES = {"train": 200, "valid": 600, "test": 600}
"""Published size of each part; each of n trials gives the n-th part of it, or all it has."""


@dataclass(frozen=True)
class Skeleton:
    """The joints of a body and what connects them.

    Attributes:
        joints: Names of the joints, in the order of the positions; the root is the pelvis.
        bones: Pairs (child, parent) of indices into ``joints``.
    """

    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]


def _skeleton() -> Skeleton:
    chains = (
        "root lhipjoint lfemur ltibia lfoot ltoes",
        "root rhipjoint rfemur rtibia rfoot rtoes",
        "root lowerback upperback thorax lowerneck upperneck head",
        "thorax lclavicle lhumerus lradius lwrist lhand lfingers",
        "lwrist lthumb",
        "thorax rclavicle rhumerus rradius rwrist rhand rfingers",
        "rwrist rthumb",
    )
    joints, bones = ["root"], []
    for chain in chains:
        parent, *names = chain.split()
        for name in names:
            bones.append((len(joints), joints.index(parent)))
            joints.append(name)
            parent = name
    return Skeleton(tuple(joints), tuple(bones))


SKELETON = _skeleton()
"""The skeleton of both subjects: 31 joints, 30 bones."""


@dataclass(frozen=True)
class MotionSet:
    """S bodies of J joints at one time, and at T later times.

    Attributes:
        pos: (S, J, 3) float32 positions [ASF length unit, :data:`UNIT` m]; y points up.
        vel: (S, J, 3) float32 velocities, the difference to the next frame [length / frame].
        target: (S, T, J, 3) float32 positions at the later times [length].

    Raises:
        ValueError: The shapes do not fit together.
    """

    pos: Tensor
    vel: Tensor
    target: Tensor

    def __post_init__(self) -> None:
        samples, *body = self.pos.shape
        fits = self.pos.ndim == 3 and body[1] == 3 and self.vel.shape == self.pos.shape
        if not fits or self.target.ndim != 4 or self.target.shape != (samples, self.target.shape[1], *body):
            shapes = ", ".join(str(tuple(x.shape)) for x in (self.pos, self.vel, self.target))
            raise ValueError(f"pos and vel need one shape (S, J, 3) and target (S, T, J, 3), got {shapes}")

    def __len__(self) -> int:
        return self.pos.shape[0]

    def subset(self, indices: Tensor) -> MotionSet:
        """Return the samples at ``indices`` (B,) int64, in that order, as a set of their own."""
        return MotionSet(self.pos[indices], self.vel[indices], self.target[indices])


def load_mocap(
    root: str | os.PathLike[str] | None = None,
    *,
    motion: str = "run",
    split: str = "train",
    horizon: int = 30,
    frames: int = 5,
    assignment: int | None = None,
    starts: str = "published",
) -> MotionSet:
    """Load a part of the data set.

    Args:
        root: Folder of the recordings; the environment variable ``EQUIZOO_DATA`` unless given. See
            :func:`equizoo.data.mocap_files.read_trials`.
        motion: ``"run"``, 200 + 240 + 240 samples from 11 recordings, or ``"walk"``, 198 + 600 + 600 from 23.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        horizon: Frames from the start to the last target.
        frames: Number T of targets, the last consecutive ones up to the horizon.
        assignment: Seed of a random assignment of recordings to the trials of the parts; None: the published
            one.
        starts: ``"published"``, the published start frames; or ``"all"``, every frame of the part's
            recordings that has a horizon.

    Returns:
        The samples, trial after trial.

    Raises:
        ValueError: There is no such motion, part or choice of frames, or a file is damaged.
        FileNotFoundError: There are no recordings; the message says how to get them.

    Example:
        >>> load_mocap(motion="run", split="test").target.shape  # doctest: +SKIP
        torch.Size([240, 5, 31, 3])
    """
    for name, value, known in (
        ("motion", motion, TRIALS),
        ("split", split, SPLITS),
        ("starts", starts, STARTS),
    ):
        if value not in known:
            raise ValueError(f"no {name} {value!r}; there are {', '.join(known)}")
    if not 1 <= frames <= horizon:
        raise ValueError(f"1 <= frames <= horizon is needed, got frames={frames} and horizon={horizon}")
    trials = read_trials(motion, root)
    count = sum(map(len, TRIALS[motion].values()))
    if trials.joints != SKELETON.joints or len(trials.pos) != count:
        raise ValueError(
            f"{count} {motion}s of {len(SKELETON.joints)} known joints are needed, "
            f"got {len(trials.pos)} of the joints {', '.join(trials.joints)}"
        )
    order = np.arange(count) if assignment is None else np.random.default_rng(assignment).permutation(count)
    parts = []
    for trial, published in zip(TRIALS[motion][split], _published_starts(motion, split), strict=True):
        pos = trials.pos[order[trial]]
        last = len(pos) - 2 - horizon  # published: the last frame has no velocity and is not used
        chosen = published if starts == "published" else np.arange(last + 1)
        if not len(chosen) or chosen.max() > last:
            raise ValueError(
                f"recording {trials.names[order[trial]]} has {len(pos)} frames, too few for horizon={horizon}"
            )
        parts.append(_samples(pos, chosen, horizon, frames))
    return MotionSet(*(torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True)))


def _samples(pos: np.ndarray, starts: np.ndarray, horizon: int, frames: int) -> Sequence[np.ndarray]:
    """Return positions, velocities and targets for start frames of a recording."""
    times = starts[:, None] + np.arange(horizon - frames + 1, horizon + 1)
    return pos[starts], pos[starts + 1] - pos[starts], pos[times]


def _published_starts(motion: str, split: str) -> list[np.ndarray]:
    """Return the published start frames of each trial of a part, those that are used."""
    generator, (frames, drawn) = np.random.RandomState(100), _DRAWN[motion]
    starts = {
        part: [generator.choice(frames, drawn, replace=False) for _ in trials]
        for part, trials in TRIALS[motion].items()
    }
    used = _SAMPLES[split] // len(starts[split])
    return [chosen[:used] for chosen in starts[split]]

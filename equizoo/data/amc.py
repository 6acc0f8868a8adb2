"""Recorded joint angles of Acclaim (AMC), and where they put the joints of a skeleton.

A bone ends in the joint of its name. Its frame is turned against that of its parent by ``C·R·C⁻¹``: R has the
recorded angles, C is the frame in which they are meant.

References:
    M. Schafer, "Acclaim skeleton and motion files", 1994; the files of the CMU Graphics Lab Motion Capture
    Database.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equizoo.data.acclaim import parse_number, read_lines
from equizoo.data.asf import ANGLES, AXES, ROOT_CHANNELS, Bone, read_asf, rotation

MOST_PLACES = 2_000_000
"""Joints times frames of a recording that is read: nine minutes of 31 joints at 120 Hz."""


def read_motion(
    skeleton: str | os.PathLike[str], recording: str | os.PathLike[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a recording and say where the joints are.

    Args:
        skeleton: The ``.asf`` file.
        recording: An ``.amc`` file that was recorded with it.

    Returns:
        ``(F, J, 3)`` float64 positions [length unit of the skeleton] and the J names, the root first and
        every bone after its parent, in the order of the hierarchy.

    Raises:
        ValueError: A file is damaged, too large, or uses what is not supported; or the two do not fit
            together.
        OSError: A file cannot be read.

    Example:
        >>> read_motion("35.asf", "35_01.amc")[0].shape  # doctest: +SKIP
        (359, 31, 3)
    """
    try:
        bones = read_asf(skeleton)
    except ValueError as error:
        raise ValueError(f"its skeleton {Path(skeleton).name}: {error}") from None
    return joint_positions(bones, read_amc(recording, bones)), tuple(bone.name for bone in bones)


def joint_positions(bones: Sequence[Bone], motion: Sequence[np.ndarray]) -> np.ndarray:
    """Return ``(F, J, 3)`` positions from the channels ``(F, ·)`` of each bone [length, rad].

    Raises:
        ValueError: A position is too large to be a finite number.
    """
    frames = len(motion[0])
    positions = np.zeros((frames, len(bones), 3))
    turns: list[np.ndarray] = []
    for k, (bone, values) in enumerate(zip(bones, motion, strict=True)):
        channels = dict(zip(bone.channels, values.T, strict=True))
        zero = np.zeros(frames)
        turn = bone.frame @ rotation(*(channels.get(axis, zero) for axis in AXES)) @ bone.frame.T
        if bone.parent < 0:
            positions[:, k] = np.stack([channels[axis] for axis in ROOT_CHANNELS[:3]], 1)
        else:
            turn = turns[bone.parent] @ turn
            with np.errstate(over="ignore", invalid="ignore"):
                positions[:, k] = positions[:, bone.parent] + turn @ bone.offset
        turns.append(turn)
    bad = ~np.isfinite(positions).all((1, 2))
    if bad.any():
        raise ValueError(f"the positions of frame {bad.argmax() + 1} are too large to be finite numbers")
    return positions


def read_amc(path: str | os.PathLike[str], bones: Sequence[Bone]) -> list[np.ndarray]:
    """Read the recorded channels of each bone.

    Args:
        path: The file.
        bones: The skeleton that it was recorded with.

    Returns:
        ``(F, ·)`` channels of each bone, in the order of ``bone.channels`` [length, rad].

    Raises:
        ValueError: The file is damaged, too large, or was recorded with another skeleton; the message names
            the line.
        OSError: The file cannot be read.
    """
    unit = bones[0].unit
    moving = {bone.name: len(bone.channels) for bone in bones if bone.channels}
    frames: list[dict[str, list[float]]] = []
    number = last = 0
    for number, words in read_lines(path):
        if words[0].startswith(":"):
            unit = {":DEGREES": ANGLES["deg"], ":RADIANS": ANGLES["rad"]}.get(words[0].upper(), unit)
        elif len(words) == 1 and words[0].isdecimal():
            _check_complete(frames, moving, number)
            if frames and int(words[0][:20]) != last + 1:
                raise ValueError(f"line {number}: frame {words[0][:20]} follows frame {last}")
            last = int(words[0][:20])
            frames.append({})
            if len(frames) * len(bones) > MOST_PLACES:
                raise ValueError(
                    f"more than {MOST_PLACES // len(bones)} frames; cut the recording into pieces"
                )
        else:
            _record(frames, words, moving, number)
    _check_complete(frames, moving, number)
    if not frames:
        raise ValueError("there are no frames; a recording (.amc) has a line with the number of each")
    motion = []
    for bone in bones:
        values = np.array([frame.get(bone.name, []) for frame in frames], dtype=np.float64)
        motion.append(values * [unit if channel in AXES else 1.0 for channel in bone.channels])
    return motion


def _record(
    frames: list[dict[str, list[float]]], words: list[str], moving: dict[str, int], line: int
) -> None:
    name, *values = words
    if name not in moving:
        raise ValueError(f"line {line}: the skeleton has no bone {name!r} that moves")
    if not frames:
        raise ValueError(f"line {line}: values of {name!r} before the first frame")
    if name in frames[-1]:
        raise ValueError(f"line {line}: a second line for {name!r} in frame {len(frames)}")
    if len(values) != moving[name]:
        raise ValueError(
            f"line {line}: {name!r} has {moving[name]} channels in the skeleton, {len(values)} here"
        )
    frames[-1][name] = [parse_number(value, line) for value in values]


def _check_complete(frames: list[dict[str, list[float]]], moving: dict[str, int], line: int) -> None:
    if frames and len(frames[-1]) != len(moving):
        missing = sorted(set(moving) - set(frames[-1]))
        raise ValueError(f"line {line}: frame {len(frames)} ends without {', '.join(missing[:5])}")

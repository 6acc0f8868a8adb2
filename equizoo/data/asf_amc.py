"""Skeletons (ASF) and recorded joint angles (AMC) of Acclaim, and where they put the joints.

A bone ends in the joint of its name. Its frame is turned against that of its parent by ``C·R·C⁻¹``: R has the
recorded angles, C is the frame in which they are meant. Files are text, of bounded size, and nothing in them
is executed.

References:
    M. Schafer, "Acclaim skeleton and motion files", 1994; the files of the CMU Graphics Lab Motion Capture
    Database.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LARGEST_FILE = 64 * 2**20
"""Bytes of a file that is read."""
MOST_BONES = 256
MOST_PLACES = 2_000_000
"""Joints times frames of a recording that is read: nine minutes of 31 joints at 120 Hz."""
_ROOT = ("tx", "ty", "tz", "rx", "ry", "rz")
_AXES = ("rx", "ry", "rz")
_ANGLES = {"deg": math.pi / 180, "rad": 1.0}


@dataclass(frozen=True)
class Bone:
    """A bone of a skeleton.

    Attributes:
        name: Name of the bone, and of the joint at its end.
        parent: Index of the bone it hangs on; -1 for the root.
        offset: (3,) from the joint of the parent to its own, when no angle is recorded [length].
        frame: (3, 3) rotation C of the frame in which the angles are meant.
        channels: What a line of a recording holds for the bone, such as ``("rx", "rz")``.
    """

    name: str
    parent: int
    offset: np.ndarray
    frame: np.ndarray
    channels: tuple[str, ...]


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
    bones = read_asf(skeleton)
    return joint_positions(bones, read_amc(recording, bones)), tuple(bone.name for bone in bones)


def joint_positions(bones: Sequence[Bone], motion: Sequence[np.ndarray]) -> np.ndarray:
    """Return ``(F, J, 3)`` positions from the channels ``(F, ·)`` of each bone [length, rad]."""
    frames = len(motion[0])
    positions = np.zeros((frames, len(bones), 3))
    turns: list[np.ndarray] = []
    for k, (bone, values) in enumerate(zip(bones, motion, strict=True)):
        channels = dict(zip(bone.channels, values.T, strict=True))
        zero = np.zeros(frames)
        turn = bone.frame @ rotation(*(channels.get(axis, zero) for axis in _AXES)) @ bone.frame.T
        if bone.parent < 0:
            positions[:, k] = np.stack([channels[axis] for axis in _ROOT[:3]], 1)
        else:
            turn = turns[bone.parent] @ turn
            positions[:, k] = positions[:, bone.parent] + turn @ bone.offset
        turns.append(turn)
    return positions


def rotation(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the rotations ``(..., 3, 3)`` about x, then y, then z, axes that stay [rad].

    Example:
        >>> quarter = rotation(*np.deg2rad([[0.0], [0.0], [90.0]]))
        >>> bool(np.allclose(quarter[0] @ [1, 0, 0], [0, 1, 0]))
        True
    """
    (a, b, c), (d, e, f) = (np.cos(angle) for angle in (x, y, z)), (np.sin(angle) for angle in (x, y, z))
    rows = (
        (b * c, d * e * c - a * f, a * e * c + d * f),
        (b * f, d * e * f + a * c, a * e * f - d * c),
        (-e, d * b, a * b),
    )
    return np.stack([np.stack(np.broadcast_arrays(*row), -1) for row in rows], -2)


def read_asf(path: str | os.PathLike[str]) -> tuple[Bone, ...]:
    """Read a skeleton.

    Returns:
        The bones, the root first.

    Raises:
        ValueError: The file is damaged, too large, or uses what is not supported; the message names the line.
        OSError: The file cannot be read.
    """
    sections = _sections(_lines(path))
    for name in ("root", "bonedata", "hierarchy"):
        if name not in sections:
            raise ValueError(f"no section :{name}; a skeleton (.asf) has one")
    units = {words[0]: words[1] for _, words in sections.get("units", []) if len(words) > 1}
    angle = _ANGLES.get(units.get("angle", "deg"))
    if angle is None:
        raise ValueError(f"angles are in deg or rad, got {units['angle']!r}")
    data = {"root": Bone("root", -1, np.zeros(3), np.eye(3), _root_channels(sections["root"]))}
    for bone in _bone_data(sections["bonedata"], angle):
        if bone.name in data:
            raise ValueError(f"there are two bones named {bone.name!r}")
        data[bone.name] = bone
        if len(data) > MOST_BONES:
            raise ValueError(f"more than {MOST_BONES} bones")
    return _ordered(data, _hierarchy(sections["hierarchy"], data))


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
    unit = _ANGLES["deg"]
    moving = {bone.name: len(bone.channels) for bone in bones if bone.channels}
    frames: list[dict[str, list[float]]] = []
    number = last = 0
    for number, words in _lines(path):
        if words[0].startswith(":"):
            unit = _ANGLES["rad"] if words[0].upper() == ":RADIANS" else unit
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
        motion.append(values * [unit if channel in _AXES else 1.0 for channel in bone.channels])
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
    frames[-1][name] = [_number(value, line) for value in values]


def _check_complete(frames: list[dict[str, list[float]]], moving: dict[str, int], line: int) -> None:
    if frames and len(frames[-1]) != len(moving):
        missing = sorted(set(moving) - set(frames[-1]))
        raise ValueError(f"line {line}: frame {len(frames)} ends without {', '.join(missing[:5])}")


def _lines(path: str | os.PathLike[str]) -> list[tuple[int, list[str]]]:
    """Return number and words of the lines that are neither empty nor comments."""
    with open(Path(path), "rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"larger than {LARGEST_FILE >> 20} MB; cut the recording into pieces")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError(f"not a text file: byte {error.start} is no ASCII character") from None
    lines = enumerate(text.splitlines(), 1)
    return [(number, words) for number, line in lines if (words := line.split("#", 1)[0].split())]


def _number(text: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"line {line}: {text[:40]!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"line {line}: {text[:40]!r} is not a finite number")
    return value


Lines = list[tuple[int, list[str]]]


def _sections(lines: Lines) -> dict[str, Lines]:
    sections: dict[str, Lines] = {}
    name = ""
    for number, words in lines:
        if words[0].startswith(":"):
            name = words[0][1:].lower()
            if name in sections:
                raise ValueError(f"line {number}: a second section :{name}")
            sections[name] = []
        elif name:
            sections[name].append((number, words))
    return sections


def _root_channels(lines: Lines) -> tuple[str, ...]:
    order = _ROOT
    for number, (key, *values) in lines:
        if key == "order":
            order = tuple(value.lower() for value in values)
            if sorted(order) != sorted(_ROOT):
                raise ValueError(f"line {number}: the order of the root has each of {', '.join(_ROOT)} once")
        elif key in ("position", "orientation") and any(_number(value, number) for value in values):
            raise ValueError(f"line {number}: a root with an {key} of its own is not supported")
        elif key == "axis":
            _check_order(values, number)
    return order


def _check_order(words: list[str], line: int) -> None:
    if not words or words[-1].upper() != "XYZ":
        raise ValueError(f"line {line}: only angles in the order XYZ are supported")


def _bone_data(lines: Lines, angle: float) -> list[Bone]:
    bones: list[Bone] = []
    fields: dict[str, list[str]] | None = None
    for number, (key, *values) in lines:
        if key == "begin":
            if fields is not None:
                raise ValueError(f"line {number}: a bone begins inside another")
            fields = {}
        elif key == "end":
            bones.append(_bone(fields or {}, angle, number))
            fields = None
        elif fields is None:
            raise ValueError(f"line {number}: {key[:40]!r} outside a bone")
        elif not key.startswith("("):  # further limits of a bone
            fields[key] = values
    if fields is not None:
        raise ValueError("the last bone has no end")
    return bones


def _bone(fields: dict[str, list[str]], angle: float, line: int) -> Bone:
    for key, count in (("name", 1), ("direction", 3), ("length", 1), ("axis", 4)):
        if len(fields.get(key, [])) != count:
            raise ValueError(f"the bone that ends in line {line} needs {key} with {count} values")
    (name,), axis = fields["name"], fields["axis"]
    _check_order(axis, line)
    frame = rotation(*np.array([[_number(value, line)] for value in axis[:3]]) * angle)[0]
    offset = _number(fields["length"][0], line) * np.array([_number(x, line) for x in fields["direction"]])
    channels = tuple(value.lower() for value in fields.get("dof", []))
    if len(set(channels)) != len(channels) or set(channels) - set(_AXES):
        raise ValueError(
            f"{name!r}: only the angles rx, ry, rz of a bone are supported, got {list(channels)}"
        )
    return Bone(name, -1, offset, frame, channels)


def _hierarchy(lines: Lines, data: dict[str, Bone]) -> dict[str, list[str]]:
    """Return the children of each bone."""
    children: dict[str, list[str]] = {name: [] for name in data}
    hung = {"root"}
    for number, (parent, *names) in lines:
        if parent in ("begin", "end") and not names:
            continue
        for name in (parent, *names):
            if name not in data:
                raise ValueError(f"line {number}: there is no bone {name[:40]!r}")
        for name in names:
            if name in hung:
                raise ValueError(f"line {number}: {name!r} hangs on two bones, or is the root")
            hung.add(name)
            children[parent].append(name)
    return children


def _ordered(data: dict[str, Bone], children: dict[str, list[str]]) -> tuple[Bone, ...]:
    """Return the bones depth first, with the index of each one's parent."""
    ordered: list[Bone] = []
    waiting = [("root", -1)]
    while waiting:
        name, parent = waiting.pop()
        bone = data[name]
        waiting += [(child, len(ordered)) for child in reversed(children[name])]
        ordered.append(Bone(name, parent, bone.offset, bone.frame, bone.channels))
    if len(ordered) < len(data):
        lost = sorted(set(data) - {bone.name for bone in ordered})
        raise ValueError(f"{', '.join(lost[:5])} do not hang on the root")
    return tuple(ordered)

"""Skeletons of Acclaim (ASF): bones, where they hang, and the frames in which their angles are meant.

References:
    M. Schafer, "Acclaim skeleton and motion files", 1994; the files of the CMU Graphics Lab Motion Capture
    Database.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from equizoo.data.acclaim import Lines, parse_number, read_lines

MOST_BONES = 256
MOST_LINES = 100_000
ROOT_CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz")
AXES = ("rx", "ry", "rz")
ANGLES = {"deg": math.pi / 180, "rad": 1.0}


@dataclass(frozen=True)
class Bone:
    """A bone of a skeleton.

    Attributes:
        name: Name of the bone, and of the joint at its end.
        parent: Index of the bone it hangs on; -1 for the root.
        offset: (3,) from the joint of the parent to its own, when no angle is recorded [length].
        frame: (3, 3) rotation C of the frame in which the angles are meant.
        channels: What a line of a recording holds for the bone, such as ``("rx", "rz")``.
        unit: Unit of the angles of a recording that does not state its own [rad].
    """

    name: str
    parent: int
    offset: np.ndarray
    frame: np.ndarray
    channels: tuple[str, ...]
    unit: float = ANGLES["deg"]


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
    sections = _sections(read_lines(path))
    for name in ("root", "bonedata", "hierarchy"):
        if name not in sections:
            raise ValueError(f"no section :{name}; a skeleton (.asf) has one")
    units = {words[0].lower(): words[1] for _, words in sections.get("units", []) if len(words) > 1}
    angle = ANGLES.get(units.get("angle", "deg").lower())
    if angle is None:
        raise ValueError(f"angles are in deg or rad, got {units['angle']!r}")
    data = {"root": Bone("root", -1, np.zeros(3), np.eye(3), _root_channels(sections["root"]), angle)}
    for bone in _bone_data(sections["bonedata"], angle):
        if bone.name in data:
            raise ValueError(f"there are two bones named {bone.name!r}")
        data[bone.name] = bone
        if len(data) > MOST_BONES:
            raise ValueError(f"more than {MOST_BONES} bones")
    return _ordered(data, _hierarchy(sections["hierarchy"], data))


def _sections(lines: Iterable[tuple[int, list[str]]]) -> dict[str, Lines]:
    sections: dict[str, Lines] = {}
    name = ""
    for number, words in lines:
        if number > MOST_LINES:
            raise ValueError(f"more than {MOST_LINES} lines; a skeleton (.asf) is shorter")
        if words[0].startswith(":"):
            name = words[0][1:].lower()
            if name in sections:
                raise ValueError(f"line {number}: a second section :{name}")
            sections[name] = []
        elif name:
            sections[name].append((number, words))
    return sections


def _root_channels(lines: Lines) -> tuple[str, ...]:
    order = ROOT_CHANNELS
    for number, (key, *values) in lines:
        if key == "order":
            order = tuple(value.lower() for value in values)
            if sorted(order) != sorted(ROOT_CHANNELS):
                raise ValueError(
                    f"line {number}: the order of the root has each of {', '.join(ROOT_CHANNELS)} once"
                )
        elif key in ("position", "orientation") and any(parse_number(value, number) for value in values):
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
    frame = rotation(*np.array([[parse_number(value, line)] for value in axis[:3]]) * angle)[0]
    length = parse_number(fields["length"][0], line)
    offset = np.array([length * parse_number(x, line) for x in fields["direction"]])
    if not np.isfinite(offset).all():
        raise ValueError(f"the bone that ends in line {line} is too long")
    channels = tuple(value.lower() for value in fields.get("dof", []))
    if len(set(channels)) != len(channels) or set(channels) - set(AXES):
        raise ValueError(
            f"{name!r}: only the angles rx, ry, rz of a bone are supported, got {list(channels)}"
        )
    return Bone(name, -1, offset, frame, channels, angle)


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
        ordered.append(replace(bone, parent=parent))
    if len(ordered) < len(data):
        lost = sorted(set(data) - {bone.name for bone in ordered})
        raise ValueError(f"{', '.join(lost[:5])} do not hang on the root")
    return tuple(ordered)

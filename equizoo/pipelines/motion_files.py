"""Recordings of bodies in motion: ``.npz`` and ``.amc`` with ``.asf``. Nothing in them is executed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equizoo.data.amc import read_motion as read_recording
from equizoo.pipelines.arrays import read_npz
from equizoo.pipelines.motion_windows import BadMotion

SUFFIXES = (".npz", ".amc")
#: Names under which an ``.npz`` file may hold each array.
ALIASES = {
    "pos": ("pos", "positions", "frames"),
    "vel": ("vel", "velocities"),
    "joints": ("joints", "joint_names"),
}
_LARGEST = 256 * 2**20  # bytes


def read_motion(
    path: str | os.PathLike[str], joints: Sequence[str], skeleton: str | os.PathLike[str] | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a recording.

    An ``.npz`` file holds ``pos`` (F, J, 3), or (J, 3) with ``vel`` (J, 3), in ASF units, and, if its joints
    are in another order, their names as ``joints`` (see :data:`ALIASES`). An ``.amc`` file is read with the
    skeleton ``.asf`` that it was recorded with: the one given, or the only one in its folder.

    Args:
        path: The file.
        joints: Names of the joints that are wanted, in order.
        skeleton: The ``.asf`` file of an ``.amc`` file.

    Returns:
        Positions [length], and velocities [length / frame] or None.

    Raises:
        BadMotion: The file cannot be read, or lacks a joint; the message says why.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadMotion(f"files like {path.name!r} are not read, only {', '.join(SUFFIXES)}")
    if skeleton is not None and suffix != ".amc":
        raise BadMotion(f"{path.name}: a skeleton belongs to an .amc recording")
    try:
        if not path.is_file():
            raise BadMotion("there is no such file")
        if path.stat().st_size > _LARGEST:
            raise BadMotion(f"the file is larger than {_LARGEST >> 20} MB; cut it into pieces")
        if suffix == ".npz":
            return _read_npz(path.read_bytes(), joints)
        return _read_amc(path, Path(skeleton).expanduser() if skeleton else _skeleton(path), joints), None
    except OSError as error:
        raise BadMotion(f"{error.filename or path}: the file cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadMotion(f"{path.name}: {error}") from None


def _read_npz(data: bytes, joints: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
    motion = read_npz(data, ALIASES, ["pos"], _LARGEST)
    names = motion.pop("joints", None)
    for key, array in motion.items():
        if array.dtype.kind not in "fiu":
            raise BadMotion(f"{key} holds {array.dtype}, not numbers")
        if names is not None:
            if array.shape[-2:] != (names.size, 3):
                raise BadMotion(f"{key} {array.shape} does not have the {names.size} joints that are named")
            motion[key] = array[..., _order([str(name) for name in names.flat], joints), :]
    return motion["pos"], motion.get("vel")


def _read_amc(path: Path, skeleton: Path, joints: Sequence[str]) -> np.ndarray:
    positions, names = read_recording(skeleton, path)
    return positions[:, _order(names, joints)]


def _skeleton(path: Path) -> Path:
    """Return the only ``.asf`` file beside a recording."""
    found = sorted(path.parent.glob("*.asf"))
    if len(found) != 1:
        raise BadMotion(
            f"its folder has {len(found) or 'no'} .asf file{'s' * (len(found) > 1)}: name the skeleton "
            f"that it "
            "was recorded with (skeleton=…, --skeleton)"
        )
    return found[0]


def _order(names: Sequence[str], joints: Sequence[str]) -> list[int]:
    """Return where each wanted joint is among ``names``."""
    missing = [joint for joint in joints if joint not in names]
    if missing:
        raise BadMotion(f"there is no joint {', '.join(missing[:5])}; the model takes {len(joints)} joints")
    return [list(names).index(joint) for joint in joints]

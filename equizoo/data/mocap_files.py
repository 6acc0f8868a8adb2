"""Where the motion-capture recordings are published, and how they are read from a folder."""

from __future__ import annotations

import logging
import os
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equizoo._replacing import replacing
from equizoo.data.acclaim import LARGEST_FILE
from equizoo.data.amc import joint_positions, read_amc
from equizoo.data.asf import read_asf
from equizoo.data.qm9_files import Source

log = logging.getLogger(__name__)

_LICENCE = "free for all uses; created with funding from NSF EIA-0196217"

SOURCES = {
    motion: Source(
        f"CMU Graphics Lab Motion Capture Database: {subject}.asf and {subject}_*.amc",
        f"http://mocap.cs.cmu.edu/search.php?subjectnumber={int(subject)}",
        _LICENCE,
        None,
    )
    for motion, subject in (("run", "09"), ("walk", "35"))
}

SUBJECTS = {"run": "09", "walk": "35"}
RECORDINGS = {
    "run": tuple(f"09_{k:02d}" for k in range(1, 12)),
    "walk": tuple(f"35_{k:02d}" for k in (*range(1, 17), *range(28, 35))),
}
"""The recordings of each motion, in the order that stands for the published one."""

_SKIPPED = {"09_10": 6, "35_10": 6}
"""Frames that the published preparation leaves out at the start of a recording."""


class Trials(NamedTuple):
    """Recordings of one motion.

    Attributes:
        names: What each recording is called.
        pos: ``(F, J, 3)`` float32 joint positions of each recording [length], at 120 frames a second.
        joints: Names of the J joints.
        skipped: Whether the frames that the published preparation leaves out are left out.
    """

    names: tuple[str, ...]
    pos: tuple[np.ndarray, ...]
    joints: tuple[str, ...]
    skipped: bool = False


def how_to_get(motion: str, folder: str) -> str:
    """Return the text that says which files to download and where to put them."""
    source, subject = SOURCES[motion], SUBJECTS[motion]
    return (
        f"Put {subject}.asf and {RECORDINGS[motion][0]}.amc to {RECORDINGS[motion][-1]}.amc from "
        f"{source.url} into {folder} ({source.licence}), or a cmu_{motion}.npz made from them by "
        "equizoo.data.mocap_files.write_prepared"
    )


def read_trials(motion: str, root: str | os.PathLike[str] | None) -> Trials:
    """Read the recordings of a motion, from ``cmu_<motion>.npz`` or from the original files.

    Args:
        motion: ``"run"`` or ``"walk"``.
        root: The folder; ``$EQUIZOO_DATA`` unless given. The original files may also lie in its folder
            ``mocap``, or in one that is named after the subject.

    Raises:
        FileNotFoundError: There are no recordings, or not all of them; the message says how to get them.
        ValueError: A file is damaged.
    """
    given = root or os.environ.get("EQUIZOO_DATA")
    if not given:
        raise FileNotFoundError(
            f"no folder is given and EQUIZOO_DATA is not set. {how_to_get(motion, 'a folder')}"
        )
    folder, subject = Path(given).expanduser(), SUBJECTS[motion]
    for place in (folder, folder / "mocap"):
        if (place / f"cmu_{motion}.npz").is_file():
            return _published(read_prepared(place / f"cmu_{motion}.npz"))
    for place in (folder, folder / subject, folder / "mocap", folder / "mocap" / subject):
        if (place / f"{subject}.asf").is_file():
            if motion == "run":
                log.warning("the order of the published runs is not known: 09_01, 09_02, … stand for it")
            return _published(read_original(place, motion))
    raise FileNotFoundError(f"there are no {motion}s in {folder}. {how_to_get(motion, str(folder))}")


def read_original(folder: Path, motion: str) -> Trials:
    """Read the ``.asf`` and ``.amc`` files of a motion.

    Raises:
        FileNotFoundError: A recording is missing.
        ValueError: A file is damaged.
    """
    paths = [folder / f"{name}.amc" for name in RECORDINGS[motion]]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise FileNotFoundError(f"{', '.join(missing)} missing. {how_to_get(motion, str(folder))}")
    path = folder / f"{SUBJECTS[motion]}.asf"
    try:
        bones, pos = read_asf(path), []
        for path in paths:
            with np.errstate(over="ignore"):
                pos.append(joint_positions(bones, read_amc(path, bones)).astype(np.float32))
            if not np.isfinite(pos[-1]).all():
                raise ValueError("a position is too large to be a finite number of 32 bits")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return Trials(RECORDINGS[motion], tuple(pos), tuple(bone.name for bone in bones))


def write_prepared(trials: Trials, path: str | os.PathLike[str]) -> None:
    """Write recordings to a file that :func:`read_prepared` reads; it appears when it is complete."""
    with replacing(path) as part, open(part, "wb") as file:
        np.savez_compressed(
            file,
            pos=np.concatenate(trials.pos),
            trial_offset=np.cumsum([0, *map(len, trials.pos)]).astype(np.int32),
            trial_names=np.array(trials.names),
            joint_names=np.array(trials.joints),
            skipped=np.array(trials.skipped),
        )


def read_prepared(path: Path) -> Trials:
    """Read the recordings that :func:`write_prepared` wrote.

    Raises:
        ValueError: The file is damaged, or larger than 64 MB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_FILE:
                raise ValueError(f"larger than {LARGEST_FILE >> 20} MB")
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            pos, ends = arrays["pos"], arrays["trial_offset"].astype(np.int64)
            names, joints = (tuple(map(str, arrays[key].tolist())) for key in ("trial_names", "joint_names"))
            skipped = bool(arrays["skipped"]) if "skipped" in arrays else False
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no file of prepared recordings: {error}") from error
    if pos.ndim != 3 or pos.shape[1:] != (len(joints), 3) or pos.dtype != np.float32:
        raise ValueError(f"{path}: pos is {pos.dtype} {pos.shape}, not float32 (F, {len(joints)}, 3)")
    if ends.shape != (len(names) + 1,) or ends[0] != 0 or ends[-1] != len(pos) or (np.diff(ends) < 1).any():
        raise ValueError(f"{path}: trial_offset does not cut {len(pos)} frames into {len(names)} recordings")
    if not np.isfinite(pos).all():
        raise ValueError(f"{path} is damaged: a position is not a finite number")
    return Trials(names, tuple(np.split(pos, ends[1:-1])), joints, skipped)


def _published(trials: Trials) -> Trials:
    """Leave out the frames that the published preparation leaves out, unless they are already."""
    if trials.skipped:
        return trials
    pairs = zip(trials.names, trials.pos, strict=True)
    pos = tuple(pos[_SKIPPED.get(name, 0) :] for name, pos in pairs)
    return trials._replace(pos=pos, skipped=True)

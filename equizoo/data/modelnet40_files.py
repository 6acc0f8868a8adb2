"""Where ModelNet40 is published, which of its forms a folder has, and the prepared file that loads fast."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equizoo._replacing import replacing
from equizoo.data.modelnet40_formats import (
    CLASSES,
    RawClouds,
    read_hdf5,
    read_meshes,
    read_resampled,
    stack,
)
from equizoo.data.qm9_files import Source

__all__ = [
    "CLASSES",
    "SIZES",
    "SOURCES",
    "Found",
    "find_modelnet40",
    "how_to_get_modelnet40",
    "read_modelnet40",
    "read_prepared",
    "write_prepared",
]

#: Number of objects in the published parts.
SIZES = {"train": 9_843, "test": 2_468}
_STEP = 1 / 32767
_LICENCE = "academic research only; the copyright of the CAD models stays with their authors"

#: By the name of the folder that the archive at the address unpacks to.
SOURCES = {
    name: Source(name, url, _LICENCE, None)
    for name, url in (
        (
            "modelnet40_ply_hdf5_2048",
            "https://shapenet.cs.stanford.edu/media/modelnet40_ply_hdf5_2048.zip",
        ),
        (
            "modelnet40_normal_resampled",
            "https://shapenet.cs.stanford.edu/media/modelnet40_normal_resampled.zip",
        ),
        ("ModelNet40", "https://modelnet.cs.princeton.edu/ModelNet40.zip"),
    )
}


class Found(NamedTuple):
    """A form of ModelNet40 and the function that reads one of its parts."""

    path: Path
    read: Callable[[Path, str, int], RawClouds]


def how_to_get_modelnet40(folder: str) -> str:
    """Return the text that says which files to download and where to put them."""
    lines = [f"Unpack one of these into {folder} ({_LICENCE}):"]
    lines += [f"  {name} from {source.url}" for name, source in SOURCES.items()]
    return "\n".join(
        [*lines, "  or a modelnet40.npz made from one by equizoo.data.modelnet40_files.write_prepared"]
    )


def find_modelnet40(folder: Path) -> Found | None:
    """Return the first known form of ModelNet40 in ``folder`` or ``folder/modelnet40``, or None."""
    forms: dict[str, Callable[[Path, str, int], RawClouds]] = {
        "modelnet40.npz": read_prepared,
        "modelnet40_ply_hdf5_2048": read_hdf5,
        "modelnet40_normal_resampled": read_resampled,
        "ModelNet40": read_meshes,
    }
    for place in (folder, folder / "modelnet40"):
        for name, read in forms.items():
            if (place / name).exists():
                return Found(place / name, read)
    return None


def read_modelnet40(source: Found, part: str, points: int) -> RawClouds:
    """Read one published part.

    Args:
        source: What :func:`find_modelnet40` returned.
        part: ``"train"`` or ``"test"``.
        points: Number of points of each object, the first of those there are.

    Returns:
        The objects, in the order of the files.

    Raises:
        FileNotFoundError: A file that belongs to the form is missing.
        ImportError: A package that the form needs is not installed.
        ValueError: A file is damaged, or an object has fewer points.
    """
    raw = source.read(source.path, part, points)
    count = len(raw.label)
    if count == 0:
        raise ValueError(f"{source.path} has no {part} objects")
    if raw.points.shape != (count, points, 3) or raw.number.shape != (count,):
        raise ValueError(
            f"{source.path}: {points} points of each of {count} objects were asked for, and the points are "
            f"{raw.points.shape}"
        )
    if not np.isfinite(raw.points).all() or not np.ptp(raw.points, axis=1).any(1).all():
        raise ValueError(f"{source.path} is damaged: the points of an object are not finite, or all equal")
    if raw.label.min() < 0 or raw.label.max() >= len(CLASSES):
        raise ValueError(f"{source.path} is damaged: a label is not in 0 to {len(CLASSES) - 1}")
    if raw.number.min() < 0 or raw.number.max() > 9_999:
        raise ValueError(f"{source.path} is damaged: the number of an object is not in 0 to 9999")
    return raw


def read_prepared(path: Path, part: str, points: int) -> RawClouds:
    """Read a part of a prepared ``modelnet40.npz``; see :func:`write_prepared` for what is in it."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = tuple(arrays["class_names"].tolist())
            rows = arrays["split"] == tuple(SIZES).index(part)
            clouds = arrays["points"][rows][:, :points] * np.float32(arrays["scale"])
            label = arrays["label"][rows].astype(np.int64)
            number = arrays["object_number"][rows].astype(np.int64)
    except (KeyError, ValueError, IndexError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a prepared ModelNet40 file: {error}") from error
    if names != CLASSES:
        raise ValueError(f"{path} has other classes than ModelNet40, or in another order")
    return RawClouds(clouds, label, number)


def write_prepared(source: Found, path: Path, points: int = 1024) -> None:
    """Write both parts to a ``modelnet40.npz`` that loads in a second.

    It holds ``points`` (S, points, 3) int16, in units of ``scale`` and centred and scaled to the unit sphere,
    ``label`` uint8, ``split`` (0 train, 1 test), ``object_number`` and ``class_names``. The file is for the
    machine it is made on: the terms of ModelNet40 do not allow to pass it on.

    Args:
        source: What :func:`find_modelnet40` returned.
        path: The file; it appears whole or not at all.
        points: Number of points of each object.

    Raises:
        FileNotFoundError: A file that belongs to the form is missing.
        ValueError: A file is damaged, or an object has fewer points.
    """
    parts = [read_modelnet40(source, part, points) for part in SIZES]
    clouds, label, number = stack(parts)
    clouds = clouds - clouds.mean(1, keepdims=True)
    clouds /= np.linalg.norm(clouds, axis=-1).max(1)[:, None, None]
    with replacing(path) as part:
        np.savez_compressed(
            part,
            points=np.rint(clouds / _STEP).astype(np.int16),
            scale=np.float64(_STEP),
            label=label.astype(np.uint8),
            split=np.repeat(np.arange(2, dtype=np.uint8), [len(part.label) for part in parts]),
            object_number=number.astype(np.int32),
            class_names=np.array(CLASSES),
            meta=np.array(json.dumps({"source": f"ModelNet40, {source.path.name}", "terms": _LICENCE})),
        )

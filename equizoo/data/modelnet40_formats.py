"""The forms in which ModelNet40 is published: HDF5, text with normals, and meshes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equizoo.data.point_files import read_points

#: The classes in the order of ``shape_names.txt`` and ``modelnet40_shape_names.txt``: their labels.
CLASSES = tuple(
    "airplane bathtub bed bench bookshelf bottle bowl car chair cone cup curtain desk door dresser "
    "flower_pot glass_box guitar keyboard lamp laptop mantel monitor night_stand person piano plant radio "
    "range_hood sink sofa stairs stool table tent toilet tv_stand vase wardrobe xbox".split()
)
_OBJECT = re.compile(r"([a-z_]+)_(\d{4})")


class RawClouds(NamedTuple):
    """Objects of one published part.

    ``points`` (S, P, 3) float32 in the units of the file, ``label`` (S,) int64 index into ``CLASSES``,
    ``number`` (S,) int64: NNNN of ``<class>_NNNN``, or, where the files do not say, the place in its class.
    """

    points: np.ndarray
    label: np.ndarray
    number: np.ndarray


def stack(parts: Sequence[RawClouds]) -> RawClouds:
    """Return the objects of all ``parts``, in that order."""
    return RawClouds(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def read_hdf5(folder: Path, part: str, points: int) -> RawClouds:
    """Read ``modelnet40_ply_hdf5_2048``: ``ply_data_<part>*.h5`` with ``data`` (n, 2048, 3) and ``label``.

    Its objects stand on the axis y; here they are turned to stand on z, as in the meshes.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: h5py is not installed.
        ValueError: A file is not what is published.
    """
    try:
        import h5py
    except ImportError:
        raise ImportError(f"reading {folder} needs h5py: pip install 'equizoo[hdf5]'") from None
    paths = sorted(folder.glob(f"ply_data_{part}*.h5"))
    if not paths:
        raise FileNotFoundError(f"{folder} has no files ply_data_{part}*.h5")
    clouds, labels = [], []
    for path in paths:
        try:
            with h5py.File(path, "r") as file:
                clouds.append(np.asarray(file["data"][:, :points], dtype=np.float32))
                labels.append(np.asarray(file["label"], dtype=np.int64).reshape(-1))
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{path} is not a ModelNet40 HDF5 file: {error}") from error
        if clouds[-1].shape != (len(labels[-1]), points, 3):
            raise ValueError(f"{path} has points {clouds[-1].shape} and {len(labels[-1])} labels")
    label = np.concatenate(labels)
    number = np.zeros_like(label)
    for kind in np.unique(label):
        number[label == kind] = np.arange((label == kind).sum())
    x, y, z = np.moveaxis(np.concatenate(clouds), -1, 0)
    return RawClouds(np.stack([x, -z, y], -1), label, number)


def read_resampled(folder: Path, part: str, points: int) -> RawClouds:
    """Read ``modelnet40_normal_resampled``: 10,000 lines ``x,y,z,nx,ny,nz`` a file, of which the first count.

    Raises:
        FileNotFoundError: The list of the part, or a file that it names, is missing.
        ValueError: A file is not what is published.
    """
    listed = folder / f"modelnet40_{part}.txt"
    clouds, objects = [], []
    for name in listed.read_text(encoding="utf-8").split():
        kind, number = _object(name, listed)
        path = folder / CLASSES[kind] / f"{name}.txt"
        try:
            cloud = np.loadtxt(path, np.float32, delimiter=",", usecols=(0, 1, 2), max_rows=points, ndmin=2)
        except ValueError as error:
            raise ValueError(f"{path} does not hold points: {error}") from error
        if len(cloud) != points:
            raise ValueError(f"{path} has {len(cloud)} points, and {points} were asked for")
        clouds.append(cloud)
        objects.append((kind, number))
    return _gather(clouds, objects)


def read_meshes(folder: Path, part: str, points: int) -> RawClouds:
    """Read the meshes ``<class>/<part>/<class>_NNNN.off`` and draw points on each, the same every time.

    Raises:
        ValueError: A file is not a mesh.
    """
    from tqdm import tqdm

    clouds, objects = [], []
    for path in tqdm(list(_meshes(folder, part)), f"{part} meshes", leave=False, disable=None, delay=1):
        kind, number = _object(path.stem, path)
        seed = (0, kind, number)
        clouds.append(read_points(path, samples=points, seed=seed).astype(np.float32))
        objects.append((kind, number))
    return _gather(clouds, objects)


def _meshes(folder: Path, part: str) -> Iterator[Path]:
    for kind in CLASSES:
        yield from sorted((folder / kind / part).glob("*.off"))


def _object(name: str, place: Path) -> tuple[int, int]:
    match = _OBJECT.fullmatch(name)
    if match is None or match[1] not in CLASSES:
        raise ValueError(f"{place}: {name!r} is not the name of an object of ModelNet40")
    return CLASSES.index(match[1]), int(match[2])


def _gather(clouds: list[np.ndarray], objects: list[tuple[int, int]]) -> RawClouds:
    table = np.array(objects, dtype=np.int64).reshape(-1, 2)
    shape = (len(clouds), -1, 3) if clouds else (0, 0, 3)
    return RawClouds(np.array(clouds, dtype=np.float32).reshape(shape), table[:, 0], table[:, 1])

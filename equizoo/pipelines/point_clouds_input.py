"""Point clouds, checked: from arrays and files to what a model can take, or to the reason why not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equizoo.data.modelnet40 import to_unit_sphere
from equizoo.data.point_files import SUFFIXES, read_points
from equizoo.hub.errors import EquizooError
from equizoo.pipelines.arrays import as_floats

#: Fewest different points of a cloud that is answered.
FEWEST = 20
_THINNED = 10_000
_LARGEST_COORDINATE = 1e15


class BadCloud(EquizooError, ValueError):
    """A cloud that is not answered; the message says why."""


@dataclass(frozen=True)
class Entry:
    """One cloud of the input, not yet looked at.

    Attributes:
        source: What to call it: the path of its file, or its number from 1.
        item: An array, a tensor, nested lists, or the path of a file.
    """

    source: str
    item: Any


def expand(clouds: Any) -> tuple[list[Entry], bool]:
    """Return the clouds of an input, and whether it was one cloud alone.

    Args:
        clouds: (N, 3), (B, N, 3), the path of a file or of a folder, or a list of arrays, files and folders;
            a list whose elements all have one axis is one cloud.

    Returns:
        The entries in order, the files of a folder and of folders in it by path, and True if the input is one
        array or file.

    Raises:
        BadCloud: The input is nothing that has points.
    """
    if isinstance(clouds, (str, os.PathLike)):
        return _files(Path(clouds)), not _is_folder(Path(clouds))
    listed = isinstance(clouds, (list, tuple))
    if _depth(clouds) == 2 and (not listed or all(_depth(item) == 1 for item in clouds)):
        return [Entry("1", clouds)], True
    if not listed and _depth(clouds) not in (1, 3):
        raise BadCloud("a cloud must be (N, 3) or (B, N, 3) numbers, a file, or a list of such")
    entries = []
    for number, item in enumerate(clouds, 1):
        if isinstance(item, (str, os.PathLike)):
            entries += expand(item)[0]
        else:
            entries.append(Entry(str(number), item))
    return entries, False


def _depth(value: Any) -> int:
    """Return the number of axes of an array or of nested lists, as far as their first elements go."""
    if hasattr(value, "ndim"):
        return int(value.ndim)
    if isinstance(value, (list, tuple)):
        return 1 + (_depth(value[0]) if value else 0)
    return 0


def _files(path: Path) -> list[Entry]:
    """Return the files that are read of a folder and of those in it; the path itself if there are none.

    Hidden files are left out: archives that macOS makes have one, which is no cloud, for each file.
    """
    found = sorted(path.expanduser().rglob("[!.]*")) if _is_folder(path) else []
    files = [file for file in found if file.suffix.lower() in SUFFIXES and file.is_file()]
    return [Entry(str(file), file) for file in files or [path]]


def _is_folder(path: Path) -> bool:
    """Whether there is such a folder; a path that nothing can have, such as a very long one, is none."""
    try:
        return path.expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):
        return False


def read_entry(entry: Entry, samples: int, seed: int) -> np.ndarray:
    """Return the points (N, 3) float64 of an entry; a mesh gives ``samples`` points of its surface.

    Raises:
        BadCloud: The file cannot be read, or it is no array of positions.
    """
    if isinstance(entry.item, Path):
        if _is_folder(entry.item):
            raise BadCloud(f"neither the folder nor one in it has files {', '.join(SUFFIXES)}")
        try:
            return read_points(entry.item, samples=samples, seed=seed)
        except (ValueError, ImportError) as error:
            raise BadCloud(str(error).removeprefix(f"{entry.item.name}: ")) from None
    try:
        array = as_floats(entry.item)
    except ValueError:
        raise BadCloud("the cloud is not one array of numbers") from None
    if array.ndim != 2 or array.shape[1] != 3:
        raise BadCloud(f"a cloud must be (N, 3) positions, got {array.shape}")
    return array


def prepare(points: np.ndarray, most: int, fewest: int, seed: int, votes: int = 1) -> np.ndarray:
    """Check a cloud, reduce it to the number of points a model knows, centre and scale it.

    Args:
        points: (N, 3) float64 positions.
        most: Number of points that larger clouds are reduced to, by farthest-point sampling; clouds of more
            than 10,000 points are first thinned to that many at random.
        fewest: Fewest different points.
        seed: Seed of the thinning.
        votes: Clouds without common points that a larger cloud is reduced to, see :func:`voting_clouds`.

    Returns:
        (V, n, 3) float64 positions, each cloud in the unit sphere, n ≤ ``most`` and V ≤ ``votes``; all
        different points in one cloud if there are not more.

    Raises:
        BadCloud: There are too few points, some are not finite, or all are equal.

    Example:
        >>> grid = np.stack(np.meshgrid(*3 * [np.arange(5.0)]), -1).reshape(-1, 3)
        >>> clouds = prepare(grid, most=40, fewest=20, seed=0, votes=5)
        >>> clouds.shape, float(np.linalg.norm(clouds[2], axis=1).max().round(6))
        ((3, 40, 3), 1.0)
    """
    if len(points) < fewest:
        raise BadCloud(f"the cloud has {len(points)} points, and at least {fewest} are needed")
    bad = ~(np.abs(points) <= _LARGEST_COORDINATE).all(1)
    if bad.any():
        number = int(bad.argmax()) + 1
        raise BadCloud(
            f"point {number} is {points[number - 1].tolist()}: coordinates must be finite and at most "
            f"{_LARGEST_COORDINATE:g}; {int(bad.sum())} of {len(bad)} points are not"
        )
    extent = np.ptp(points, axis=0).max()
    if extent <= 1e-12 * np.abs(points).max():
        raise BadCloud("all points of the cloud are equal")
    if len(points) > _THINNED:
        chosen = np.random.default_rng(seed).choice(len(points), _THINNED, replace=False, shuffle=False)
        points = points[chosen]
    first = np.unique(points, axis=0, return_index=True)[1]
    if len(first) < len(points):
        points = points[np.sort(first)]
    points = (points - points.mean(0)) / extent
    found = voting_clouds(points, most, votes)
    if found.shape[1] < fewest:
        raise BadCloud(f"the cloud has {found.shape[1]} different points, and at least {fewest} are needed")
    return to_unit_sphere(torch.from_numpy(found)).numpy()


def voting_clouds(points: np.ndarray, most: int, votes: int) -> np.ndarray:
    """Reduce a cloud to several that have no point in common and are spread over all of it alike.

    The points that farthest-point sampling chooses are dealt out in turn, so that these clouds turn with
    the cloud and do not depend on the order of its points. To average the answers of a classifier over them
    is known as voting.

    Args:
        points: (N, 3) positions.
        most: Points of each.
        votes: Number of clouds; fewer where the points are not enough.

    Returns:
        (V, ``most``, 3) positions; (1, n, 3), all different points, where there are no more than ``most``.

    References:
        Y. Liu, B. Fan, S. Xiang, C. Pan, "Relation-Shape Convolutional Neural Network for Point Cloud
        Analysis", CVPR 2019: the average of ten votes.

    Example:
        >>> voting_clouds(np.arange(18.0).reshape(6, 3), 2, 2).shape
        (2, 2, 3)
    """
    count = max(1, min(votes, len(points) // most))
    chosen = farthest_points(points, min(count * most, len(points)))
    count = max(1, min(count, len(chosen) // most))
    if len(chosen) == len(points) and count == 1:
        return points[None]
    return np.stack([points[chosen[: count * most][first::count]] for first in range(count)])


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Choose points one after another, each time the one farthest from those chosen already.

    The first is the one farthest from the mean, so that the choice turns with the cloud and does not depend
    on the order of its points, but for ties.

    Args:
        points: (N, 3) positions.
        count: Number of points.

    Returns:
        (n,) int64 indices of different points; n < ``count`` only if there are no more different points.

    References:
        Y. Eldar, M. Lindenbaum, M. Porat, Y. Y. Zeevi, "The Farthest Point Strategy for Progressive Image
        Sampling", IEEE Trans. Image Processing 6, 1305 (1997).

    Example:
        >>> farthest_points(np.array([[0.0, 0, 0], [1, 0, 0], [9, 0, 0], [9, 0, 0]]), 4).tolist()
        [0, 2, 1]
    """
    distance = ((points - points.mean(0)) ** 2).sum(1)
    chosen = [int(distance.argmax())]
    distance = np.full(len(points), np.inf)
    axes = np.ascontiguousarray(points.T)
    while len(chosen) < count:
        np.minimum(distance, ((axes - axes[:, chosen[-1], None]) ** 2).sum(0), out=distance)
        farthest = int(distance.argmax())
        if distance[farthest] == 0:
            break
        chosen.append(farthest)
    return np.array(chosen)

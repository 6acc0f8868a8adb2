"""ModelNet40: 12,311 CAD models of 40 kinds of objects, as clouds of points on their surfaces.

The published parts are 9,843 objects for training and 2,468 for testing. There is no published validation
part; the released code of several papers selects on the test part. Here a part of the training objects is set
aside for selection.

References:
    Z. Wu et al., "3D ShapeNets: A Deep Representation for Volumetric Shapes", CVPR 2015: the objects.
    C. R. Qi, L. Yi, H. Su, L. J. Guibas, "PointNet++", NeurIPS 2017: points on their surfaces; random dropout
    of points.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from equizoo.data.modelnet40_files import (
    CLASSES,
    SIZES,
    SOURCES,
    find_modelnet40,
    how_to_get_modelnet40,
    read_modelnet40,
)

__all__ = [
    "CLASSES",
    "SOURCES",
    "SPLITS",
    "PointCloudSet",
    "drop_points",
    "load_modelnet40",
    "to_unit_sphere",
    "validation_part",
]

log = logging.getLogger(__name__)

SPLITS = ("train", "valid", "test")
_NUMBERS = 10_000  # objects are numbered with four digits


@dataclass(frozen=True)
class PointCloudSet:
    """S clouds of P points each, and what they show.

    Attributes:
        points: (S, P, 3) float32 positions [radius of the cloud]; z points up in ModelNet40.
        label: (S,) int64 index into the class names.

    Raises:
        ValueError: The shapes do not fit together.
    """

    points: Tensor
    label: Tensor

    def __post_init__(self) -> None:
        shape = tuple(self.points.shape)
        if len(shape) != 3 or shape[2] != 3 or tuple(self.label.shape) != shape[:1]:
            raise ValueError(
                f"points must be (S, P, 3) and label (S,), got {shape} and {tuple(self.label.shape)}"
            )

    def __len__(self) -> int:
        return self.points.shape[0]

    def subset(self, indices: Tensor) -> PointCloudSet:
        """Return the clouds at ``indices`` (B,) int64, in that order, as a set of their own."""
        return PointCloudSet(self.points[indices], self.label[indices])


def to_unit_sphere(points: Tensor) -> Tensor:
    """Move the mean of each cloud to the origin and its farthest point to distance 1.

    Args:
        points: (..., N, 3) positions; the points of a cloud are not all equal.

    Returns:
        (..., N, 3) positions [radius of the cloud].

    Example:
        >>> to_unit_sphere(torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 4.0]])).tolist()
        [[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]]
    """
    points = points - points.mean(-2, keepdim=True)
    return points / points.norm(dim=-1).amax(-1)[..., None, None]


def drop_points(points: Tensor, ratio: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Replace points by the first point of their cloud, as in PointNet++ and the dropout experiment of ACE.

    Args:
        points: (B, N, 3) positions.
        ratio: (B,) probability for each point of a cloud to be dropped; published: uniform in 0 to 0.875.
        generator: Source of randomness; torch's own unless given.

    Returns:
        (B, N, 3) positions, the number of points unchanged.

    Raises:
        ValueError: The shapes do not fit together.

    Example:
        >>> cloud = torch.arange(12.0).reshape(1, 4, 3)
        >>> drop_points(cloud, torch.ones(1))[0, 3].tolist()
        [0.0, 1.0, 2.0]
    """
    if points.ndim != 3 or ratio.shape != points.shape[:1]:
        raise ValueError(
            f"points must be (B, N, 3) and ratio (B,), got {tuple(points.shape)} and {tuple(ratio.shape)}"
        )
    drawn = torch.rand(points.shape[:2], generator=generator, device=points.device)
    return torch.where((drawn < ratio[:, None])[..., None], points[:, :1], points)


def validation_part(label: np.ndarray, number: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose the same fraction of the objects of each class, by class and number alone.

    A source that lacks some objects, or has them in another order, gives the same choice up to those.

    Args:
        label: (S,) classes.
        number: (S,) numbers within the class, 0 to 9,999.
        fraction: Share of each class; at least one object of each class is chosen unless it is 0.
        seed: Seed of the choice.

    Returns:
        (S,) bool, True for the objects of the validation part.

    Example:
        >>> label, number = np.repeat([0, 1], 10), np.tile(np.arange(10), 2)
        >>> validation_part(label, number, 0.2, seed=0).reshape(2, 10).sum(1).tolist()
        [2, 2]
    """
    rank = np.random.RandomState(seed).random_sample((len(CLASSES), _NUMBERS))[label, number]
    chosen = np.zeros(len(label), dtype=bool)
    for kind in np.unique(label) if fraction > 0 else ():
        members = np.flatnonzero(label == kind)
        count = max(1, round(fraction * len(members)))
        chosen[members[np.argsort(rank[members])[:count]]] = True
    return chosen


def load_modelnet40(
    root: str | os.PathLike[str] | None = None,
    *,
    split: str = "train",
    points: int = 300,
    valid_fraction: float = 0.1,
    seed: int = 0,
) -> PointCloudSet:
    """Load a part of ModelNet40 from a folder, in whichever of its forms is there.

    The folder may have a prepared ``modelnet40.npz``, or the original ``modelnet40_ply_hdf5_2048`` (which
    needs h5py), ``modelnet40_normal_resampled``, or the meshes ``ModelNet40`` (which need some
    minutes; :func:`equizoo.data.modelnet40_files.write_prepared` keeps the result).

    Args:
        root: The folder; the environment variable ``EQUIZOO_DATA`` unless given.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        points: Number of points, the first of each object, which are random points of its surface. The cloud
            is centred and scaled after this choice.
        valid_fraction: Share of the published training objects, in each class, that is the validation part
            and no part of the training part.
        seed: Seed of the choice of the validation part.

    Returns:
        The clouds, by class and number.

    Raises:
        FileNotFoundError: The folder or the files are missing; the message says which files to put where.
        ImportError: A package that the form needs is not installed.
        ValueError: There is no such split or fraction, an object has fewer points, or a file is damaged.

    Example:
        >>> train = load_modelnet40("data", points=300)  # doctest: +SKIP
        >>> train.points.shape, CLASSES[train.label[0]]  # doctest: +SKIP
        (torch.Size([8859, 300, 3]), 'airplane')
    """
    if split not in SPLITS:
        raise ValueError(f"no part named {split!r}; the parts are {', '.join(SPLITS)}")
    if not 0 <= valid_fraction < 1 or points < 2:
        raise ValueError(
            f"need 0 <= valid_fraction < 1 and points >= 2, got valid_fraction={valid_fraction} and "
            f"points={points}"
        )
    if split == "valid" and valid_fraction == 0:
        raise ValueError("valid_fraction=0 leaves no validation part")
    root = root or os.environ.get("EQUIZOO_DATA")
    if not root:
        raise FileNotFoundError(
            "no data folder: set EQUIZOO_DATA, or pass root= (on a command line --data).\n"
            + how_to_get_modelnet40("it")
        )
    folder = Path(root).expanduser()
    source = find_modelnet40(folder)
    if source is None:
        raise FileNotFoundError(f"ModelNet40 is not in {folder}.\n" + how_to_get_modelnet40(str(folder)))
    part = "test" if split == "test" else "train"
    raw = read_modelnet40(source, part, points)
    if len(raw.label) != SIZES[part]:
        log.warning(
            "%s has %s of the %s %s objects", source.path, f"{len(raw.label):,}", f"{SIZES[part]:,}", part
        )
    rows = np.lexsort((raw.number, raw.label))
    if split != "test":
        chosen = validation_part(raw.label[rows], raw.number[rows], valid_fraction, seed)
        rows = rows[chosen if split == "valid" else ~chosen]
    clouds = to_unit_sphere(torch.from_numpy(raw.points[rows]))
    return PointCloudSet(clouds, torch.from_numpy(raw.label[rows]))

"""Points from a file: clouds as they are, meshes through points drawn on their surface.

Nothing in a file is executed, no other file is opened, and time and memory are bounded: what a header claims
is compared with the size of the file before anything of that size is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from equizoo.data.point_formats import Shape, read_mesh, read_npy, read_off, read_pcd, read_xyz

_READERS: dict[str, Callable[[bytes, str], Shape]] = {
    ".ply": read_mesh,
    ".off": read_off,
    ".obj": read_mesh,
    ".xyz": read_xyz,
    ".npy": read_npy,
    ".pcd": read_pcd,
}
#: Endings of the files that are read.
SUFFIXES = tuple(_READERS)
_LARGEST = 256 * 2**20  # bytes
_LARGEST_COORDINATE = 1e15


def read_points(
    path: str | os.PathLike[str], *, samples: int = 1024, seed: int | Sequence[int] = 0
) -> np.ndarray:
    r"""Read the points of a file.

    ======== ==================================================================================
    ``.ply``  ASCII or binary; the element ``vertex``, and ``face`` if it is a mesh
    ``.off``  a mesh; ``OFF`` may share its line with the counts, as in ModelNet40
    ``.obj``  lines ``v``, and ``f`` if it is a mesh; materials are not looked at
    ``.xyz``  lines ``x y z``, separated by blanks, commas or semicolons, not both; more columns are ignored
    ``.npy``  an array (N, 3); more columns are ignored
    ``.pcd``  ASCII or binary; points of NaN, for which nothing was measured, are left out
    ======== ==================================================================================

    Args:
        path: The file.
        samples: Number of points drawn on a mesh, uniformly over its area.
        seed: Seed of these points.

    Returns:
        (N, 3) float64 positions in the units of the file: all points of a cloud, ``samples`` points of a
        mesh. N may be 0.

    Raises:
        ImportError: trimesh is not installed, and the file is a ``.ply`` or ``.obj``.
        ValueError: The file cannot be read, is damaged or too large; the message says why.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "two.xyz"
        ...     _ = path.write_text("0 0 0\n1 2 3\n")
        ...     read_points(path).tolist()
        [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
    """
    path, generator = Path(path), np.random.default_rng(seed)
    try:
        shape = _read(path.expanduser())
        if shape.faces is None:
            return shape.vertices
        return sample_surface(shape.vertices, shape.faces, samples, generator)
    except OSError as error:
        raise ValueError(f"{path.name}: the file cannot be read: {error.strerror}") from None
    except (ValueError, RuntimeError) as error:  # the latter from a "~name" whose home is not known
        raise ValueError(f"{path.name}: {error}") from None


def _read(path: Path) -> Shape:
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise ValueError(f"such files are not read, only {', '.join(SUFFIXES)}")
    if path.exists() and not path.is_file():
        raise ValueError("not a file")
    if (size := path.stat().st_size) > _LARGEST:
        raise ValueError(f"the file has {size >> 20} MB, and the limit is {_LARGEST >> 20} MB")
    data = path.read_bytes()
    if not data.strip():
        raise ValueError("the file is empty")
    try:
        shape = _READERS[suffix](data, suffix[1:])
    except (ValueError, ImportError):
        raise
    except Exception as error:  # anybody may have made the file
        raise ValueError(f"the file is damaged ({type(error).__name__})") from error
    bad = ~(np.abs(shape.vertices) <= _LARGEST_COORDINATE)
    if bad.any():
        point = int(np.argwhere(bad)[0, 0])
        raise ValueError(
            f"the coordinates of point {point + 1} are {shape.vertices[point].tolist()}; finite numbers up "
            f"to {_LARGEST_COORDINATE:g} are needed"
        )
    return shape


def sample_surface(
    vertices: np.ndarray, faces: np.ndarray, samples: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw points on triangles, uniformly over their area.

    Args:
        vertices: (V, 3) positions.
        faces: (F, 3) corners of each triangle, int64 indices into ``vertices``.
        samples: Number of points.
        generator: Source of randomness.

    Returns:
        (samples, 3) float64 positions in the units of ``vertices``.

    Raises:
        ValueError: The triangles have no area.

    Example:
        >>> corners = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        >>> points = sample_surface(corners, np.array([[0, 1, 2]]), 100, np.random.default_rng(0))
        >>> points.shape, bool((points.sum(1) <= 1).all())
        ((100, 3), True)
    """
    start = vertices[faces[:, 0]]
    sides = vertices[faces[:, 1:]] - start[:, None]
    size = np.abs(sides).max()
    area = np.linalg.norm(np.cross(sides[:, 0] / (size or 1), sides[:, 1] / (size or 1)), axis=1)
    if not area.sum() > 0:
        raise ValueError("the triangles of the mesh have no area: there is no surface to draw points on")
    chosen = generator.choice(len(faces), samples, p=area / area.sum())
    weights = generator.random((samples, 2))
    outside = weights.sum(1) > 1  # the half of the parallelogram beyond the triangle: mirrored back
    weights[outside] = 1 - weights[outside]
    return start[chosen] + (weights[..., None] * sides[chosen]).sum(1)

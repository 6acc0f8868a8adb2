"""The process that reads files of point clouds for the demo, run by :mod:`equizoo.demo.clouds`."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import numpy as np

from equizoo.data.point_files import read_points
from equizoo.demo.answering import Declined
from equizoo.demo.limits import CLOUD_POINTS
from equizoo.demo.processes import serve


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the points of a file, or why there are none.

    Args:
        request: ``path`` and ``samples``, the number of points drawn on a mesh.

    Returns:
        ``points``, the bytes of (N, 3) float64 positions in base 64; or ``error``.

    Example:
        >>> answer({"path": "chair.doc", "samples": 9})["error"]
        'chair.doc: such files are not read, only .ply, .off, .obj, .xyz, .npy, .pcd'
    """
    try:
        points = few(read_points(request["path"], samples=request["samples"]))
    except ValueError as error:
        return {"error": str(error)}
    return {"points": base64.b64encode(points.tobytes()).decode()}


def few(points: np.ndarray) -> np.ndarray:
    """Return a cloud that is not too large.

    Raises:
        Declined: It is.
    """
    if len(points) > CLOUD_POINTS:
        raise Declined(f"{len(points):,} points are more than the limit of {CLOUD_POINTS:,} here")
    return points


if __name__ == "__main__":
    with contextlib.suppress(ImportError):
        import trimesh  # noqa: F401  # now, not in the time of the first mesh
    serve(answer)

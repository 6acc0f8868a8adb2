"""How a body is seen in figures and animations: from its side, a little from above, along its way."""

from __future__ import annotations

import math

import numpy as np

from equizoo.pipelines.motion_result import GIVEN, INTERPOLATED, PREDICTED

TRUTH, COLOURS = "#6b7280", {PREDICTED: "#1d4ed8", INTERPOLATED: "#93c5fd", GIVEN: "#111827"}
LABELS = {PREDICTED: "predicted", INTERPOLATED: "interpolated, no prediction", GIVEN: "given"}
GRID, QUIET = "#e5e7eb", "#6b7280"
AZIMUTH, ELEVATION = 25.0, 12.0
"""Angles of the camera: off the side of the body towards its front, and above the floor [degrees]."""


def heading(positions: np.ndarray) -> tuple[float, float]:
    """Return the horizontal direction (x, z) in which a body goes; (0, 1) if it stays.

    Args:
        positions: (K, J, 3) positions [length].

    Example:
        >>> heading(np.zeros((2, 31, 3)))
        (0.0, 1.0)
    """
    x, z = (positions[-1] - positions[0]).mean(0)[[0, 2]].tolist()
    length = math.hypot(x, z)
    return (x / length, z / length) if length > 1e-6 else (0.0, 1.0)


def project(
    points: np.ndarray, centre: np.ndarray, direction: tuple[float, float], azimuth: float = AZIMUTH
) -> np.ndarray:
    """Return where points are seen, in a parallel projection; the direction goes to the right.

    Args:
        points: (..., 3) positions [length].
        centre: (3,) point in the middle.
        direction: Horizontal direction (x, z) of the motion.
        azimuth: Angle of the camera off the side of the body [degrees].

    Returns:
        (..., 2) to the right and up [length].

    Example:
        >>> project(np.array([0.0, 0.0, 2.0]), np.zeros(3), (0.0, 1.0), azimuth=0.0).round(6).tolist()
        [2.0, 0.0]
    """
    x, y, z = np.moveaxis(points - centre, -1, 0)
    along, across = x * direction[0] + z * direction[1], x * direction[1] - z * direction[0]
    turn, tilt = math.radians(azimuth), math.radians(ELEVATION)
    right = along * math.cos(turn) + across * math.sin(turn)
    depth = along * math.sin(turn) - across * math.cos(turn)
    return np.stack([right, y * math.cos(tilt) + depth * math.sin(tilt)], -1)

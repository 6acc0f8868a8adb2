"""Point clouds that the demo makes itself: surfaces put together from a few primitives.

They are no data of ModelNet40. Those named after one of its classes are built so that a person would call
them that; what a model calls them is its own business.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import chain, pairwise

import numpy as np

Patch = tuple[float, Callable[[np.ndarray], np.ndarray]]


def _box(size: tuple[float, float, float], at: tuple[float, float, float]) -> list[Patch]:
    """Return the six sides of a box of a size, centred at a place."""
    half, centre = np.array(size) / 2, np.array(at)
    patches: list[Patch] = []
    for axis in range(3):
        first, second = (k for k in range(3) if k != axis)
        for sign in (-1.0, 1.0):

            def draw(
                u: np.ndarray, axis: int = axis, a: int = first, b: int = second, s: float = sign
            ) -> np.ndarray:
                points = np.empty((len(u), 3))
                points[:, axis] = s
                points[:, a], points[:, b] = 2 * u[:, 0] - 1, 2 * u[:, 1] - 1
                return points * half + centre

            patches.append((4 * half[first] * half[second], draw))
    return patches


def _turned(profile: list[tuple[float, float]], at: tuple[float, float, float] = (0, 0, 0)) -> list[Patch]:
    """Return the surface that a polyline (radius, height) sweeps about the vertical axis."""
    patches: list[Patch] = []
    for (r0, z0), (r1, z1) in pairwise(profile):

        def draw(u: np.ndarray, r0: float = r0, r1: float = r1, z0: float = z0, z1: float = z1) -> np.ndarray:
            # uniform over the area of a cone frustum: the square of the radius is uniform
            part = u[:, 0]
            if abs(r1 - r0) > 1e-9:
                part = (np.sqrt(r0**2 + u[:, 0] * (r1**2 - r0**2)) - r0) / (r1 - r0)
            radius, angle = r0 + part * (r1 - r0), 2 * np.pi * u[:, 1]
            height = z0 + part * (z1 - z0)
            return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], 1) + np.array(at)

        area = np.pi * (r0 + r1) * float(np.hypot(r1 - r0, z1 - z0))
        patches.append((area, draw))
    return patches


def _table() -> list[Patch]:
    legs = [_box((0.09, 0.09, 0.8), (x, y, 0.4)) for x in (-0.7, 0.7) for y in (-0.4, 0.4)]
    return [*_box((1.6, 1.0, 0.08), (0, 0, 0.84)), *chain(*legs)]


def _chair() -> list[Patch]:
    legs = [_box((0.07, 0.07, 0.45), (x, y, 0.225)) for x in (-0.22, 0.22) for y in (-0.22, 0.22)]
    seat, back = _box((0.52, 0.52, 0.06), (0, 0, 0.48)), _box((0.52, 0.06, 0.55), (0, 0.23, 0.78))
    return seat + back + [*chain(*legs)]


def _bookshelf() -> list[Patch]:
    shelves = [_box((0.9, 0.32, 0.03), (0, 0, z)) for z in np.linspace(0.02, 1.78, 6)]
    sides = [_box((0.03, 0.32, 1.8), (x, 0, 0.9)) for x in (-0.45, 0.45)]
    return [*chain(*shelves, *sides), *_box((0.9, 0.02, 1.8), (0, 0.16, 0.9))]


def _airplane() -> list[Patch]:
    body = _turned([(0.0, 0.0), (0.12, 0.25), (0.13, 1.6), (0.04, 2.2), (0.0, 2.25)])
    lying = [(area, _lying(draw)) for area, draw in body]
    wings = _box((0.42, 2.2, 0.03), (0.95, 0, 0.0))
    tail = _box((0.25, 0.8, 0.025), (2.08, 0, 0.02)) + _box((0.28, 0.025, 0.4), (2.08, 0, 0.22))
    return lying + wings + tail


def _lying(draw: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Return what draws the same with its z axis along x."""
    return lambda u: draw(u)[:, [2, 0, 1]]


def _monitor() -> list[Patch]:
    return (
        _box((1.0, 0.06, 0.62), (0, 0, 0.66))
        + _box((0.12, 0.06, 0.3), (0, 0.03, 0.22))
        + _box((0.5, 0.3, 0.03), (0, 0, 0.05))
    )


def _vase() -> list[Patch]:
    profile = [(0.0, 0.0), (0.22, 0.0), (0.36, 0.3), (0.34, 0.55), (0.14, 0.85), (0.2, 1.0)]
    return _turned(profile)


def _cone() -> list[Patch]:
    return _turned([(0.0, 1.2), (0.45, 0.0), (0.0, 0.0)])


def _torus_knot(u: np.ndarray) -> np.ndarray:
    angle, turn = 2 * np.pi * u[:, 0], 2 * np.pi * u[:, 1]
    ring = 1.0 + 0.4 * np.cos(3 * angle)
    line = np.stack([ring * np.cos(2 * angle), ring * np.sin(2 * angle), 0.45 * np.sin(3 * angle)], 1)
    radial = np.stack([np.cos(2 * angle), np.sin(2 * angle), np.zeros(len(u))], 1)
    up = np.array([0.0, 0.0, 1.0])
    return line + 0.13 * (np.cos(turn)[:, None] * radial + np.sin(turn)[:, None] * up)


_SHAPES: dict[str, Callable[[], list[Patch]]] = {
    "table": _table,
    "chair": _chair,
    "airplane": _airplane,
    "bookshelf": _bookshelf,
    "monitor": _monitor,
    "vase": _vase,
    "cone": _cone,
    "torus knot (no class)": lambda: [(1.0, _torus_knot)],
}
#: Names of the shapes.
SHAPES = tuple(_SHAPES)


@functools.lru_cache(maxsize=64)
def shape(name: str, points: int = 1024, seed: int = 0) -> np.ndarray:
    """Draw points on a shape, uniformly over its area.

    Args:
        name: One of :data:`SHAPES`.
        points: N.
        seed: Seed of the points.

    Returns:
        (N, 3) float64 positions, z upwards; not to be written to.

    Example:
        >>> cloud = shape("cone", points=100)
        >>> cloud.shape, bool((np.hypot(cloud[:, 0], cloud[:, 1]) <= 0.45 + 1e-9).all())
        ((100, 3), True)
    """
    patches = _SHAPES[name]()
    rng = np.random.default_rng(seed)
    areas = np.array([area for area, _ in patches])
    counts = rng.multinomial(points, areas / areas.sum())
    parts = [draw(rng.random((count, 2))) for (_, draw), count in zip(patches, counts, strict=True)]
    cloud = rng.permutation(np.concatenate(parts))
    cloud.flags.writeable = False
    return cloud

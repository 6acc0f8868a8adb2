"""Bodies in motion, checked: from arrays to what a model can take, or to the reason why not."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from equizoo.hub.errors import EquizooError
from equizoo.pipelines.arrays import as_floats
from equizoo.pipelines.motion_bones import other_bones

UNIT = 0.0254 / 0.45
"""Metres in one length of the CMU recordings (ASF unit)."""
_MARGIN = (
    0.05  # how far beyond the training range of a length or speed is still like it [share of the range's end]
)


class BadMotion(EquizooError, ValueError):
    """A motion that is not answered; the message says which joint of which frame, and why."""


@dataclass(frozen=True)
class Windows:
    """Bodies of J joints at one frame; lengths are ASF units, y is up.

    Attributes:
        pos: (B, J, 3) float64 positions [length].
        vel: (B, J, 3) float64 velocities, the change up to the next frame [length / frame].
        single: Whether they were given as one body without the axis B.
    """

    pos: np.ndarray
    vel: np.ndarray
    single: bool = False


def from_arrays(positions: Any, velocities: Any, joints: int, *, max_bodies: int = 10_000) -> Windows:
    """Check arrays and return them as bodies.

    Args:
        positions: With velocities, (B, J, 3), or (J, 3) for one body [length]. Without, at least two
            consecutive frames, (B, F, J, 3) or (F, J, 3): the last but one gives the positions, and the
            change up to the last one the velocities, as in training.
        velocities: Shaped as the positions [length / frame], or None.
        joints: The number J that the model takes.
        max_bodies: Largest B.

    Returns:
        The bodies.

    Raises:
        BadMotion: A shape does not fit, or a number is not finite.

    Example:
        >>> still = from_arrays(np.zeros((2, 31, 3)), None, 31)
        >>> still.pos.shape, still.single
        ((1, 31, 3), True)
    """
    pos = as_array(positions, "positions")
    if velocities is None:
        if pos.ndim not in (3, 4) or pos.shape[-2:] != (joints, 3) or pos.shape[-3] < 2:
            raise BadMotion(
                f"without velocities, positions are frames (F, {joints}, 3) or (B, F, {joints}, 3) with "
                f"F of at "
                f"least 2, got {pos.shape}"
            )
        pos, last = pos[..., -2, :, :], pos[..., -1, :, :]
        vel = last - pos
    else:
        vel = as_array(velocities, "velocities")
        if pos.ndim not in (2, 3) or pos.shape[-2:] != (joints, 3) or vel.shape != pos.shape:
            raise BadMotion(
                f"positions and velocities of a body are ({joints}, 3) each, of several (B, {joints}, "
                f"3), got "
                f"{pos.shape} and {vel.shape}"
            )
    single = pos.ndim == 2
    pos, vel = (array[None] if single else array for array in (pos, vel))
    if not 1 <= len(pos) <= max_bodies:
        raise BadMotion(f"between 1 and {max_bodies:,} bodies are answered in one call, got {len(pos):,}")
    for name, array in (("position", pos), ("velocity", vel)):
        check_finite(name, array, "body")
    return Windows(pos, vel, single)


def as_array(values: Any, name: str) -> np.ndarray:
    """Return numbers as a float64 array.

    Args:
        values: An array, a tensor or nested lists.
        name: What to call them in a message.

    Raises:
        BadMotion: They are not one array of real numbers.
    """
    try:
        return as_floats(values)
    except ValueError:
        raise BadMotion(f"{name} are not one array of numbers") from None


def check_finite(name: str, array: np.ndarray, what: str, first: int = 1) -> None:
    """Raise BadMotion if an array (rows, J, 3), whose rows count from ``first``, is not finite somewhere."""
    bad = ~np.isfinite(array)
    if bad.any():
        row, joint = np.argwhere(bad)[0][:2]
        raise BadMotion(f"{what} {first + row}: the {name} of joint {joint + 1} is not finite")


def heading_angle(vel: np.ndarray, heading: tuple[float, ...]) -> float | None:
    """Return the angle between the way a body moves and a horizontal direction.

    Args:
        vel: (J, 3) velocities.
        heading: x and z of the direction.

    Returns:
        The angle [degrees], 0 to 180; None if the body does not move horizontally.

    Example:
        >>> round(heading_angle(np.array([[1.0, 0.0, 0.0]]), (0.0, 1.0)), 6)
        90.0
    """
    x, z = vel.mean(0)[[0, 2]]
    if math.hypot(x, z) < 1e-9:
        return None
    return abs(math.degrees(math.atan2(x * heading[1] - z * heading[0], x * heading[0] + z * heading[1])))


def oddity(
    pos: np.ndarray, vel: np.ndarray, domain: Mapping[str, Any], knows: Collection[str] = ()
) -> str | None:
    """Return what is unlike the training set in one body, or None.

    Args:
        pos: (J, 3) positions [length].
        vel: (J, 3) velocities [length / frame].
        domain: What the model was trained on, see :class:`equizoo.hub.domain.MotionDomain`.
        knows: What besides matters to the model: ``heading``, the way that a body moves, and ``place``, where
            it is; both to a partial variant at most.

    Returns:
        The first reason that is found.
    """
    size, floor = float(np.ptp(pos[:, 1])), float(pos[:, 1].min())
    x, z = pos.mean(0)[[0, 2]]
    speed = float(np.hypot(*vel.mean(0)[[0, 2]]))
    angle = heading_angle(vel, domain["heading"])
    reach = _MARGIN * domain["size"][1]
    if not _near(size, domain["size"]):
        return (
            f"a body that is {size:.3g} high along y, where those of the training set are "
            f"{_words(domain['size'])}: lengths are ASF units of {UNIT:.4f} m, and y is up"
        )
    if (bones := other_bones(pos, vel, domain)) is not None:
        return bones
    if not domain["floor"][0] - reach <= floor <= domain["floor"][1] + reach:
        return (
            f"a lowest joint at y = {floor:.3g}, where that of the training set is at "
            f"{_words(domain['floor'])}: the floor is y = 0"
        )
    if not _near(speed, domain["speed"]):
        return f"a speed of {speed:.3g} a frame, where that of the training set is {_words(domain['speed'])}"
    if "heading" in knows and angle is not None and angle > domain["heading_spread"]:
        return (
            f"a body that moves {angle:.0f}° off the direction of the training set, whose bodies stay within "
            f"{domain['heading_spread']:.0f}°: a partial variant knows the direction"
        )
    for name, value, known in (("x", x, domain["place"][0]), ("z", z, domain["place"][1])):
        if "place" in knows and not known[0] - reach <= value <= known[1] + reach:
            return (
                f"a body at {name} = {value:.3g}, where those of the training set are at {_words(known)}: "
                "this partial variant knows the place"
            )
    return None


def _near(value: float, known: tuple[float, ...]) -> bool:
    return (1 - _MARGIN) * known[0] <= value <= (1 + _MARGIN) * known[1]


def _words(known: tuple[float, ...]) -> str:
    return f"{known[0]:g} to {known[1]:g}"

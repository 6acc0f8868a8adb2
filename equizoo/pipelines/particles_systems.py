"""Systems of charged particles, checked: from arrays to what a model can take, or to the reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from equizoo.hub.errors import EquizooError
from equizoo.pipelines.arrays import as_floats

#: Two particles nearer than this [length] are one given twice: float32 cannot tell their direction.
COINCIDENT = 1e-5
#: Start frame of the published training set: largest distance from the centre [length], largest speed
#: [length / time] and smallest distance of two particles [length], rounded outwards.
USUAL_RADIUS, USUAL_SPEED, USUAL_DISTANCE = 11.2, 4.7, 0.02
_PAIRS = 1_000_000


class BadSystems(EquizooError, ValueError):
    """Systems that are not answered; the message says which particle of which system, and why."""


@dataclass(frozen=True)
class Systems:
    """Systems of equally many particles, each of mass 1.

    Attributes:
        pos: (B, N, 3) float64 positions [length].
        vel: (B, N, 3) float64 velocities [length / time].
        charge: (B, N) float64 charges.
        names: What to call each system.
        particles: (B, N) what to call each particle.
        single: Whether they were given as one system without the axis B.
    """

    pos: np.ndarray
    vel: np.ndarray
    charge: np.ndarray
    names: tuple[str, ...]
    particles: tuple[tuple[str, ...], ...]
    single: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """B and N."""
        return self.charge.shape  # type: ignore[return-value]


def from_arrays(
    positions: Any,
    velocities: Any,
    charges: Any,
    names: Sequence[str] = (),
    particles: Sequence[tuple[str, ...]] = (),
    *,
    max_particles: int = 500,
) -> Systems:
    """Check arrays and return them as systems.

    Args:
        positions: (B, N, 3) or, for one system, (N, 3) [length]: an array, a tensor or nested lists.
        velocities: The same shape [length / time].
        charges: (B, N) or (N,).
        names: What to call each system; its number, from 1, unless given.
        particles: What to call each particle of each system; its number, from 1, unless given.
        max_particles: Largest N; the model looks at all N² pairs.

    Returns:
        The systems.

    Raises:
        BadSystems: A shape does not fit, a number is not finite, there are fewer than two particles or too
            many, or two particles are in one place.

    Example:
        >>> from_arrays([[0, 0, 0], [1, 0, 0]], [[0, 0, 0], [0, 0, 0]], [1, -1]).shape
        (1, 2)
    """
    pos, vel, charge = (
        _array(positions, "positions"),
        _array(velocities, "velocities"),
        _array(charges, "charges"),
    )
    if charge.ndim == pos.ndim and charge.ndim and charge.shape[-1] == 1:
        charge = charge[..., 0]
    if pos.ndim not in (2, 3) or pos.shape[-1] != 3:
        raise BadSystems(f"positions must be (B, N, 3), or (N, 3) for one system, got {pos.shape}")
    for name, array, shape in (("velocities", vel, pos.shape), ("charges", charge, pos.shape[:-1])):
        if array.shape != shape:
            raise BadSystems(f"positions {pos.shape} need {name} of shape {shape}, got {array.shape}")
    single = pos.ndim == 2
    pos, vel, charge = (array[None] if single else array for array in (pos, vel, charge))
    names = tuple(names) or tuple(str(k + 1) for k in range(len(pos)))
    _check_size(*charge.shape, max_particles)
    numbers = tuple(str(k + 1) for k in range(charge.shape[1]))
    systems = Systems(pos, vel, charge, names, tuple(particles) or (numbers,) * len(pos), single)
    _check_finite(systems)
    _check_apart(systems)
    return systems


def _array(values: Any, name: str) -> np.ndarray:
    if values is None:
        raise BadSystems(f"{name} are missing: give positions, velocities and charges, or one file")
    try:
        return as_floats(values)
    except ValueError:
        raise BadSystems(
            f"{name} are not one array of numbers; systems of different sizes go into calls of their own"
        ) from None


def _check_size(systems: int, particles: int, most: int) -> None:
    if systems == 0:
        raise BadSystems("there are no systems: B is 0")
    if particles < 2:
        raise BadSystems(f"a system needs at least two particles, got {particles}")
    if particles > most:
        raise BadSystems(f"{particles} particles are more than the limit of {most} (max_particles)")


def _check_finite(systems: Systems) -> None:
    for name, array in (("position", systems.pos), ("velocity", systems.vel), ("charge", systems.charge)):
        bad = ~np.isfinite(array)
        if bad.any():
            system, particle = np.argwhere(bad)[0][:2]
            which = f"system {systems.names[system]}: the {name} of particle"
            raise BadSystems(f"{which} {systems.particles[system][particle]} is not finite")


def _check_apart(systems: Systems) -> None:
    count, n = systems.shape
    i, j = np.triu_indices(n, 1)
    size = max(1, _PAIRS // len(i))
    for start in range(0, count, size):
        pos = systems.pos[start : start + size]
        distance = np.linalg.norm(pos[:, i] - pos[:, j], axis=-1)
        if distance.min() < COINCIDENT:
            system, pair = np.argwhere(distance < COINCIDENT)[0]
            called = systems.particles[start + system]
            raise BadSystems(
                f"system {systems.names[start + system]}: particles {called[i[pair]]} and {called[j[pair]]} "
                f"are {distance[system, pair]:.1e} apart: they coincide"
            )


def oddities(systems: Systems, domain: Mapping[str, Any]) -> list[str | None]:
    """Return what is unlike the training set in each system, or None.

    Args:
        systems: The systems.
        domain: What the model was trained on, as ``config.json`` says: ``particles``, the number of them, and
            ``world``, what moves them.

    Returns:
        A reason a system. Distances and speeds are compared in the plain world only.
    """
    count, n = systems.shape
    if n != domain["particles"]:
        return [f"{n} particles, and the model was trained on {domain['particles']}"] * count
    pos = systems.pos
    i, j = np.triu_indices(n, 1)
    near = np.linalg.norm(pos[:, i] - pos[:, j], axis=-1).min(1)
    far = np.linalg.norm(pos - pos.mean(1, keepdims=True), axis=-1).max(1)
    fast = np.linalg.norm(systems.vel, axis=-1).max(1)
    world = domain.get("world", {})
    plain = world.get("wall") is None and not np.any([world.get("field", 0.0), *world.get("drag", ())])
    checks = [
        ((np.abs(systems.charge) != 1).any(1), "a charge other than +1 or −1, which the training set has not")
    ]
    if plain:
        checks += [
            (
                far > USUAL_RADIUS,
                f"a particle more than {USUAL_RADIUS} from the centre, beyond the training set",
            ),
            (fast > USUAL_SPEED, f"a speed above {USUAL_SPEED}, beyond the training set"),
            (
                near < USUAL_DISTANCE,
                f"two particles less than {USUAL_DISTANCE} apart, nearer than in the training set",
            ),
        ]
    return [next((text for odd, text in checks if odd[k]), None) for k in range(count)]

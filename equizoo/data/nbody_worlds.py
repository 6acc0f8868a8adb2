"""Worlds of charged particles: what moves them, which symmetry is left, and their energy.

The plain world is the "charged" system of Kipf et al. as EGNN and SEGNN use it. The others add something
whose effect on the symmetry is known, which makes them test beds for partial equivariance. Everything is in
the units of the simulation: unit mass, charges ±1, unit Coulomb constant.

References:
    T. Kipf et al., "Neural Relational Inference for Interacting Systems", ICML 2018, appendix: the system.
    V. G. Satorras, E. Hoogeboom, M. Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021, 5.1: in 3D.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: Largest Coulomb acceleration along each axis; the simulation cuts off what exceeds it, axis by axis.
LARGEST_ACCELERATION = 100.0


@dataclass(frozen=True)
class World:
    """What moves the particles; the default is the published system.

    Attributes:
        particles: Number of particles, at least 2.
        field: Uniform electric field along +z: adds ``charge · field`` to the z acceleration.
        drag: Rates of a linear drag along x, y, z: adds ``−drag · velocity`` to the acceleration.
        wall: Height z of an elastic floor that the particles stay above; None for no floor.

    Raises:
        ValueError: Fewer than two particles, a negative drag, or a value that is not a finite number.

    Example:
        >>> World(field=0.5).name, World(field=0.5).symmetry
        ('field', 'O(2) about z, translations')
        >>> World(drag=(0.0, 0.0, 1.0)).symmetry
        'O(2) about z, reflection of z, translations'
    """

    particles: int = 5
    field: float = 0.0
    drag: tuple[float, float, float] = (0.0, 0.0, 0.0)
    wall: float | None = None

    def __post_init__(self) -> None:
        if self.particles != int(self.particles) or self.particles < 2:
            raise ValueError(f"particles={self.particles}: a whole number of at least 2 is needed")
        if len(self.drag) != 3 or not all(math.isfinite(k) and k >= 0 for k in self.drag):
            raise ValueError(f"drag={self.drag}: three finite rates ≥ 0 are needed, for x, y and z")
        if not math.isfinite(self.field):
            raise ValueError(f"field={self.field} is not a finite number")
        if self.wall is not None and not math.isfinite(self.wall):
            raise ValueError(f"wall={self.wall} is not a finite number; None means no floor")
        wall = None if self.wall is None else float(self.wall)
        values = {"particles": int(self.particles), "field": float(self.field), "wall": wall}
        for name, value in {**values, "drag": tuple(float(k) for k in self.drag)}.items():
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """``"charged"``, or what is added to it: ``"field"``, ``"drag"``, ``"wall"``, joined by ``+``."""
        parts = {"field": self.field != 0, "drag": any(self.drag), "wall": self.wall is not None}
        return "+".join(part for part, there in parts.items() if there) or "charged"

    @property
    def symmetry(self) -> str:
        """The largest subgroup of E(3) that maps motions to motions, in words.

        The simulation keeps it but for two details of the published system, the cut-off of accelerations
        along the axes and the reflection of far starts into a box.
        """
        polar = self.field != 0 or self.wall is not None
        translations = "horizontal translations" if self.wall is not None else "translations"
        x, y, z = self.drag
        if x == y == z:
            return f"O(2) about z, {translations}" if polar else "E(3)"
        pairs = {"z": x == y, "x": y == z, "y": x == z}
        axis = next((axis for axis, equal in pairs.items() if equal), None)
        if polar:
            kept = "O(2) about z" if axis == "z" else "reflections of x and y"
        else:
            kept = "reflections of x, y and z" if axis is None else f"O(2) about {axis}, reflection of {axis}"
        return f"{kept}, {translations}"


def coulomb_acceleration(pos: Tensor, charge: Tensor) -> Tensor:
    """Return the Coulomb acceleration ``q_i Σ_j q_j (r_i − r_j) / |r_i − r_j|³`` as the simulation has it.

    Args:
        pos: (..., n, 3) positions [length].
        charge: (..., n) charges, broadcast against ``pos``.

    Returns:
        (..., n, 3) accelerations [length/time²], each component within ``±LARGEST_ACCELERATION``.

    Example:
        >>> pair = torch.tensor([[0.0, 0, 0], [2, 0, 0]])
        >>> coulomb_acceleration(pair, torch.tensor([1.0, -1.0]))[0]
        tensor([0.2500, 0.0000, 0.0000])
    """
    difference = pos.unsqueeze(-2) - pos.unsqueeze(-3)
    itself = torch.eye(pos.shape[-2], dtype=pos.dtype, device=pos.device)
    squared = difference.square().sum(-1) + itself  # 1 on the diagonal, where the difference is 0
    strength = charge.unsqueeze(-1) * charge.unsqueeze(-2) * squared.pow(-1.5)
    total = (strength.unsqueeze(-1) * difference).sum(-2)
    return total.clamp(-LARGEST_ACCELERATION, LARGEST_ACCELERATION)


def energy(pos: Tensor, vel: Tensor, charge: Tensor, world: World | None = None) -> Tensor:
    """Return the energy of each system: kinetic, Coulomb, and potential in the field.

    The laws of motion conserve it in the plain world, under a field and above a floor; drag lowers it. The
    simulation conserves it as well between close encounters only, where its step is too long, and its stored
    velocities are half a step behind the positions.

    Args:
        pos: (..., n, 3) positions [length].
        vel: (..., n, 3) velocities [length/time].
        charge: (..., n) charges, broadcast against ``pos``.
        world: The world; the plain one unless given.

    Returns:
        (...) energies [mass · length²/time²].

    Example:
        >>> pos = torch.tensor([[0.0, 0, 0], [2, 0, 0]])
        >>> energy(pos, torch.zeros(2, 3), torch.tensor([1.0, -1.0])).item()
        -0.5
    """
    first, second = torch.triu_indices(pos.shape[-2], pos.shape[-2], offset=1, device=pos.device)
    distance = (pos[..., first, :] - pos[..., second, :]).norm(dim=-1)
    coulomb = (charge[..., first] * charge[..., second] / distance).sum(-1)
    kinetic = 0.5 * vel.square().sum((-2, -1))
    field = 0.0 if world is None else world.field
    return kinetic + coulomb - field * (charge * pos[..., 2]).sum(-1)

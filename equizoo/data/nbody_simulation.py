"""Simulation of charged particles: the published generator with its random numbers, or a start of your own.

The integrator is semi-implicit Euler with a step of 0.001: a kick, then a drift. The published code draws the
random numbers of a trajectory around its integration, noise of width 0 included; here all are drawn first, in
the same order, and the trajectories are then integrated together.

References:
    T. Kipf et al., "Neural Relational Inference for Interacting Systems", ICML 2018: the generator.
    V. G. Satorras, E. Hoogeboom, M. Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021: in 3D.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from equizoo.data.nbody_worlds import LARGEST_ACCELERATION, World, coulomb_acceleration

TIME_STEP = 0.001
_BOX, _SPEED = 5.0, 0.5  # starts beyond ±5 are reflected once; every particle starts with speed 0.5


@dataclass(frozen=True)
class Trajectories:
    """S simulated systems of n particles.

    Attributes:
        pos: (S, F, n, 3) float64 positions [length]; frame ``k`` is ``every·(k + 1)`` steps after the start,
            with the published settings F = 49 and time ``0.1·(k + 1)``.
        vel: (S, F, n, 3) float64 velocities [length/time].
        charge: (S, n) float64 charges, ±1.
    """

    pos: Tensor
    vel: Tensor
    charge: Tensor


def simulate(
    world: World, samples: int, seed: int, *, length: int = 5000, every: int = 100, progress: bool = False
) -> Trajectories:
    """Simulate systems from random starts; seed 43 and the plain world give the published data set.

    Positions start normal with width ``(n/5)^(1/3)`` (mirrored into a box of ±5), velocities in a random
    direction with speed 0.5, charges +1 or −1. A start below the floor of the world is mirrored to above it.

    Args:
        world: What moves the particles.
        samples: Number of systems, S. The first systems of a seed do not depend on it.
        seed: Seed of numpy's legacy generator.
        length: Integration steps of 0.001 of the published run, whose last frame is not kept.
        every: Steps from frame to frame; divides ``length``.
        progress: Show a bar.

    Returns:
        The systems at ``length / every − 1`` frames.

    Raises:
        ValueError: No system is asked for, or ``every`` does not divide ``length`` at least twice.

    Example:
        >>> few = simulate(World(), samples=2, seed=43, length=300)
        >>> few.pos.shape, few.charge[0].tolist()
        (torch.Size([2, 2, 5, 3]), [-1.0, 1.0, -1.0, -1.0, -1.0])
    """
    if samples < 1:
        raise ValueError(f"samples={samples}: at least one system is needed")
    if every < 1 or length % every or length < 2 * every:
        raise ValueError(f"every={every} must divide length={length} at least twice")
    frames = length // every - 1
    start = random_starts(world, samples, seed, frames)
    pos, vel = integrate(*start, world, frames * every, every, progress=progress)
    return Trajectories(pos, vel, start[2])


def integrate(
    pos: Tensor, vel: Tensor, charge: Tensor, world: World, steps: int, every: int, *, progress: bool = False
) -> tuple[Tensor, Tensor]:
    """Move systems on from any start; from a frame of a trajectory, along that trajectory.

    Args:
        pos: (S, n, 3) positions [length], above the floor if the world has one.
        vel: (S, n, 3) velocities [length/time].
        charge: (S, n) charges.
        world: What moves the particles.
        steps: Number of integration steps of 0.001.
        every: Steps from frame to frame; divides ``steps``.
        progress: Show a bar.

    Returns:
        Positions and velocities (S, steps / every, n, 3) float64 after ``every``, ``2·every``, … steps.

    Raises:
        ValueError: Shapes that do not fit, a value that is not a finite number, particles on one another or
            below the floor, or ``every`` does not divide ``steps``.

    Example:
        >>> still, charge = torch.zeros(1, 2, 3), torch.tensor([[1.0, 1.0]])
        >>> pos = torch.tensor([[[-0.5, 0, 0], [0.5, 0, 0]]])
        >>> later, _ = integrate(pos, still, charge, World(particles=2), steps=1000, every=1000)
        >>> round(later[0, 0, 1, 0].item(), 2)
        0.9
    """
    _check_start(pos, vel, charge, world)
    if every < 1 or steps < every or steps % every:
        raise ValueError(f"every={every} must divide steps={steps}")
    lanes, advance = _fastest(world.particles)
    drag = np.array(world.drag)
    constants: dict[str, Any] = {
        "dt": TIME_STEP,
        "largest": LARGEST_ACCELERATION,
        "uniform": np.array([0.0, 0.0, world.field]),
        "decay": np.exp(-drag * TIME_STEP),
        "weight": np.where(drag > 0, -np.expm1(-drag * TIME_STEP) / np.where(drag > 0, drag, 1.0), TIME_STEP),
        "floor": -np.inf if world.wall is None else world.wall,
        "every": every,
    }
    shape = (pos.shape[0], steps // every, world.particles, 3)
    positions, velocities = np.empty(shape), np.empty(shape)
    x, v, q = (np.asarray(a.detach().cpu(), dtype=np.float64) for a in (pos, vel, charge))
    for first in tqdm(range(0, shape[0], lanes), desc=f"simulating {world.name}", disable=not progress):
        rows = slice(first, first + lanes)
        block = [np.array(a[rows].transpose(2, 1, 0), order="C") for a in (x, v)]
        pos_out, vel_out = (np.empty((shape[1], *block[0].shape)) for _ in range(2))
        advance(*block, np.ascontiguousarray(q[rows].T), **constants, pos_out=pos_out, vel_out=vel_out)
        positions[rows], velocities[rows] = pos_out.transpose(3, 0, 2, 1), vel_out.transpose(3, 0, 2, 1)
    return torch.from_numpy(positions), torch.from_numpy(velocities)


def mean_coulomb_acceleration(trajectories: Trajectories) -> float:
    """Return the mean of the length of the Coulomb acceleration, over systems, frames and particles.

    A field of this value pulls as strongly as the other particles do on average.

    Example:
        >>> plain = simulate(World(), samples=200, seed=43)
        >>> 0.5 < mean_coulomb_acceleration(plain) < 5
        True
    """
    charge = trajectories.charge.unsqueeze(1)
    return float(coulomb_acceleration(trajectories.pos, charge).norm(dim=-1).mean())


def random_starts(world: World, samples: int, seed: int, frames: int = 49) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the starts of :func:`simulate`, in the order of the published code.

    Args:
        world: Its number of particles sets the width, its floor mirrors what would start below.
        samples: Number of systems, S.
        seed: Seed of numpy's legacy generator.
        frames: Frames of each trajectory: how many random numbers its noise of width 0 takes.

    Returns:
        Positions and velocities (S, n, 3), charges (S, n), float64.
    """
    rng = np.random.RandomState(seed)
    n, types = world.particles, np.array([-1.0, 0.0, 1.0])
    pos, vel, charge = np.empty((samples, 3, n)), np.empty((samples, 3, n)), np.empty((samples, n))
    for i in range(samples):
        charge[i] = rng.choice(types, size=n, p=[0.5, 0.0, 0.5])
        pos[i], vel[i] = rng.randn(3, n), rng.randn(3, n)
        rng.randn(2 * frames * 3 * n)  # the noise of width 0
    pos *= (n / 5.0) ** (1 / 3)
    vel *= _SPEED / np.sqrt(np.square(vel).sum(1, keepdims=True))
    over, under = pos > _BOX, pos < -_BOX
    pos = np.where(over, 2 * _BOX - pos, np.where(under, -2 * _BOX - pos, pos))
    vel = np.where(over, -np.abs(vel), np.where(under, np.abs(vel), vel))
    if world.wall is not None:
        below = pos[:, 2] < world.wall
        pos[:, 2] = np.where(below, 2 * world.wall - pos[:, 2], pos[:, 2])
        vel[:, 2] = np.where(below, -vel[:, 2], vel[:, 2])
    by_particle = (np.ascontiguousarray(a.transpose(0, 2, 1)) for a in (pos, vel))
    return (*(torch.from_numpy(a) for a in by_particle), torch.from_numpy(charge))  # type: ignore[return-value]


def _check_start(pos: Tensor, vel: Tensor, charge: Tensor, world: World) -> None:
    n = world.particles
    if pos.ndim != 3 or pos.shape[1:] != (n, 3) or vel.shape != pos.shape or charge.shape != pos.shape[:2]:
        raise ValueError(
            f"a world of {n} particles needs pos and vel (S, {n}, 3) and charge (S, {n}), got "
            f"{tuple(pos.shape)}, {tuple(vel.shape)} and {tuple(charge.shape)}"
        )
    for name, values in (("pos", pos), ("vel", vel), ("charge", charge)):
        finite = values.isfinite().flatten(1).all(1)
        if not bool(finite.all()):
            raise ValueError(f"{name} of system {int((~finite).nonzero()[0])} is not finite")
    if world.wall is not None and bool((low := (pos[..., 2] < world.wall).any(1)).any()):
        raise ValueError(f"system {int(low.nonzero()[0])} starts below the floor, z = {world.wall}")
    first, second = torch.triu_indices(n, n, offset=1)
    together = (pos[:, first] == pos[:, second]).all(-1).any(1)
    if bool(together.any()):
        raise ValueError(f"two particles of system {int(together.nonzero()[0])} are at the same place")


def _fastest(particles: int) -> tuple[int, Any]:
    """Return how many systems to move at once and the function that moves them."""
    if importlib.util.find_spec("numba") is None:
        from equizoo.data._nbody_numpy import advance

        return max(8, 12_800 // particles**2), advance
    from equizoo.data._nbody_kernel import advance

    return 16, advance

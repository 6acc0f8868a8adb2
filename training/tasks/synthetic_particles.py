"""Small made-up systems of particles, for runs that take seconds and simulate nothing."""

from __future__ import annotations

import torch

from equizoo.data.nbody import NBodySet


def synthetic_particles(n: int, particles: int, seed: int, duration: float = 1.0) -> NBodySet:
    """Make systems that drift and are pushed once by a softened Coulomb force.

    Args:
        n: Number of systems.
        particles: Particles in each.
        seed: Seed; the rule behind the targets does not depend on it.
        duration: Time from input to target.

    Returns:
        The systems.

    Example:
        >>> len(synthetic_particles(4, particles=5, seed=0))
        4
    """
    generator = torch.Generator().manual_seed(seed)
    pos = torch.randn(n, particles, 3, generator=generator)
    vel = 0.5 * torch.nn.functional.normalize(torch.randn(n, particles, 3, generator=generator), dim=-1)
    charge = 2.0 * torch.randint(0, 2, (n, particles), generator=generator) - 1
    apart = pos[:, :, None] - pos[:, None]
    strength = charge[:, :, None] * charge[:, None] / (apart.square().sum(-1) + 1) ** 1.5
    push = (strength[..., None] * apart).sum(2)
    return NBodySet(pos, vel, charge, pos + duration * vel + 0.5 * duration**2 * push)

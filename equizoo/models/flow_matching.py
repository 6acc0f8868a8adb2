"""Flow matching of conformers: where a flow starts, the path it learns from, and how it is followed.

Lipman et al., "Flow Matching for Generative Modeling", ICLR 2023; Hassan et al., "ET-Flow", NeurIPS 2024,
Sections 2 and 3; Stärk et al., "Harmonic Self-Conditioned Flow Matching", ICML 2024, for the harmonic prior.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from equizoo.models.molecule_batch import FAR, TWO_BONDS, Molecule

VelocityField = Callable[[Tensor, Tensor], Tensor]
"""Takes positions ``(N, 3)`` and times ``(B,)``, returns velocities ``(N, 3)``."""


def harmonic_modes(molecule: Molecule) -> np.ndarray:
    """Return the matrix that turns noise into a sample of the harmonic prior of a molecule.

    Args:
        molecule: A connected molecule of N atoms.

    Returns:
        ``(N, N − 1)`` float32; times normal noise ``(N − 1, 3)`` it gives positions [Å] of density
        ``exp(−½ Σ |x_i − x_j|²)``, summed over bonds, with their mean at 0.

    Raises:
        ValueError: The molecule is not connected.

    Example:
        >>> from equizoo.models.molecule_batch import pair_kinds
        >>> bonds = np.array([[0, 1], [0, 2]])
        >>> water = Molecule(np.array([8, 1, 1]), np.zeros((3, 10)), pair_kinds(3, bonds, np.ones(2)))
        >>> harmonic_modes(water).shape
        (3, 2)
    """
    atoms = len(molecule.z)
    bonded = np.zeros((atoms, atoms))
    bonded[~np.eye(atoms, dtype=bool)] = (molecule.kinds > FAR) & (molecule.kinds < TWO_BONDS)
    values, vectors = np.linalg.eigh(np.diag(bonded.sum(0)) - bonded)
    if atoms > 1 and values[1] < 1e-6:
        raise ValueError("the atoms are not all connected by bonds; a conformer has one fragment")
    return (vectors[:, 1:] / np.sqrt(values[1:])).astype(np.float32)


def centred(x: Tensor, batch: Tensor, count: int) -> Tensor:
    """Move the mean of each molecule to the origin.

    Args:
        x: ``(N, 3)`` positions.
        batch: ``(N,)`` molecule of each atom.
        count: Number of molecules B.
    """
    sizes = x.new_zeros(count, 1).index_add(0, batch, torch.ones_like(x[:, :1])).clamp(min=1)
    mean = x.new_zeros(count, 3).index_add(0, batch, x) / sizes
    return x - mean.index_select(0, batch)


def aligned(x: Tensor, target: Tensor, batch: Tensor, count: int) -> Tensor:
    """Turn and move each molecule so that it is nearest to its target; proper rotations only.

    Args:
        x: ``(N, 3)`` positions [Å].
        target: ``(N, 3)`` positions to come near to [Å].
        batch: ``(N,)`` molecule of each atom.
        count: Number of molecules B.

    Returns:
        ``(N, 3)`` positions, with the mean of the target [Å].

    Example:
        >>> from equizoo.symmetry import SO3
        >>> x = torch.randn(5, 3)
        >>> turned = x @ SO3().sample(dtype=x.dtype).rotation.mT + 3
        >>> bool(torch.allclose(aligned(turned, x, torch.zeros(5, dtype=torch.long), 1), x, atol=1e-4))
        True

    References:
        W. Kabsch, "A solution for the best rotation to relate two sets of vectors", 1976.
    """
    own, other = centred(x, batch, count), centred(target, batch, count)
    products = (own.unsqueeze(2) * other.unsqueeze(1)).double()
    covariance = products.new_zeros(count, 3, 3).index_add(0, batch, products)
    u, _, vt = torch.linalg.svd(covariance)
    sign = torch.ones_like(covariance[:, 0])
    sign[:, 2] = torch.linalg.det(u @ vt).sign()
    rotation = ((u * sign.unsqueeze(1)) @ vt).to(x.dtype)
    turned = (own.unsqueeze(1) @ rotation.index_select(0, batch)).squeeze(1)
    return turned + (target - other)


def conditional_path(
    x0: Tensor, x1: Tensor, t: Tensor, noise: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Return a point on the path from ``x0`` to ``x1``, and the velocity there.

    ``x_t = (1 − t)·x0 + t·x1 + s·√(t(1 − t))·ε``.

    Args:
        x0: ``(N, 3)`` start [Å].
        x1: ``(N, 3)`` end [Å].
        t: ``(N, 1)`` times, above 0 and below 1.
        noise: s [Å].
        generator: Source of randomness.

    Returns:
        ``(N, 3)`` positions [Å] and ``(N, 3)`` velocities [Å per unit of time].

    References:
        ET-Flow, Equations 3 and 4.
    """
    epsilon = torch.randn(x0.shape, generator=generator, dtype=x0.dtype).to(x0.device)
    spread = (t * (1 - t)).sqrt()
    x = (1 - t) * x0 + t * x1 + noise * spread * epsilon
    return x, x1 - x0 + noise * (1 - 2 * t) / (2 * spread) * epsilon


@torch.no_grad()
def follow(
    field: VelocityField,
    x0: Tensor,
    batch: Tensor,
    count: int,
    steps: int = 10,
    *,
    churn: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Follow a flow from time 0 to 1 by Euler steps.

    Args:
        field: The velocity field.
        x0: ``(N, 3)`` positions to start from [Å].
        batch: ``(N,)`` molecule of each atom.
        count: Number of molecules B.
        steps: Number of evaluations of the field.
        churn: Before each step go back in time by ``churn / steps`` of what is left, and add noise of that
            size; 0: none.
        generator: Source of the noise.

    Returns:
        ``(N, 3)`` positions with their means at the origin [Å].

    Raises:
        ValueError: ``steps`` is below 1 or ``churn`` negative.

    References:
        ET-Flow, Section 3.4: the stochastic sampler, after Karras et al. (2022).
    """
    if steps < 1 or churn < 0:
        raise ValueError(f"steps must be at least 1 and churn at least 0, got {steps} and {churn}")
    x = centred(x0, batch, count)
    for k in range(steps):
        now, step = k / steps, 1 / steps
        if churn and k:
            back = min(churn / steps * (1 - now), now)
            epsilon = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
            spread = (now**2 - (now - back) ** 2) ** 0.5 * back
            x, now, step = x + spread * centred(epsilon, batch, count), now - back, step + back
        x = x + step * field(x, x.new_full((count,), now))
    return x

"""Small made-up molecules, for runs that take seconds and need no data."""

from __future__ import annotations

import torch

from equizoo.data.molecules import MoleculeSet

ELEMENTS = torch.tensor([1, 6, 7, 8, 9])


def synthetic_molecules(n: int, seed: int, n_targets: int = 12) -> MoleculeSet:
    """Make molecules of 3 to 9 atoms on a jittered grid, with targets that a network can learn.

    Args:
        n: Number of molecules.
        seed: Seed; the rule behind the targets does not depend on it.
        n_targets: Number of targets, each a sum over pairs of atoms.

    Returns:
        The molecules.

    Example:
        >>> len(synthetic_molecules(4, seed=0))
        4
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(3, 10, (n,), generator=generator)
    grid = 1.3 * torch.cartesian_prod(*[torch.arange(3.0)] * 3)
    ptr = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])
    z, pos, y = [], [], []
    for size in sizes.tolist():
        places = grid[torch.randperm(27, generator=generator)[:size]]
        points = places + 0.15 * torch.randn(size, 3, generator=generator)
        elements = ELEMENTS[torch.randint(0, 5, (size,), generator=generator)]
        rates = torch.linspace(0.3, 1.2, n_targets)
        pair = torch.exp(-torch.pdist(points)[:, None] * rates)
        i, j = torch.triu_indices(size, size, 1)
        strength = (elements[i] * elements[j]).double().sqrt()[:, None]
        z.append(elements)
        pos.append(points)
        y.append((strength * pair).sum(0))
    return MoleculeSet(torch.cat(z), torch.cat(pos), ptr, torch.stack(y).double(), torch.arange(n))

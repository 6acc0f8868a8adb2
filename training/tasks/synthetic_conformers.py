"""Small made-up ensembles of conformers, for runs that take seconds and read nothing."""

from __future__ import annotations

import numpy as np

from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformer_pairs import Pairs
from equizoo.data.conformers import ConformerSet
from equizoo.data.molecule_graphs import NODE_ATTRIBUTES, MoleculeGraph

_BOND, _ANGLE = 1.5, np.deg2rad(111.0)
_ELEMENTS = ((6, "C"), (7, "N"), (8, "O"))


def synthetic_conformers(n: int, split: str, seed: int = 0) -> ConformerSet:
    """Make chains of heavy atoms with staggered torsions, and starts that lie a little beside them.

    Args:
        n: Number of molecules.
        split: ``train``, ``valid`` or ``test``; each has molecules of its own.
        seed: Seed of the molecules.

    Returns:
        The set: two conformers and four starts a molecule.

    Example:
        >>> data = synthetic_conformers(3, "train")
        >>> len(data), data.conformers(0).shape[0], data.starts(0).shape[0]
        (3, 2, 4)
    """
    rng = np.random.default_rng([seed, ("train", "valid", "test").index(split)])
    return ConformerSet.of(_chain(rng) for _ in range(n))


def _chain(rng: np.random.Generator) -> Ensemble:
    atoms = int(rng.integers(5, 9))
    kinds = rng.integers(len(_ELEMENTS), size=atoms)
    bonds = np.stack([np.arange(atoms - 1), np.arange(1, atoms)], 1)
    nothing = np.zeros((0, 5), np.int64)
    attributes = np.zeros((atoms, len(NODE_ATTRIBUTES)), np.float32)
    z = np.array([_ELEMENTS[kind][0] for kind in kinds])
    graph = MoleculeGraph(z, attributes, bonds, np.ones(atoms - 1), nothing, nothing)
    conformers = np.stack([_geometry(atoms, rng) for _ in range(2)])
    match = np.arange(4) % 2
    starts = (conformers[match] + 0.15 * rng.normal(size=(4, atoms, 3))).astype(np.float32)
    same = np.tile(np.arange(atoms), (4, 1))
    distance = np.sqrt(((starts - conformers[match]) ** 2).sum(-1))
    deviation = np.sqrt((distance**2).mean(1))
    smiles = "".join(f"[{_ELEMENTS[kind][1]}]" for kind in kinds)
    return Ensemble.of(
        smiles, graph, conformers, pairs=Pairs(starts, match, same, deviation, deviation, distance.max(1))
    )


def _geometry(atoms: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``(N, 3)`` positions of a chain with torsions of 60, 180 and 300 degrees [Å]."""
    pos = np.zeros((atoms, 3))
    pos[1] = [_BOND, 0, 0]
    pos[2] = pos[1] + _BOND * np.array([-np.cos(_ANGLE), np.sin(_ANGLE), 0])
    for k in range(3, atoms):
        a, b, c = pos[k - 3 : k]
        along = (c - b) / np.linalg.norm(c - b)
        normal = np.cross(b - a, along)
        normal /= np.linalg.norm(normal)
        torsion = np.deg2rad(rng.choice([60, 180, 300]))
        across = np.cos(torsion) * np.cross(normal, along) + np.sin(torsion) * normal
        pos[k] = c + _BOND * (-np.cos(_ANGLE) * along + np.sin(_ANGLE) * across)
    return (pos - pos.mean(0)).astype(np.float32)

"""Geometries of many conformers at once: distance-geometry embeddings, and their relaxation with MMFF94.

References:
    S. Wang, J. Witek, G. A. Landrum, S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020): ETKDGv3.
    T. A. Halgren, J. Comput. Chem. 17, 490 (1996): MMFF94.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from equizoo.data.mmff import minimise
from equizoo.data.molecule_graphs import molecule_graph, stereo_kept
from equizoo.data.stereo_embedding import embed_any_isomer

_SECONDS, _ATTEMPTS = 20, 30
_MMFF_STEPS = 2000
_SEEDS = 2**21  # RDKit multiplies the seed, which may not be 0, by the number of the conformer


def embed_one(mol: Any, seed: int, attempts: Mapping[bool, int], seconds: int) -> np.ndarray | None:
    """Embed a molecule once with ETKDGv3, without its stereo labels where it cannot be embedded with them.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        seed: Seed, 0 to 2³¹ − 1; the same seed gives the same embedding.
        attempts: Number of attempts from the eigenvectors of the distances (False) and from random positions
            (True), in the order in which they are made.
        seconds: Limit of each of the two.

    Returns:
        (N, 3) float64 positions [Å], or None if none was found.

    Example:
        >>> from rdkit import Chem
        >>> embed_one(Chem.AddHs(Chem.MolFromSmiles("CO")), 0, {False: 30}, seconds=5).shape
        (6, 3)
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    copy, options = Chem.Mol(mol), rdDistGeom.ETKDGv3()
    options.randomSeed = seed
    if hasattr(options, "timeout"):
        options.timeout = seconds
    with rdBase.BlockLogs():
        for options.useRandomCoords, options.maxIterations in attempts.items():
            if rdDistGeom.EmbedMolecule(copy, options) == 0:
                return np.array(copy.GetConformer().GetPositions())
    found = embed_any_isomer(mol, 1, seed=1 + seed // 2)
    return found[0] if len(found) else None


def embed_many(mol: Any, count: int, seed: int) -> np.ndarray:
    """Embed a molecule with ETKDGv3, without its stereo labels where it cannot be embedded with them.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        count: Number of embeddings.
        seed: Seed, 0 or larger; the same seed gives the same embeddings.

    Returns:
        (S, N, 3) float64 [Å]; S is below ``count`` where embeddings fail or lose the stereochemistry, and 0
        where the molecule cannot be embedded.

    Example:
        >>> from rdkit import Chem
        >>> embed_many(Chem.AddHs(Chem.MolFromSmiles("CO")), 2, seed=0).shape
        (2, 6, 3)
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    copy = Chem.Mol(mol)
    options = rdDistGeom.ETKDGv3()
    options.randomSeed, options.maxIterations = 1 + seed % _SEEDS, _ATTEMPTS
    if hasattr(options, "timeout"):
        options.timeout = _SECONDS
    with rdBase.BlockLogs():
        for random_start in (False, True):
            options.useRandomCoords = random_start
            if len(rdDistGeom.EmbedMultipleConfs(copy, count, options)):
                break
        else:
            return embed_any_isomer(mol, count, options.randomSeed)
    pos = np.array([conformer.GetPositions() for conformer in copy.GetConformers()])
    pos = pos.reshape(-1, copy.GetNumAtoms(), 3)
    return pos[stereo_kept(molecule_graph(copy), pos)]


def with_positions(mol: Any, positions: np.ndarray) -> Any:
    """Return a copy of a molecule whose only conformers are ``positions`` (K, N, 3) [Å], numbered from 0."""
    from rdkit import Chem

    copy = Chem.Mol(mol)
    copy.RemoveAllConformers()
    for one in np.ascontiguousarray(positions, dtype=np.float64):
        conformer = Chem.Conformer(len(one))
        conformer.SetPositions(one)
        conformer.Set3D(True)
        copy.AddConformer(conformer, assignId=True)
    return copy


def relax_mmff(mol: Any, pos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relax conformers with MMFF94.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        pos: (K, N, 3) positions [Å].

    Returns:
        (K, N, 3) float64 [Å] and their energies (K,) [kcal/mol].

    Raises:
        ValueError: MMFF94 has no parameters for the molecule.

    Example:
        >>> from rdkit import Chem
        >>> ethane = Chem.AddHs(Chem.MolFromSmiles("CC"))
        >>> relaxed, energy = relax_mmff(ethane, embed_many(ethane, 2, seed=0))
        >>> relaxed.shape, energy.shape
        ((2, 8, 3), (2,))
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdForceFieldHelpers

    copy = with_positions(mol, pos)
    with rdBase.BlockLogs():
        if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(copy):
            raise ValueError(f"MMFF94 has no parameters for {Chem.MolToSmiles(Chem.RemoveHs(copy))}")
        energies, _ = minimise(copy, _MMFF_STEPS)
    relaxed = np.array([conformer.GetPositions() for conformer in copy.GetConformers()])
    return relaxed.reshape(pos.shape), energies

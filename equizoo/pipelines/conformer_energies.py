"""Energies of conformers, and their relaxation: MMFF94, or GFN2-xTB.

References:
    T. A. Halgren, J. Comput. Chem. 17, 490 (1996): MMFF94.
    C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019): GFN2-xTB.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equizoo.data.embeddings import with_positions
from equizoo.data.mmff import minimise
from equizoo.pipelines.geometry import Refused, relax_xtb

POLISHES = ("mmff", "xtb")
_RANK_STEPS, _POLISH_STEPS = 30, 2000


def has_mmff(mol: Any) -> bool:
    """Return whether MMFF94 has parameters for every atom of a molecule."""
    from rdkit import rdBase
    from rdkit.Chem import rdForceFieldHelpers

    with rdBase.BlockLogs():
        return bool(rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol))


def rank_energies(mol: Any, positions: np.ndarray) -> np.ndarray:
    """Return energies to rank unrelaxed conformers by: MMFF94 after a short relaxation of a copy.

    Thirty steps take the strain out of the bonds, which hides the differences between conformers.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens, of which MMFF94 has all parameters.
        positions: (K, N, 3) positions [Å].

    Returns:
        (K,) energies [kcal/mol].
    """
    return _minimised(mol, positions, _RANK_STEPS)[1]


def polish_mmff(mol: Any, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relax conformers with MMFF94.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens, of which MMFF94 has all parameters.
        positions: (K, N, 3) positions [Å].

    Returns:
        (K, N, 3) relaxed positions [Å] and (K,) energies [kcal/mol]; NaN where it did not converge.

    Example:
        >>> from rdkit import Chem
        >>> from equizoo.pipelines.conformer_embedding import embedding
        >>> mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
        >>> start = embedding(mol, 0)[None]
        >>> relaxed, energies = polish_mmff(mol, start)
        >>> bool(energies[0] < rank_energies(mol, start)[0] + 1e-6)
        True
    """
    relaxed, energies, converged = _minimised(mol, positions, _POLISH_STEPS)
    return np.where(converged[:, None, None], relaxed, np.nan), np.where(converged, energies, np.nan)


def _minimised(mol: Any, positions: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return positions (K, N, 3), energies (K,) [kcal/mol], and whether each minimisation converged (K,)."""
    from rdkit import rdBase

    copy = with_positions(mol, positions)
    with rdBase.BlockLogs():
        energies, converged = minimise(copy, steps)
    relaxed = [conformer.GetPositions() for conformer in copy.GetConformers()]
    return np.array(relaxed).reshape(positions.shape), energies, converged


def polish_xtb(mol: Any, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relax conformers with GFN2-xTB, at the sum of the formal charges.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        positions: (K, N, 3) positions [Å].

    Returns:
        (K, N, 3) relaxed positions [Å] and (K,) energies [kcal/mol]; NaN where it did not converge, or a bond
        formed or broke.
    """
    relaxed, energies = np.full(positions.shape, np.nan), np.full(len(positions), np.nan)
    for k, start in enumerate(positions):
        try:
            end = relax_xtb(mol, start)
        except Refused:
            continue
        relaxed[k], energies[k] = end.pos, end.after
    return relaxed, energies

"""Which of the samples are kept: no clashes, none twice.

References:
    M. Buttenschoen, G. M. Morris, C. M. Deane, "PoseBusters", Chem. Sci. 15, 3130 (2024), Methods: bond
    lengths, bond angles and internal clashes against the bounds of distance geometry, with its thresholds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equizoo.data.mmff import perpendicular

_SHORT, _LONG, _CLASH = 0.75, 1.25, 0.7  # multiples of a bound
_MOST_SYMMETRIES = 1000


def sound(mol: Any, positions: np.ndarray) -> np.ndarray:
    """Say which conformers have sensible bonds and angles, and no two atoms in each other's way.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        positions: (K, N, 3) positions [Å].

    Returns:
        (K,) bool; False where a coordinate is not finite, or an allene is flat.

    Example:
        >>> from rdkit import Chem
        >>> from equizoo.pipelines.conformer_embedding import embedding
        >>> mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
        >>> positions = embedding(mol, 0)
        >>> sound(mol, np.stack([positions, 0.6 * positions])).tolist()
        [True, False]
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    with rdBase.BlockLogs():
        bounds = rdDistGeom.GetMoleculeBoundsMatrix(mol)
    i, j = np.triu_indices(len(bounds), 1)
    near = Chem.GetDistanceMatrix(mol)[i, j] < 3  # bonded, or with a common neighbour
    least = np.where(near, _SHORT, _CLASH) * bounds[j, i]
    most = np.where(near, _LONG * bounds[i, j], np.inf)
    kept = np.isfinite(positions).all((1, 2))
    for k in np.flatnonzero(kept):
        distance = np.linalg.norm(positions[k, i] - positions[k, j], axis=-1)
        kept[k] = ((distance >= least) & (distance <= most)).all()
    kept[kept] = perpendicular(mol, positions[kept])
    return kept


def compared_atoms(mol: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the atoms that tell conformers apart, and their symmetries.

    Those are the heavy atoms and the hydrogens on atoms other than carbon, so that the two rotamers of an
    alcohol are two conformers.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.

    Returns:
        (M,) numbers of the atoms, and (S, M) permutations of 0 to M − 1, the identity first; at most 1,000.

    Example:
        >>> from rdkit import Chem
        >>> atoms, symmetries = compared_atoms(Chem.AddHs(Chem.MolFromSmiles("CCO")))
        >>> atoms.tolist(), symmetries.shape
        ([0, 1, 2, 8], (1, 4))
    """
    from rdkit import Chem, rdBase

    inert = [
        atom.GetIdx()
        for atom in mol.GetAtoms()
        if atom.GetAtomicNum() == 1 and any(other.GetAtomicNum() == 6 for other in atom.GetNeighbors())
    ]
    atoms = np.setdiff1d(np.arange(mol.GetNumAtoms()), inert)
    part = Chem.RWMol(mol)
    with rdBase.BlockLogs():
        for atom in reversed(inert):
            part.RemoveAtom(atom)
        _even_out(part)
        found = part.GetSubstructMatches(part, uniquify=False, maxMatches=_MOST_SYMMETRIES)
    same = tuple(range(len(atoms)))
    return atoms, np.array([same, *(match for match in found if match != same)])


def _even_out(part: Any) -> None:
    """Make resonant ends alike: the oxygens of a nitro group or a carboxylate can be swapped."""
    from rdkit import Chem

    for atom in part.GetAtoms():
        ends = [other for other in atom.GetNeighbors() if other.GetDegree() == 1 and other.GetAtomicNum() > 6]
        for end in ends:
            if sum(other.GetAtomicNum() == end.GetAtomicNum() for other in ends) > 1:
                end.SetFormalCharge(0)
                part.GetBondBetweenAtoms(atom.GetIdx(), end.GetIdx()).SetBondType(Chem.BondType.SINGLE)


def distinct(positions: np.ndarray, symmetries: np.ndarray, rmsd: float) -> list[int]:
    """Return the rows of the conformers that are no copy of an earlier one.

    Args:
        positions: (K, M, 3) positions of the atoms that tell conformers apart [Å], the preferred first.
        symmetries: (S, M) permutations of these atoms.
        rmsd: Two conformers nearer than this are one [Å]; 0 keeps all.

    Returns:
        Rows, ascending.

    Example:
        >>> line = np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]])
        >>> distinct(np.stack([line, line[:, ::-1] + 5, 2 * line]), np.array([[0, 1, 2]]), 0.1)
        [0, 2]
    """
    from equizoo.data.conformer_metrics import best_rmsds

    if rmsd == 0:
        return list(range(len(positions)))
    kept: list[int] = []
    for row, one in enumerate(positions):
        if not kept or float(np.min(best_rmsds(one[None], positions[kept], symmetries))) >= rmsd:
            kept.append(row)
    return kept

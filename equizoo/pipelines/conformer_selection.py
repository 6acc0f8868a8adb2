"""Which of the samples are kept: no clashes, none twice.

References:
    M. Buttenschoen, G. M. Morris, C. M. Deane, "PoseBusters", Chem. Sci. 15, 3130 (2024), Methods: bond
    lengths, bond angles and internal clashes against the bounds of distance geometry, with its thresholds.
    S. Wang, J. Witek, G. A. Landrum, S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020): bounds of distance
    geometry; RDKit takes 0.7 and 0.85 of the van der Waals radii of atoms four and five bonds apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equizoo.data.mmff import perpendicular

_SHORT, _LONG, _CLASH = 0.75, 1.25, 0.7  # multiples of a bound
_SOFTER = {4: 0.7, 5: 0.85}  # multiples of the sum of radii, by the number of bonds between
_POLAR = (7, 8, 9)  # atomic numbers of what gives and takes hydrogen bonds
_HYDROGEN_BOND = 1.3  # [Å] nearest that a hydrogen of one comes to another
_MOST_SYMMETRIES = 1000


def sound(mol: Any, positions: np.ndarray) -> np.ndarray:
    """Say which conformers have sensible bonds and angles, and no two atoms in each other's way.

    Atoms are in each other's way nearer than 0.7 of the sum of their van der Waals radii, or less where few
    bonds are between them; the ends of a hydrogen bond nearer than 1.3 Å.

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
    i, j = np.triu_indices(mol.GetNumAtoms(), 1)
    least, most = (limit[i, j] for limit in _limits(mol))
    kept = np.isfinite(positions).all((1, 2))
    for k in np.flatnonzero(kept):
        distance = np.linalg.norm(positions[k, i] - positions[k, j], axis=-1)
        kept[k] = ((distance >= least) & (distance <= most)).all()
    kept[kept] = perpendicular(mol, positions[kept])
    return kept


def _limits(mol: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest distance of each pair of atoms, (N, N) each [Å]."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    with rdBase.BlockLogs():
        bounds = rdDistGeom.GetMoleculeBoundsMatrix(mol)
    apart = Chem.GetDistanceMatrix(mol)
    lower, upper = np.tril(bounds) + np.tril(bounds).T, np.triu(bounds) + np.triu(bounds).T
    radii = np.array([Chem.GetPeriodicTable().GetRvdw(atom.GetAtomicNum()) for atom in mol.GetAtoms()])
    clash = radii[:, None] + radii
    clash[apart == 3] = np.minimum(clash, lower)[apart == 3]
    for bonds, softer in _SOFTER.items():
        clash[apart == bonds] *= softer
    clash *= _CLASH
    polar = np.array([atom.GetAtomicNum() in _POLAR for atom in mol.GetAtoms()])
    given = np.array(
        [
            atom.GetAtomicNum() == 1 and any(other.GetAtomicNum() in _POLAR for other in atom.GetNeighbors())
            for atom in mol.GetAtoms()
        ]
    )
    bridged = np.outer(given, polar) | np.outer(polar, given)
    clash[bridged & (apart > 3)] = _HYDROGEN_BOND
    near = apart < 3  # bonded, or with a common neighbour
    return np.where(near, _SHORT * lower, clash), np.where(near, _LONG * upper, np.inf)


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


def distinct(
    positions: np.ndarray, symmetries: np.ndarray, rmsd: float, known: np.ndarray | None = None
) -> list[int]:
    """Return the rows of the conformers that are no copy of an earlier one.

    Args:
        positions: (K, M, 3) positions of the atoms that tell conformers apart [Å], the preferred first.
        symmetries: (S, M) permutations of these atoms.
        rmsd: Two conformers nearer than this are one [Å]; 0 keeps all.
        known: (L, M, 3) positions of conformers that come before all of these [Å].

    Returns:
        Rows of ``positions``, ascending.

    Example:
        >>> line = np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]])
        >>> distinct(np.stack([line, line[:, ::-1] + 5, 2 * line]), np.array([[0, 1, 2]]), 0.1)
        [0, 2]
    """
    from equizoo.data.conformer_metrics import best_rmsds

    if rmsd == 0:
        return list(range(len(positions)))
    kept: list[int] = []
    known = positions[:0] if known is None else known
    for row, one in enumerate(positions):
        others = np.concatenate([known, positions[kept]])
        if np.min(best_rmsds(one[None], others, symmetries), initial=np.inf) >= rmsd:
            kept.append(row)
    return kept

"""Relabellings of the heavy atoms of a molecule that leave its graph as it is.

References:
    RDKit, ``rdMolAlign.GetBestRMS``: which relabellings a symmetry-aware deviation goes through.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Relabellings beyond this number are left out; ordinary drugs have below 100.
LIMIT = 10_000


def bond_symmetries(mol: Any, limit: int = LIMIT) -> np.ndarray:
    """List the relabellings that keep elements, hydrogens, charges and bond orders.

    Args:
        mol: RDKit ``Mol``, sanitised, with its hydrogens explicit.
        limit: Largest number of relabellings.

    Returns:
        (S, H) int64, the identity first; row ``s`` puts heavy atom ``s[i]`` in the place of heavy atom ``i``,
        both counted among the H heavy atoms.

    Raises:
        ValueError: The molecule has no heavy atom.

    Example:
        >>> from rdkit import Chem
        >>> bond_symmetries(Chem.AddHs(Chem.MolFromSmiles("CC(=O)O"))).tolist()
        [[0, 1, 2, 3]]
    """
    heavy = _heavy(mol)
    atoms = [atom for atom in mol.GetAtoms() if atom.GetAtomicNum() != 1]
    for copy, atom in zip(heavy.GetAtoms(), atoms, strict=True):
        copy.SetIsotope(1 + atom.GetTotalNumHs(includeNeighbors=True))
    return _matches(heavy, limit)


def heavy_symmetries(mol: Any, limit: int = LIMIT) -> np.ndarray:
    """List the relabellings that a symmetry-aware deviation goes through, those of RDKit's ``GetBestRMS``.

    Hydrogens do not count, and the ends of a conjugated group, such as the two oxygens of an acid or of a
    nitro group, are the same.

    Args:
        mol: RDKit ``Mol``, sanitised, with or without hydrogens.
        limit: Largest number of relabellings.

    Returns:
        (S, H) int64, the identity first; row ``s`` puts heavy atom ``s[i]`` in the place of heavy atom ``i``,
        both counted among the H heavy atoms.

    Raises:
        ValueError: The molecule has no heavy atom.

    Example:
        >>> from rdkit import Chem
        >>> heavy_symmetries(Chem.MolFromSmiles("CC(=O)O")).tolist()
        [[0, 1, 2, 3], [0, 1, 3, 2]]
    """
    from rdkit import Chem

    heavy = _heavy(mol)
    for atom in heavy.GetAtoms():
        for element in (7, 8):
            ends = [
                bond
                for bond in atom.GetBonds()
                if bond.GetOtherAtom(atom).GetAtomicNum() == element
                and bond.GetOtherAtom(atom).GetDegree() == 1
                and bond.GetBondType() in (Chem.BondType.SINGLE, Chem.BondType.DOUBLE)
            ]
            if len({bond.GetBondType() for bond in ends}) == 2:
                for bond in ends:
                    bond.SetBondType(Chem.BondType.ONEANDAHALF)
                    bond.GetOtherAtom(atom).SetFormalCharge(0)
    return _matches(heavy, limit)


def _heavy(mol: Any) -> Any:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        heavy = Chem.RemoveAllHs(mol, sanitize=False)
    if not heavy.GetNumAtoms():
        raise ValueError("the molecule has no heavy atom")
    return heavy


def _matches(heavy: Any, limit: int) -> np.ndarray:
    found = heavy.GetSubstructMatches(heavy, uniquify=False, useChirality=False, maxMatches=limit)
    identity = tuple(range(heavy.GetNumAtoms()))
    rows = [identity, *sorted(match for match in found if match != identity)]
    return np.array(rows[:limit], dtype=np.int64)

"""Relabellings of the heavy atoms of a molecule that leave its graph as it is.

References:
    RDKit, substructure matches of a molecule with itself.
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

"""Bonds perceived from a geometry, and the atoms of a geometry in the order of a molecule.

References:
    B. Cordero et al., Dalton Transactions 2832 (2008): covalent radii.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equizoo.data.molecule_graphs import molecule_graph, stereo_kept, stereo_to_choose

#: Atoms are bonded below this multiple of the sum of their covalent radii. Bonds of QM9 and of crystals of
#: drug-like ligands end at 1.13; two atoms of a cage that are not bonded can be as near as 1.17.
BONDED = 1.15

_MATCHES = 200


def perceived_bonds(z: np.ndarray, pos: np.ndarray) -> np.ndarray:
    """List the pairs of atoms that are near enough to be bonded.

    Args:
        z: (N,) atomic numbers.
        pos: (N, 3) positions [Å].

    Returns:
        (E, 2) int64, the smaller number first, sorted.

    Example:
        >>> pos = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
        >>> perceived_bonds(np.array([8, 1, 1]), pos).tolist()
        [[0, 1], [0, 2]]
    """
    return np.argwhere(np.triu(relative_distances(z, pos) < BONDED, 1))


def relative_distances(z: np.ndarray, pos: np.ndarray) -> np.ndarray:
    """Return (N, N) distances as multiples of the sum of covalent radii; infinite on the diagonal.

    Args:
        z: (N,) atomic numbers.
        pos: (N, 3) positions [Å].
    """
    from rdkit import Chem

    table = Chem.GetPeriodicTable()
    radius = np.array([table.GetRcovalent(int(number)) for number in z])
    relative = np.linalg.norm(pos[:, None] - pos[None], axis=-1) / (radius[:, None] + radius[None])
    np.fill_diagonal(relative, np.inf)
    return relative


def same_bonds(bonds: np.ndarray, z: np.ndarray, pos: np.ndarray) -> np.ndarray:
    """Tell which conformers have exactly the bonds of their graph.

    Args:
        bonds: (E, 2) int64 pairs of atoms, the smaller number first.
        z: (N,) atomic numbers.
        pos: (K, N, 3) positions [Å].

    Returns:
        (K,) bool.
    """
    expected = {tuple(pair) for pair in bonds.tolist()}
    return np.array([{tuple(p) for p in perceived_bonds(z, x).tolist()} == expected for x in pos], dtype=bool)


def order_of_atoms(mol: Any, z: np.ndarray, pos: np.ndarray) -> np.ndarray | None:
    """Find the atoms of a geometry that stand for the atoms of a molecule, stereochemistry included.

    Args:
        mol: RDKit ``Mol``, sanitised, with explicit hydrogens.
        z: (N,) atomic numbers of the geometry.
        pos: (N, 3) positions [Å].

    Returns:
        (N,) int64 such that ``pos[order]`` is a conformer of ``mol``, or None where the bonds of the geometry
        or its stereochemistry are not those of the molecule.

    Example:
        >>> from rdkit import Chem
        >>> water = Chem.AddHs(Chem.MolFromSmiles("O"))
        >>> pos = np.array([[0.96, 0, 0], [0, 0, 0], [-0.24, 0.93, 0]])
        >>> order_of_atoms(water, np.array([1, 8, 1]), pos).tolist()
        [1, 0, 2]
    """
    if mol.GetNumAtoms() != len(z):
        return None
    own = np.array([sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in mol.GetBonds()]).reshape(-1, 2)
    query, held = _skeleton(np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), own)
    bonds = perceived_bonds(z, pos)
    target, found = _skeleton(z, bonds)
    if len(bonds) != len(own) or query.GetNumBonds() != target.GetNumBonds() or len(held) != len(found):
        return None
    graph = molecule_graph(mol)
    atoms = list(held), list(found)
    for match in target.GetSubstructMatches(query, uniquify=False, maxMatches=_MATCHES):
        order = np.empty(len(z), dtype=np.int64)
        for k, place in enumerate(match):
            order[[atoms[0][k], *held[atoms[0][k]]]] = [atoms[1][place], *found[atoms[1][place]]]
        if stereo_kept(graph, pos[order][None])[0]:
            return order
    return None


def molecule_from_bonds(z: np.ndarray, charge: np.ndarray, bonds: np.ndarray, pos: np.ndarray) -> Any | None:
    """Build a molecule from its bonds, with the stereochemistry of a geometry.

    Args:
        z: (N,) atomic numbers, all hydrogens among them.
        charge: (N,) formal charges.
        bonds: (E, 3) int: two atoms and the order of their bond in a Kekulé structure.
        pos: (N, 3) positions [Å].

    Returns:
        RDKit ``Mol`` in this order of atoms, without conformers; None where the valences are impossible.

    Example:
        >>> mol = molecule_from_bonds([8, 1, 1], [0, 0, 0], np.array([[0, 1, 1], [0, 2, 1]]), np.eye(3))
        >>> mol.GetNumAtoms(), mol.GetNumBonds()
        (3, 2)
    """
    from rdkit import Chem, rdBase

    orders = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}
    mol = Chem.RWMol()
    for number, formal in zip(z, charge, strict=True):
        atom = Chem.Atom(int(number))
        atom.SetFormalCharge(int(formal))
        atom.SetNoImplicit(True)
        mol.AddAtom(atom)
    for i, j, order in np.asarray(bonds).tolist():
        mol.AddBond(i, j, orders[order])
    conformer = Chem.Conformer(len(z))
    conformer.SetPositions(np.asarray(pos, dtype=np.float64))
    mol.AddConformer(conformer)
    with rdBase.BlockLogs():
        if Chem.SanitizeMol(mol, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
            return None
        Chem.AssignStereochemistryFrom3D(mol)
    mol.RemoveAllConformers()
    return mol.GetMol()


def label_double_bonds(mol: Any, pos: np.ndarray) -> Any:
    """Label the double bonds that leave cis or trans open by a geometry.

    Args:
        mol: RDKit ``Mol``, sanitised, with explicit hydrogens.
        pos: (N, 3) positions [Å].

    Returns:
        A copy with the labels.

    Example:
        >>> from rdkit import Chem
        >>> from rdkit.Chem import rdDistGeom
        >>> trans = Chem.AddHs(Chem.MolFromSmiles("F/C=C/F"))
        >>> rdDistGeom.EmbedMolecule(trans, randomSeed=1)
        0
        >>> pos = trans.GetConformer().GetPositions()
        >>> labelled = label_double_bonds(Chem.AddHs(Chem.MolFromSmiles("FC=CF")), pos)
        >>> molecule_graph(labelled).double_bonds.tolist()
        [[0, 1, 2, 3, -1]]
    """
    from rdkit import Chem

    mol = Chem.Mol(mol)
    for b, c in stereo_to_choose(mol).double_bonds:
        a, d = (_side(mol, *ends) for ends in ((b, c), (c, b)))
        axis = pos[c] - pos[b]
        together = np.cross(pos[a] - pos[b], axis) @ np.cross(pos[d] - pos[c], axis) > 0
        bond = mol.GetBondBetweenAtoms(b, c)
        bond.SetStereoAtoms(*((a, d) if bond.GetBeginAtomIdx() == b else (d, a)))
        bond.SetStereo(Chem.BondStereo.STEREOCIS if together else Chem.BondStereo.STEREOTRANS)
    return mol


def smiles_of_geometry(smiles: str, z: np.ndarray, pos: np.ndarray) -> str | None:
    """Write a SMILES again with the stereochemistry of a geometry.

    Args:
        smiles: SMILES of the molecule; what it says of stereochemistry does not count.
        z: (N,) atomic numbers of the geometry, hydrogens among them.
        pos: (N, 3) positions [Å].

    Returns:
        The SMILES, with all centres and double bonds labelled; None where the bonds of the geometry are not
        those of the molecule, or the text cannot be read.

    Example:
        >>> from rdkit import Chem
        >>> from rdkit.Chem import rdDistGeom
        >>> mol = Chem.AddHs(Chem.MolFromSmiles("F/C=C/Cl"))
        >>> rdDistGeom.EmbedMolecule(mol, randomSeed=1)
        0
        >>> z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
        >>> smiles_of_geometry("FC=CCl", z, mol.GetConformer().GetPositions())
        'F/C=C/Cl'
    """
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None:
            return None
        Chem.RemoveStereochemistry(mol)
        mol = Chem.AddHs(mol)
        order = order_of_atoms(mol, z, pos)
        if order is None:
            return None
        conformer = Chem.Conformer(len(z))
        conformer.SetPositions(np.asarray(pos[order], dtype=np.float64))
        mol.AddConformer(conformer)
        Chem.AssignStereochemistryFrom3D(mol)
        return str(Chem.MolToSmiles(Chem.RemoveHs(mol)))


def _side(mol: Any, end: int, other: int) -> int:
    """Return the neighbour of an end of a double bond that a label refers to, a heavy one if there is one."""
    around = [atom for atom in mol.GetAtomWithIdx(end).GetNeighbors() if atom.GetIdx() != other]
    return int(max(around, key=lambda atom: (atom.GetAtomicNum() > 1, -atom.GetIdx())).GetIdx())


def _skeleton(z: np.ndarray, bonds: np.ndarray) -> tuple[Any, dict[int, list[int]]]:
    """Return the heavy atoms as a molecule whose isotopes count hydrogens, and the hydrogens of each atom."""
    from rdkit import Chem

    held: dict[int, list[int]] = {int(atom): [] for atom in np.flatnonzero(z != 1)}
    frame = []
    for i, j in bonds.tolist():
        if i in held and j in held:
            frame.append((i, j))
        elif i in held or j in held:
            held[i if i in held else j].append(j if i in held else i)
    mol, place = Chem.RWMol(), {}
    for atom, hydrogens in held.items():
        place[atom] = mol.AddAtom(Chem.Atom(int(z[atom])))
        mol.GetAtomWithIdx(place[atom]).SetIsotope(1 + len(hydrogens))
    for i, j in frame:
        mol.AddBond(place[i], place[j], Chem.BondType.SINGLE)
    return mol, held

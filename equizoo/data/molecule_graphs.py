"""The graph of a molecule as arrays, with its stereochemistry as signs that a geometry either has or has not.

RDKit is needed to make a graph, never to use one.

References:
    G. Landrum et al., "RDKit: open-source cheminformatics", https://www.rdkit.org: perception of aromaticity,
    hybridisation, rings and stereo labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

#: Columns of ``MoleculeGraph.node_attr``.
NODE_ATTRIBUTES = (
    "degree / 4",
    "formal charge",
    "hydrogens / 4",
    "sp",
    "sp2",
    "sp3",
    "aromatic",
    "in ring",
    "rings / 2",
    "3 / smallest ring",
)
_DTYPES = {
    "z": np.int64,
    "node_attr": np.float32,
    "bonds": np.int64,
    "bond_order": np.int64,
    "centres": np.int64,
    "double_bonds": np.int64,
}


@dataclass(frozen=True)
class MoleculeGraph:
    """A molecule of N atoms, all hydrogens among them, with E bonds.

    Attributes:
        z: (N,) int64 atomic numbers.
        node_attr: (N, 10) float32, see ``NODE_ATTRIBUTES``; all between -1 and 2 in ordinary molecules.
        bonds: (E, 2) int64 pairs of atoms, each once, the smaller number first.
        bond_order: (E,) int64: 1 single, 2 double, 3 triple, 4 aromatic.
        centres: (C, 5) int64: a stereo centre and its neighbours ``n1 n2 n3 n4`` in an order such that
            (x1 - x4) · ((x2 - x4) × (x3 - x4)) > 0 where the chirality is as asked. A centre with three
            neighbours (sulfoxide, phosphine) stands for its own fourth one.
        double_bonds: (D, 5) int64: ``a b c d`` of a-b=c-d, and 1 where a and d are cis, -1 where trans.

    Raises:
        ValueError: The shapes do not fit together, or an atom number is not one of the molecule's.
    """

    z: np.ndarray
    node_attr: np.ndarray
    bonds: np.ndarray
    bond_order: np.ndarray
    centres: np.ndarray
    double_bonds: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
        atoms, bonds = len(self.z), len(self.bonds)
        expected = {
            "z": (atoms,),
            "node_attr": (atoms, len(NODE_ATTRIBUTES)),
            "bonds": (bonds, 2),
            "bond_order": (bonds,),
            "centres": (len(self.centres), 5),
            "double_bonds": (len(self.double_bonds), 5),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, expected {shape}")
        for name, rows in (
            ("bonds", self.bonds),
            ("centres", self.centres),
            ("stereo", self.double_bonds[:, :4]),
        ):
            if rows.size and not (0 <= rows.min() and rows.max() < atoms):
                raise ValueError(f"{name}: an atom number is not in 0 to {atoms - 1}")

    def __len__(self) -> int:
        return len(self.z)

    @property
    def heavy(self) -> np.ndarray:
        """(H,) int64 numbers of the atoms that are not hydrogen."""
        return np.flatnonzero(self.z != 1)


class StereoChoice(NamedTuple):
    """Stereo elements that a molecule has but does not specify.

    Attributes:
        centres: Atom numbers of tetrahedral centres.
        double_bonds: Pairs of atom numbers.
    """

    centres: tuple[int, ...]
    double_bonds: tuple[tuple[int, int], ...]


def molecule_graph(mol: Any) -> MoleculeGraph:
    """Read the graph of an RDKit molecule, in its order of atoms.

    Args:
        mol: RDKit ``Mol``, sanitised, with explicit hydrogens (``Chem.AddHs``); its stereo labels are taken
            as they are.

    Returns:
        The graph; double bonds and centres without a label are in no row.

    Raises:
        ValueError: The molecule has no atoms or implicit hydrogens, or a bond that is not single, double,
            triple or aromatic.

    Example:
        >>> from rdkit import Chem
        >>> graph = molecule_graph(Chem.AddHs(Chem.MolFromSmiles("C[C@H](N)/C=C/F")))
        >>> len(graph), graph.centres.shape, graph.double_bonds[:, 4].tolist()
        (14, (1, 5), [-1])
    """
    from rdkit import Chem

    if not mol.GetNumAtoms():
        raise ValueError("the molecule has no atoms")
    if any(atom.GetTotalNumHs() for atom in mol.GetAtoms()):
        raise ValueError("the molecule has implicit hydrogens: call rdkit.Chem.AddHs first")
    rings = mol.GetRingInfo()
    orders = {
        Chem.BondType.SINGLE: 1,
        Chem.BondType.DOUBLE: 2,
        Chem.BondType.TRIPLE: 3,
        Chem.BondType.AROMATIC: 4,
    }
    bonds = sorted(
        (*sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())), b.GetBondType()) for b in mol.GetBonds()
    )
    if unknown := sorted({str(order) for *_, order in bonds if order not in orders}):
        raise ValueError(
            f"a bond is {', '.join(unknown)}; only single, double, triple and aromatic are known"
        )
    return MoleculeGraph(
        z=np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]),
        node_attr=np.array([_attributes(atom, rings) for atom in mol.GetAtoms()]),
        bonds=np.array([bond[:2] for bond in bonds]).reshape(-1, 2),
        bond_order=np.array([orders[bond[2]] for bond in bonds]),
        centres=np.array(_centres(mol)).reshape(-1, 5),
        double_bonds=np.array(_double_bonds(mol)).reshape(-1, 5),
    )


def _attributes(atom: Any, rings: Any) -> list[float]:
    index, neighbours = atom.GetIdx(), atom.GetNeighbors()
    smallest = rings.MinAtomRingSize(index)
    kind = str(atom.GetHybridization())
    return [
        atom.GetDegree() / 4,
        atom.GetFormalCharge(),
        sum(other.GetAtomicNum() == 1 for other in neighbours) / 4,
        *(kind == name for name in ("SP", "SP2", "SP3")),
        atom.GetIsAromatic(),
        smallest > 0,
        rings.NumAtomRings(index) / 2,
        3 / smallest if smallest else 0,
    ]


def _centres(mol: Any) -> list[list[int]]:
    from rdkit import Chem

    signs = {Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 1, Chem.ChiralType.CHI_TETRAHEDRAL_CW: -1}
    rows = []
    for atom in mol.GetAtoms():
        sign = signs.get(atom.GetChiralTag())
        around = [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()]
        if sign is None or len(around) not in (3, 4):
            continue
        around += [atom.GetIdx()] * (4 - len(around))
        if sign < 0:
            around[:2] = around[1::-1]
        rows.append([atom.GetIdx(), *around])
    return rows


def _double_bonds(mol: Any) -> list[list[int]]:
    from rdkit import Chem

    stereo = Chem.BondStereo
    signs = {stereo.STEREOZ: 1, stereo.STEREOCIS: 1, stereo.STEREOE: -1, stereo.STEREOTRANS: -1}
    rows = []
    for bond in mol.GetBonds():
        sign, ends = signs.get(bond.GetStereo()), list(bond.GetStereoAtoms())
        if sign is not None and len(ends) == 2:
            rows.append([ends[0], bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), ends[1], sign])
    return rows


def stereo_kept(graph: MoleculeGraph, pos: np.ndarray) -> np.ndarray:
    """Tell which conformers have every centre and every double bond as asked.

    Args:
        graph: The molecule.
        pos: (K, N, 3) positions [Å].

    Returns:
        (K,) bool; a centre or a double bond that is not a finite number is not kept.

    Raises:
        ValueError: ``pos`` has another shape.

    Example:
        >>> from rdkit import Chem
        >>> from rdkit.Chem import rdDistGeom
        >>> mol = Chem.AddHs(Chem.MolFromSmiles("F[C@H](Cl)Br"))
        >>> rdDistGeom.EmbedMolecule(mol, randomSeed=1)
        0
        >>> pos = mol.GetConformer().GetPositions()
        >>> stereo_kept(molecule_graph(mol), np.stack([pos, -pos])).tolist()
        [True, False]
    """
    pos = np.asarray(pos, dtype=np.float64)
    if pos.ndim != 3 or pos.shape[1:] != (len(graph), 3):
        raise ValueError(f"pos has shape {pos.shape}, expected (K, {len(graph)}, 3)")
    first, second, third, fourth = (pos[:, graph.centres[:, k]] for k in (1, 2, 3, 4))
    volume = ((first - fourth) * np.cross(second - fourth, third - fourth)).sum(-1)
    a, b, c, d = (pos[:, graph.double_bonds[:, k]] for k in range(4))
    axis = c - b
    same_side = (np.cross(a - b, axis) * np.cross(d - c, axis)).sum(-1) * graph.double_bonds[:, 4]
    return (volume > 0).all(1) & (same_side > 0).all(1)


def stereo_to_choose(mol: Any) -> StereoChoice:
    """List the stereo centres and double bonds that the molecule leaves unspecified.

    Args:
        mol: RDKit ``Mol``, sanitised.

    Returns:
        Atom numbers of centres, and pairs of atom numbers of double bonds; both are empty where nothing is
        left to choose. Nitrogen is no centre here: it inverts, so that both forms are conformers.

    Example:
        >>> from rdkit import Chem
        >>> stereo_to_choose(Chem.MolFromSmiles("CC(N)C=CF"))
        StereoChoice(centres=(1,), double_bonds=((3, 4),))
    """
    from rdkit import Chem

    mol = type(mol)(mol)
    open_ones = [
        item for item in Chem.FindPotentialStereo(mol) if item.specified == Chem.StereoSpecified.Unspecified
    ]
    centres = (i.centeredOn for i in open_ones if i.type == Chem.StereoType.Atom_Tetrahedral)
    atoms = [i for i in centres if _is_centre(mol.GetAtomWithIdx(i))]
    bonds = [mol.GetBondWithIdx(i.centeredOn) for i in open_ones if i.type == Chem.StereoType.Bond_Double]
    ends = (tuple(sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))) for bond in bonds)
    return StereoChoice(tuple(atoms), tuple((a, b) for a, b in ends))


def _is_centre(atom: Any) -> bool:
    return atom.GetAtomicNum() != 7 and atom.GetTotalNumHs(includeNeighbors=True) < 2


def has_stereo_to_choose(mol: Any) -> bool:
    """Tell whether the molecule leaves a stereo centre or a double bond unspecified."""
    return any(stereo_to_choose(mol))

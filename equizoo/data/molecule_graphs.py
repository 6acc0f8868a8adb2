"""The graph of a molecule as arrays, with its stereochemistry as signs that a geometry either has or has not.

RDKit is needed to make a graph, never to use one.

References:
    G. Landrum et al., "RDKit: open-source cheminformatics", https://www.rdkit.org: perception of aromaticity,
    hybridisation, rings and stereo labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
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
#: Bounds of the search for stereoisomers that rings allow: open centres, labellings embedded, attempts each.
_MOST_RING_CENTRES, _MOST_EMBEDDED, _ATTEMPTS = 8, 64, 8
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
        left to choose. Nitrogen is no centre here: it inverts, so that both forms are conformers. Bridgeheads
        that only one stereoisomer can be embedded with, as in adamantane and norbornane, leave nothing to
        choose either, and neither do azides and terminal allenes.

    Example:
        >>> from rdkit import Chem
        >>> stereo_to_choose(Chem.MolFromSmiles("CC(N)C=CF"))
        StereoChoice(centres=(1,), double_bonds=((3, 4),))
        >>> stereo_to_choose(Chem.MolFromSmiles("C1CC2CCC1C2"))
        StereoChoice(centres=(), double_bonds=())
    """
    from rdkit import Chem

    mol = type(mol)(mol)
    open_ones = [
        item for item in Chem.FindPotentialStereo(mol) if item.specified == Chem.StereoSpecified.Unspecified
    ]
    found = (i.centeredOn for i in open_ones if i.type == Chem.StereoType.Atom_Tetrahedral)
    centres = tuple(i for i in found if _is_centre(mol.GetAtomWithIdx(i)))
    if _rings_decide(mol, centres):
        centres = ()
    bonds = [mol.GetBondWithIdx(i.centeredOn) for i in open_ones if i.type == Chem.StereoType.Bond_Double]
    ranks = list(Chem.CanonicalRankAtoms(mol, breakTies=False)) if bonds else []
    ends = [sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in bonds if _has_two_forms(mol, b, ranks)]
    return StereoChoice(centres, tuple((a, b) for a, b in ends))


def _is_centre(atom: Any) -> bool:
    return atom.GetAtomicNum() != 7 and atom.GetTotalNumHs(includeNeighbors=True) < 2


def _has_two_forms(mol: Any, bond: Any, ranks: list[int]) -> bool:
    """Tell whether both ends of a double bond, or of the row of double bonds it is in, have two sides."""
    ends = []
    for atom, inner in ((bond.GetBeginAtom(), bond.GetEndAtom()), (bond.GetEndAtom(), bond.GetBeginAtom())):
        ends.append(_outer_end(atom, inner))
    in_a_row = any(atom.GetIdx() not in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for atom, _ in ends)
    return all(_has_two_sides(mol, atom, inner, ranks, in_a_row) for atom, inner in ends)


def _outer_end(atom: Any, inner: Any) -> tuple[Any, Any]:
    """Follow linear carbons and nitrogens with two double bonds to the end of the row."""
    passed = {inner.GetIdx()}
    while True:
        others = [other for other in atom.GetNeighbors() if other.GetIdx() != inner.GetIdx()]
        linear = str(atom.GetHybridization()) == "SP" and atom.GetAtomicNum() in (6, 7)
        if not linear or len(others) != 1 or others[0].GetIdx() in passed:
            return atom, inner
        passed.add(atom.GetIdx())
        atom, inner = others[0], atom


def _has_two_sides(mol: Any, atom: Any, inner: Any, ranks: list[int], in_a_row: bool) -> bool:
    others = [other.GetIdx() for other in atom.GetNeighbors() if other.GetIdx() != inner.GetIdx()]
    if in_a_row and atom.GetAtomicNum() == 7:
        return False  # it turns over, as in carbodiimides
    if not others or atom.GetTotalNumHs(includeNeighbors=True) > 1:
        return False
    if len(others) < 2 or ranks[others[0]] != ranks[others[1]]:
        return True
    rings = mol.GetRingInfo()
    return bool(rings.AreAtomsInSameRing(*others))  # the two ways round a ring; RDKit has compared them


def _rings_decide(mol: Any, centres: tuple[int, ...]) -> bool:
    """Tell whether the rings leave only one stereoisomer of the open centres, some of them bridgeheads."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    rings = mol.GetRingInfo()
    counts = [rings.NumAtomRings(i) for i in centres]
    if not counts or min(counts) < 1 or max(counts) < 2 or len(centres) > _MOST_RING_CENTRES:
        return False
    tags = Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW
    isomers: dict[str, list[Any]] = {}
    for choice in product(tags, repeat=len(centres)):
        labelled = Chem.Mol(mol)
        for i, tag in zip(centres, choice, strict=True):
            labelled.GetAtomWithIdx(i).SetChiralTag(tag)
        cleaned = Chem.RemoveHs(labelled)
        Chem.AssignStereochemistry(cleaned, cleanIt=True, force=True)
        isomers.setdefault(Chem.MolToSmiles(cleaned), []).append(labelled)
    if len(isomers) == 1:
        return True
    if sum(len(same) for same in isomers.values()) > _MOST_EMBEDDED:
        return False
    possible = 0
    with rdBase.BlockLogs():
        for same in isomers.values():
            possible += any(
                rdDistGeom.EmbedMolecule(Chem.AddHs(one), maxAttempts=_ATTEMPTS, randomSeed=1) == 0
                for one in same
            )
            if possible > 1:
                return False
    return possible == 1


def has_stereo_to_choose(mol: Any) -> bool:
    """Tell whether the molecule leaves a stereo centre or a double bond unspecified."""
    return any(stereo_to_choose(mol))

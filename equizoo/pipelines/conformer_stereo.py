"""Stereochemistry: which elements a molecule has, choosing open ones, and checking positions against them.

References:
    S. Wang, J. Witek, G. A. Landrum, S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020): ETKDGv3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equizoo.data.embeddings import with_positions
from equizoo.data.molecule_graphs import MoleculeGraph, molecule_graph, stereo_kept
from equizoo.pipelines.conformer_embedding import embedding
from equizoo.pipelines.geometry import Refused

_CANDIDATES, _TRIES = 3, 10
_FLAT = 0.1  # volume that three unit vectors span, below which RDKit reads no label either
#: Kind of a stereo element (``"atom"`` or ``"bond"``), then the atoms that it belongs to.
Element = tuple[str, int, int]


def stereo_elements(mol: Any) -> dict[Element, str]:
    """Return the label of each tetrahedral centre and double bond that has one.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens and assigned stereochemistry.

    Returns:
        Labels such as ``CHI_TETRAHEDRAL_CW`` (by the order of the bonds) and ``STEREOE``.

    Example:
        >>> from rdkit import Chem
        >>> stereo_elements(Chem.AddHs(Chem.MolFromSmiles("C/C=C/C")))
        {('bond', 1, 2): 'STEREOE'}
    """
    labels: dict[Element, str] = {}
    for atom in mol.GetAtoms():
        if atom.GetChiralTag().name != "CHI_UNSPECIFIED":
            labels["atom", atom.GetIdx(), atom.GetIdx()] = atom.GetChiralTag().name
    for bond in mol.GetBonds():
        if bond.GetStereo().name not in ("STEREONONE", "STEREOANY"):
            labels["bond", bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()] = bond.GetStereo().name
    return labels


def choose_stereo(mol: Any, seed: int) -> tuple[Any, bool]:
    """Label every stereo element that is open, as it is in a distance-geometry embedding.

    An embedding has elements that are possible together, such as the two bridgeheads of norbornane.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        seed: Seed of the embedding.

    Returns:
        A copy with labels, which are also in the form that :func:`keeps_stereo` compares with; and whether
        it can be embedded under its labels, which fails for some strained rings (see
        :func:`matching_embedding`).

    Raises:
        Refused: No embedding was found, or none keeps the labels that there are.

    Example:
        >>> from rdkit import Chem
        >>> open_centre = Chem.AddHs(Chem.MolFromSmiles("CC(O)F"))
        >>> len(stereo_elements(open_centre)), len(stereo_elements(choose_stereo(open_centre, 0)[0]))
        (0, 1)
    """
    asked = stereo_elements(mol)
    candidates = []
    for sample in range(_CANDIDATES):
        try:
            positions = embedding(mol, seed, sample)
        except Refused:
            positions = matching_embedding(mol, seed, sample)
        candidate = labelled(mol, positions)
        settled = stereo_elements(candidate)
        kept = all(settled.get(key) == label for key, label in asked.items())
        if kept and keeps_stereo(candidate, molecule_graph(candidate), positions[None])[0]:
            candidates.append(candidate)
            if _embeds(candidate, seed):
                return candidate, True
            if settled.keys() == asked.keys():
                break
    if not candidates:
        raise Refused("no 3-D geometry has the stereochemistry that was asked for: it may be impossible")
    return candidates[0], False


def _embeds(mol: Any, seed: int) -> bool:
    try:
        embedding(mol, seed)
    except Refused:
        return False
    return True


def matching_embedding(mol: Any, seed: int, sample: int) -> np.ndarray:
    """Make an embedding without regard to stereo labels, and take it, or its mirror image, if it has them.

    The checks of an embedding under labels reject nearly planar bridgeheads of strained rings that exist.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        seed: Seed of the call.
        sample: Number of the sample.

    Returns:
        (N, 3) float64 positions [Å].

    Raises:
        Refused: Ten embeddings are of other isomers.

    Example:
        >>> from rdkit import Chem
        >>> mol = Chem.AddHs(Chem.MolFromSmiles("CC1(C)[C@H]2CC(=O)N21"))
        >>> keeps_stereo(mol, molecule_graph(mol), matching_embedding(mol, 0, 0)[None]).tolist()
        [True]
    """
    from rdkit import Chem

    bare, graph = Chem.Mol(mol), molecule_graph(mol)
    Chem.RemoveStereochemistry(bare)
    for attempt in range(_TRIES):
        positions = embedding(bare, seed, sample, attempt)
        for image in (positions, -positions):
            if keeps_stereo(mol, graph, image[None])[0]:
                return image
    raise Refused("no 3-D geometry has the stereochemistry that was asked for: it may be impossible")


def labelled(mol: Any, positions: np.ndarray) -> Any:
    """Return a copy of a molecule without conformers, its stereo elements labelled as they are in space.

    RDKit reads the labels, except where it cannot. It reads none of a nitrogen that keeps its side, in an
    aziridine or at a bridgehead, nor of what is a centre only because of that, although it takes such labels;
    and of the inverted bridgeheads of a propellane, whose neighbours are all on one side, what it reads
    depends on the order of the bonds. There the sign of the volume that the neighbours span is read.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        positions: (N, 3) positions [Å].

    Example:
        >>> from rdkit import Chem
        >>> mol = Chem.AddHs(Chem.MolFromSmiles("C[N@]1C[C@H]1C"))
        >>> mirror = labelled(mol, -embedding(mol, 0))
        >>> Chem.MolToSmiles(Chem.RemoveHs(mirror)) == Chem.CanonSmiles("C[N@@]1C[C@@H]1C")
        True
    """
    from rdkit import Chem

    copy = with_positions(mol, positions[None])
    Chem.AssignStereochemistryFrom3D(copy)
    copy.RemoveAllConformers()
    open_, rings, by_volume = Chem.ChiralType.CHI_UNSPECIFIED, copy.GetRingInfo(), set()
    nitrogen = any(
        atom.GetAtomicNum() == 7 and atom.GetDegree() == 3 and atom.GetChiralTag() != open_
        for atom in mol.GetAtoms()
    )
    for atom in copy.GetAtoms():
        asked = mol.GetAtomWithIdx(atom.GetIdx()).GetChiralTag()
        if nitrogen and atom.GetChiralTag() == open_ != asked:
            atom.SetChiralTag(asked)
            by_volume.add(atom.GetIdx())
        elif any(rings.NumBondRings(bond.GetIdx()) > 2 and _is_propellane(bond) for bond in atom.GetBonds()):
            by_volume.add(atom.GetIdx())
    for centre, *around, last in molecule_graph(copy).centres.tolist() if by_volume else ():
        if centre in by_volume:
            edges = positions[around] - positions[last]
            volume = np.linalg.det(edges / np.linalg.norm(edges, axis=1, keepdims=True))
            if abs(volume) < _FLAT:
                copy.GetAtomWithIdx(centre).SetChiralTag(open_)
            elif volume < 0:
                copy.GetAtomWithIdx(centre).InvertChirality()
    return copy


def _is_propellane(bond: Any) -> bool:
    """Return whether all bonds of both ends of a bond, four each, are in rings."""
    ends = bond.GetBeginAtom(), bond.GetEndAtom()
    return all(end.GetDegree() == 4 and all(other.IsInRing() for other in end.GetBonds()) for end in ends)


def keeps_stereo(mol: Any, graph: MoleculeGraph, positions: np.ndarray) -> np.ndarray:
    """Say which conformers have the stereo labels of the molecule.

    Both by the signs of volumes and as labels are read from positions, see :func:`labelled`: RDKit looks at
    other corners of a centre, and disagrees where all its neighbours are on one side of it, as in no stable
    molecule but propellanes.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens, labelled by :func:`choose_stereo`.
        graph: The same as arrays.
        positions: (K, N, 3) finite positions [Å].

    Returns:
        (K,) bool.

    Example:
        >>> from rdkit import Chem
        >>> mol, _ = choose_stereo(Chem.AddHs(Chem.MolFromSmiles("C[C@H](O)F")), 0)
        >>> positions = embedding(mol, 1)
        >>> keeps_stereo(mol, molecule_graph(mol), np.stack([positions, -positions])).tolist()
        [True, False]
    """
    kept, asked = stereo_kept(graph, positions), stereo_elements(mol)
    for k in np.flatnonzero(kept) if asked else ():
        found = stereo_elements(labelled(mol, positions[k]))
        kept[k] = all(found.get(key) == label for key, label in asked.items())
    return kept

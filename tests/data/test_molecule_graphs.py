"""Graphs as arrays; their stereo signs against RDKit's own reading of the same geometries."""

import numpy as np
import pytest

from equizoo.data.molecule_graphs import (
    NODE_ATTRIBUTES,
    MoleculeGraph,
    has_stereo_to_choose,
    molecule_graph,
    stereo_kept,
    stereo_to_choose,
)

Chem = pytest.importorskip("rdkit.Chem")
from rdkit.Chem import EnumerateStereoisomers, rdDistGeom  # noqa: E402

STEREO = (
    "C[C@H](N)C(=O)O",  # a centre with a hydrogen
    "C[C@](F)(Cl)CC",  # four heavy neighbours
    "C[S@](=O)CC",  # a lone pair
    "CC[P@](C)c1ccccc1",
    "C[N@]1C[C@@H]1C",  # nitrogen in a small ring
    "C[C@H]1CC[C@@H](O)CC1",  # ring stereo without CIP labels
    "COC[C@@]1(C)[C@H]2CCN21",
    "F/C=C/Cl",
    "C/C=C\\C(=O)O",
    "C/C(N)=N/O",
    "O[C@H](/C=C/C)[C@@H](C)Br",
)


def molecule(smiles: str, conformers: int = 0):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if conformers:
        assert len(rdDistGeom.EmbedMultipleConfs(mol, conformers, randomSeed=7)) == conformers
    return mol


def positions(mol) -> np.ndarray:
    return np.stack([conformer.GetPositions() for conformer in mol.GetConformers()])


def test_arrays_of_ethene() -> None:
    graph = molecule_graph(molecule("C=C"))
    assert graph.z.tolist() == [6, 6, 1, 1, 1, 1]
    assert graph.bonds.tolist() == [[0, 1], [0, 2], [0, 3], [1, 4], [1, 5]]
    assert graph.bond_order.tolist() == [2, 1, 1, 1, 1]
    carbon = dict(zip(NODE_ATTRIBUTES, graph.node_attr[0].tolist(), strict=True))
    assert carbon["degree / 4"] == 0.75
    assert carbon["hydrogens / 4"] == 0.5
    assert (carbon["sp"], carbon["sp2"], carbon["sp3"]) == (0, 1, 0)
    assert graph.heavy.tolist() == [0, 1]


def test_attributes_of_rings_and_charges() -> None:
    graph = molecule_graph(molecule("C1CC1c1cc[nH+]cc1"))
    ring = NODE_ATTRIBUTES.index("3 / smallest ring")
    assert graph.node_attr[:4, ring].tolist() == [1, 1, 1, 0.5]
    assert graph.node_attr[6, NODE_ATTRIBUTES.index("formal charge")] == 1
    assert (graph.bond_order == 4).sum() == 6
    assert np.abs(graph.node_attr).max() <= 2


def test_a_spiro_atom_is_in_two_rings() -> None:
    graph = molecule_graph(molecule("C1CC12CC2"))
    assert graph.node_attr[2, NODE_ATTRIBUTES.index("rings / 2")] == 1


@pytest.mark.parametrize("smiles", STEREO)
def test_stereo_is_kept_by_embeddings_and_lost_by_other_isomers(smiles: str) -> None:
    mol = molecule(smiles, 3)
    graph = molecule_graph(mol)
    assert len(graph.centres) + len(graph.double_bonds)
    pos = positions(mol)
    assert stereo_kept(graph, pos).all()
    mirrored = stereo_kept(graph, -pos)
    assert mirrored.all() == (not len(graph.centres))
    blank = Chem.MolFromSmiles(smiles)
    for atom in blank.GetAtoms():
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    for bond in blank.GetBonds():
        bond.SetStereo(Chem.BondStereo.STEREONONE)
    for isomer in EnumerateStereoisomers.EnumerateStereoisomers(blank):
        other = Chem.AddHs(isomer)
        if rdDistGeom.EmbedMolecule(other, randomSeed=5, maxAttempts=5):
            continue  # a strained isomer that does not exist
        centres = [sorted(map(tuple, molecule_graph(m).centres.tolist())) for m in (mol, other)]
        bonds = [molecule_graph(m).double_bonds[:, 4].tolist() for m in (mol, other)]
        same = centres[0] == centres[1] and bonds[0] == bonds[1]
        assert stereo_kept(graph, positions(other)).item() == same


def test_labels_survive_a_change_of_the_order_of_atoms() -> None:
    mol = molecule(STEREO[-1], 1)
    order = np.random.default_rng(0).permutation(mol.GetNumAtoms())
    shuffled = Chem.RenumberAtoms(mol, order.tolist())
    assert stereo_kept(molecule_graph(shuffled), positions(mol)[:, order]).all()
    assert not stereo_kept(molecule_graph(shuffled), -positions(mol)[:, order]).any()


def test_not_a_number_is_not_kept() -> None:
    mol = molecule(STEREO[0], 1)
    assert not stereo_kept(molecule_graph(mol), np.full((1, mol.GetNumAtoms(), 3), np.nan)).any()


def test_unspecified_stereo_is_listed() -> None:
    choice = stereo_to_choose(molecule("CC(F)[C@H](Cl)C=CC"))
    assert choice.centres == (1,)
    assert choice.double_bonds == ((5, 6),)
    assert not has_stereo_to_choose(molecule("CCO"))
    assert not has_stereo_to_choose(molecule("CCN1CC1"))  # nitrogen inverts
    assert not has_stereo_to_choose(molecule("C[Se]C[SiH3]"))
    assert not has_stereo_to_choose(molecule(STEREO[0]))


@pytest.mark.parametrize(
    "smiles",
    [
        "C1C2CC3CC1CC(C2)C3",  # adamantane
        "OC12CC3CC(C1)CC(C3)C2",
        "C12C3C4C1C5C2C3C45",  # cubane
        "C1CN2CCC1CC2",  # quinuclidine
        "NC12CC(C1)C2",
        "C1CC2CCC1C2",  # norbornane
        "CCN=[N+]=[N-]",
        "CC=[N+]=[N-]",
        "CN=C=O",
        "CN=C=NC",
        "CC=C=C",
        "N=C(N)N",
        "CC(=N)C",
    ],
)
def test_stereo_that_does_not_exist_is_not_listed(smiles: str) -> None:
    assert not has_stereo_to_choose(Chem.MolFromSmiles(smiles))
    assert not has_stereo_to_choose(molecule(smiles))


@pytest.mark.parametrize(
    "smiles",
    [
        "CC(F)Cl",
        "CC=CC",
        "CC=NO",
        "CC=C=CC",  # an axis of chirality
        "CC=C=C=CC",
        "CC=C1CCC(=CC)CC1",
        "CC1CCC(C)CC1",
        "C1CCC2CCCCC2C1",  # cis and trans decalin
        "OC1CC2CCC1C2",
        "CC(F)C12CC(C1)C2",
    ],
)
def test_stereo_that_exists_is_listed(smiles: str) -> None:
    assert has_stereo_to_choose(Chem.MolFromSmiles(smiles))
    assert has_stereo_to_choose(molecule(smiles))


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="AddHs"):
        molecule_graph(Chem.MolFromSmiles("CC"))
    with pytest.raises(ValueError, match="no atoms"):
        molecule_graph(Chem.Mol())
    with pytest.raises(ValueError, match="DATIVE"):
        molecule_graph(Chem.AddHs(Chem.MolFromSmiles("[NH3]->[Zn+2]")))
    graph = molecule_graph(molecule("C"))
    with pytest.raises(ValueError, match=r"expected \(K, 5, 3\)"):
        stereo_kept(graph, np.zeros((5, 3)))
    with pytest.raises(ValueError, match="bonds: an atom number"):
        MoleculeGraph(graph.z, graph.node_attr, graph.bonds + 1, *([np.ones(4)] + [np.zeros((0, 5))] * 2))

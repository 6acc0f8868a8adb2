"""Pairs of starts and references: the nearest labels, against RDKit's search over all of them."""

import numpy as np
import pytest

pytest.importorskip("rdkit")
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from equizoo.data.conformer_pairs import kabsch, nearest_pairs, no_pairs
from equizoo.data.graph_symmetry import graph_symmetries
from equizoo.data.molecule_graphs import molecule_graph, stereo_kept
from equizoo.data.molecule_symmetry import bond_symmetries
from tests.data.conformer_samples import embedded, heavy_symmetries


def rotation(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.linalg.det(q)


def test_kabsch_finds_a_rotation_and_never_a_reflection() -> None:
    points = np.random.default_rng(0).normal(size=(4, 9, 3))
    points -= points.mean(1, keepdims=True)
    turns = np.stack([rotation(seed) for seed in range(4)])
    np.testing.assert_allclose(kabsch(points, points @ turns), turns, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(kabsch(points, -points)), 1)


@pytest.mark.parametrize("smiles", ["CCC(C)(C)O", "C[C@H](N)CO", "CC(C)CN", "C=CC(=O)OC", "CC(F)(F)F"])
def test_no_labels_are_nearer_than_those_found(smiles: str) -> None:
    mol, references = embedded(smiles, 3)
    probe, starts = embedded(smiles, 4, seed=3)
    pairs = nearest_pairs(molecule_graph(mol), bond_symmetries(mol), starts, references)
    best = [
        min(
            rdMolAlign.GetBestRMS(
                Chem.Mol(probe), mol, s, k, symmetrizeConjugatedTerminalGroups=False, maxMatches=50_000
            )
            for k in range(3)
        )
        for s in range(4)
    ]
    np.testing.assert_allclose(pairs.rmsd, best, atol=1e-3)


def test_a_relabelled_and_turned_conformer_is_found_again() -> None:
    mol, references = embedded("CC(C)C[C@@H](C)O", 3)
    graph = molecule_graph(mol)
    hydrogens = [i for i, atom in enumerate(mol.GetAtoms()) if atom.GetAtomicNum() == 1]
    methyl = [i for i in hydrogens if mol.GetAtomWithIdx(i).GetNeighbors()[0].GetIdx() == 0]
    order = np.arange(len(graph))
    order[methyl] = np.roll(methyl, 1)
    starts = references[[2, 0]][:, order] @ rotation(1) + 4
    pairs = nearest_pairs(graph, bond_symmetries(mol), starts, references)
    assert pairs.match.tolist() == [2, 0]
    assert pairs.permutation.tolist() == [order.tolist()] * 2
    assert pairs.farthest.max() < 1e-6
    np.testing.assert_allclose(pairs.starts.mean(1), 0, atol=1e-12)


def test_labels_never_turn_a_centre_into_its_opposite() -> None:
    mol, references = embedded("O[C@H](C)[C@@H](C)O", 4)  # meso: its halves are mirror images
    graph, symmetries = molecule_graph(mol), bond_symmetries(mol)
    assert len(symmetries) == 2
    pairs = nearest_pairs(graph, symmetries, embedded("O[C@H](C)[C@@H](C)O", 6, 5)[1], references)
    labelled = np.take_along_axis(references[pairs.match], pairs.permutation[..., None], axis=1)
    assert stereo_kept(graph, labelled).all()


def test_symmetries_of_groups() -> None:
    def count(smiles: str) -> tuple[int, int]:
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        return len(bond_symmetries(mol)), len(heavy_symmetries(mol))

    assert count("c1ccccc1") == (12, 12)
    assert count("CC(=O)[O-]") == (1, 2)
    assert count("CC(=O)N") == (1, 1)
    assert count("CC(C)(C)O") == (6, 6)
    assert count("CCC=C") == (1, 1)
    assert heavy_symmetries(Chem.MolFromSmiles("CC(C)(C)O"), limit=4).shape == (4, 5)
    with pytest.raises(ValueError, match="no heavy atom"):
        heavy_symmetries(Chem.AddHs(Chem.MolFromSmiles("[H][H]")))


@pytest.mark.parametrize(
    "smiles",
    [
        "OC(=O)c1ccccc1",
        "CC(C)(C)C(C)(C)C",
        "NC(=O)C[N+](=O)[O-]",
        "NC(=[NH2+])NCC[C@H](N)C(=O)[O-]",
        "O=S(=O)(N)c1ccc(C(F)(F)F)cc1",
        "C12C3C4C1C5C2C3C45",
        "COP(=O)(O)O",
        "C",
    ],
)
def test_symmetries_without_rdkit_are_those_with_it(smiles: str) -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    graph = molecule_graph(mol)
    assert np.array_equal(graph_symmetries(graph), heavy_symmetries(mol))
    assert len(graph_symmetries(graph, limit=2)) == min(2, len(heavy_symmetries(mol)))


def test_what_cannot_be_paired() -> None:
    mol, pos = embedded("CO", 1)
    with pytest.raises(ValueError, match="no reference conformer"):
        nearest_pairs(molecule_graph(mol), bond_symmetries(mol), pos, pos[:0])
    assert no_pairs(5).starts.shape == (0, 5, 3)

"""Molecules and their geometries: bonds by distance, and stereochemistry back into a SMILES."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from equizoo.data.geometry_graphs import perceived_bonds, smiles_of_geometry
from equizoo.data.molecule_graphs import molecule_graph
from tests.data.conformer_samples import embedded


@pytest.mark.parametrize(
    "smiles",
    [
        "C[C@H](F)Cl",
        "C[C@@H](F)Cl",
        "F/C=C\\Cl",
        "[H]/N=C1\\O[C@H]2C[C@@]2(C=O)O1",  # an imine in a bridged ring
        "C[C@]12C[C@H]1N2",
        "CCO",
    ],
)
def test_a_smiles_gets_the_stereochemistry_of_its_geometry(smiles: str) -> None:
    mol, pos = embedded(smiles, 1)
    shuffled = np.random.default_rng(0).permutation(mol.GetNumAtoms())
    z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    bare = Chem.MolToSmiles(Chem.RemoveHs(mol), isomericSmiles=False)
    otherwise = Chem.MolToSmiles(Chem.MolFromSmiles(smiles.replace("@@", "@").replace("@", "@@")))
    found = smiles_of_geometry(bare, z[shuffled], pos[0][shuffled])
    assert found == Chem.CanonSmiles(smiles)
    assert smiles_of_geometry(otherwise, z, pos[0]) == found, "the labels of the SMILES are not to count"


def test_another_molecule_has_no_smiles() -> None:
    mol, pos = embedded("CCO", 1)
    z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    assert smiles_of_geometry("COC", z, pos[0]) is None
    assert smiles_of_geometry("not a molecule", z, pos[0]) is None


def test_bridgeheads_of_a_cage_are_not_bonded() -> None:
    mol, pos = embedded("C1C2CC1C2", 1)  # bicyclo[1.1.1]pentane: the bridgeheads are 1.87 Å apart
    graph = molecule_graph(mol)
    heads = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetTotalNumHs(True) == 1]
    assert 1.15 < np.linalg.norm(np.subtract(*pos[0][heads])) / 1.52 < 1.3
    assert perceived_bonds(graph.z, pos[0]).tolist() == graph.bonds.tolist()

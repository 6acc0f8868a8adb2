"""Strained cages whose stereochemistry ETKDGv3 does not embed."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom

from equizoo.data.embeddings import embed_many
from equizoo.data.geometry_graphs import smiles_of_geometry
from equizoo.data.molecule_graphs import molecule_graph, stereo_kept
from equizoo.data.stereo_embedding import embed_any_isomer
from equizoo.pipelines.conformer_embedding import embedding
from equizoo.pipelines.geometry import Refused, embed

STRAINED = [
    "C#C[C@@H]1[C@H]2C[C@]1(O)C2",
    "C#C[C@]12C=C[C@@H]3[C@H]1C[C@@H]32",
    "C1CO[C@]23C[C@H](C2)[C@@H]3O1",
]
IMPOSSIBLE = "C1C[C@H]2CC[C@H]1C2"  # norbornane with one bridgehead turned inside out
UNSTABLE = "C1C[C@H]2O[C@H]12"  # a trans-fused three- and four-membered ring


def molecule(smiles: str) -> Chem.Mol:
    return Chem.AddHs(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize("smiles", STRAINED)
def test_strained_cages_are_embedded_as_asked(smiles: str) -> None:
    mol = molecule(smiles)
    with rdBase.BlockLogs():
        assert rdDistGeom.EmbedMolecule(mol, maxAttempts=20, randomSeed=1) == -1, "RDKit can do this one"
    z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    made = embed_any_isomer(mol, 3, seed=1)
    assert made.shape == (3, len(z), 3)
    assert stereo_kept(molecule_graph(mol), made).all()
    assert stereo_kept(molecule_graph(mol), embed_many(mol, 2, seed=0)).all()
    assert stereo_kept(molecule_graph(mol), embedding(mol, seed=0)[None]).all()
    assert smiles_of_geometry(smiles, z, embed(mol, seed=0)) == Chem.CanonSmiles(smiles)


def test_the_same_seed_gives_the_same_embeddings() -> None:
    mol = molecule(STRAINED[0])
    np.testing.assert_array_equal(embed_any_isomer(mol, 2, seed=5), embed_any_isomer(mol, 2, seed=5))
    assert not np.array_equal(embed_any_isomer(mol, 1, seed=5), embed_any_isomer(mol, 1, seed=6))


def test_what_rings_cannot_have_is_still_refused() -> None:
    mol = molecule(IMPOSSIBLE)
    assert embed_any_isomer(mol, 1, seed=1).shape == (0, mol.GetNumAtoms(), 3)
    assert embed_many(mol, 1, seed=0).shape == (0, mol.GetNumAtoms(), 3)
    for refused in (embedding, embed):
        with pytest.raises(Refused, match="the embedding failed"):
            refused(mol, seed=0)


def test_a_molecule_without_labels_is_left_to_rdkit() -> None:
    mol = molecule("CCO")
    assert embed_any_isomer(mol, 1, seed=1).shape == (0, mol.GetNumAtoms(), 3)


def test_a_geometry_that_turned_over_in_the_force_field_is_refused() -> None:
    with pytest.raises(Refused, match="changed the stereochemistry"):
        embed(molecule(UNSTABLE), seed=0)

"""Readers of reference conformers: small files in each layout, and the given ones where they are."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")
from rdkit import Chem

from equizoo.data.conformer_files import (
    qm9_training_numbers,
    read_bound_ligands,
    read_ensembles,
    read_hutchison,
    read_qm9_geometries,
)
from equizoo.data.conformers import ConformerSet
from equizoo.data.ensembles import EnsembleSettings, make_ensemble
from equizoo.data.geometry_graphs import order_of_atoms, perceived_bonds, same_bonds
from equizoo.data.molecule_graphs import molecule_graph, stereo_kept
from tests.data.conformer_samples import embedded

DATA = Path(os.environ.get("EQUIZOO_DATA") or Path(__file__).parents[3] / "shared" / "data")


def write_ensembles(
    path: Path, smiles: list[str], conformers: int = 3, first: int = 1, step: int = 1
) -> None:
    pos = [embedded(text, conformers)[1] for text in smiles]
    np.savez(
        path,
        smiles=np.array(smiles),
        index=first + step * np.arange(len(smiles)),
        n_atoms=np.array([p.shape[1] for p in pos], np.int16),
        n_confs=np.full(len(smiles), conformers, np.int16),
        pos=np.concatenate([p.reshape(-1, 3) for p in pos]).astype(np.float32),
        energy=np.tile(np.arange(conformers) * 1.0, len(smiles)),
    )


def write_qm9(folder: Path, molecules: list[tuple[str, str]]) -> None:
    """Write geometries of the first SMILES of each pair, shuffled, with the second SMILES."""
    rng, z, pos = np.random.default_rng(0), [], []
    for smiles, _ in molecules:
        mol, geometries = embedded(smiles, 1)
        order = rng.permutation(mol.GetNumAtoms())
        z.append(np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])[order])
        pos.append(geometries[0][order])
    np.savez(
        folder / "qm9.npz",
        z=np.concatenate(z).astype(np.uint8),
        pos=np.rint(np.concatenate(pos) * 1e5).astype(np.int32),
        pos_step=1e-5,
        n_atoms=np.array([len(one) for one in z], np.uint8),
        targets=np.zeros((len(z), 12)),
        index=np.arange(1, len(z) + 1, dtype=np.int32),
        uncharacterized=np.arange(100_000, 103_054, dtype=np.int32),
    )
    with gzip.open(folder / "qm9_smiles.tsv.gz", "wt") as file:
        file.write("index\tsmiles_gdb17\tsmiles_b3lyp\n")
        file.writelines(f"{k}\t{text}\t{text}\n" for k, (_, text) in enumerate(molecules, 1))


def write_molfiles(path: Path, smiles: list[str], conformers: int) -> None:
    mols, pos = zip(*(embedded(text, conformers) for text in smiles), strict=True)
    for mol in mols:
        Chem.Kekulize(mol, clearAromaticFlags=True)
    bonds = [
        [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(b.GetBondTypeAsDouble())) for b in mol.GetBonds()]
        for mol in mols
    ]
    total = conformers * len(smiles)
    ok = np.ones(total, bool)
    ok[1:2] = conformers < 2
    np.savez(
        path,
        mol_name=np.array([f"m{k}" for k in range(len(smiles))]),
        n_atoms=np.array([mol.GetNumAtoms() for mol in mols], np.int16),
        n_bonds=np.array([len(one) for one in bonds], np.int16),
        n_confs=np.full(len(smiles), conformers, np.int16),
        z=np.concatenate([[a.GetAtomicNum() for a in mol.GetAtoms()] for mol in mols]).astype(np.uint8),
        formal_charge=np.concatenate([[a.GetFormalCharge() for a in mol.GetAtoms()] for mol in mols]),
        bonds=np.concatenate(bonds).astype(np.int16),
        pos=np.rint(np.concatenate([p.reshape(-1, 3) for p in pos]) * 1e4).astype(np.int32),
        pos_step=1e-4,
        conf_graph_ok=ok,
        graph_from_smiles=np.arange(len(smiles)) != 2,
        energy=np.arange(2.0 * total).reshape(total, 2),
        energy_cols=np.array(["b3lyp", "dlpno"]),
    )


def test_ensembles(tmp_path: Path) -> None:
    write_ensembles(tmp_path / "e.npz", ["CCO", "C[C@H](N)CO"], first=40)
    ethanol, other = read_ensembles(tmp_path / "e.npz")
    assert ethanol.conformers.shape == (3, 9, 3)
    assert other.name == "41"
    assert other.energy.tolist() == [0, 1, 2]
    assert stereo_kept(molecule_graph(other.mol), other.conformers).all()


def test_qm9_geometries_come_in_the_order_of_their_smiles(tmp_path: Path) -> None:
    pairs = [(s, s) for s in ("CC(C)O", "C[C@@H]1CO1", "C/C=C/C", "c1ccoc1")]
    pairs[2] = "C/C=C/C", "CC=CC"
    pairs += [("C[C@@H]1CO1", "C[C@H]1CO1"), ("CCO", "COC"), ("CC", "C[CH2]"), ("C", "not a SMILES")]
    write_qm9(tmp_path, pairs)
    found = list(read_qm9_geometries(tmp_path, np.arange(1, 9)))
    assert [one is not None for one in found] == [True] * 4 + [False] * 4
    for one in found[:4]:
        graph = molecule_graph(one.mol)
        assert same_bonds(graph.bonds, graph.z, one.conformers).all()
        assert stereo_kept(graph, one.conformers).all()
    assert molecule_graph(found[2].mol).double_bonds.tolist() == [[0, 1, 2, 3, -1]]
    with pytest.raises(ValueError, match="molecule 9 has no geometry"):
        list(read_qm9_geometries(tmp_path, np.array([9])))


def test_drugs_and_ligands(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    write_molfiles(path, ["C[C@H](N)C(=O)[O-]", "c1ccncc1", "CC"], 3)
    alanine, pyridine = read_hutchison(path)
    assert alanine.smiles == Chem.CanonSmiles("C[C@H](N)C(=O)[O-]")
    assert alanine.conformers.shape == (2, 12, 3)  # one has not the bonds of the graph
    assert alanine.energy.tolist() == [1, 5]
    assert pyridine.conformers.shape == (3, 11, 3)
    assert (molecule_graph(pyridine.mol).bond_order == 4).sum() == 6
    write_molfiles(path, ["CCO", "CN"], 1)
    assert [one.smiles for one in read_bound_ligands(path)] == ["CCO", "CN"]


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    path = tmp_path / "e.npz"
    np.savez(path, smiles=np.array(["C"]))
    for read in (read_ensembles, read_hutchison, read_bound_ligands):
        with pytest.raises(ValueError, match=r"e\.npz is damaged or something else"):
            read(path)
    write_ensembles(path, ["CCO"])
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"smiles": arrays["smiles"].astype(object)}))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_ensembles(path)
    np.savez(path, **(arrays | {"smiles": np.array(["not a SMILES"])}))
    with pytest.raises(ValueError, match=r"e\.npz is damaged or something else: row 0: 'not a SMILES'"):
        read_ensembles(path)
    with pytest.raises(FileNotFoundError, match=r"python -m equizoo\.data\.ensemble_builder"):
        read_ensembles(tmp_path / "none.npz")


def test_ensembles_of_the_builder(tmp_path: Path) -> None:
    path = tmp_path / "built.npz"
    settings = EnsembleSettings(level="mmff", embeddings=4)
    made = [make_ensemble(smiles, settings) for smiles in ("CCO", "C[C@H](N)CO")]
    ConformerSet.of(made).save(path)
    found = read_ensembles(path)
    assert [one.smiles for one in found] == ["CCO", "C[C@H](N)CO"]
    for one, ensemble in zip(found, made, strict=True):
        np.testing.assert_array_equal(one.conformers, ensemble.conformers)
        np.testing.assert_array_equal(one.energy, ensemble.energy)
        assert stereo_kept(molecule_graph(one.mol), one.conformers).all()
    data = ConformerSet.load(path)
    ConformerSet(["OCC", "not a SMILES"], data.counts, data.arrays).save(path)
    with pytest.raises(ValueError, match=r"built\.npz is damaged .* not in the order of 'OCC'"):
        read_ensembles(path)


def test_a_table_without_the_smiles_of_the_geometries(tmp_path: Path) -> None:
    write_qm9(tmp_path, [("CCO", "CCO")])
    path = tmp_path / "qm9_smiles.tsv.gz"
    whole = path.read_bytes()
    with gzip.open(path, "wt") as file:
        file.write("index\tsmiles\n1\tCCO\n")
    with pytest.raises(ValueError, match="has no third column, the SMILES of the geometries"):
        list(read_qm9_geometries(tmp_path, np.array([1])))
    path.write_bytes(whole[:-12])
    with pytest.raises(ValueError, match=r"qm9_smiles\.tsv\.gz is no table of SMILES"):
        list(read_qm9_geometries(tmp_path, np.array([1])))


def test_bonds_of_a_geometry() -> None:
    mol, pos = embedded("C1CC1C#N", 1)
    graph = molecule_graph(mol)
    assert perceived_bonds(graph.z, pos[0]).tolist() == graph.bonds.tolist()
    apart = pos[0].copy()
    apart[0] += 3
    assert order_of_atoms(mol, graph.z, apart) is None
    assert order_of_atoms(mol, graph.z[:-1], pos[0, :-1]) is None
    assert same_bonds(graph.bonds, graph.z, np.stack([pos[0], apart])).tolist() == [True, False]


@pytest.mark.skipif(not (DATA / "qm9xtb_test.npz").exists(), reason="the ensembles are not on this machine")
def test_the_given_ensembles_keep_their_stereochemistry() -> None:
    for one in read_ensembles(DATA / "qm9xtb_test.npz")[::12]:
        assert stereo_kept(molecule_graph(one.mol), one.conformers).all()


@pytest.mark.skipif(not (DATA / "qm9_smiles.tsv.gz").exists(), reason="QM9 itself is not on this machine")
def test_most_given_geometries_are_those_of_their_smiles() -> None:
    found = list(read_qm9_geometries(DATA, qm9_training_numbers(DATA)[::2000]))
    assert sum(one is not None for one in found) > 0.8 * len(found)


@pytest.mark.skipif(
    not (DATA / "drugconf_hutchison.npz").exists(), reason="the drugs are not on this machine"
)
def test_the_given_drugs() -> None:
    drugs = read_hutchison(DATA / "drugconf_hutchison.npz")
    assert len(drugs) > 600
    assert sum(len(one.conformers) for one in drugs) > 6000

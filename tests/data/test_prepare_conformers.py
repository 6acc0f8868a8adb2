"""The files that conformer generators train on, made from small sources."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")

from equizoo.data.conformers import ConformerSet
from equizoo.data.embeddings import embed_many
from equizoo.data.ensembles import EnsembleSettings, make_ensemble
from equizoo.data.molecule_graphs import stereo_kept
from equizoo.data.prepare_conformers import Preparation, main, prepare
from tests.data.conformer_samples import embedded
from tests.data.test_conformer_files import write_ensembles, write_qm9


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with five molecules in QM9, one in the training ensembles, one in the test ensembles."""
    folder = tmp_path / "sources"
    folder.mkdir()
    write_qm9(folder, [(s, s) for s in ("C[C@H](O)C#N", "CC(C)O", "OCC=O", "CC1CC1", "FC1CO1")])
    write_ensembles(folder / "qm9xtb_train.npz", ["CC(C)O", "CCCN"], first=2, step=98)
    write_ensembles(folder / "qm9xtb_test.npz", ["CC1CC1"], 1, first=4)
    return folder


def test_files_and_what_they_hold(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("equizoo.data.prepare_conformers.qm9_training_numbers", lambda _: np.arange(1, 5))
    settings = Preparation(valid=0.5, geometries=4, most_starts=5, heavy=9, farthest=9)
    out = tmp_path / "out"
    report = prepare(sources, out, settings)
    assert sorted(os.listdir(out)) == [
        "conformers-qm9-test.npz",
        "conformers-qm9-train.npz",
        "conformers-qm9-valid.npz",
        "conformers-qm9.json",
    ]
    assert json.loads((out / "conformers-qm9.json").read_text()) == report
    train, valid, test = (
        ConformerSet.load(out / f"conformers-qm9-{p}.npz") for p in ("train", "valid", "test")
    )
    assert set(train.smiles[1:]) == {"C[C@H](O)C#N", "OCC=O"}  # the others are in an ensemble
    assert {train.smiles[0], valid.smiles[0]} == {"CC(C)O", "CCCN"}
    assert [len(data.starts(0)) for data in (train, valid, test)] == [5, 6, 2]
    for data in (train, valid, test):
        for i in range(len(data)):
            starts, references, rmsd = data.pairs(i)
            assert stereo_kept(data.graph(i), starts).all()
            assert stereo_kept(data.graph(i), references).all()
            assert rmsd.max() < 1.5
    counts = report["files"]["conformers-qm9-train.npz"]["left out"]
    assert counts["already in an ensemble"] == 2
    again = prepare(sources, tmp_path / "again", settings)
    assert again == report


def test_starts_of_other_conformers_are_left_out(sources: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equizoo.data.prepare_conformers.qm9_training_numbers", lambda _: np.arange(1, 5))
        report = prepare(sources, tmp_path / "out", Preparation(geometries=4, valid=0.5, heavy=0.0))
    counts = report["files"]["conformers-qm9-train.npz"]["left out"]
    assert counts["no start near the geometry"] == 2
    assert counts["starts of another conformer"] == 4


def test_molecules_of_the_ensembles_are_known_by_number(sources: Path, tmp_path: Path) -> None:
    write_ensembles(sources / "qm9xtb_train.npz", ["CC(C)O", "CCCN"], first=2)  # molecule 3 by another SMILES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equizoo.data.prepare_conformers.qm9_training_numbers", lambda _: np.arange(1, 5))
        settings = Preparation(geometries=4, valid=0.5, heavy=9, farthest=9)
        report = prepare(sources, tmp_path / "out", settings)
    assert report["files"]["conformers-qm9-train.npz"]["left out"]["already in an ensemble"] == 3
    assert "OCC=O" not in ConformerSet.load(tmp_path / "out" / "conformers-qm9-train.npz").smiles


def test_starts_may_be_paired_with_their_own_minima(sources: Path, tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equizoo.data.prepare_conformers.qm9_training_numbers", lambda _: np.arange(1, 5))
        settings = Preparation(start="mmff", ends="xtb", geometries=4, valid=0.5)
        report = prepare(sources, out, settings)
        assert prepare(sources, out, settings) == report  # from the parts that are there
    train = ConformerSet.load(out / "conformers-qm9-mmff-xtb-train.npz")
    assert set(train.smiles[1:]) == {"C[C@H](O)C#N", "O=CCO"}
    for i in (1, 2):
        starts, ends, rmsd = train.pairs(i)
        assert len(starts) == len(train.conformers(i)) and 0 < rmsd.max() < 0.5
        assert stereo_kept(train.graph(i), ends).all()
    with pytest.raises(ValueError, match="needs --start mmff"):
        Preparation(ends="xtb")


def test_ensembles_of_the_builder_are_a_source(sources: Path, tmp_path: Path) -> None:
    made = [make_ensemble(s, EnsembleSettings(level="mmff", embeddings=3)) for s in ("CC(C)O", "CCCN")]
    ConformerSet.of(made).save(sources / "qm9xtb_train.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equizoo.data.prepare_conformers.qm9_training_numbers", lambda _: np.arange(1, 5))
        settings = Preparation(geometries=4, valid=0.5, heavy=9, farthest=9)
        report = prepare(sources, tmp_path / "out", settings)
    assert report["files"]["conformers-qm9-train.npz"]["molecules"] == 3
    assert report["files"]["conformers-qm9-valid.npz"]["molecules"] == 1


def test_embeddings_repeat_and_keep_the_stereochemistry() -> None:
    mol = embedded("C[C@H](F)Cl", 1)[0]
    assert np.array_equal(embed_many(mol, 3, seed=5), embed_many(mol, 3, seed=5))
    assert not np.array_equal(embed_many(mol, 3, seed=5), embed_many(mol, 3, seed=6))
    first, second, _ = embed_many(mol, 3, seed=0)
    assert not np.array_equal(first, second)
    from rdkit import Chem

    impossible = Chem.AddHs(Chem.MolFromSmiles("[C@H]12C[C@@H]1C[C@@H]2C"))
    assert embed_many(impossible, 2, seed=0).shape[1:] == (impossible.GetNumAtoms(), 3)


def test_the_command_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("EQUIZOO_DATA", raising=False)
    assert main(["--out", str(tmp_path)]) == 2
    assert "set EQUIZOO_DATA" in caplog.text
    assert main(["--out", str(tmp_path), "--data", str(tmp_path)]) == 2
    assert "qm9xtb_train.npz" in caplog.text

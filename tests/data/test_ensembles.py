"""Making ensembles: what is kept, what is refused, and a builder that continues where it stopped."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")

from equizoo.data import ensemble_builder
from equizoo.data.conformer_metrics import best_rmsds
from equizoo.data.conformers import ConformerSet
from equizoo.data.ensemble_builder import build_ensembles, main
from equizoo.data.ensembles import EnsembleSettings, NoEnsemble, make_ensemble
from equizoo.data.geometry_graphs import same_bonds
from equizoo.data.molecule_graphs import stereo_kept

CHEAP = EnsembleSettings(level="mmff", embeddings=12)


def test_conformers_are_different_and_in_order() -> None:
    ensemble = make_ensemble("C[C@H](O)CC#N", CHEAP)
    graph, pos = ensemble.graph, ensemble.conformers
    assert len(pos) > 2
    assert ensemble.energy[0] == 0
    assert (np.diff(ensemble.energy) >= 0).all()
    assert ensemble.energy.max() <= CHEAP.window
    assert stereo_kept(graph, pos).all()
    assert same_bonds(graph.bonds, graph.z, pos).all()
    heavy = pos[:, graph.heavy]
    rmsds = best_rmsds(heavy, heavy, np.arange(len(graph.heavy))[None])
    apart = np.abs(ensemble.energy[:, None] - ensemble.energy[None]) >= CHEAP.same_energy
    assert (apart | (rmsds >= CHEAP.same_rmsd) | np.eye(len(pos), dtype=bool)).all()


def test_the_same_seed_makes_the_same_ensemble() -> None:
    first, again = (make_ensemble("CCCO", CHEAP).conformers for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("nonsense", "no SMILES"),
        ("", "no SMILES"),
        ("CCO.O", "more than one fragment"),
        ("CC[NH3+]", "charged or has radicals"),
        ("C[CH2]", "charged or has radicals"),
        ("CC(F)Cl", "stereochemistry is not specified"),
        ("C[Se]C[SiH3]", "MMFF94 has no parameters"),
        ("C$C", "a bond is QUADRUPLE"),
        ("C~C", "a bond is UNSPECIFIED"),
    ],
)
def test_what_no_ensemble_is_made_for(smiles: str, reason: str) -> None:
    with pytest.raises(NoEnsemble, match=reason):
        make_ensemble(smiles, CHEAP)


@pytest.mark.parametrize("smiles", ["C1CN2CCC1CC2", "C1CC2CCC1C2", "CN=C=O", "CC=C=C"])
def test_bridgeheads_and_cumulated_bonds_need_no_labels(smiles: str) -> None:
    assert len(make_ensemble(smiles, CHEAP).conformers)


def test_settings_that_mean_nothing() -> None:
    with pytest.raises(ValueError, match="the levels are mmff, xtb"):
        EnsembleSettings(level="dft")
    with pytest.raises(ValueError, match="must be positive"):
        EnsembleSettings(embeddings=0)


def test_tight_binding_minima() -> None:
    pytest.importorskip("tblite")
    pytest.importorskip("ase")
    ensemble = make_ensemble("CCO", EnsembleSettings(embeddings=6, most=3))
    assert 1 <= len(ensemble.conformers) <= 2  # anti and gauche
    carbon_oxygen = np.linalg.norm(ensemble.conformers[0, 1] - ensemble.conformers[0, 2])
    assert carbon_oxygen == pytest.approx(1.41, abs=0.02)


def test_a_builder_continues_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smiles, out = ["CCO", "C[CH2]", "CCN", "CCF", "CO"], tmp_path / "made.npz"
    made: list[str] = []

    def stopping(one: str, settings: EnsembleSettings):
        if one == "CCF" and "CCF" not in made:
            made.append(one)
            raise KeyboardInterrupt
        made.append(one)
        return make_ensemble(one, settings)

    monkeypatch.setattr(ensemble_builder, "make_ensemble", stopping)
    with pytest.raises(KeyboardInterrupt):
        build_ensembles(smiles, out, CHEAP, part_size=2)
    assert not out.exists()
    reasons = build_ensembles(smiles, out, CHEAP, part_size=2)
    assert made == ["CCO", "C[CH2]", "CCN", "CCF", "CCN", "CCF", "CO"]
    assert reasons == {"C[CH2]": "it is charged or has radicals"}
    assert ConformerSet.load(out).smiles == ["CCO", "CCN", "CCF", "CO"]
    with pytest.raises(ValueError, match="belongs to other molecules or settings"):
        build_ensembles(smiles[:2], out, CHEAP, part_size=2)


def test_two_processes_make_what_one_makes(tmp_path: Path) -> None:
    smiles = ["CCO", "CCN"]
    build_ensembles(smiles, tmp_path / "one.npz", CHEAP, part_size=1)
    build_ensembles(smiles, tmp_path / "two.npz", CHEAP, processes=2, part_size=1)
    one, two = (ConformerSet.load(tmp_path / name) for name in ("one.npz", "two.npz"))
    np.testing.assert_array_equal(one.arrays["pos"], two.arrays["pos"])


def test_each_process_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    libraries = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    with ensemble_builder._one_thread(), multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(os.getenv, libraries) == ["1"] * 3
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ


def test_the_command(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    listed, out = tmp_path / "molecules.smi", tmp_path / "made.npz"
    listed.write_text("CO methanol\n\nCC[O-] ethanolate\n")
    assert main([str(listed), "--out", str(out), "--level", "mmff", "--embeddings", "3"]) == 0
    assert ConformerSet.load(out).smiles == ["CO"]
    assert main([str(tmp_path / "none.smi"), "--out", str(out)]) == 2
    assert "none.smi" in caplog.text


def test_a_bond_of_an_unknown_kind_does_not_end_the_build(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    listed, out = tmp_path / "molecules.smi", tmp_path / "made.npz"
    listed.write_text("CCO\nC$C\nC~C\nC$C\nCO\n")  # one that is refused is there twice
    assert main([str(listed), "--out", str(out), "--level", "mmff", "--embeddings", "3"]) == 0
    assert ConformerSet.load(out).smiles == ["CCO", "CO"]
    assert "C$C: a bond is QUADRUPLE" in caplog.text
    assert "made.npz: 2 molecules" in caplog.text

"""Generated conformers beside RDKit's, and what is written about them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")
from rdkit import Chem

from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.embeddings import relax_mmff
from equizoo.data.molecule_graphs import molecule_graph
from equizoo.training import ensembles as measuring
from equizoo.training.config import ConfigError
from equizoo.training.ensembles import Known, ensembles, force_field, measured, subjects
from equizoo.training.loop import train
from equizoo.training.publish import publish
from equizoo.training.runfolder import RunFolder
from equizoo.training.variants import load_trained
from tests.data.conformer_samples import embedded
from tests.training.test_conformers import tiny


def relaxed(smiles: str) -> Known:
    mol, pos = embedded(smiles, 8)
    mol = Chem.RenumberAtoms(mol, list(range(mol.GetNumAtoms()))[::-1])
    conformers, energy = relax_mmff(mol, pos[:, ::-1])
    return Known(Ensemble.of(smiles, molecule_graph(mol), conformers, energy), mol)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(tiny(budget__epochs=1), folder, progress=False)
    return folder


def test_minima_of_a_force_field_are_found_by_it_and_not_by_their_starts() -> None:
    chosen = subjects([relaxed(s) for s in ("CCCO", "C[C@H](N)CO")], None, 8)
    starts = measured(chosen, lambda subject: subject.starts, 0.5)
    minima = measured(chosen, force_field, 0.5)
    assert minima["amr_p"]["mean"] < starts["amr_p"]["mean"]
    assert minima["seconds"] > starts["seconds"] > 0
    assert starts["stereo"] == minima["stereo"] == 1


def test_without_parameters_the_starts_stay() -> None:
    mol, pos = embedded("[SiH3][Se]C", 2)
    one = Known(Ensemble.of("[SiH3][Se]C", molecule_graph(mol), pos), mol)
    (subject,) = subjects([one], None, 4)
    assert np.array_equal(force_field(subject), subject.starts)


def test_all_ways_are_measured_on_the_same_molecules_and_published(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "STEPS", (1, 2))
    others = {"Others": ([relaxed("CCO")], 0.75)}
    report = ensembles(load_trained(run), others=others, limit=3)
    first, second = report["sets"]
    assert (first["molecules"], second["molecules"], second["threshold"]) == (3, 1, 0.75)
    assert set(first["rows"]) == {"ETKDG", "ETKDG + MMFF94", "`equivariant`", "`partial`"}
    assert set(report["steps"]) == {"1 step", "2 steps"}
    RunFolder(run).write_measured(measuring.FILE, report)
    folder = publish(run, tmp_path / "checkpoint", recipe="conformer-qm9-ace")
    assert json.loads((folder / "results.json").read_text())["ensembles"] == report


def test_other_tasks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="measured for conformers only"):
        ensembles(load_trained("segnn-nbody-strict", {"synthetic": 8}))

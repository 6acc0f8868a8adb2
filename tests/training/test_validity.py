"""How sound the conformers of a run are, and what is written about it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("posebusters")
pytest.importorskip("tblite")
from equizoo.data.conformer_validity import HYDROGENS
from equizoo.data.tight_binding import tight_binding_energies
from equizoo.training import validity as measuring
from equizoo.training.config import ConfigError
from equizoo.training.ensembles import FILE, Subject, force_field, subjects
from equizoo.training.loop import train
from equizoo.training.runfolder import RunFolder
from equizoo.training.validity import REFERENCES, energies, examined, main, soundness, validity
from equizoo.training.variants import load_trained
from tests.training.test_conformers import tiny
from tests.training.test_ensembles import relaxed


@pytest.fixture(scope="module")
def propanol() -> Subject:
    return subjects([relaxed("CCCO")], None, 1)[0]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose test molecule is ethanol: made-up chains have no hydrogens."""
    train(tiny("conformer-qm9-strict", budget__epochs=1, data__synthetic=8), tmp_path, progress=False)
    monkeypatch.setattr(measuring, "of_set", lambda conformers: [relaxed("CCO")])
    return tmp_path


def test_broken_conformers_are_counted(propanol: Subject) -> None:
    sound = propanol.ensemble.conformers[:1].astype(float)
    heavy = propanol.ensemble.graph.heavy
    stretched = sound.copy()
    stretched[0, heavy[0]] += 0.7 * (sound[0, heavy[0]] - sound[0, heavy[1]])
    ways = {
        "sound": lambda subject: sound,
        "broken": lambda subject: np.concatenate([sound, 1.5 * sound, stretched, sound]),
    }
    rows = examined([propanol], ways, 3)
    assert (rows["sound"]["conformers"], rows["sound"]["passed_hydrogens"]) == (1, 1)
    found = rows["broken"]
    assert found["conformers"] == 3
    assert found["passed"] == found["passed_hydrogens"] == pytest.approx(1 / 3)
    assert found["failed"]["bond lengths"] == pytest.approx(2 / 3)
    assert found["failed"]["bond lengths" + HYDROGENS] == pytest.approx(2 / 3)


def test_a_check_that_cannot_be_made_is_not_failed() -> None:
    checks = {"bond lengths": np.array([1.0, 0.0]), "internal energy": np.array([np.nan, 1.0])}
    found = soundness([checks, {"bond lengths": np.ones(1), "internal energy": np.zeros(1)}])
    assert found["passed"] == pytest.approx(1 / 3)
    assert found["failed"] == pytest.approx({"bond lengths": 1 / 3, "internal energy": 1 / 3})


def test_energies_fall_and_a_force_field_is_nearer_to_the_minimum(propanol: Subject) -> None:
    graph = propanol.ensemble.graph
    lowest = [tight_binding_energies(graph.z, propanol.ensemble.conformers).min()]
    starts = energies([propanol], [propanol.starts], lowest)
    minima = energies([propanol], [force_field(propanol)], lowest)
    assert starts["strain"]["mean"] > minima["strain"]["mean"] > 0
    assert minima["before"]["mean"] - minima["after"]["mean"] == pytest.approx(minima["strain"]["mean"])
    assert starts["moved"]["mean"] > minima["moved"]["mean"] > 0
    assert minima["conformers"] == 2
    assert -0.1 < minima["before"]["mean"] < 10


def test_conformers_without_a_solution_are_left_out(propanol: Subject) -> None:
    broken = np.zeros_like(propanol.starts)
    found = energies([propanol], [np.concatenate([propanol.starts[:1], broken[:1]])], [0.0])
    assert found["conformers"] == 1
    with pytest.raises(ValueError, match="no solution for any"):
        energies([propanol], [broken], [0.0])


def test_the_part_is_added_to_what_stands(run: Path) -> None:
    RunFolder(run).write_measured(FILE, {"sets": [{"title": "Test molecules"}], "steps": {}})
    assert main([str(run), "--conformers", "1"]) == 0
    written = json.loads((run / FILE).read_text())
    assert written["sets"] == [{"title": "Test molecules"}]
    (part,) = written["validity"]
    assert list(part["rows"]) == [REFERENCES, "ETKDG", "ETKDG + MMFF94", "`equivariant`"]
    assert {row["conformers"] for row in part["rows"].values()} == {1}
    assert part["rows"][REFERENCES]["passed"] == 1
    assert part["rows"]["ETKDG"]["energy"]["strain"]["mean"] > 0


def test_energies_are_of_the_test_molecules_only(run: Path) -> None:
    first, second = validity(load_trained(run), others={"Others": [relaxed("CCN")]}, conformers=2)
    assert all("energy" in row for row in first["rows"].values())
    assert second["title"] == "Others"
    assert not any("energy" in row for row in second["rows"].values())
    assert second["rows"]["ETKDG"]["conformers"] == 2


def test_nothing_to_measure_is_refused(run: Path) -> None:
    with pytest.raises(ValueError, match="1 or more, got 0 and 2"):
        validity(load_trained(run), limit=0)


def test_a_folder_without_a_run_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_other_tasks_are_refused() -> None:
    with pytest.raises(ConfigError, match="measured for conformers only"):
        validity(load_trained("segnn-nbody-strict", {"synthetic": 8}))

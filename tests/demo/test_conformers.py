"""Conformers on the page: what the process answers, and what is shown of it."""

import base64
import re

import numpy as np
import pytest

from equizoo.demo import conformer_worker, conformers
from equizoo.demo.answering import Declined
from equizoo.demo.processes import Worker
from tests.pipelines.conformer_samples import build

REQUEST = {"model": "small", "n": 4, "seed": 0, "steps": 2}


@pytest.fixture
def answer(monkeypatch):
    """Return the answers of a flow that needs no training."""
    monkeypatch.setattr(conformer_worker, "_pipeline", lambda _: build())
    return lambda **source: conformer_worker.answer({**REQUEST, **source})


def test_conformers_are_laid_over_each_other_and_written(answer):
    reply = answer(smiles="OCCCF")
    pos, z = np.array(reply["positions"]), np.array(reply["z"])
    assert 1 < len(pos) <= 4 and pos.shape[1:] == (len(z), 3)
    assert reply["energies"][0] == 0 and len(reply["bonds"]) == len(z) - 1
    scene = conformers.scene(reply)
    heavy = int((z > 1).sum())
    assert len(scene["points"]) == len(z) + (len(pos) - 1) * heavy
    assert np.array(scene["bonds"])[:, :2].max() < len(scene["points"])
    shown = conformers.summary(reply)
    assert shown.count("<tr>") == 1 + len(pos)
    data = re.search(r"base64,([^\"]+)", shown)[1]
    assert base64.b64decode(data).decode().count("$$$$") == len(pos)


def test_what_is_no_molecule_is_refused(answer, tmp_path):
    (tmp_path / "no.sdf").write_text("no molecule")
    (tmp_path / "no.xyz").write_text("1\n\nHe 0 0 0\n")
    assert "not a valid SMILES" in answer(smiles="C1CC")["error"]
    assert "not a valid SMILES" in answer(smiles=str(tmp_path / "no.sdf"))["error"]
    assert "not a valid SMILES" in answer(smiles=str(tmp_path))["error"]
    assert answer(path=str(tmp_path / "no.sdf"))["error"]
    assert "bonds" in answer(path=str(tmp_path / "no.xyz"))["error"]


def test_a_request_that_is_stopped_ends():
    worker = Worker("equizoo.demo.conformer_worker", "molecule", 1e-3)
    worker.interrupt()  # nothing runs: nothing happens
    conformers.stop("nobody")
    with pytest.raises(Declined, match="no model"):
        conformers.make("me", "CCO", None, "unknown", 1, 0, 1)

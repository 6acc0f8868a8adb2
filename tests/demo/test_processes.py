"""The processes that read what strangers send."""

import json

import pytest

from equizoo.demo import processes
from equizoo.demo.answering import Declined

METHANE = {"smiles": "C", "elements": ("H", "C", "O"), "max_atoms": 9, "seed": 0}
WATER = {**METHANE, "smiles": "O"}


@pytest.fixture
def worker():
    """Return a process that reads molecules."""
    worker = processes.Worker("equizoo.demo.molecule_worker", "molecule", 60.0)
    yield worker
    worker.close()


def test_a_worker_that_takes_too_long_is_ended_and_replaced(worker):
    worker.seconds = 0.0
    with pytest.raises(Declined, match="the molecule took more than 0 s; try a smaller one"):
        worker.ask({**METHANE, "smiles": "C" * 60, "max_atoms": 200})
    worker.seconds = 60.0
    assert worker.ask(METHANE)["z"] == [6, 1, 1, 1, 1]
    worker._process.kill()
    worker._process.wait()
    with pytest.raises(Declined, match="cannot be read"):
        worker.ask({**METHANE, "smiles": 3})
    with pytest.raises(Declined, match="not a valid SMILES"):
        worker.ask({**METHANE, "smiles": "C1CC"})


def test_nobody_gets_the_reply_to_another_request(worker, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Declined, match="did not start in 0 s"):
        patch.setattr(processes, "START_SECONDS", 0.0)
        worker.ask(METHANE)
    assert worker.ask(METHANE)["z"] == [6, 1, 1, 1, 1]
    worker._process.stdin.write(json.dumps({**METHANE, "id": 0}) + "\n")  # its reply comes too late
    with pytest.raises(Declined, match="could not be read; try another one"):
        worker.ask(WATER)
    assert worker.ask(WATER)["z"] == [8, 1, 1]

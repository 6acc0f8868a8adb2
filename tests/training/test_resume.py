"""A run that is broken and resumed is the run that was not broken, bit for bit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from equizoo.training.config import ConfigError
from equizoo.training.loop import train
from equizoo.training.runfolder import RunFolder
from equizoo.training.state import load_state

CLOCKS = ("seconds", "evaluation_seconds")


def outcome(path):
    """Everything of a run that does not depend on the clock."""
    folder = RunFolder(path)
    rows = [{k: v for k, v in row.items() if k not in CLOCKS} for row in folder.read_metrics()]
    best = [folder.best(v).read_bytes() for v in ("equivariant", "partial") if folder.best(v).is_file()]
    state = load_state(folder.state)
    tensors = {f"{part}/{k}": v for part in ("model", "average", "method") for k, v in state[part].items()}
    moments = [
        value
        for optimiser in state["optimisers"]
        for entry in optimiser["state"].values()
        for value in entry.values()
    ]
    return rows, best, tensors, moments, state["rng"]["torch"]


def assert_same(one, other):
    assert one[0] == other[0]
    assert one[1] == other[1]
    assert one[2].keys() == other[2].keys()
    assert all(torch.equal(one[2][key], other[2][key]) for key in one[2])
    assert all(
        torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(one[3], other[3], strict=True)
    )
    assert torch.equal(one[4], other[4])


def start(config, folder, *options):
    recipe = folder.parent / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(config.to_dict()))
    command = [
        sys.executable,
        "-m",
        "equizoo.training",
        str(recipe),
        "--out",
        str(folder),
        "--quiet",
        *options,
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603


def wait_for(process, condition):
    deadline = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "the run did not get there in four minutes"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "method",
    [
        {"name": "none"},
        {"name": "ace-equality"},
        {"name": "cr"},
        {"name": "recm", "state_size": 4, "width": 8},
        {"name": "ace-resilient", "dual_optimizer": "sgd", "gamma_lr": 0.01},
    ],
    ids=lambda method: method["name"],
)
def test_stopping_at_any_step_changes_nothing(tiny, tmp_path, method):
    config = tiny().replace(method=method, budget__epochs=2, budget__batch_size=32)
    whole = train(config, tmp_path / "whole", progress=False)
    assert (whole.status, whole.epoch, whole.step) == ("finished", 2, 4)
    piece = config.replace(budget__max_minutes=0.0)
    for step in range(1, 4):
        result = train(piece, tmp_path / "pieces", resume=True, progress=False)
        assert (result.status, result.reason, result.step) == ("stopped", "max_minutes", step)
    assert train(piece, tmp_path / "pieces", resume=True, progress=False).status == "finished"
    assert_same(outcome(tmp_path / "pieces"), outcome(tmp_path / "whole"))


@pytest.mark.parametrize("method", ["ace", "cr", "recm"])
def test_stopping_a_run_with_rotations_changes_nothing(tiny_particles, tmp_path, method):
    config = tiny_particles(
        f"segnn-nbody-{method}", data__rotate=True, budget__epochs=2, budget__batch_size=32
    )
    whole = train(config, tmp_path / "whole", progress=False)
    piece = config.replace(budget__max_minutes=0.0)
    for step in range(1, whole.step + 1):
        assert train(piece, tmp_path / "pieces", resume=True, progress=False).step == step
    assert_same(outcome(tmp_path / "pieces"), outcome(tmp_path / "whole"))


def test_kill_9_in_the_middle_changes_nothing(tiny, tmp_path):
    config = tiny().replace(budget__epochs=20, evaluation__state_minutes=0.0, optimiser__name="muon")
    process = start(config, tmp_path / "killed")
    folder = RunFolder(tmp_path / "killed")
    wait_for(process, lambda: folder.metrics.is_file() and len(folder.read_metrics()) >= 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    step = load_state(folder.state)["step"]
    assert 0 < step < 80
    assert train(config, tmp_path / "killed", resume=True, progress=False).status == "finished"
    train(config, tmp_path / "whole", progress=False)
    assert_same(outcome(tmp_path / "killed"), outcome(tmp_path / "whole"))


def test_sigterm_stops_cleanly(tiny, tmp_path):
    config = tiny().replace(budget__epochs=10_000)
    process = start(config, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    wait_for(process, folder.metrics.is_file)
    process.terminate()
    _, messages = process.communicate(timeout=240)
    assert process.returncode == 143, messages
    assert "stopped" in messages
    state = load_state(folder.state)
    assert state["step"] > 0
    assert len(state["rows"]) == state["step"] // 4


def test_a_folder_with_a_run_is_not_overwritten(tiny, tmp_path):
    config = tiny().replace(budget__epochs=1)
    train(config, tmp_path / "run", progress=False)
    with pytest.raises(ConfigError, match="--resume"):
        train(config, tmp_path / "run", progress=False)
    with pytest.raises(ConfigError, match="seed was 0, now 1"):
        train(config.replace(seed=1), tmp_path / "run", resume=True, progress=False)


def test_a_run_goes_on_with_its_own_data_only(tiny, tmp_path):
    config, folder = tiny().replace(budget__epochs=1), RunFolder(tmp_path / "run")
    train(config, folder.path, progress=False)
    folder.write_config(config.replace(provenance={"data_sha256": "0" * 64}))
    with pytest.raises(ConfigError, match="was trained on other data"):
        train(config, folder.path, resume=True, progress=False)
    assert folder.read_config().provenance == {"data_sha256": "0" * 64}


def test_a_longer_budget_continues_a_finished_run(tiny, tmp_path, caplog):
    config = tiny().replace(budget__epochs=1, schedule__name="constant")
    train(config, tmp_path / "run", progress=False)
    longer = config.replace(budget__epochs=2)
    assert train(longer, tmp_path / "run", resume=True, progress=False).epoch == 2
    assert "other values of budget.epochs" in caplog.text
    train(longer, tmp_path / "whole", progress=False)
    assert outcome(tmp_path / "run")[0][-1] == outcome(tmp_path / "whole")[0][-1]

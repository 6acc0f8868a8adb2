"""Runs that go wrong end with a clear message and a good state."""

from __future__ import annotations

import json
import math

import pytest
import torch

from equizoo.training.config import ConfigError
from equizoo.training.loop import train
from equizoo.training.runfolder import RunFolder
from equizoo.training.state import load_state
from equizoo.training.trainer import Diverged, Trainer


def test_a_loss_that_is_not_a_number_stops_the_run(tiny, tmp_path):
    config = tiny(optimiser__name="sgd", optimiser__lr=1e30, optimiser__clip=None)
    with pytest.raises(
        Diverged, match=r"the loss is (nan|inf) at step \d+ .*last good state.*A smaller optimiser.lr"
    ):
        train(config, tmp_path, progress=False)
    folder = RunFolder(tmp_path)
    state = load_state(folder.state)
    assert all(value.isfinite().all() for value in state["model"].values() if value.is_floating_point())
    result = json.loads(folder.result.read_text())
    assert result["status"] == "diverged"
    assert result["best"] == {}


def test_a_loss_far_above_the_first_stops_the_run(tiny, tmp_path):
    config = tiny(optimiser__name="adam", optimiser__lr=0.5, budget__max_loss_ratio=1.0)
    with pytest.raises(Diverged, match="more than 1 times the first one"):
        train(config, tmp_path, progress=False)


def test_a_state_with_bad_weights_is_not_written(tiny, tmp_path):
    trainer = Trainer(tiny(), RunFolder(tmp_path))
    trainer.train_step()
    trainer.save()
    before = trainer.folder.state.read_bytes()
    with torch.no_grad():
        next(trainer.model.parameters())[0] = math.nan
    with pytest.raises(Diverged, match="is not finite at step 1"):
        trainer.save()
    assert trainer.folder.state.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__task": "qm8"}, "did you mean 'qm9'"),
        ({"data__target": "gap"}, "unknown key 'data.target'; did you mean 'targets'"),
        ({"data__targets": ["gapp"]}, "did you mean 'gap'"),
        ({"data__energies": "relative"}, "'atomization' or 'total'"),
        ({"data__loss": "l3"}, "did you mean 'l1'"),
        ({"data__split_seed": "mine"}, "a number, 'run' or null"),
        ({"data__weights": {"gapp": 1.0}}, "did you mean 'gap'"),
        ({"model__hiden": 3}, "model: .*hidden"),
        ({"model__family": "shcnet"}, "model: .*schnet"),
        ({"model__aggregations": {"gapp": "sum"}}, "did you mean 'gap'"),
        ({"model__aggregations": ["sum", "sum", "sum"]}, "2 targets need 2 aggregations, got 3"),
        ({"method__name": "ace-equalty"}, "method: .*ace-equality"),
        ({"method__dual_rl": 1.0}, "method: .*dual_lr"),
        ({"optimiser__name": "adm"}, "did you mean 'adam'"),
        ({"schedule__name": "steps"}, "unknown schedule 'steps'"),
        ({"device": "tpu"}, "auto, cpu or cuda"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named_before_training(tiny, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        train(tiny(**changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()

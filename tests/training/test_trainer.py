"""One step of the engine: what is called, in which order, and what a saved run brings back."""

from __future__ import annotations

import pytest
import torch

from equizoo.relaxation.schedule import SCHEDULES
from equizoo.training.runfolder import RunFolder
from equizoo.training.schedule import lr_factor
from equizoo.training.trainer import Trainer

PLAIN = {"schedule__name": "constant", "schedule__warmup_steps": 0}


def test_lambda_climbs_by_the_gamma_of_the_forward_pass(tiny, tmp_path):
    method = {"name": "ace-equality", "dual_optimizer": "sgd", "dual_lr": 0.1}
    trainer = Trainer(tiny(**PLAIN).replace(method=method), RunFolder(tmp_path))
    before = trainer.method.gammas.detach().clone()
    trainer.train_step()
    torch.testing.assert_close(trainer.method.dual, 0.1 * before)
    assert (trainer.method.gammas != before).all()


def test_a_scheduled_gamma_follows_the_steps(tiny, tmp_path):
    trainer = Trainer(tiny(**PLAIN).replace(method={"name": "cr", "theta": 0.5}), RunFolder(tmp_path))
    for step in range(trainer.total_steps):
        trainer.train_step()
        expected = 0.5 * SCHEDULES["triangular"](step / trainer.total_steps)
        assert trainer.method.gammas.tolist() == pytest.approx([expected] * 2)


def test_a_modulated_gamma_is_read_from_the_state(tiny, tmp_path):
    config = tiny(**PLAIN).replace(method={"name": "recm", "state_size": 4, "width": 8})
    trainer = Trainer(config, RunFolder(tmp_path))
    before = trainer.method.gammas.detach().clone()
    for _ in range(3):
        trainer.train_step()
        for gamma, layer in zip(trainer.method.gammas, trainer.method.states, strict=True):
            assert torch.equal(gamma, layer.readout @ layer.state)
            assert layer.readout.norm() < 1 + 1e-6
    assert (trainer.method.gammas != before).all()


@pytest.mark.parametrize("clip", [0.01, None])
def test_no_step_is_longer_than_its_clipped_gradient(tiny, tmp_path, clip):
    changes = {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0, "lr": 0.5, "clip": clip}
    config = tiny(**PLAIN, **{f"optimiser__{key}": value for key, value in changes.items()})
    trainer = Trainer(config, RunFolder(tmp_path))
    before = [p.detach().clone() for p in trainer.optimisers.parameters]
    trainer.train_step()
    moves = [p.detach() - q for p, q in zip(trainer.optimisers.parameters, before, strict=True)]
    length = torch.cat([move.flatten() for move in moves]).norm().item()
    assert (length <= 0.5 * 0.01 * 1.001) == (clip is not None)


def test_learning_rates_follow_the_schedule(tiny, tmp_path):
    config = tiny(schedule__name="cosine", schedule__final=0.1, optimiser__name="muon", model__hidden=16)
    trainer = Trainer(config, RunFolder(tmp_path))
    assert len(trainer.optimisers.optimisers) == 2
    seen = []
    for step in range(trainer.total_steps):
        trainer.train_step()
        factor = lr_factor(config.schedule, step, trainer.total_steps)
        for optimiser, rate in zip(
            trainer.optimisers.optimisers, (config.optimiser.lr, config.optimiser.muon_lr), strict=True
        ):
            assert [group["lr"] for group in optimiser.param_groups] == pytest.approx(
                [rate * factor] * len(optimiser.param_groups)
            )
        seen.append(factor)
    assert seen[:2] == [0.5, 1.0] and 0.1 < seen[-1] < 0.2


def test_a_loaded_run_is_where_it_was_saved(tiny, tmp_path):
    trainer = Trainer(tiny(), RunFolder(tmp_path))
    trainer.train_step()
    trainer.evaluate()
    trainer.train_step()
    trainer.seconds, trainer.cpu_seconds = 1.5, 2.5
    trainer.save()
    names = (
        "step", "rows", "best", "loss_sum", "penalty_sum", "loss_count", "first_loss", "seconds",
        "cpu_seconds",
    )  # fmt: skip
    fresh = Trainer(tiny(), RunFolder(tmp_path))
    assert not [name for name in names if getattr(fresh, name) == getattr(trainer, name)]
    fresh.load()
    assert not [name for name in names if getattr(fresh, name) != getattr(trainer, name)]

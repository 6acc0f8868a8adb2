"""Schedules, weight averages, samplers, optimisers, states."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from equizoo.nn.coupling import CouplingTable
from equizoo.nn.tensor_product import TensorProduct
from equizoo.training.config import ConfigError, OptimiserConfig, ScheduleConfig
from equizoo.training.ema import WeightAverage
from equizoo.training.optim import Optimisers
from equizoo.training.sampler import Sampler
from equizoo.training.schedule import lr_factor
from equizoo.training.state import StateError, load_state, rng_state, save_state, set_rng_state


def test_cosine_with_warmup():
    config = ScheduleConfig("cosine", warmup_steps=10, final=0.1)
    factors = [lr_factor(config, step, 110) for step in range(111)]
    assert factors[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert factors[60] == pytest.approx(0.55)
    assert factors[110] == pytest.approx(0.1)
    assert all(a >= b for a, b in pairwise(factors[10:]))


def test_multistep_and_constant():
    config = ScheduleConfig("multistep", milestones=[0.5, 0.9], decay=0.1)
    assert [lr_factor(config, s, 100) for s in (0, 49, 50, 89, 90)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert lr_factor(ScheduleConfig("constant"), 99, 100) == 1.0
    with pytest.raises(ConfigError, match="did you mean 'cosine'"):
        lr_factor(ScheduleConfig("cosin"), 0, 1)


def test_weight_average_follows_parameters_and_copies_buffers():
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, 0.5)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.running_mean.fill_(1.0)
        model.num_batches_tracked.fill_(4)
    average.update()
    assert average.state_dict()["running_mean"].tolist() == [1.0, 1.0]
    assert average.state_dict()["weight"].tolist() == pytest.approx([2.8, 2.8])  # (1 + t) / (10 + t) at t = 0
    for _ in range(20):
        average.update()
    assert int(average.state_dict()["num_batches_tracked"]) == 4
    with torch.no_grad():
        model.weight.fill_(7.0)
    with average.swapped() as swapped:
        assert swapped.weight.tolist() == pytest.approx([3.0, 3.0], abs=1e-4)
    assert model.weight.tolist() == [7.0, 7.0]
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        WeightAverage(model, 1.0)


def test_weight_average_ends_at_its_decay():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, 0.9)
    for value, updates in ((0.0, 200), (1.0, 1)):
        nn.init.constant_(model.weight, value)
        for _ in range(updates):
            average.update()
    assert average.state_dict()["weight"].item() == pytest.approx(0.1)


def test_weight_average_of_decay_0_is_the_model():
    model = nn.Linear(2, 2)
    average = WeightAverage(model, 0.0)
    with torch.no_grad():
        model.weight.mul_(1.7)
    average.update()
    assert torch.equal(average.state_dict()["weight"], model.weight)


def test_an_epoch_visits_every_sample_once_and_epochs_differ():
    sampler = Sampler(12, 4, seed=3)
    epochs = [torch.cat([sampler.batch(3 * e + k) for k in range(3)]) for e in range(2)]
    assert all(sorted(epoch.tolist()) == list(range(12)) for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
    assert Sampler(12, 4, seed=3).batch(4).tolist() == sampler.batch(4).tolist()
    assert Sampler(12, 4, seed=4).batch(0).tolist() != sampler.batch(0).tolist()


def test_processes_share_a_batch():
    whole = Sampler(10, 4, seed=0)
    parts = [Sampler(10, 4, seed=0, rank=r, world=2) for r in range(2)]
    for step in range(4):
        together = sorted(torch.cat([part.batch(step) for part in parts]).tolist())
        assert together == sorted(whole.batch(step).tolist())
    with pytest.raises(ValueError, match="divided among 3"):
        Sampler(10, 4, seed=0, world=3)
    with pytest.raises(ValueError, match="empty"):
        Sampler(0, 4, seed=0)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "muon"])
def test_optimisers_reduce_a_loss_and_leave_out_what_is_owned(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    owned = model[2].bias
    before = owned.detach().clone()
    extra = nn.Parameter(torch.zeros(3))
    optimisers = Optimisers(OptimiserConfig(name, lr=0.02, clip=None), model, [extra], {owned})
    assert any(p is extra for p in optimisers.parameters)
    x = torch.randn(64, 16)
    y = x[:, :1].sin()
    losses = []
    for _ in range(60):
        loss = (model(x) - y).square().mean()
        optimisers.zero_grad()
        loss.backward()
        optimisers.step(factor=0.5)
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert torch.equal(owned, before)
    assert optimisers.optimisers[0].param_groups[0]["lr"] == 0.01
    assert len(optimisers.optimisers) == (2 if name == "muon" else 1)


def test_biases_are_not_decayed():
    model = nn.Linear(4, 4)
    groups = Optimisers(OptimiserConfig("adamw", weight_decay=0.1), model).optimisers[0].param_groups
    assert [(group["params"][0].ndim, group["weight_decay"]) for group in groups] == [(2, 0.1), (1, 0.0)]


def test_each_parameter_is_in_its_optimiser_and_group():
    model = nn.ModuleDict(
        {
            "hidden": nn.Linear(16, 16),
            "narrow": nn.Linear(16, 15, bias=False),
            "readout": nn.Linear(16, 16, bias=False),
            "product": TensorProduct("16x0e", "16x0e", CouplingTable("0e", degree=0)),
        }
    )
    found = {}
    for optimiser in Optimisers(OptimiserConfig("muon", weight_decay=0.1), model).optimisers:
        for group in optimiser.param_groups:
            for parameter in group["params"]:
                kind = "Muon" if isinstance(optimiser, torch.optim.Muon) else type(optimiser).__name__
                found[id(parameter)] = kind, group["weight_decay"]
    assert {name: found.pop(id(parameter)) for name, parameter in model.named_parameters()} == {
        "hidden.weight": ("Muon", 0.1),
        "hidden.bias": ("AdamW", 0.0),
        "narrow.weight": ("AdamW", 0.1),
        "readout.weight": ("AdamW", 0.1),
        "product.weight": ("AdamW", 0.1),
        "product.bias": ("AdamW", 0.0),
    }
    assert not found


def test_unknown_optimiser():
    with pytest.raises(ConfigError, match="did you mean 'adamw'"):
        Optimisers(OptimiserConfig("adamww"), nn.Linear(1, 1))


def test_generators_continue_from_a_saved_state(tmp_path):
    random.gauss(0, 1)
    np.random.standard_normal()
    save_state(tmp_path / "state.pt", {"rng": rng_state()})

    def draw() -> list[float]:
        return [random.gauss(0, 1), random.gauss(0, 1), np.random.standard_normal(), float(torch.rand(()))]

    drawn = draw()
    set_rng_state(load_state(tmp_path / "state.pt")["rng"])
    assert draw() == drawn
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


def test_damaged_and_foreign_states_are_refused(tmp_path):
    file = tmp_path / "state.pt"
    file.write_bytes(b"not a state")
    with pytest.raises(StateError, match=r"cannot read the state .*state\.pt"):
        load_state(file)
    torch.save({"version": 0}, file)
    with pytest.raises(StateError, match="not a state of version 1"):
        load_state(file)
    torch.save({"version": 1, "model": nn.Linear(1, 1)}, file)
    with pytest.raises(StateError, match="cannot read"):
        load_state(file)

"""Number formats of training, and Muon on processors without fast bfloat16."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from equizoo.models import build_model
from equizoo.training import optim, precision
from equizoo.training.config import ConfigError, OptimiserConfig, load_recipe
from equizoo.training.loop import train
from equizoo.training.muon import Float32Muon, orthogonalise
from equizoo.training.optim import Optimisers
from equizoo.training.precision import mixed_precision
from equizoo.training.publish import training_command
from equizoo.training.runfolder import RunFolder


@pytest.fixture
def processor(monkeypatch):
    """Return a function that makes the processor one with or without fast bfloat16."""

    def pretend(fast):
        for module in (precision, optim):
            monkeypatch.setattr(module, "fast_bfloat16", lambda device: fast)

    return pretend


def test_precision_is_one_that_the_network_was_made_for():
    config = load_recipe("vn-dgcnn-modelnet40-strict-128")
    model = build_model("vn-dgcnn", {"classes": 2}, relaxed=False)
    assert mixed_precision(config, model)
    assert not mixed_precision(config.replace(precision="float32"), model)
    with pytest.raises(ConfigError, match="did you mean 'bfloat16'"):
        mixed_precision(config.replace(precision="bfloat15"), model)
    with pytest.raises(ConfigError, match="Linear is trained with precision=float32 only"):
        mixed_precision(config, nn.Linear(1, 1))


@pytest.mark.parametrize("fast", [True, False])
def test_a_run_takes_float32_where_bfloat16_is_slow_and_says_so(fast, processor, tmp_path, caplog):
    smoke = {"data.synthetic": 40, "data.points": 20, "budget.epochs": 1, "evaluation.limit": 8}
    config = load_recipe("vn-dgcnn-modelnet40-strict-128").replace(**smoke)
    processor(fast)
    train(config, tmp_path / "run", progress=False)
    used = RunFolder(tmp_path / "run").read_config()
    assert used.precision == ("bfloat16" if fast else "float32")
    assert ("no fast bfloat16" in caplog.text) is not fast
    assert ('--set=precision="float32"' in training_command(used, config.name)) is not fast
    processor(not fast)
    train(config.replace(budget__epochs=2), tmp_path / "run", resume=True, progress=False)
    assert "resuming with other values of" in caplog.text and "precision" in caplog.text.split("values of")[1]


@pytest.mark.parametrize("shape", [(16, 16), (40, 16), (16, 40)])
def test_newton_schulz_brings_singular_values_near_one(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    a, b, c = coefficients = (3.4445, -4.775, 2.0315)
    s = s / s.norm()
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    found = orthogonalise(matrix, coefficients, 5, 1e-7)
    torch.testing.assert_close(found, u * s @ v)
    assert 0.6 < float(s.min()) and float(s.max()) < 1.3
    assert not orthogonalise(torch.zeros(shape), coefficients, 5, 1e-7).any()


@pytest.mark.parametrize("shape", [(24, 16), (16, 24)])
def test_muon_in_float32_goes_where_that_of_torch_goes(shape, processor):
    torch.manual_seed(0)
    start, gradients = torch.randn(shape), torch.randn(6, *shape)
    moved = {}
    config = OptimiserConfig("muon", muon_lr=0.02, weight_decay=0.1)
    for fast in (True, False):
        processor(fast)
        model = nn.Linear(shape[1], shape[0], bias=False)
        model.weight.data.copy_(start)
        optimisers = Optimisers(config, model)
        assert isinstance(optimisers.optimisers[0], Float32Muon) is not fast
        for gradient in gradients[:3]:
            model.weight.grad = gradient.clone()
            optimisers.step()
        processor(not fast)  # a run that goes on elsewhere
        other = Optimisers(config, model)
        other.load_state_dict(copy.deepcopy(optimisers.state_dict()))
        for gradient in gradients[3:]:
            model.weight.grad = gradient.clone()
            other.step()
        moved[fast] = model.weight.detach() - start
    difference = (moved[True] - moved[False]).norm() / moved[True].norm()
    assert 0 < float(difference) < 0.02

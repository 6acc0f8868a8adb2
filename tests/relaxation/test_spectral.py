"""Spectral normalisation bounds a branch and can be baked into its weights."""

import pytest
import torch
from torch import nn

from equizoo.relaxation import bake_spectral_norm, spectral_normalise


def branch():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16, bias=False), nn.ReLU(), nn.Linear(16, 4, bias=False))
    for parameter in net.parameters():
        parameter.data.mul_(10)
    return net


def test_the_branch_is_one_lipschitz_after_a_few_training_passes():
    net = spectral_normalise(branch())
    x = torch.randn(100, 6)
    for _ in range(20):
        net(x)
    net.eval()
    assert (net(x).norm(dim=-1) <= 1.001 * x.norm(dim=-1)).all()
    assert (branch()(x).norm(dim=-1) > x.norm(dim=-1)).any()
    for layer in (net[0], net[2]):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-3)


def test_convolutions_are_normalised_as_matrices():
    torch.manual_seed(0)
    conv = spectral_normalise(nn.Conv2d(3, 5, 3), power_iterations=50).eval()
    assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


def test_gradients_reach_the_original_weight():
    net = spectral_normalise(branch())
    net(torch.randn(3, 6)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_baking_keeps_the_function_and_restores_the_names():
    net = spectral_normalise(branch()).train()
    x = torch.randn(5, 6)
    net(x)
    before = net.eval()(x)
    baked = bake_spectral_norm(net.train())
    assert baked.training
    assert set(baked.state_dict()) == set(branch().state_dict())
    assert torch.equal(baked.eval()(x), before)


def test_nothing_to_normalise_and_normalised_already():
    with pytest.raises(ValueError, match="no linear map"):
        spectral_normalise(nn.ReLU())
    with pytest.raises(ValueError, match="already"):
        spectral_normalise(spectral_normalise(nn.Linear(3, 3)))

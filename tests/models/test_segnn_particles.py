"""SEGNN on particles against the common suite, and its own facts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from equizoo.models.segnn import balanced_irreps
from equizoo.models.segnn_particles import ParticleSEGNN, ParticleSEGNNConfig
from equizoo.relaxation import relaxations
from equizoo.symmetry import O3, SO3, Translations, equivariance_error
from tests.suite import SIZES, EquivariantModelSuite, rng


class Program(nn.Module):
    """The model as a function of tensors whose shapes say everything."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pos, vel, charge, counts):
        index = torch.arange(pos.shape[0])
        batch = (index.unsqueeze(1) >= counts.cumsum(0).unsqueeze(0)).sum(1)
        return self.model(pos, vel, charge, batch, counts.shape[0])


class TestParticleSEGNN(EquivariantModelSuite):
    lmax = 1
    branch = "mlp"

    def make_config(self, relaxed):
        degrees = {"lmax_hidden": self.lmax, "lmax_attributes": self.lmax}
        return ParticleSEGNNConfig(hidden=8, layers=2, relaxed=relaxed, branch=self.branch, **degrees)

    def make_model(self, relaxed, dtype=torch.float64):
        return ParticleSEGNN(self.make_config(relaxed)).to(dtype)

    def make_batch(self, dtype, generator, sizes=SIZES):
        n = sum(sizes)
        normal = {"generator": generator, "dtype": torch.float64}
        return {
            "pos": torch.randn(n, 3, **normal).to(dtype),
            "vel": torch.randn(n, 3, **normal).to(dtype) / 2,
            "charge": (2 * torch.randint(0, 2, (n,), generator=generator) - 1).to(dtype),
            "batch": torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)),
        }

    def make_program(self, model):
        return Program(model)

    def program_inputs(self, inputs):
        counts = inputs["batch"].bincount()
        return {name: x for name, x in inputs.items() if name != "batch"} | {"counts": counts}


class TestDegreeTwo(TestParticleSEGNN):
    """A higher degree, and the branch of CR."""

    lmax = 2
    branch = "linear"


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def particles(seed=0, sizes=SIZES, dtype=torch.float32):
    return TestParticleSEGNN().make_batch(dtype, rng(seed), sizes)


def error(model, inputs, group):
    return equivariance_error(model, inputs, group, 8, generator=rng(1)).rel_max


def test_published_parameter_counts():
    assert parameters(ParticleSEGNN()) == 147_424
    relaxed = ParticleSEGNN(ParticleSEGNNConfig(relaxed=True))
    assert parameters(relaxed) == 937_960
    assert list(relaxations(relaxed)) == [f"layers.{k}.update_{i}" for k in range(4) for i in (1, 2)]


@pytest.mark.parametrize(("lmax", "expected"), [(1, "32x0e+32x1o"), (2, "20x0e+20x1o+20x2e")])
def test_weight_balanced_irreps(lmax, expected):
    assert balanced_irreps(64, lmax, lmax) == expected


@pytest.mark.parametrize("group", [SO3(), O3(), Translations(1.0)], ids=["rotation", "reflection", "shift"])
def test_the_published_size_is_equivariant_in_float32(group):
    torch.manual_seed(0)
    assert error(ParticleSEGNN(), particles(sizes=(5,) * 8), group) < 1e-6


@pytest.mark.parametrize(("centre", "rotations", "shifts"), [("none", True, False), ("node", False, True)])
def test_the_released_centres_break_a_symmetry_each(centre, rotations, shifts):
    torch.manual_seed(0)
    model = ParticleSEGNN(ParticleSEGNNConfig(hidden=16, layers=2, centre=centre)).double()
    inputs = particles(sizes=(5, 5), dtype=torch.float64)
    assert (error(model, inputs, SO3()) < 1e-12) is rotations
    # a shift along one axis: the mean of a node's coordinates follows any shift only along (1, 1, 1)
    moved = {**inputs, "pos": inputs["pos"] + 3.0}
    difference = (model(**moved) - model(**inputs) - 3).abs().max()
    assert bool(difference < 1e-12) is shifts


@torch.no_grad()
@pytest.mark.parametrize("sizes", [(5, 5, 5), (5, 2, 1), (1, 1), (2, 2)])
def test_systems_do_not_see_each_other(sizes):
    torch.manual_seed(0)
    model = ParticleSEGNN(ParticleSEGNNConfig(hidden=16, relaxed=True)).double()
    inputs = particles(3, sizes, torch.float64)
    parts = zip(*(inputs[name].split(sizes) for name in ("pos", "vel", "charge")), strict=True)
    alone = torch.cat([model(*part) for part in parts])
    torch.testing.assert_close(model(**inputs), alone, rtol=1e-12, atol=1e-12)


def test_lonely_particles_can_be_trained_on():
    model = ParticleSEGNN(ParticleSEGNNConfig(hidden=8, layers=1))
    model(**particles(sizes=(1, 1, 1))).square().sum().backward()
    assert all(x.grad.isfinite().all() for x in model.parameters() if x.grad is not None)


def test_without_kernels_the_result_is_the_same(monkeypatch):
    from equizoo.nn import tensor_product

    torch.manual_seed(0)
    model, inputs = ParticleSEGNN(ParticleSEGNNConfig(hidden=16, layers=2)), particles()
    with torch.no_grad():
        inference = model(**inputs)
    model(**inputs).square().sum().backward()
    fused = {name: x.grad.clone() for name, x in model.named_parameters()}
    model.zero_grad()
    monkeypatch.setattr(tensor_product, "can_fuse", lambda *_: False)
    y = model(**inputs)
    y.square().sum().backward()
    torch.testing.assert_close(inference, y, rtol=1e-5, atol=1e-5)
    for name, x in model.named_parameters():
        torch.testing.assert_close(fused[name], x.grad, rtol=1e-4, atol=1e-4)


def test_charges_may_be_a_column():
    model, inputs = ParticleSEGNN(ParticleSEGNNConfig(hidden=8, layers=1)), particles()
    column = {**inputs, "charge": inputs["charge"].unsqueeze(1)}
    with torch.no_grad():
        assert torch.equal(model(**column), model(**inputs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pos": torch.full((14, 3), float("nan"))}, "positions must be finite"),
        ({"vel": torch.full((14, 3), float("inf"))}, "velocities must be finite"),
        ({"charge": torch.full((14,), float("nan"))}, "charges must be finite"),
        ({"pos": torch.zeros(14, 3)}, "one place"),
        ({"pos": torch.randn(13, 3)}, "same shape"),
        ({"charge": torch.ones(13)}, "one entry for each"),
        ({"batch": torch.arange(14).flip(0)}, "sorted"),
        ({name: torch.zeros(0, 3) for name in ("pos", "vel")} | {"charge": torch.zeros(0)}, "one entry"),
    ],
)
def test_bad_particles(change, message):
    with pytest.raises(ValueError, match=message):
        ParticleSEGNN(ParticleSEGNNConfig(hidden=8, layers=1))(**{**particles(), **change})


def test_no_particles():
    with pytest.raises(ValueError, match="there are no particles"):
        ParticleSEGNN(ParticleSEGNNConfig(hidden=8, layers=1))(
            torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0)
        )


def test_bad_configurations():
    with pytest.raises(ValueError, match="centre is one of"):
        ParticleSEGNNConfig(centre="mass")
    with pytest.raises(ValueError, match="branch is one of"):
        ParticleSEGNNConfig(branch="conv")
    with pytest.raises(ValueError, match="layers must be at least 1, got 0"):
        ParticleSEGNNConfig(layers=0)

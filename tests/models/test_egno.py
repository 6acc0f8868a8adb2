"""EGNO on bodies against the common suite, and its own facts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from equizoo.models import build_model
from equizoo.models.egno import EGNO, EGNOConfig
from equizoo.relaxation import fold, project, projected, relaxations
from equizoo.symmetry import (
    O3,
    SO2,
    SO3,
    Element,
    Translations,
    equivariance_error,
    layer_equivariance_errors,
)
from tests.suite import SIZES, EquivariantModelSuite, rng

BONES = ((1, 0), (2, 1), (3, 1), (4, 3))
JOINTS = 5
DOUBLE = torch.float64


def bodies(seed=0, count=3, dtype=torch.float32, joints=JOINTS):
    pos, vel = torch.randn(2, count * joints, 3, generator=rng(seed), dtype=DOUBLE)
    return {
        "pos": (2 * pos + torch.tensor([0.0, 17.0, 0.0])).to(dtype),
        "vel": (vel / 2).to(dtype),
        "batch": torch.arange(count).repeat_interleave(joints),
    }


def small(seed=0, **config):
    torch.manual_seed(seed)
    config = {"bones": BONES, "frames": 3, "hidden": 8, "layers": 2, **config}
    return EGNO(EGNOConfig(**config)).double().eval()


def error(model, group, count=3):
    return equivariance_error(model, bodies(1, count, DOUBLE), group, 6, generator=rng(2)).rel_max


class Program(nn.Module):
    """The model as a function of tensors whose shapes say everything."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pos, vel):
        return self.model(pos.flatten(0, 1), vel.flatten(0, 1))


class TestEGNO(EquivariantModelSuite):
    """Graphs of the suite are bodies of one skeleton: there are as many as there are sizes."""

    branch = "bounded"

    def make_config(self, relaxed):
        return EGNOConfig(BONES, frames=4, hidden=8, layers=2, relaxed=relaxed, branch=self.branch)

    def make_model(self, relaxed, dtype=DOUBLE):
        return EGNO(self.make_config(relaxed)).to(dtype)

    def make_batch(self, dtype, generator, sizes=SIZES):
        return bodies(int(torch.randint(1 << 30, (), generator=generator)), len(sizes), dtype)

    def make_program(self, model):
        return Program(model)

    def program_inputs(self, inputs):
        return {name: inputs[name].unflatten(0, (-1, JOINTS)) for name in ("pos", "vel")}

    @pytest.mark.parametrize("dtype", [DOUBLE, torch.float32], ids=str)
    @pytest.mark.parametrize("kind", ["rotations", "reflections", "translations"])
    def test_symmetry(self, kind, dtype):
        assert self.error(self.build(dtype=dtype), getattr(self, kind), dtype) < self.rtol[dtype]

    @pytest.mark.parametrize("dtype", [DOUBLE, torch.float32], ids=str)
    def test_the_projected_model_is_equivariant(self, dtype):
        model = self.build(relaxed=True, dtype=dtype)
        plain = project(model)
        assert not relaxations(plain) and relaxations(model)
        for group in (self.rotations, self.reflections, self.translations):
            assert self.error(plain, group, dtype) < self.rtol[dtype]
            with projected(model):
                assert self.error(model, group, dtype) < self.rtol[dtype]

    @pytest.mark.parametrize("relaxed", [False, True], ids=["plain", "relaxed"])
    @torch.no_grad()
    def test_a_single_node(self, relaxed):
        model = self.build(relaxed)
        assert model(**self.make_batch(DOUBLE, rng(1), (1,))).shape == (JOINTS, 4, 3)

    @pytest.mark.parametrize("relaxed", [False, True], ids=["plain", "relaxed"])
    def test_every_parameter_gets_a_gradient(self, relaxed):
        """But those of the features after the last layer, which nothing reads: published, and counted."""
        model = self.build(relaxed, torch.float32).train()
        model(**self.make_batch(torch.float32, rng(1))).square().sum().backward()
        idle = {name for name, x in model.named_parameters() if x.grad is None or not x.grad.abs().max() > 0}
        last = {f"layers.1.{name}" for name, _ in model.layers[1].named_parameters() if "features" in name}
        # the map in front of a batch norm has no use for its bias
        biases = {
            name for name in idle if "positions" in name and "relaxation" in name and name.endswith("bias")
        }
        assert idle - biases == last


class TestPublishedBranches(TestEGNO):
    branch = "published"
    test_export_with_a_second_size = None  # that of the plain model, above


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_published_parameter_counts():
    from equizoo.data.mocap import SKELETON

    config = {"bones": SKELETON.bones, "height": "published", "branch": "published"}
    assert parameters(build_model("egno", config, relaxed=False)) == 1_192_684
    relaxed = build_model("egno", config, relaxed=True)
    assert parameters(relaxed) == 1_304_762
    assert sorted(relaxations(relaxed)) == sorted(
        f"layers.{k}.{kind}" for k in range(6) for kind in ("features", "positions")
    )
    assert relaxed.graph.hops.eq(1).sum() == 60 and relaxed.graph.hops.eq(2).sum() == 70


@pytest.mark.parametrize("height", ["fixed", "published"])
def test_with_heights_the_vertical_is_known(height):
    model = small(height=height)
    assert error(model, SO3()) > 1e-6
    assert error(model, SO2("y")) < 1e-9
    mirror = Element(torch.diag(torch.tensor([-1.0, 1, 1], dtype=DOUBLE)), torch.zeros(3, dtype=DOUBLE))
    shift = Element(torch.eye(3, dtype=DOUBLE), torch.tensor([4.0, 0, -7], dtype=DOUBLE))
    rise = Element(torch.eye(3, dtype=DOUBLE), torch.tensor([0.0, 5, 0], dtype=DOUBLE))
    inputs = bodies(1, 2, DOUBLE)
    with torch.no_grad():
        for element, kept in ((mirror, True), (shift, True), (rise, False)):
            moved = {k: kind.act(element, inputs[k]) for k, kind in model.input_types.items() if kind}
            difference = model(**moved) - model.output_type.act(element, model(**inputs))
            assert bool(difference.abs().max() < 1e-9) is kept


@torch.no_grad()
@pytest.mark.parametrize("branch", ["bounded", "published"])
@pytest.mark.parametrize(("height", "independent"), [("none", True), ("fixed", True), ("published", False)])
def test_a_prediction_does_not_depend_on_batch_mates(height, independent, branch):
    model = small(height=height, branch=branch, relaxed=True)
    inputs = bodies(3, 4, DOUBLE)
    whole = model(**inputs).unflatten(0, (4, JOINTS))
    alone = torch.stack(
        [model(inputs["pos"][rows], inputs["vel"][rows]) for rows in torch.arange(4 * JOINTS).split(JOINTS)]
    )
    assert bool((whole - alone).abs().max() < 1e-10) is independent


def test_bounded_branches_are_bounded():
    model = small(relaxed=True, hidden=16)
    with torch.no_grad():
        for term in relaxations(model).values():
            for parameter in term.branch.parameters():
                parameter.mul_(50)
    model.train()
    for _ in range(40):
        model(**bodies(0, 2, DOUBLE))
    model.eval()
    for term in relaxations(model).values():
        assert not any(isinstance(module, nn.BatchNorm1d) for module in term.branch.modules())
        x = torch.randn(500, term.in_type.dim, generator=rng(), dtype=DOUBLE)
        x = x * torch.logspace(-3, 4, 500, dtype=DOUBLE).unsqueeze(1)
        assert (term.branch(x).norm(dim=1) <= x.norm(dim=1) * (1 + 1e-3)).all()


def test_bounded_branches_keep_translations():
    model = small(relaxed=True)
    assert error(model, Translations(10.0)) < 1e-9 < error(model, SO2("y"))
    assert error(small(relaxed=True, branch="published"), Translations(10.0)) > 1e-6


def test_layers_state_what_they_add_to_the_error():
    model = small(relaxed=True)
    errors = layer_equivariance_errors(model, bodies(0, 2, DOUBLE), O3(), generator=rng())
    assert list(errors) == ["layers.0.positions", "layers.0.features", "layers.1.positions"] and all(
        error.rel_mean > 0 for error in errors.values()
    )


def test_a_published_chain_cannot_lose_a_link():
    model = small(relaxed=True, branch="published", layers=3).eval()
    for name in ("layers.0.features", "layers.1.positions"):
        relaxations(model)[name].gamma.data.zero_()
    folded = fold(model)
    assert relaxations(model).keys() - relaxations(folded).keys() == {"layers.1.positions"}
    assert torch.equal(folded(**bodies(0, 1, DOUBLE)), model(**bodies(0, 1, DOUBLE)))


def test_standing_still_can_be_trained_on():
    model, inputs = small(height="fixed"), bodies(0, 2, DOUBLE)
    inputs["vel"] = torch.zeros_like(inputs["vel"]).requires_grad_()
    model(**inputs).square().sum().backward()
    assert inputs["vel"].grad.isfinite().all()
    assert all(x.grad.isfinite().all() for x in model.parameters() if x.grad is not None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pos": torch.full((15, 3), float("nan"))}, "positions must be finite"),
        ({"vel": torch.full((15, 3), float("inf"))}, "velocities must be finite"),
        ({"pos": torch.randn(14, 3)}, "same shape"),
        ({"batch": torch.arange(14)}, "one entry a joint"),
        ({"batch": torch.arange(15) // 3}, "5 joints each"),
        ({"num_graphs": 2}, "3 bodies of 5 joints"),
        ({"pos": torch.randn(14, 3), "vel": torch.randn(14, 3)}, "no whole number of bodies"),
        ({"pos": torch.zeros(0, 3), "vel": torch.zeros(0, 3)}, "there are no joints"),
        ({"pos": torch.zeros(15, 3)}, "highest joint of the batch is at y = 0"),
    ],
)
def test_bad_bodies(change, message):
    model = small(height="published").float()
    with pytest.raises(ValueError, match=message):
        model(**{**bodies(), **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": "scaled"}, "height is one of"),
        ({"branch": "mlp"}, "branch is one of"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"frames": 3, "modes": 3}, "3 frames have 2 Fourier modes"),
        ({"height_scale": 0.0}, "height_scale must be positive"),
        ({"bones": ((0, 2),)}, "without a gap"),
    ],
)
def test_bad_configurations(change, message):
    with pytest.raises(ValueError, match=message):
        EGNOConfig(**{"bones": BONES, **change})

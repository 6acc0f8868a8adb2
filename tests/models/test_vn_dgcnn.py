"""VN-DGCNN against the common suite, and its own facts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from equizoo.models.vn_dgcnn import VNDGCNN, VNDGCNNConfig
from equizoo.nn import frame_pooling, neighbours, vector_activation
from equizoo.relaxation import relaxations
from equizoo.symmetry import O3, SO3, Permutations, Translations, equivariance_error
from tests.suite import SIZES, EquivariantModelSuite, rng


class Dense(nn.Module):
    """The model on clouds of one size."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, points):
        return self.model(points)


class TestVNDGCNN(EquivariantModelSuite):
    position_key = "points"
    branch, rank = "dense", 0
    terms_apart = False

    def make_config(self, relaxed):
        shape = {"widths": (4, 5), "embedding": 6, "head": (7, 6), "neighbours": 3}
        return VNDGCNNConfig(classes=4, relaxed=relaxed, branch=self.branch, rank=self.rank, **shape)

    def make_model(self, relaxed, dtype=torch.float64):
        model = VNDGCNN(self.make_config(relaxed)).to(dtype)
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.BatchNorm1d):  # statistics as after some training
                    module.running_mean.uniform_(0.1, 0.5)
                    module.running_var.uniform_(0.2, 0.5)
        return model

    def make_batch(self, dtype, generator, sizes=SIZES):
        points = torch.randn(sum(sizes), 3, generator=generator, dtype=torch.float64).to(dtype)
        return {
            "points": points,
            "batch": torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)),
        }

    def make_program(self, model):
        return Dense(model)

    def program_inputs(self, inputs):
        count = int(inputs["batch"][-1]) + 1
        return {"points": torch.randn(count, 9, 3, generator=rng(count), dtype=inputs["points"].dtype)}


class TestBounded(TestVNDGCNN):
    """Branches of low rank and norm 1."""

    branch, rank = "bounded", 4


def clouds(count=2, size=300, dtype=torch.float32):
    points = torch.randn(count, size, 3, generator=rng(3), dtype=torch.float64)
    return (points / points.norm(dim=-1, keepdim=True).amax(1, keepdim=True)).to(dtype)


def test_published_parameter_counts():
    assert sum(x.numel() for x in VNDGCNN().parameters()) == 2_899_830
    relaxed = VNDGCNN(VNDGCNNConfig(relaxed=True))
    assert sum(x.numel() for x in relaxed.parameters()) == 8_831_612
    assert len(relaxations(relaxed)) == 14


@pytest.mark.parametrize("group", [SO3(), O3(), Translations(1.0)], ids=["rotation", "reflection", "shift"])
def test_the_published_size_is_invariant_in_float32(group):
    torch.manual_seed(0)
    assert equivariance_error(VNDGCNN(), {"points": clouds()}, group, 4, generator=rng(1)).rel_max < 1e-5


def test_permuting_points_changes_nothing_with_the_branches_on():
    torch.manual_seed(0)
    model = VNDGCNN(VNDGCNNConfig(relaxed=True)).double()
    points = clouds(1, 60, torch.float64)[0]
    error = equivariance_error(model, {"points": points}, Permutations((60,)), 4, generator=rng(1))
    assert error.rel_max < 1e-12


def test_the_plain_network_is_the_compiled_one(monkeypatch):
    torch.manual_seed(0)
    model = VNDGCNN(VNDGCNNConfig(relaxed=True, embedding=40)).double().train()
    model.dropout.p = 0.0
    points, results = clouds(3, 50, torch.float64), []
    for compiled in (True, False):
        for module in (frame_pooling, neighbours, vector_activation):
            monkeypatch.setattr(module, "kernels_apply", lambda *_, use=compiled: use)
        y = model(points)
        results.append([y, *torch.autograd.grad(y.square().sum(), list(model.parameters()))])
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-7, atol=1e-9)


def test_another_number_of_neighbours_is_that_of_the_configuration():
    shape = {"classes": 4, "widths": (4, 5), "embedding": 6, "head": (7, 6)}
    few, many = (VNDGCNN(VNDGCNNConfig(neighbours=k, **shape)).double().eval() for k in (3, 6))
    few.load_state_dict(many.state_dict())
    points = torch.randn(2, 12, 3, generator=rng(0), dtype=torch.float64)
    torch.testing.assert_close(many(points, neighbours=3), few(points), rtol=0, atol=0)
    assert not torch.allclose(many(points), few(points))
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        many(points, neighbours=0)


def test_clouds_of_one_size_may_come_as_a_batch():
    torch.manual_seed(0)
    model, points = VNDGCNN().eval(), clouds(2, 40)
    flat = model(points.flatten(0, 1), torch.arange(2).repeat_interleave(40))
    torch.testing.assert_close(model(points), flat)
    torch.testing.assert_close(model(points[0]), flat[:1])


@pytest.mark.parametrize(
    ("points", "batch", "message"),
    [
        (torch.zeros(4, 2), None, r"shape \(B, N, 3\)"),
        (torch.zeros(0, 3), None, "no points"),
        (torch.zeros(2, 4, 3), torch.zeros(8, dtype=torch.long), "one entry a point"),
        (torch.zeros(2, 3), torch.tensor([1, 0]), "sorted"),
        (torch.full((4, 3), torch.nan), None, "finite"),
    ],
)
def test_bad_input_is_refused(points, batch, message):
    with pytest.raises(ValueError, match=message):
        VNDGCNN(VNDGCNNConfig(widths=(2,), embedding=2, head=(2, 2)))(points, batch)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("classes", 0),
        ("neighbours", 0),
        ("widths", ()),
        ("head", (4,)),
        ("embedding", 1),
        ("dropout", 1.0),
        ("branch", "mlp"),
        ("rank", -1),
    ],
)
def test_bad_configurations_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        VNDGCNNConfig(**{field: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": torch.tensor([0, 0, 0, 2, 2, 2])}, "name each of the 3 clouds from 0 to 2"),
        ({"batch": torch.tensor([0, 0, 0, 1, 1, 1]), "num_graphs": 1}, "name each of the 1 clouds"),
        ({"batch": torch.tensor([0, 0, 0, 1, 1, 1]), "num_graphs": 3}, "name each of the 3 clouds"),
        ({"batch": torch.zeros(6)}, "batch must hold integers"),
        ({"points": torch.ones(6, 3, dtype=torch.long)}, "points must be floating-point numbers"),
    ],
)
def test_clouds_that_would_end_in_a_wrong_number(change, message):
    model = VNDGCNN(VNDGCNNConfig(classes=4, widths=(4,), embedding=6, neighbours=2)).eval()
    with pytest.raises(ValueError, match=message):
        model(**{"points": torch.randn(6, 3), **change})


def test_neighbours_of_many_points_are_found_part_by_part(monkeypatch):
    x = torch.randn(2, 50, 6)
    whole = neighbours._nearest(x, 5)
    monkeypatch.setattr(neighbours, "CHUNK", 7)
    assert torch.equal(neighbours._nearest(x, 5), whole)
    assert neighbours._nearest(x.half(), 5).shape == (2, 50, 5)


@pytest.mark.parametrize("branch", ["dense", "bounded"])
def test_autocast_rounds_products_and_keeps_the_differences_of_neighbours(branch):
    torch.manual_seed(0)
    config = VNDGCNNConfig(classes=4, widths=(8, 8), embedding=16, neighbours=5, relaxed=True, branch=branch)
    model = VNDGCNN(config).eval()
    first = []
    model.layers[0].register_forward_hook(lambda layer, inputs, output: first.append(output))
    with torch.no_grad():
        points = torch.randn(2, 30, 3)
        exact = model(points)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(points)
    assert rounded.dtype == torch.float32
    assert torch.equal(*first)
    assert 0 < (rounded - exact).abs().max() < 0.1 * exact.abs().max()

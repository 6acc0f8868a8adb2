"""Equivariance errors of whole models and of each relaxed layer."""

import math

import pytest
import torch
from torch import nn

from equizoo.relaxation import projected, relax
from equizoo.symmetry import (
    E3,
    O3,
    SO3,
    Images,
    Labels,
    Permutations,
    Points,
    Scalars,
    Translations,
    Vectors,
    equivariance_error,
    layer_equivariance_errors,
)
from equizoo.symmetry.groups import C4


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


class Mix(nn.Module):
    """Vectors to vectors, W ⊗ 1."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.mixing = nn.Parameter(torch.randn(n_out, n_in, generator=rng(1), dtype=torch.float64))
        self.relaxation = None

    def forward(self, x):
        y = (self.mixing @ x.unflatten(-1, (-1, 3))).flatten(-2)
        return y if self.relaxation is None else self.relaxation(y, x)


class Net(nn.Module):
    """Distances to the centroid, through two vector layers, summed to one scalar a graph."""

    input_types = {"z": Labels(), "pos": Points(), "batch": None}  # noqa: RUF012
    output_type = Scalars(2, per="graph")

    def __init__(self):
        super().__init__()
        self.first, self.second = Mix(1, 4), Mix(4, 2)
        self.dropout = nn.Dropout(0.5)

    def forward(self, z, pos, batch):
        n = int(batch[-1]) + 1
        count = torch.zeros(n, 1, dtype=pos.dtype).index_add_(0, batch, torch.ones_like(pos[:, :1]))
        centre = torch.zeros(n, 3, dtype=pos.dtype).index_add_(0, batch, pos) / count
        h = self.second(torch.tanh(z).unsqueeze(-1) * self.first(self.dropout(pos - centre[batch])))
        return torch.zeros(n, 2, dtype=pos.dtype).index_add_(0, batch, h.unflatten(-1, (2, 3)).norm(dim=-1))


def cloud():
    return {
        "z": torch.arange(1.0, 10.0, dtype=torch.float64),
        "pos": torch.randn(9, 3, generator=rng(2), dtype=torch.float64),
        "batch": torch.tensor([0] * 4 + [1] * 5),
    }


def relaxed_net(gamma):
    torch.manual_seed(0)
    branches = {"first": nn.Linear(3, 12), "second": nn.Linear(12, 6)}
    types = {"first": Vectors(1), "second": Vectors(4)}, {"first": Vectors(4), "second": Vectors(2)}
    return relax(Net(), branches, in_types=types[0], out_types=types[1], gamma=gamma).double()


@pytest.mark.parametrize("group", [SO3(), O3(), Translations(10.0), E3(10.0), Permutations((4, 5))], ids=repr)
def test_an_equivariant_model_has_error_zero(group):
    error = equivariance_error(Net(), cloud(), group, generator=rng())
    assert error.rel_max < 1e-13 and error.rel_mean <= error.rel_max and error.abs_mean <= error.abs_max


def test_a_wrong_permutation_is_seen():
    assert equivariance_error(Net(), cloud(), Permutations(9), generator=rng()).rel_max > 1e-3


def test_a_relaxed_model_has_an_error_that_projection_removes():
    net = relaxed_net(0.5)
    assert equivariance_error(net, cloud(), SO3(), generator=rng()).rel_mean > 1e-2
    with projected(net):
        assert equivariance_error(net, cloud(), SO3(), generator=rng()).rel_max < 1e-13


def test_the_error_of_a_known_map():
    """f(x) = P x for a projector P has the error ‖(P g − g P) x‖."""

    class First(nn.Module):
        def forward(self, x):
            return x * torch.tensor([1.0, 0.0, 0.0], dtype=x.dtype)

    x = torch.eye(3, dtype=torch.float64)
    g = SO3().sample(generator=rng(4), dtype=torch.float64)
    kinds = {"input_types": {"x": Vectors()}, "output_type": Vectors()}
    error = equivariance_error(First(), {"x": x}, SO3(), 1, generator=rng(4), **kinds)
    projector = torch.diag(torch.tensor([1.0, 0, 0], dtype=torch.float64))
    expected = (projector @ g.rotation - g.rotation @ projector).norm(dim=0)
    assert math.isclose(error.abs_mean, float(expected.mean()), rel_tol=1e-12)
    assert math.isclose(error.abs_max, float(expected.max()), rel_tol=1e-12)
    assert math.isclose(error.rel_max, error.abs_max * math.sqrt(3), rel_tol=1e-12)


def test_training_flags_and_graph_are_left_alone():
    net = relaxed_net(1.0).train()
    net.second.eval()
    equivariance_error(net, cloud(), SO3(), 1)
    layer_equivariance_errors(net, cloud(), SO3(), 1)
    assert net.training and net.dropout.training and not net.second.training
    assert not net.first.relaxation._forward_hooks


def test_layer_errors_scale_with_gamma_and_are_relative_to_the_layer():
    small = layer_equivariance_errors(relaxed_net(0.01), cloud(), SO3(), generator=rng())
    large = layer_equivariance_errors(relaxed_net(0.02), cloud(), SO3(), generator=rng())
    assert list(small) == ["first", "second"]
    assert math.isclose(large["first"].abs_mean, 2 * small["first"].abs_mean, rel_tol=1e-9)
    assert 1e-4 < small["first"].rel_mean < 0.05
    none = layer_equivariance_errors(relaxed_net(0.0), cloud(), SO3())
    assert none["first"].abs_max == none["second"].rel_max == 0.0


def test_the_error_of_a_layer_is_the_error_of_its_term():
    net = relaxed_net(0.3).requires_grad_(False)
    error = layer_equivariance_errors(net, cloud(), SO3(), 1, generator=rng(3))["first"]
    batch = cloud()["batch"]
    pos = cloud()["pos"]
    centred = pos - torch.stack([pos[batch == b].mean(0) for b in (0, 1)])[batch]
    g = SO3().sample(generator=rng(3), dtype=torch.float64)
    x, y = Vectors(1).act(g, centred), net.first(centred)
    expected = (net.first(x) - Vectors(4).act(g, y)).norm(dim=-1)
    assert math.isclose(error.abs_mean, float(expected.mean()), rel_tol=1e-9)
    assert math.isclose(
        error.rel_max, float(expected.max() / y.norm(dim=-1).square().mean().sqrt()), rel_tol=1e-9
    )


def test_modulation_and_projection_count():
    net = relaxed_net(0.3)
    net.first.relaxation.modulation = torch.tensor(0.0)
    net.second.relaxation.enabled = False
    errors = layer_equivariance_errors(net, cloud(), SO3())
    assert errors["first"].abs_max == errors["second"].abs_max == 0.0


def test_layers_without_types_are_left_out_and_unreached_layers_are_named():
    net = relax(nn.Sequential(nn.Linear(3, 3)), {"0": nn.Linear(3, 3)})
    assert layer_equivariance_errors(net, {"input": torch.ones(2, 3)}, SO3()) == {}
    net = relaxed_net(1.0)
    net.spare = relax(
        nn.Sequential(Mix(1, 1)),
        {"0": nn.Linear(3, 3)},
        in_types={"0": Vectors()},
        out_types={"0": Vectors()},
    )
    with pytest.raises(ValueError, match=r"did not reach relaxed layer 'spare\.0'"):
        layer_equivariance_errors(net, cloud(), SO3())


def test_branches_with_several_inputs():
    class Product(nn.Module):
        def forward(self, x, weight):
            return x * weight

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.relaxation = None

        def forward(self, x, weight):
            return x if self.relaxation is None else self.relaxation(x, x, weight)

    inputs = {"x": torch.randn(5, 3, generator=rng()), "weight": torch.randn(5, 3, generator=rng(1))}

    def error(in_type):
        net = Layer()
        relax(net, {"": Product()}, in_types={"": in_type}, out_types={"": Vectors()})
        return layer_equivariance_errors(net, inputs, SO3(), generator=rng())[""].rel_mean

    assert error((Vectors(), None)) == error(Vectors()) > 0.1
    assert error((Vectors(), Vectors())) > 0.1
    with pytest.raises(ValueError, match="names 3 inputs, the branch takes 2"):
        error((Vectors(), None, None))


def test_images():
    class Blur(nn.Module):
        def forward(self, x):
            return nn.functional.avg_pool2d(x, 3, 1, 1)

    class Shift(nn.Module):
        def forward(self, x):
            return x.roll(1, -1)

    x = {"x": torch.randn(2, 1, 6, 6, generator=rng(), dtype=torch.float64)}
    kinds = {"input_types": {"x": Images()}, "output_type": Images()}
    assert equivariance_error(Blur(), x, C4(), generator=rng(), **kinds).rel_max < 1e-14
    assert equivariance_error(Shift(), x, C4(), generator=rng(), **kinds).rel_mean > 0.1


def test_a_zero_model_has_no_division_by_zero():
    class Zero(nn.Module):
        def forward(self, x):
            return 0 * x

    kinds = {"input_types": {"x": Vectors()}, "output_type": Vectors()}
    assert equivariance_error(Zero(), {"x": torch.ones(2, 3)}, SO3(), **kinds).rel_max == 0.0


def test_bad_input():
    with pytest.raises(ValueError, match="at least one group element"):
        equivariance_error(Net(), cloud(), SO3(), 0)
    with pytest.raises(ValueError, match="does not state how its inputs"):
        equivariance_error(nn.Linear(3, 3), {"input": torch.ones(1, 3)}, SO3())
    with pytest.raises(ValueError, match=r"no feature type for inputs \['speed'\]"):
        equivariance_error(Net(), {**cloud(), "speed": 1}, SO3())

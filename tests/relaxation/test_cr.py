"""CR: the schedule, and a Lie-derivative term that can tell an equivariant map from another."""

import math

import pytest
import torch
from torch import nn

from equizoo.relaxation import Relaxation, ScheduledRelaxation, relaxations
from equizoo.symmetry import C4, SO3, DirectSum, Irreps, Scalars, Vectors


def vector_layer(branch, a=4, b=6):
    return {"layer": Relaxation(branch.double(), Vectors(a), Vectors(b))}


def equivariant_map(a=4, b=6):
    branch = nn.Linear(3 * a, 3 * b, bias=False)
    branch.weight.data = torch.kron(torch.randn(b, a), torch.eye(3))
    return branch


def penalty_on(method, x):
    (term,) = method.layers.values()
    method.before_forward()
    term(torch.zeros(len(x), term.out_type.dim, dtype=x.dtype), x)
    return method.penalty()


@pytest.mark.parametrize(
    "schedule, values",
    [
        ("triangular", {0.0: 0.0, 0.25: 0.5, 0.5: 1.0, 0.75: 0.5, 1.0: 0.0}),
        ("cosine", {0.0: 0.0, 0.125: 0.5 - math.sqrt(0.125), 0.5: 1.0, 0.75: 0.5, 1.0: 0.0}),
        ("constant", {0.0: 1.0, 0.3: 1.0, 1.0: 1.0}),
    ],
)
def test_schedule_values(schedule, values):
    layers = {name: Relaxation(nn.Identity()) for name in "ab"}
    method = ScheduledRelaxation(layers, schedule=schedule, theta=0.4, weight=0.0)
    for progress, value in values.items():
        method.set_progress(progress)
        assert method.gammas.tolist() == pytest.approx([0.4 * value] * 2, abs=1e-7)
    assert method.owned() == {term.gamma for term in layers.values()}


def test_lie_derivative_vanishes_on_an_equivariant_map():
    torch.manual_seed(0)
    branch, x = equivariant_map(), torch.randn(16, 12, dtype=torch.float64)
    method = ScheduledRelaxation(vector_layer(branch), weight=0.5)
    value = penalty_on(method, x)
    assert abs(value - 0.5 * torch.linalg.vector_norm(branch(x))) < 1e-10


def test_lie_derivative_of_a_random_map_is_of_its_size():
    torch.manual_seed(0)
    branch, x = nn.Linear(63, 63, bias=False), torch.randn(64, 63, dtype=torch.float64)
    method = ScheduledRelaxation(vector_layer(branch, 21, 21), weight=1.0)
    value = penalty_on(method, x)
    size = torch.linalg.vector_norm(branch(x))
    assert 3.8 < ((value - size) / size) ** 2 < 4.2


def test_lie_derivative_is_the_closed_form_of_a_biased_linear_map():
    torch.manual_seed(0)
    branch, x = nn.Linear(12, 18), torch.randn(16, 12, dtype=torch.float64)
    method = ScheduledRelaxation(vector_layer(branch), weight=1.0)
    value = penalty_on(method, x) - torch.linalg.vector_norm(branch(x))
    algebra = SO3().lie_algebra(dtype=torch.float64)
    into, out = Vectors(4).generators(algebra), Vectors(6).generators(algebra)
    derivative = torch.stack(
        [x @ a.T @ branch.weight.T - branch(x) @ b.T for a, b in zip(into, out, strict=True)]
    )
    assert torch.allclose(value, torch.linalg.vector_norm(derivative), atol=1e-10)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("into", [DirectSum(Irreps("4x0e+3x1o+2x2e"), Scalars(2)), Vectors(4)])
def test_a_linear_branch_has_the_penalty_of_any_other(into, bias):
    torch.manual_seed(0)
    out, value, gradients = Irreps("3x0o+2x1e+1x2e", layout="ir_mul"), [], []
    linear = nn.Linear(into.dim, out.dim, bias=bias).double()
    x = torch.randn(5, 16, into.dim, dtype=torch.float64)
    for branch in (linear, nn.Sequential(linear)):  # the second is not seen to be linear
        method = ScheduledRelaxation({"layer": Relaxation(branch, into, out)}, weight=1.0)
        method.before_forward()
        method.layers["layer"](x.new_zeros(5, 16, out.dim), x)
        value.append(method.penalty())
        gradients.append(torch.autograd.grad(value[-1], list(linear.parameters())))
    assert method.linear == [None] and torch.allclose(value[0], value[1], rtol=1e-12)
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(*gradients, strict=True))


def test_a_branch_of_zeros_has_a_finite_gradient():
    branch = nn.Linear(12, 18, bias=False)
    branch.weight.data.zero_()
    method = ScheduledRelaxation(vector_layer(branch), weight=1.0)
    penalty_on(method, torch.randn(16, 12, dtype=torch.float64)).backward()
    assert torch.equal(branch.weight.grad, torch.zeros_like(branch.weight))


def test_scalar_outputs_are_not_rotated():
    torch.manual_seed(0)
    branch = nn.Linear(12, 5).double()
    branch.weight.data.zero_()
    method = ScheduledRelaxation({"layer": Relaxation(branch, Vectors(4), Scalars(5))}, weight=1.0)
    x = torch.randn(16, 12, dtype=torch.float64)
    assert torch.allclose(penalty_on(method, x), torch.linalg.vector_norm(branch(x)), atol=1e-12)


def test_the_sum_runs_over_layers_under_the_root():
    torch.manual_seed(0)
    x = torch.randn(8, 12, dtype=torch.float64)
    layers = vector_layer(equivariant_map()) | {"two": vector_layer(equivariant_map())["layer"]}
    method = ScheduledRelaxation(layers, weight=1.0)
    method.before_forward()
    for term in layers.values():
        term(torch.zeros(8, 18, dtype=torch.float64), x)
    sizes = [torch.linalg.vector_norm(term.branch(x)) for term in layers.values()]
    assert torch.allclose(method.penalty(), torch.linalg.vector_norm(torch.stack(sizes)), atol=1e-10)


def test_the_regulariser_trains_the_branches_only():
    torch.manual_seed(0)
    upstream = nn.Linear(12, 12).double()
    method = ScheduledRelaxation(vector_layer(nn.Linear(12, 18)), weight=0.1)
    x = upstream(torch.randn(8, 12, dtype=torch.float64))
    penalty_on(method, x).backward()
    (term,) = method.layers.values()
    assert upstream.weight.grad is None
    assert term.branch.weight.grad.abs().sum() > 0
    method.after_backward()
    assert term.gamma.grad is None
    assert term.last_inputs is None
    assert term.record is False


def test_a_branch_of_zeros_has_finite_gradients():
    branch = nn.Linear(12, 18, bias=False)
    nn.init.zeros_(branch.weight)
    method = ScheduledRelaxation(vector_layer(branch), weight=1.0)
    penalty_on(method, torch.randn(8, 12, dtype=torch.float64)).backward()
    assert branch.weight.grad.isfinite().all()


def test_missing_types_say_how_to_declare_them():
    layers = {"conv1": Relaxation(nn.Linear(3, 3), Vectors(1))}
    with pytest.raises(ValueError, match=r"'conv1' has no out_type: declare it with Relaxation\(branch"):
        ScheduledRelaxation(layers)
    assert ScheduledRelaxation(layers, weight=0.0).penalty().item() == 0.0


def test_a_layer_that_did_not_run_is_named():
    method = ScheduledRelaxation(vector_layer(nn.Linear(12, 18)))
    method.before_forward()
    with pytest.raises(RuntimeError, match="'layer' recorded no input"):
        method.penalty()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"schedule": "square"}, "triangular"),
        ({"weight": -1.0}, "weight"),
        ({"group": C4()}, "discrete"),
        ({"group": "SO4"}, "no group named 'SO4'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        ScheduledRelaxation(vector_layer(nn.Linear(12, 18)), **options)


def test_recording_is_off_without_a_regulariser():
    net = nn.Module()
    net.relaxation = Relaxation(nn.Linear(3, 3))
    method = ScheduledRelaxation(relaxations(net), weight=0.0)
    method.before_forward()
    net.relaxation(torch.zeros(1, 3), torch.zeros(1, 3))
    assert net.relaxation.last_inputs is None

"""Theorems 4.1 and 4.2: never exceeded, attained where they can be."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from equizoo.relaxation import relax, relaxations
from equizoo.relaxation.bounds import (
    equivariance_bound,
    growth_constant,
    lipschitz_constant,
    projection_bound,
    projection_error,
    projection_layer_bound,
    projection_product_bound,
)
from equizoo.symmetry import SO3, Vectors, equivariance_error

gammas = st.lists(st.floats(-2, 2), min_size=1, max_size=6)
constants = st.floats(0, 4)


def linear(weight):
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(weight.double())
    return layer


class Block(nn.Module):
    """tanh(W x), a layer of slope at most ‖W‖."""

    def __init__(self, weight):
        super().__init__()
        self.body = nn.Sequential(linear(weight), nn.Tanh())

    def forward(self, x):
        return self.body(x)


def network(gammas, seed, width=6):
    """Relaxed blocks, with the constants of f_eq and f_neq of each."""
    g = torch.Generator().manual_seed(seed)
    eq = [Block(torch.randn(width, width, generator=g) / 3) for _ in gammas]
    neq = [nn.Sequential(linear(torch.randn(width, width, generator=g) / 3), nn.ReLU()) for _ in gammas]
    net = relax(nn.Sequential(*eq), {str(k): branch for k, branch in enumerate(neq)})
    with torch.no_grad():
        for term, gamma in zip(relaxations(net).values(), gammas, strict=True):
            term.gamma.fill_(gamma)
    return net, [lipschitz_constant(f.body) for f in eq], [growth_constant(f) for f in neq]


@given(gammas, constants, constants)
def test_forms_are_ordered_and_telescope(gammas, m, b):
    printed = projection_bound(gammas, m, b)
    product = projection_product_bound(gammas, m, b)
    assert product <= printed * (1 + 1e-9) + 1e-12
    sizes = [abs(gamma) for gamma in gammas]
    terms = sum(size * math.prod(1 + other for other in sizes[:k]) for k, size in enumerate(sizes))
    assert math.isclose(product, b * m ** (len(sizes) - 1) * terms, rel_tol=1e-9, abs_tol=1e-12)
    equal = projection_bound([max(sizes)] * len(sizes), m, b)
    assert math.isclose(
        equal, projection_product_bound([max(sizes)] * len(sizes), m, b), rel_tol=1e-9, abs_tol=1e-12
    )
    layers = projection_layer_bound(gammas, [m] * len(sizes), [min(b, m)] * len(sizes))
    assert layers <= projection_product_bound(gammas, m, min(b, m)) * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("values", [[0.5, -0.3, 0.2], [1.0, 1.0, 1.0, 1.0], [0.0, 0.7], [0.01] * 5], ids=str)
def test_the_measured_projection_error_stays_below(values, seed):
    net, ms, bs = network(values, seed)
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(seed + 100), dtype=torch.float64)
    ratio = float((projection_error(net, x) / x.norm(dim=-1)).max())
    m, b = max(*ms, *bs), max(bs)
    layered = projection_layer_bound(values, ms, bs)
    assert 0 < ratio <= layered
    assert layered <= projection_product_bound(values, m, b) * (1 + 1e-9) or b < m
    assert ratio <= projection_product_bound(values, m, b) <= projection_bound(values, m, b) * (1 + 1e-12)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_product_form_is_tight(depth):
    """f_eq = f_neq = M·1 and γ > 0 attain it: M^L ((1 + γ)^L − 1)‖x‖ with B = M."""
    values, m = [0.1 * (k + 1) for k in range(depth)], 1.7
    eye = m * torch.eye(4)
    net = relax(nn.Sequential(*[linear(eye) for _ in values]), {str(k): linear(eye) for k in range(depth)})
    for term, gamma in zip(relaxations(net).values(), values, strict=True):
        term.gamma.data = torch.tensor(gamma, dtype=torch.float64)
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    m = lipschitz_constant(linear(eye))
    for row, error in zip(x, projection_error(net, x), strict=True):
        norm = float(row.norm())
        assert math.isclose(float(error), projection_product_bound(values, m, m, norm), rel_tol=1e-9)
        assert math.isclose(
            float(error), projection_layer_bound(values, [m] * depth, [m] * depth, norm), rel_tol=1e-9
        )
    assert depth == 1 or projection_bound(values, m, m) > 1.05 * projection_product_bound(values, m, m)


def test_the_layer_form_is_tight_for_unequal_constants():
    values, ms, bs = [0.5, 2.0, 0.25], [2.0, 0.5, 1.0], [0.5, 1.0, 3.0]
    eye = torch.eye(2)
    net = relax(
        nn.Sequential(*[linear(m * eye) for m in ms]), {str(k): linear(b * eye) for k, b in enumerate(bs)}
    )
    for term, gamma in zip(relaxations(net).values(), values, strict=True):
        term.gamma.data.fill_(gamma)
    x = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    assert math.isclose(
        float(projection_error(net, x)), projection_layer_bound(values, ms, bs, 5.0), rel_tol=1e-12
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_measured_equivariance_error_stays_below(seed):
    g = torch.Generator().manual_seed(seed)
    values = [0.4, -0.2, 0.6]
    eq = [linear(torch.kron(torch.randn(3, 3, generator=g), torch.eye(3))) for _ in values]
    neq = [linear(torch.randn(9, 9, generator=g) / 2) for _ in values]
    net = relax(nn.Sequential(*eq), {str(k): branch for k, branch in enumerate(neq)})
    for term, gamma in zip(relaxations(net).values(), values, strict=True):
        term.gamma.data.fill_(gamma)
    m = max(map(lipschitz_constant, eq + neq))
    b = max(map(growth_constant, neq))
    x = torch.randn(50, 9, generator=g, dtype=torch.float64)
    x = x / x.norm(dim=-1, keepdim=True)
    kinds = {"input_types": {"input": Vectors(3)}, "output_type": Vectors(3)}
    error = equivariance_error(net, {"input": x}, SO3(), 10, generator=g, **kinds)
    assert 0 < error.abs_max <= equivariance_bound(values, m, b)


def test_the_equivariance_bound_is_tight_for_one_layer():
    """f_neq swaps x and y; the half turn about x keeps e_x and turns e_y over: the error of e_x is 2γ."""
    swap = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0])).double()
    net = relax(nn.Sequential(linear(torch.eye(3))), {"0": linear(swap)}, gamma=0.25)
    x = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    with torch.no_grad():
        error = float((net(x) @ half_turn - net(half_turn @ x)).norm())
    bound = equivariance_bound([net[0].relaxation.gamma], 1.0, 1.0)
    assert error == bound == 0.5


def test_theorem_4_2_as_printed():
    assert (
        equivariance_bound([0.5, -0.1], 2.0, 3.0, norm=2.0, action=3.0) == 2 * 0.5 * 2 * 9 * (2 + 3 * 0.5) * 2
    )


@pytest.mark.parametrize("bound", [projection_bound, projection_product_bound, equivariance_bound])
def test_limits(bound):
    assert bound([0.0] * 4, 1.5, 2.0) == 0.0
    assert bound([], 1.5, 2.0) == 0.0
    assert bound(torch.tensor([-0.5]), 1.5, 2.0) == bound([0.5], 1.5, 2.0) > 0
    assert bound([0.5, 0.1], 1.5, 2.0, 3.0) == pytest.approx(3 * bound([0.5, 0.1], 1.5, 2.0))
    assert bound([0.6, 0.1], 1.5, 2.0) > bound([0.5, 0.1], 1.5, 2.0)
    assert bound([1e-12, 0.0], 1.0, 1.0) == pytest.approx(1e-12, rel=3.1)
    for bad in (dict(lipschitz=-1.0, growth=1.0), dict(lipschitz=1.0, growth=math.nan)):
        with pytest.raises(ValueError, match="constants at least 0"):
            bound([0.5], **bad)
    with pytest.raises(ValueError, match="γ must be numbers"):
        bound([math.nan], 1.0, 1.0)


def test_the_number_of_constants_must_match():
    with pytest.raises(ValueError, match="2 γ need as many constants"):
        projection_layer_bound([0.1, 0.2], [1.0], [1.0, 1.0])


def test_measured_constants():
    weight = torch.diag(torch.tensor([3.0, -5.0, 1.0]))
    assert lipschitz_constant(linear(weight)) == pytest.approx(5.0)
    assert lipschitz_constant(
        nn.Sequential(linear(weight), nn.LeakyReLU(2.0), linear(weight))
    ) == pytest.approx(50)
    bounded = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4), n_power_iterations=50)
    assert lipschitz_constant(bounded) == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(TypeError, match="BatchNorm1d is not known"):
        lipschitz_constant(nn.Sequential(nn.BatchNorm1d(3)))
    with pytest.raises(ValueError, match="layer '0' has a bias"):
        growth_constant(nn.Sequential(nn.Linear(3, 3)))
    with pytest.raises(ValueError, match="has a bias"):
        growth_constant(nn.Linear(3, 3))


@pytest.mark.parametrize(
    "activation", [nn.ReLU(), nn.Tanh(), nn.GELU(), nn.SiLU(), nn.LeakyReLU(0.2), nn.Identity()], ids=repr
)
def test_slopes_of_activations(activation):
    """The stated constant is the largest slope, to four digits, and never below it."""
    x = torch.linspace(-6, 6, 400_001, dtype=torch.float64)
    y = activation(x)
    slope = float(((y[1:] - y[:-1]) / (x[1:] - x[:-1])).abs().max())
    constant = lipschitz_constant(activation)
    assert slope <= constant * (1 + 1e-9) and constant - slope < 2e-4
    assert float(activation(torch.zeros(1))) == 0.0

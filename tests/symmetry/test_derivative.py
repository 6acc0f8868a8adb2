"""The Lie derivative vanishes for equivariant maps and for no others."""

import pytest
import torch
from torch import nn

from equizoo.symmetry import (
    C4,
    O3,
    SE3,
    SO2,
    SO3,
    DirectSum,
    Element,
    Irreps,
    Points,
    Scalars,
    Vectors,
    lie_derivative,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def linear(weight):
    return lambda x: x @ weight.T


def equivariant_weight(in_irreps, out_irreps, seed=0):
    """Schur: one number for each pair of equal irreps."""
    from e3nn import o3

    ins, outs = o3.Irreps(in_irreps), o3.Irreps(out_irreps)
    weight = torch.zeros(outs.dim, ins.dim, dtype=torch.float64)
    for (mul_in, ir_in), rows_in in zip(ins, ins.slices(), strict=True):
        for (mul_out, ir_out), rows_out in zip(outs, outs.slices(), strict=True):
            if ir_in == ir_out:
                mixing = normal(mul_out, mul_in, seed=seed)
                weight[rows_out, rows_in] = torch.kron(mixing, torch.eye(ir_in.dim, dtype=torch.float64))
    return weight


@pytest.mark.parametrize(("n_in", "n_out"), [(4, 6), (21, 21), (42, 85)])
def test_vector_neuron_layers(n_in, n_out):
    """The shapes at which a stacked-generator implementation cannot tell W ⊗ 1 from a random matrix."""
    x, kinds = normal(16, 3 * n_in, seed=1), (Vectors(n_in), Vectors(n_out))
    mixing = normal(n_out, n_in)
    exact = torch.kron(mixing, torch.eye(3, dtype=torch.float64))
    arbitrary = normal(3 * n_out, 3 * n_in, seed=2)
    arbitrary *= exact.norm() / arbitrary.norm()
    assert lie_derivative(linear(exact), x, *kinds, SO3()).abs().max() < 1e-10
    derivative = lie_derivative(linear(arbitrary), x, *kinds, SO3())
    assert derivative.shape == (3, 16, 3 * n_out)
    ratio = derivative.square().sum() / linear(arbitrary)(x).square().sum()
    assert 3.5 < ratio < 4.5


def test_irreps_layers():
    ins, outs = "3x0e+2x1o+1e+2x2e+3o", "2x0e+0o+3x1o+2x1e+2e+2x3o"
    x, kinds = normal(8, Irreps(ins).dim, seed=3), (Irreps(ins), Irreps(outs))
    exact = equivariant_weight(ins, outs)
    assert exact.abs().sum() > 1
    assert lie_derivative(linear(exact), x, *kinds, SO3()).abs().max() < 1e-10
    assert lie_derivative(linear(torch.randn_like(exact)), x, *kinds, SO3()).norm() > 1


def test_equals_the_commutator_for_linear_maps():
    kinds = DirectSum(Scalars(2), Vectors(1)), DirectSum(Vectors(1), Irreps("2e"))
    weight, x = normal(8, 5), normal(6, 5, seed=1)
    algebra = SO3().lie_algebra(torch.float64)
    a_in, a_out = (kind.generators(algebra) for kind in kinds)
    expected = torch.stack([x @ (weight @ i - o @ weight).T for i, o in zip(a_in, a_out, strict=True)])
    torch.testing.assert_close(lie_derivative(linear(weight), x, *kinds, SO3()), expected)


def test_is_the_derivative_of_the_finite_error():
    """Against central differences of ρ_out(g⁻¹) f(ρ_in(g) x), translations and a non-linear f included."""
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, kind, step = normal(5, 3), Points(), 1e-5

    def pulled_back(generator, t):
        flow = torch.linalg.matrix_exp(t * generator)
        element = Element(flow[:3, :3], flow[:3, 3])
        return kind.act(element.inverse(), net(kind.act(element, x)))

    algebra = SE3().lie_algebra(torch.float64)
    expected = torch.stack([(pulled_back(a, step) - pulled_back(a, -step)) / (2 * step) for a in algebra])
    derivative = lie_derivative(net, x, kind, kind, SE3())
    torch.testing.assert_close(derivative, expected, rtol=0, atol=1e-8)


def test_non_linear_equivariant_maps_and_subgroups():
    x = normal(7, 3)

    def spin(v):  # commutes with rotations about z only
        return torch.stack([-v[:, 1], v[:, 0], v[:, 2] ** 3], -1) * v[:, :2].norm(dim=-1, keepdim=True)

    def gate(v):
        return v * torch.sigmoid(v.square().sum(-1, keepdim=True))

    kinds = Vectors(), Vectors()
    assert lie_derivative(gate, x, *kinds, O3()).abs().max() < 1e-12
    assert lie_derivative(spin, x, *kinds, SO2("z")).abs().max() < 1e-12
    assert lie_derivative(spin, x, *kinds, SO3()).norm() > 1


def test_biased_layers_contribute_the_bias():
    """For f(x) = b the derivative is −A b."""
    bias = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    derivative = lie_derivative(lambda x: bias + 0 * x, normal(2, 3), Vectors(), Vectors(), SO3())
    algebra = SO3().lie_algebra(torch.float64)[:, :3, :3]
    torch.testing.assert_close(derivative, -(algebra @ bias)[:, None].expand(3, 2, 3))


def test_trains_parameters():
    """Gradients reach the weights: descent on the Lie derivative makes a layer equivariant."""
    layer = nn.Linear(6, 6, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(normal(6, 6))
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    x, losses = normal(32, 6, seed=1), []
    for _ in range(150):
        optimiser.zero_grad()
        loss = lie_derivative(layer, x, Vectors(2), Vectors(2), SO3()).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 1e-3 * losses[0]
    assert layer.weight.detach().norm() > 0.5


def test_discrete_groups_are_refused():
    with pytest.raises(ValueError, match="discrete"):
        lie_derivative(torch.sin, normal(2, 3), Vectors(), Vectors(), C4())

"""Each aggregation against its formula, atom by atom."""

from __future__ import annotations

import math

import pytest
import torch

from equizoo.nn.radial import shifted_softplus
from equizoo.nn.readout import BOHR, DEBYE_PER_E_ANGSTROM, PropertyReadout, centre

KINDS = ("attention", "sum", "dipole", "mean", "extent", "attention")
Z = torch.tensor([8, 1, 1, 6])
POS = torch.tensor([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0], [5.0, 1, 2]], dtype=torch.float64)
BATCH = torch.tensor([0, 0, 0, 1])
H = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def readout():
    torch.manual_seed(0)
    module = PropertyReadout(3, 5, KINDS).double()
    module.hidden.bias.data.normal_()
    module.bias.data.normal_()
    normal = {"dtype": torch.float64}
    module.set_statistics(
        torch.rand(6, **normal) + 1, torch.randn(6, **normal), torch.randn(100, 6, **normal)
    )
    return module


def outputs(module, h, atom):
    """Return the outputs of the small readouts for one atom, written out."""
    values = []
    for t in range(module.weight.shape[0]):
        rows = slice(5 * t, 5 * t + 5)
        x = shifted_softplus(module.hidden.weight[rows] @ h[atom] + module.hidden.bias[rows])
        values.append(float(x @ module.weight[t] + module.bias[t]))
    return values


def by_hand(module, atoms):
    y = {a: outputs(module, H, a) for a in atoms}
    reference = [sum(float(module.reference[Z[a], t]) for a in atoms) for t in range(6)]
    scaled = lambda t, value: value * float(module.scale[t]) + float(module.shift[t])  # noqa: E731

    def attention(t, score):
        weights = {a: math.exp(y[a][score]) for a in atoms}
        return sum(weights[a] * y[a][t] for a in atoms) / sum(weights.values())

    mean_charge = sum(y[a][2] for a in atoms) / len(atoms)
    moment = sum((y[a][2] - mean_charge) * POS[a] for a in atoms)
    middle = sum(float(Z[a]) * POS[a] for a in atoms) / sum(float(Z[a]) for a in atoms)
    extent = sum((float(Z[a]) + y[a][4]) * float((POS[a] - middle).square().sum()) for a in atoms)
    values = [
        scaled(0, attention(0, 6)),
        scaled(1, sum(y[a][1] for a in atoms)),
        DEBYE_PER_E_ANGSTROM * float(moment.norm()),
        scaled(3, sum(y[a][3] for a in atoms) / len(atoms)),
        extent / BOHR**2,
        scaled(5, attention(5, 7)),
    ]
    return [value + shift for value, shift in zip(values, reference, strict=True)]


@torch.no_grad()
def test_every_aggregation_follows_its_formula(readout):
    expected = torch.tensor([by_hand(readout, atoms) for atoms in ((0, 1, 2), (3,))], dtype=torch.float64)
    torch.testing.assert_close(readout(H, Z, POS, BATCH, 2), expected)


@torch.no_grad()
def test_properties_do_not_depend_on_the_origin(readout):
    moved = readout(H, Z, POS + torch.tensor([3.0, -20.0, 7.0]), BATCH, 2)
    torch.testing.assert_close(moved, readout(H, Z, POS, BATCH, 2))


@torch.no_grad()
def test_attention_weights_sum_to_one():
    """Equal outputs come out unchanged, whatever the scores; large scores do not overflow."""
    readout = PropertyReadout(3, 5, ("attention",)).double()
    readout.hidden.weight[5:] *= 1e4
    readout.weight[0], readout.bias[0] = 0, 2.5
    out = readout(H, Z, POS, BATCH, 2)
    torch.testing.assert_close(out, torch.full((2, 1), 2.5, dtype=torch.float64))


@torch.no_grad()
def test_the_baseline_is_that_of_point_nuclei(readout):
    readout.weight.zero_()
    readout.bias.zero_()
    readout.reference.zero_()
    out, baseline = readout(H, Z, POS, BATCH, 2), readout.baseline(Z, POS, BATCH, 2)
    torch.testing.assert_close(out[:, 4], baseline[:, 4])
    assert float(baseline[0, 4]) > 0 and float(baseline[1].abs().max()) == 0
    assert float(baseline[:, [0, 1, 2, 3, 5]].abs().max()) == 0
    torch.testing.assert_close(out[:, 1], readout.shift[1].expand(2))


def test_centre_puts_the_weighted_mean_at_the_origin():
    weight = Z.double().unsqueeze(1)
    moved = centre(POS, weight, BATCH, 2)
    torch.testing.assert_close((weight * moved)[:3].sum(0), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(moved[3], torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(moved[1] - moved[0], POS[1] - POS[0])


@pytest.mark.parametrize("name", ["scale", "shift", "reference"])
def test_statistics_of_the_wrong_shape(name):
    readout = PropertyReadout(3, 5, ("sum", "mean"))
    values = {"scale": torch.ones(2), "shift": torch.ones(2), "reference": torch.ones(100, 2)}
    with pytest.raises(ValueError, match=rf"{name} must have shape .* got \(3,\)"):
        readout.set_statistics(**(values | {name: torch.ones(3)}))


@pytest.mark.parametrize("kind", ["sum", "mean", "attention", "dipole", "extent"])
def test_gradients(kind):
    readout = PropertyReadout(3, 2, (kind,)).double()
    h, pos = H.clone().requires_grad_(), (POS + 0.1).requires_grad_()
    # one atom alone has no dipole moment, and the length of a zero vector no derivative
    z, batch = Z[:3], BATCH[:3]
    assert torch.autograd.gradcheck(lambda h, pos: readout(h[:3], z, pos[:3], batch, 1), (h, pos))

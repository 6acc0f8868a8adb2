"""Radial functions at points worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from equizoo.nn.radial import GaussianBasis, cosine_envelope, shifted_softplus


def test_shifted_softplus():
    x = torch.tensor([-60.0, -1.0, 0.0, 2.0, 60.0], dtype=torch.float64)
    expected = [math.log(0.5 * math.exp(value) + 0.5) for value in x.tolist()]
    torch.testing.assert_close(shifted_softplus(x), torch.tensor(expected, dtype=torch.float64))


def test_cosine_envelope():
    x = torch.tensor([0.0, 2.5, 5.0, 7.5, 10.0], dtype=torch.float64, requires_grad=True)
    values = cosine_envelope(x, 10.0)
    half = math.sqrt(0.5) / 2
    expected = torch.tensor([1.0, 0.5 + half, 0.5, 0.5 - half, 0.0], dtype=torch.float64)
    torch.testing.assert_close(values, expected)
    (slope,) = torch.autograd.grad(values.sum(), x)
    torch.testing.assert_close(slope[[0, 2, 4]], torch.tensor([0, -math.pi / 20, 0], dtype=torch.float64))


def test_gaussian_basis():
    basis = GaussianBasis(5, 2.0).double()
    assert basis.centres.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    distance = [0.0, 0.5, 1.3]
    expected = [[math.exp(-0.5 * ((d - 0.5 * k) / 0.5) ** 2) for k in range(5)] for d in distance]
    torch.testing.assert_close(
        basis(torch.tensor(distance, dtype=torch.float64)), torch.tensor(expected, dtype=torch.float64)
    )
    assert not basis.state_dict()


def test_one_centre_is_refused():
    with pytest.raises(ValueError, match="at least 2 centres, got 1"):
        GaussianBasis(1, 5.0)

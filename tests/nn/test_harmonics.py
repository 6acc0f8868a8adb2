"""Spherical harmonics against e3nn's."""

from __future__ import annotations

import pytest
import torch
from e3nn import o3

from equizoo.nn.harmonics import spherical_harmonics

VECTORS = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("normalization", ["integral", "component"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_equal_to_e3nn(degree, normalization):
    kinds = o3.Irreps.spherical_harmonics(degree)
    expected = o3.spherical_harmonics(kinds, VECTORS, normalize=True, normalization=normalization)
    torch.testing.assert_close(spherical_harmonics(degree, VECTORS, normalization), expected)


@pytest.mark.parametrize("degree", [1, 2])
def test_a_zero_vector_has_no_direction(degree):
    values = spherical_harmonics(degree, torch.zeros(2, 3), "component")
    assert values.isfinite().all()
    assert values[:, 0].tolist() == [1, 1] and values[:, 1:4].abs().max() == 0


@pytest.mark.parametrize("degree", [1, 3])
def test_gradient(degree):
    vectors = VECTORS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: spherical_harmonics(degree, v), vectors)


def test_unknown_normalization():
    with pytest.raises(ValueError, match=r"one of \['component', 'integral'\], got 'norm'"):
        spherical_harmonics(1, VECTORS, "norm")

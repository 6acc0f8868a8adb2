"""The convolution in time against the fast Fourier transform."""

import pytest
import torch

from equizoo.nn.temporal_fourier import TemporalFourier


def by_fft(conv, x):
    real, imaginary = conv.weight.unbind(1)
    spectrum = torch.fft.rfft(x, dim=0)[: len(real)]
    mixed = torch.einsum("k...i,kio->k...o", spectrum, torch.complex(real, imaginary))
    return torch.fft.irfft(mixed, n=len(x), dim=0)


@pytest.mark.parametrize(
    ("frames", "modes"), [(1, 1), (2, 2), (3, 1), (4, 2), (4, 3), (5, 2), (5, 3), (8, 2), (8, 5)]
)
def test_it_is_the_transform(frames, modes):
    torch.manual_seed(0)
    conv = TemporalFourier(4, frames, modes, 0.5).double()
    x = torch.randn(frames, 3, 2, 4, dtype=torch.float64)
    torch.testing.assert_close(conv(x), by_fft(conv, x), rtol=0, atol=1e-13)


def test_gradients():
    conv = TemporalFourier(2, 5, 2, 0.5).double()
    x = torch.randn(5, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, weight: conv(x), (x, conv.weight))


def test_constants_stay_constant():
    conv = TemporalFourier(3, 5, 2, 0.1)
    y = conv(torch.randn(1, 7, 3).expand(5, 7, 3))
    torch.testing.assert_close(y, y[:1].expand_as(y), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("frames", "modes"), [(5, 4), (1, 2), (5, 0)])
def test_too_many_modes(frames, modes):
    with pytest.raises(ValueError, match=r"modes must lie in 1 to"):
        TemporalFourier(3, frames, modes, 0.1)

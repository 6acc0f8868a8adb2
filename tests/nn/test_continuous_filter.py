"""Plain and tabulated continuous-filter convolution against loops and float64."""

from __future__ import annotations

import pytest
import torch

from equizoo.models.schnet import SchNet, SchNetConfig
from equizoo.nn.continuous_filter import (
    KNOTS,
    PlainConvolution,
    TabulatedConvolution,
    can_tabulate,
    convolution,
)
from equizoo.nn.pairs import pairs_within
from equizoo.nn.radial import GaussianBasis, cosine_envelope, shifted_softplus

CUTOFF, WIDTH = 6.0, 8
SIZES = (20, 1, 27, *[23] * 18)


def molecules(sizes=SIZES, dtype=torch.float32, spread=2.0):
    generator = torch.Generator().manual_seed(0)
    pos = spread * torch.randn(sum(sizes), 3, generator=generator, dtype=torch.float64)
    return pos.to(dtype), torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


def pairs_of(dtype=torch.float32, sizes=SIZES):
    pos, batch = molecules(sizes, dtype)
    return pairs_within(pos, batch, len(sizes), CUTOFF)


class Problem:
    """A filter network, node features, and an output gradient, in float64; the same for every call."""

    def __init__(self):
        nodes = sum(SIZES)
        generator = torch.Generator().manual_seed(1)
        normal = {"generator": generator, "dtype": torch.float64}
        self.h, self.grad = torch.randn(nodes, WIDTH, **normal), torch.randn(nodes, WIDTH, **normal)
        self.weights = [torch.randn(WIDTH, 50, **normal) / 7, torch.randn(WIDTH, WIDTH, **normal) / 3]

    def run(self, convolve, dtype):
        """Return the output and the gradients in h and in the weights of the filter network."""
        h, *weights = (x.to(dtype, copy=True).requires_grad_() for x in (self.h, *self.weights))
        basis = GaussianBasis(50, CUTOFF).to(dtype)(convolve.distance)
        filters = shifted_softplus(basis @ weights[0].T) @ weights[1].T
        out = convolve(h, filters * cosine_envelope(convolve.distance, CUTOFF).unsqueeze(1))
        out.backward(self.grad.to(dtype))
        return [x.detach().double() for x in (out, h.grad, *(w.grad for w in weights))]


def errors(values, reference):
    return [float((a - b).norm() / b.norm()) for a, b in zip(values, reference, strict=True)]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_plain_convolution_is_the_sum_over_neighbours():
    pos, batch = molecules((4, 1, 3), torch.float64)
    pairs = pairs_within(pos, batch, 3, CUTOFF)
    h, filters = torch.randn(8, 2, dtype=torch.float64), torch.randn(len(pairs.first), 2, dtype=torch.float64)
    expected = torch.zeros_like(h)
    for p, (i, j) in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
        expected[i] += filters[p] * h[j]
        expected[j] += filters[p] * h[i]
    torch.testing.assert_close(PlainConvolution(pairs)(h, filters), expected)


def test_the_table_is_as_exact_as_float32():
    """Against float64, values and gradients are no worse than a small multiple of plain float32."""
    problem, pairs = Problem(), pairs_of()
    exact = pairs._replace(distance=pairs.distance.double())
    reference = problem.run(PlainConvolution(exact), torch.float64)
    plain = errors(problem.run(PlainConvolution(pairs), torch.float32), reference)
    table = errors(problem.run(TabulatedConvolution(pairs, CUTOFF), torch.float32), reference)
    for ours, theirs in zip(table, plain, strict=True):
        assert ours < 3 * theirs + 1e-7


def test_filters_are_read_at_both_ends_of_the_range():
    """Cubics are reproduced exactly, from distance 0 to the cutoff."""
    pos = torch.zeros(66, 3)
    pos[1::2, 0] = torch.linspace(0.0, CUTOFF, 33)
    pairs = pairs_within(pos, torch.arange(33).repeat_interleave(2), 33, CUTOFF)
    assert len(pairs.first) == 33
    convolve = TabulatedConvolution(pairs, CUTOFF)
    cubic = lambda d: 1 + d - 0.3 * d**2 + 0.02 * d**3  # noqa: E731
    out = convolve(torch.ones(66, 1), cubic(convolve.distance).unsqueeze(1))
    torch.testing.assert_close(out[::2, 0], cubic(pairs.distance), atol=2e-6, rtol=2e-6)


def test_two_threads_give_what_one_gives(two_threads):
    problem, pairs = Problem(), pairs_of()
    threaded = problem.run(TabulatedConvolution(pairs, CUTOFF), torch.float32)
    torch.set_num_threads(1)
    single = problem.run(TabulatedConvolution(pairs, CUTOFF), torch.float32)
    assert torch.equal(threaded[0], single[0]) and torch.equal(threaded[1], single[1])
    assert max(errors(threaded, single)) < 1e-6


def test_more_threads_than_molecules(two_threads):
    pairs = pairs_of(sizes=(29,))
    filters = torch.ones(KNOTS + 3, 1)
    out = TabulatedConvolution(pairs, CUTOFF)(torch.ones(29, 1), filters)
    neighbours = torch.cat([pairs.first, pairs.second]).bincount(minlength=29)
    torch.testing.assert_close(out[:, 0], neighbours.float())


def test_the_table_is_for_many_float32_pairs_without_forces(monkeypatch):
    pairs = pairs_of()
    assert can_tabulate(pairs)
    assert isinstance(convolution(pairs, CUTOFF), TabulatedConvolution)
    assert not can_tabulate(pairs_of(torch.float64))
    assert not can_tabulate(pairs_of(sizes=(20, 20)))
    assert not can_tabulate(pairs._replace(distance=pairs.distance.clone().requires_grad_()))
    assert not can_tabulate(pairs._replace(distance=pairs.distance.to("meta")))
    assert isinstance(convolution(pairs_of(torch.float64), CUTOFF), PlainConvolution)
    monkeypatch.setattr("equizoo.nn.compiled._has_numba", lambda: False)
    assert not can_tabulate(pairs)


def test_the_table_is_not_used_under_function_transforms():
    pairs, seen = pairs_of(), []
    torch.func.grad(lambda x: (seen.append(can_tabulate(pairs)), x.sum())[1])(torch.ones(2))
    assert seen == [False]


@pytest.mark.parametrize("branch", ["features", "positions"])
def test_schnet_is_the_same_with_and_without_the_table(branch, monkeypatch):
    torch.manual_seed(0)
    config = SchNetConfig(
        hidden=16, interactions=2, cutoff=CUTOFF, aggregations=("sum", "dipole"), relaxed=True, branch=branch
    )
    model, (pos, batch) = SchNet(config).eval(), molecules()
    z = torch.arange(len(batch)) % 9 + 1

    def run():
        model.zero_grad()
        out = model(z, pos, batch)
        (out * torch.linspace(-1, 1, 2 * len(SIZES)).view(-1, 2)).sum().backward()
        return [out.detach(), torch.cat([x.grad.flatten() for x in model.parameters()])]

    table = run()
    monkeypatch.setattr("equizoo.models.schnet.convolution", lambda pairs, cutoff: PlainConvolution(pairs))
    assert max(errors(table, run())) < 1e-6

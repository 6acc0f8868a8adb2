"""Vector neurons: the compiled kernels against torch, and the maps against their definitions."""

from __future__ import annotations

import copy

import pytest
import torch

from equizoo.nn import frame_pooling, neighbours, vector_activation
from equizoo.nn.frame_pooling import pool_invariants
from equizoo.nn.neighbours import Clouds, nearest_neighbours
from equizoo.nn.vector_activation import Elements, VectorActivation
from equizoo.nn.vector_linear import ContextLinear, EdgeLinear, VectorLinear


def random_elements(rows, pairs, generator):
    counts = (
        torch.randint(1, 4, (rows,), generator=generator) if pairs else torch.ones(rows, dtype=torch.long)
    )
    receivers = torch.arange(rows).repeat_interleave(counts)
    senders = torch.randint(0, rows, receivers.shape, generator=generator)
    return Elements(senders, receivers, torch.nn.functional.pad(counts.cumsum(0), (1, 0)))


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("pairs", [False, True], ids=["points", "pairs"])
@pytest.mark.parametrize(("rows", "channels"), [(7, 5), (300, 33), (3, 2048), (3, 2049)])
def test_the_compiled_activation_is_the_plain_one(pairs, training, rows, channels, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    elements = random_elements(rows, True, generator) if pairs else Elements.points(rows)
    layer = VectorActivation(channels).double().train(training)
    with torch.no_grad():
        for x in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
            x.uniform_(0.5, 1.5, generator=generator)
        layer.bias.sub_(1)
    normal = {"generator": generator, "dtype": torch.float64, "requires_grad": True}
    xs = [torch.randn(rows, 3, channels, **normal) for _ in range(4 if pairs else 2)]
    results = []
    for compiled in (True, False):
        monkeypatch.setattr(vector_activation, "kernels_apply", lambda *_, use=compiled: use)
        mine = copy.deepcopy(layer)
        y = mine(xs[0], xs[1], elements, *xs[2:])
        grads = torch.autograd.grad(
            (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum(), [*xs, *mine.parameters()]
        )
        results.append([y, *grads, mine.running_mean, mine.running_var, mine.num_batches_tracked])
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-10)


def test_activation_of_zero_vectors_is_zero_with_a_finite_gradient():
    x = torch.zeros(4, 3, 2, requires_grad=True)
    y = VectorActivation(2)(x, x, Elements.points(4))
    y.sum().backward()
    assert not y.any() and torch.isfinite(x.grad).all()


def test_one_element_cannot_be_trained_on():
    with pytest.raises(ValueError, match="more than one"):
        VectorActivation(2)(torch.randn(1, 3, 2), torch.randn(1, 3, 2), Elements.points(1))


@pytest.mark.parametrize("compiled", [True, False])
def test_neighbours_are_the_nearest(compiled, monkeypatch):
    monkeypatch.setattr(neighbours, "kernels_apply", lambda *_: compiled)
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sizes = [25, 3, 12]
    ragged = Clouds.of(torch.arange(3).repeat_interleave(torch.tensor(sizes)), 3)
    found = nearest_neighbours(x, ragged, 5)
    start, row = 0, 0
    for size in sizes:
        distance = torch.cdist(x[start : start + size], x[start : start + size])
        for i in range(size):
            mine = found.senders[found.first[row] : found.first[row + 1]]
            expected = distance[i].argsort()[:5] + start
            assert mine.tolist() == expected.tolist() and mine[0] == row
            row += 1
        start += size
    assert found.receivers.tolist() == [r for r in range(40) for _ in range(found.first.diff()[r])]


def test_equal_clouds_have_the_neighbours_of_ragged_ones():
    x = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
    batch = torch.arange(2).repeat_interleave(12)
    equal = nearest_neighbours(x, Clouds.equal(2, 12, x.device), 4)
    for one, other in zip(equal, nearest_neighbours(x, Clouds.of(batch, 2), 4), strict=True):
        assert torch.equal(one, other)


def test_compiled_pooling_is_the_plain_one(monkeypatch):
    normal = {"generator": torch.Generator().manual_seed(0), "dtype": torch.float64, "requires_grad": True}
    x, frames = torch.randn(9, 3, 5, **normal), torch.randn(9, 3, 3, **normal)
    clouds = Clouds.of(torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1]), 2)
    results = []
    for compiled in (True, False):
        monkeypatch.setattr(frame_pooling, "kernels_apply", lambda *_, use=compiled: use)
        y = pool_invariants(x, frames, clouds)
        results.append([y, *torch.autograd.grad(y.square().sum(), (x, frames))])
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-10)
    values = torch.einsum("rmc,rma->rac", x[:4], frames[:4])
    torch.testing.assert_close(results[0][0][0, :15], values.amax(0).flatten())
    torch.testing.assert_close(results[0][0][0, 15:], values.mean(0).flatten())


def test_an_edge_map_is_that_of_the_difference_and_the_point():
    layer = EdgeLinear(3, 4).double()
    x = torch.randn(6, 9, dtype=torch.float64)
    u, v = layer(x).unflatten(1, (3, -1)).chunk(2, -1)
    both = torch.cat([x[2] - x[5], x[5]]).view(2, 3, 3)  # (input, component, channel)
    expected = torch.einsum("imc,oic->mo", both, layer.weight.view(4, 2, 3))
    torch.testing.assert_close(u[2] + v[5], expected)


@pytest.mark.parametrize("rank", [0, 2])
def test_a_dense_edge_branch_is_that_of_the_difference_and_the_point(rank):
    layer = EdgeLinear(3, 4).double()
    layer.relax("dense", rank)
    branch = layer.relaxation.branch.double()
    x = torch.randn(6, 9, dtype=torch.float64)
    u, v = branch(x).unflatten(1, (3, -1)).chunk(2, -1)
    expected = branch.first(torch.cat([x[2] - x[5], x[5]]))
    expected = expected if branch.second is None else branch.second(expected)
    torch.testing.assert_close((u[2] + v[5]).flatten(), expected)


def test_a_context_map_is_that_of_the_point_and_the_mean():
    layer = ContextLinear(3, 4).double()
    layer.relax("dense", 0)
    x, mean = torch.randn(6, 9, dtype=torch.float64), torch.randn(2, 9, dtype=torch.float64)
    batch = torch.tensor([0, 0, 0, 1, 1, 1])
    both = torch.cat([x, mean[batch]], 1)
    plain = torch.einsum("rimc,oic->rmo", both.view(6, 2, 3, 3), layer.weight.view(4, 2, 3)).flatten(1)
    expected = plain + layer.relaxation.gamma * layer.relaxation.branch.double().first(both)
    torch.testing.assert_close(layer.double()(x, mean, batch), expected)


@pytest.mark.parametrize("kind", [VectorLinear, EdgeLinear, ContextLinear])
@pytest.mark.parametrize("branch", ["dense", "bounded"])
def test_a_map_and_its_dense_term_at_once_are_the_sum(kind, branch):
    layer = kind(3, 4)
    layer.relax(branch, 0)
    layer = layer.double().eval()
    term, results = layer.relaxation, []
    x = torch.randn(6, 9, dtype=torch.float64, requires_grad=True)
    context = (torch.randn(2, 9, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1, 1]))
    context = context if kind is ContextLinear else ()
    for hook in (None, lambda *arguments: None):  # whoever watches the term gets to see it
        handle = hook and term.register_forward_hook(hook)
        term.record, term.last_inputs = True, None
        y = layer(x, *context)
        assert torch.equal(term.last_inputs[0], x) and len(term.last_inputs) == 1 + len(context)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])))
        handle and handle.remove()
    for once, apart in zip(*results, strict=True):
        torch.testing.assert_close(once, apart, rtol=1e-10, atol=1e-12)


def test_a_bounded_branch_has_norm_one_and_no_bias():
    layer = VectorLinear(6, 8)
    layer.relax("bounded", 3)
    branch = layer.relaxation.branch.train()
    x = torch.randn(64, 18)
    for _ in range(100):
        y = branch(x)
    assert not branch(torch.zeros(1, 18)).any()
    assert (y.norm(dim=1) <= 1.001 * x.norm(dim=1)).all()

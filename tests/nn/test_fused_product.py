"""Compiled products against the same in torch operations, and when they are used."""

from __future__ import annotations

import copy

import pytest
import torch

from equizoo.models.segnn import GatedProduct
from equizoo.nn import tensor_product
from equizoo.nn.coupling import CouplingTable
from equizoo.nn.fused_product import FusedProduct, can_fuse

pytest.importorskip("numba")
NODES, EDGES = 11, 140
SHAPES = [(1, 6), (3, 5), (5, 4)]


class Problem:
    """Gated layers on ``[receiver, sender, extra]`` with the same weights, in float64."""

    def __init__(self):
        torch.manual_seed(0)
        table = CouplingTable("0e+1o+2e", 2)
        inputs = ["6x0e+5x1o+4x2e", "6x0e+5x1o+4x2e", "2x0e"]
        out = "7x0e+6x1o+3x2e"
        self.gathered = GatedProduct(inputs, out, table, (0, 0, 1)).double()
        self.plain = GatedProduct(inputs, out, table).double()
        self.plain.load_state_dict(self.gathered.state_dict())
        self.x = torch.randn(NODES, 41).double().requires_grad_()
        self.extra = torch.randn(EDGES, 2).double().requires_grad_()
        self.a = table.double()(torch.randn(EDGES, 9).double())
        self.receivers, self.senders = torch.randint(0, NODES, (2, EDGES)).unbind()
        self.rows = [self.receivers, self.senders, None]
        self.grad = torch.randn(EDGES, 40).double()

    def run(self, gathered, dtype=torch.float64):
        """Return output and gradients."""
        layer = copy.deepcopy(self.gathered if gathered else self.plain).to(dtype)
        x, extra, a = (value.to(dtype) for value in (self.x, self.extra, self.a))
        if gathered:
            y = layer([x, extra], a, self.rows)
        else:
            y = layer([x[self.receivers], x[self.senders], extra], a)
        wanted = [self.x, self.extra, layer.weight, layer.bias]
        return [y, *torch.autograd.grad(y, wanted, self.grad.to(dtype))]


@pytest.mark.parametrize("gathered", [True, False], ids=["gathered", "by row"])
def test_equal_to_torch_operations(gathered, monkeypatch):
    problem = Problem()
    found, single = problem.run(gathered), problem.run(gathered, torch.float32)
    monkeypatch.setattr(tensor_product, "can_fuse", lambda *_: False)
    for x, y, z in zip(found, problem.run(not gathered), single, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(z.double(), y, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("gathered", [True, False], ids=["gathered", "by row"])
def test_gradient(gathered):
    problem = Problem()
    layer = problem.gathered if gathered else problem.plain
    rows = problem.rows if gathered else [None] * 3
    xs = [problem.x] if gathered else [problem.x[problem.receivers], problem.x[problem.senders]]
    xs = [x.detach().requires_grad_() for x in (*xs, problem.extra)]

    def output(weight, bias, *xs):
        return FusedProduct.apply(layer.plan, layer.gate, rows, problem.a, weight, bias, *xs)

    assert torch.autograd.gradcheck(output, (layer.weight, layer.bias, *xs), fast_mode=True)


@pytest.mark.parametrize("gathered", [True, False], ids=["gathered", "by row"])
@pytest.mark.parametrize("wanted", [(), (0,), (1,)])
def test_features_without_a_gradient(gathered, wanted):
    """The gradients of the rest are those of the whole."""
    problem = Problem()
    layer, rows = (problem.gathered, problem.rows) if gathered else (problem.plain, None)
    xs = [problem.x] if gathered else [problem.x[problem.receivers], problem.x[problem.senders]]
    found = []
    for part in (wanted, range(3)):
        leaves = [x.detach().requires_grad_(k in part) for k, x in enumerate((*xs, problem.extra))]
        layer.zero_grad()
        layer(leaves, problem.a, rows).backward(problem.grad)
        found.append([layer.weight.grad.clone(), layer.bias.grad.clone(), *(leaves[k].grad for k in wanted)])
        assert [k for k, x in enumerate(leaves) if x.grad is not None] == [*part][: len(leaves)]
    torch.testing.assert_close(*found)


def test_new_weights_are_seen_without_gradients():
    problem = Problem()
    layer, xs = problem.plain, [torch.randn(EDGES, dim).double() for dim in (41, 41, 2)]
    with torch.no_grad():
        before = layer(xs, problem.a)
        layer.weight.mul_(2)
        layer.bias.mul_(2)
        assert not torch.equal(before, layer(xs, problem.a))
        layer.weight.data.div_(2)  # as averages of weights do: no version counter sees it
        layer.bias.data.div_(2)
        assert torch.equal(layer(xs, problem.a), before)
        layer.weight = torch.nn.Parameter(2 * layer.weight)
        assert not torch.equal(layer(xs, problem.a), before)


def test_layers_that_were_built_for_inference_run():
    with torch.inference_mode():
        problem = Problem()
        xs = [torch.randn(EDGES, dim).double() for dim in (41, 41, 2)]
        assert torch.equal(problem.plain(xs, problem.a), problem.plain(xs, problem.a))


def test_a_gradient_of_the_attributes_goes_through_torch():
    x = [torch.zeros(2, 3)]
    assert can_fuse(torch.zeros(2, 4), x, 1)
    assert not can_fuse(torch.zeros(2, 4, requires_grad=True), x, 1)
    assert not can_fuse(torch.zeros(2, 4), [torch.zeros(2, 3).double()], 1)
    assert not can_fuse(torch.zeros(2, 4).half(), [torch.zeros(2, 3).half()], 1)
    assert not can_fuse(torch.zeros(2, 4), x, 4)


@pytest.mark.parametrize("gathered", [True, False], ids=["gathered", "by row"])
def test_no_rows(gathered):
    """Systems of one particle have no edges, and there may be no node."""
    problem = Problem()
    layer = (problem.gathered if gathered else problem.plain).float()
    none = torch.zeros(0, dtype=torch.long)
    xs = [torch.zeros(0, dim, requires_grad=True) for dim in ((41, 2) if gathered else (41, 41, 2))]
    y = layer(xs, torch.zeros(0, problem.a.shape[1]), [none, none, None] if gathered else None)
    assert y.shape == (0, 40)
    y.sum().backward()
    assert layer.weight.grad.abs().max() == 0

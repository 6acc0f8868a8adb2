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
    """A gated layer on ``[receiver, sender, extra]``, with the gradient of its output, in float64."""

    def __init__(self):
        torch.manual_seed(0)
        self.table = CouplingTable("0e+1o+2e", 2).double()
        hidden = "6x0e+5x1o+4x2e"
        self.layer = GatedProduct(f"{hidden}+{hidden}+2x0e", "7x0e+6x1o+3x2e", self.table).double()
        self.nodes = [torch.randn(NODES, *shape).double().requires_grad_() for shape in SHAPES]
        self.extra = torch.randn(EDGES, 1, 2).double().requires_grad_()
        self.a = self.table(torch.randn(EDGES, 9).double())
        self.receivers, self.senders = torch.randint(0, NODES, (2, EDGES)).unbind()
        self.grads = [torch.randn(EDGES, *shape).double() for shape in [(1, 7), (3, 6), (5, 3)]]

    def run(self, gathered, dtype=torch.float64):
        """Return outputs and gradients."""
        layer = copy.deepcopy(self.layer).to(dtype)
        nodes, extra, a = [x.to(dtype) for x in self.nodes], self.extra.to(dtype), self.a.to(dtype)
        if gathered:
            rows = [self.receivers] * 3 + [self.senders] * 3 + [None]
            outs = layer([*nodes, *nodes, extra], a, rows)
        else:
            blocks = [x[index] for index in (self.receivers, self.senders) for x in nodes]
            outs = layer([*blocks, extra], a)
        wanted = [*self.nodes, self.extra, layer.weight, layer.bias]
        return [*outs, *torch.autograd.grad(outs, wanted, [g.to(dtype) for g in self.grads])]


@pytest.mark.parametrize("gathered", [True, False], ids=["gathered", "by row"])
def test_equal_to_torch_operations(gathered, monkeypatch):
    problem = Problem()
    found, single = problem.run(gathered), problem.run(gathered, torch.float32)
    monkeypatch.setattr(tensor_product, "can_fuse", lambda *_: False)
    for x, y, z in zip(found, problem.run(not gathered), single, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(z.double(), y, rtol=1e-4, atol=1e-4)


def test_gradient():
    problem = Problem()
    layer = problem.layer
    rows = [problem.receivers] * 3 + [problem.senders] * 3 + [None]

    def outputs(weight, bias, extra, *nodes):
        return FusedProduct.apply(
            layer.node_plan, layer.gate, rows, problem.a, weight, bias, *nodes, *nodes, extra
        )

    wanted = (layer.weight, layer.bias, problem.extra, *problem.nodes)
    assert torch.autograd.gradcheck(outputs, wanted, fast_mode=True)


def test_new_weights_are_seen_without_gradients():
    problem = Problem()
    blocks = [torch.randn(EDGES, *shape).double() for shape in [*SHAPES, *SHAPES, (1, 2)]]
    with torch.no_grad():
        before = problem.layer(blocks, problem.a)
        problem.layer.weight.mul_(2)
        problem.layer.bias.mul_(2)
        changed = problem.layer(blocks, problem.a)
        assert not torch.equal(before[0], changed[0])
        problem.layer.weight = torch.nn.Parameter(problem.layer.weight / 2)
        problem.layer.bias.div_(2)
        assert torch.equal(problem.layer(blocks, problem.a)[0], before[0])


def test_a_gradient_of_the_attributes_goes_through_torch():
    x = [torch.zeros(2, 1, 3)]
    assert can_fuse(torch.zeros(2, 4), x, 1)
    assert not can_fuse(torch.zeros(2, 4, requires_grad=True), x, 1)
    assert not can_fuse(torch.zeros(2, 4), [torch.zeros(2, 1, 3).double()], 1)
    assert not can_fuse(torch.zeros(2, 4).half(), [torch.zeros(2, 1, 3).half()], 1)
    assert not can_fuse(torch.zeros(2, 4), x * 13, 1)


def test_no_rows():
    problem = Problem()
    blocks = [torch.zeros(0, *shape, requires_grad=True) for shape in [*SHAPES, *SHAPES, (1, 2)]]
    outs = problem.layer.float()(blocks, torch.zeros(0, problem.a.shape[1]))
    assert [y.shape[0] for y in outs] == [0, 0, 0]
    sum(y.sum() for y in outs).backward()

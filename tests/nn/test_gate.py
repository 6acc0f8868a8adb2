"""The gate against e3nn's, in torch operations and in kernels."""

from __future__ import annotations

import pytest
import torch
from e3nn import nn as e3nn_nn

from equizoo.nn.coupling import CouplingTable
from equizoo.nn.gate import Gate
from equizoo.nn.steerable import block_shapes, from_mul_ir, join_blocks, split_blocks, to_mul_ir

IN, OUT = "12x0e+4x1o+3x2e", "5x0e+4x1o+3x2e"


def e3nn_gate():
    return e3nn_nn.Gate("5x0e", [torch.nn.functional.silu], "7x0e", [torch.sigmoid], "4x1o+3x2e")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_equal_to_e3nn():
    gate, reference = Gate(5, [4, 3], [1, 2]), e3nn_gate()
    x = torch.randn(6, 39, requires_grad=True)
    mine = to_mul_ir(join_blocks(gate(split_blocks(from_mul_ir(x, IN), block_shapes(IN)))), OUT)
    # e3nn estimates its constants in the default type
    torch.testing.assert_close(mine, reference(x), rtol=1e-5, atol=1e-6)
    grad = torch.randn_like(mine)
    found, expected = (torch.autograd.grad((y * grad).sum(), x)[0] for y in (mine, reference(x)))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_only_scalars():
    gate = Gate(3, [], [])
    assert gate([torch.zeros(2, 1, 3)])[0].tolist() == torch.zeros(2, 1, 3).tolist()


def test_gradient():
    gate = Gate(2, [3], [1])
    blocks = [
        torch.randn(4, 1, 5, dtype=torch.float64, requires_grad=True),
        torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True),
    ]
    assert torch.autograd.gradcheck(lambda *blocks: tuple(gate(blocks)), blocks)


def test_a_layer_without_coupling_is_the_gate():
    """An identity product isolates what the kernels of the gate do."""
    from equizoo.models.segnn import GatedProduct

    layer = GatedProduct("5x0e+2x1o", "3x0e+2x1o", CouplingTable("0e", 1)).double()
    with torch.no_grad():
        layer.bias.zero_()
        layer.weight[:25] = torch.eye(5).flatten()
        layer.weight[25:] = torch.eye(2).flatten()
    blocks = [torch.randn(7, 1, 5).double().requires_grad_(), torch.randn(7, 3, 2).double().requires_grad_()]
    ones = layer_coefficients(7)
    grads = [torch.randn(7, 1, 3).double(), torch.randn(7, 3, 2).double()]
    found = split_blocks(layer([join_blocks(blocks)], ones), [(1, 3), (3, 2)])
    expected = layer.gate(blocks)
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y)
    pairs = (torch.autograd.grad(ys, blocks, grads) for ys in (found, expected))
    for x, y in zip(*pairs, strict=True):
        torch.testing.assert_close(x, y)


def layer_coefficients(rows):
    return CouplingTable("0e", 1).double()(torch.ones(rows, 1, dtype=torch.float64))

"""Composed maps against the module run on every row."""

from __future__ import annotations

import copy

import pytest
import torch

from equizoo.nn.affine import NormalisedLinear


@pytest.mark.parametrize("training", [True, False])
def test_composition_equals_the_forward_pass(training):
    torch.manual_seed(0)
    plain = NormalisedLinear(6).double()
    plain[0].weight.data.uniform_(0.5, 2.0)
    plain[0].bias.data.normal_()
    plain(torch.randn(20, 6, dtype=torch.float64))
    plain.train(training)
    composed = copy.deepcopy(plain)
    x = torch.randn(17, 3, dtype=torch.float64)
    x = x - x.mean(0)
    maps = [torch.randn(3, 6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)]
    grad = torch.randn(17, 6, dtype=torch.float64)

    def run(module, function):
        weight, offset = (value.clone().requires_grad_() for value in maps)
        out = function(weight, offset)
        inputs = [weight, *module.parameters()]
        return [out, *torch.autograd.grad(out, inputs, grad), *module.buffers()]

    def compose(weight, offset):
        new_weight, new_offset = composed.compose(weight, offset, x.T @ x / 17, 17)
        return x @ new_weight + new_offset

    expected = run(plain, lambda weight, offset: plain(x @ weight + offset))
    for ours, theirs in zip(run(composed, compose), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_one_row_has_no_variance():
    with pytest.raises(ValueError, match="more than one row"):
        NormalisedLinear(2).compose(torch.ones(3, 2), torch.ones(2), torch.ones(3, 3), 1)

"""The tensor product against e3nn's for random irreps, values and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from e3nn import o3
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from equizoo.nn import tensor_product
from equizoo.nn.coupling import CouplingTable
from equizoo.nn.steerable import from_mul_ir, to_mul_ir
from equizoo.nn.tensor_product import TensorProduct

ROWS, NODES = 6, 4


@pytest.fixture(autouse=True, scope="module")
def double():
    """e3nn rounds its coefficients to the default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def reference(layer, kinds, x, a):
    """e3nn's product without its division by √fan-in, plus the bias on scalars."""
    product = o3.FullyConnectedTensorProduct(*kinds, internal_weights=False, shared_weights=True)
    y = product(x, a, layer.weight)
    bias, start = layer.bias, 0
    parts = []
    for i, ((mul, ir), where) in enumerate(zip(kinds[2], kinds[2].slices(), strict=True)):
        fan_in = sum(math.prod(p.path_shape[:2]) for p in product.instructions if p.i_out == i)
        parts.append(math.sqrt(fan_in) * y[:, where])
        if str(ir) == "0e":
            parts[-1] = parts[-1] + bias[start : start + mul]
            start += mul
    return torch.cat(parts, 1)


def run(layer, kinds, x, a, table, rows=None):
    """Our product on e3nn's layout; ``rows`` says which row output row e reads."""
    return to_mul_ir(layer([from_mul_ir(x, kinds[0])], table(a), rows), kinds[2])


def gradients(y, grad, wanted):
    return [y, *torch.autograd.grad(y, wanted, grad, retain_graph=True)]


def assert_equal(found, expected):
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-10)


def irreps(lmax, most, largest):
    entry = st.tuples(st.integers(1, most), st.integers(0, lmax), st.sampled_from((1, -1)))
    return st.lists(entry, min_size=1, max_size=largest).map(
        lambda entries: o3.Irreps([(mul, (degree, parity)) for mul, degree, parity in entries])
    )


@st.composite
def products(draw):
    """Irreps of input, attributes and output with a path to each output."""
    lmax = draw(st.integers(1, 3))
    kinds_in, attributes = draw(irreps(lmax, 4, 4)), draw(irreps(lmax, 2, 3))
    wanted = draw(irreps(lmax, 4, 4))
    reachable = {out for _, ir in kinds_in for _, by in attributes for out in ir * by}
    kinds_out = o3.Irreps([(mul, ir) for mul, ir in wanted if ir in reachable])
    assume(len(kinds_out))
    return kinds_in, attributes, kinds_out


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("fuse", [True, False], ids=["kernels", "torch"])
@settings(max_examples=12, deadline=None)
@given(kinds=products())
def test_equal_to_e3nn(fuse, kinds):
    table = CouplingTable(kinds[1], max(kinds[0].lmax, kinds[2].lmax))
    layer = TensorProduct(kinds[0], kinds[2], table)
    early = TensorProduct(kinds[0], kinds[2], table, sources=(0,))
    early.weight, early.bias = layer.weight, layer.bias
    x = torch.randn(NODES, kinds[0].dim).requires_grad_()
    a = torch.randn(ROWS, kinds[1].dim).requires_grad_(not fuse)
    grad = torch.randn(ROWS, kinds[2].dim)
    wanted = [x, *layer.parameters(), *([] if fuse else [a])]
    index = torch.tensor([0, 3, 3, 1, 0, 2])
    expected = gradients(reference(layer, kinds, x[index], a), grad, wanted)
    with pytest.MonkeyPatch.context() as patch:
        if not fuse:
            patch.setattr(tensor_product, "can_fuse", lambda *_: False)
        gathered = run(early, kinds, x, a, table, [index])
        assert_equal(gradients(gathered, grad, wanted), expected)
        plain = run(layer, kinds, x[index], a, table)
        assert_equal(gradients(plain, grad, wanted), expected)
        with torch.no_grad():
            assert_equal([run(layer, kinds, x[index], a, table)], expected[:1])


def test_equivariance():
    kinds = o3.Irreps("3x0e+2x1o+1x2e"), o3.Irreps("0e+1o+2e"), o3.Irreps("2x0e+2x1o+2x2e+1x1e")
    table = CouplingTable(kinds[1], 2)
    layer = TensorProduct(kinds[0], kinds[2], table)
    x, a = (torch.randn(ROWS, kind.dim) for kind in kinds[:2])
    matrix = -o3.rand_matrix()
    actions = [kind.D_from_matrix(matrix) for kind in kinds]
    moved = run(layer, kinds, x @ actions[0].T, a @ actions[1].T, table)
    torch.testing.assert_close(moved, run(layer, kinds, x, a, table) @ actions[2].T, rtol=1e-9, atol=1e-9)


def test_weights_start_in_the_published_range():
    layer = TensorProduct("8x0e+4x1o", "16x0e+2x1o", CouplingTable("0e+1o", 1))
    # scalars get 8 + 4 channels, vectors 8 + 4
    assert layer.weight.shape == (8 * 16 + 8 * 2 + 4 * 16 + 4 * 2,)
    for parameter in (layer.weight, layer.bias):
        assert 0.6 / 12**0.5 < parameter.abs().max() <= 1 / 12**0.5


def test_an_output_without_a_path():
    with pytest.raises(ValueError, match=r"8x0e and attributes 1x0e\+1x1o cannot make all of 1x2e"):
        TensorProduct("8x0e", "1x2e", CouplingTable("0e+1o", 2))

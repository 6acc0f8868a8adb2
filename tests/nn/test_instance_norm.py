"""Instance normalisation against its formula, graph by graph and channel by channel."""

from __future__ import annotations

import torch

from equizoo.nn.instance_norm import InstanceNorm
from equizoo.nn.steerable import block_shapes, join_blocks, split_blocks
from equizoo.symmetry import O3
from equizoo.symmetry.irreps import Irreps

IRREPS = "3x0e+2x1o+1x0o+2x2e"
BATCH = torch.tensor([0, 0, 0, 1, 2, 2])


def make_norm():
    torch.manual_seed(0)
    norm = InstanceNorm(IRREPS).double()
    for parameter in norm.parameters():
        parameter.data.normal_()
    return norm, torch.randn(6, 20, dtype=torch.float64)


def by_hand(norm, x):
    """Write the formula out for one graph, ``x`` (n, dim)."""
    blocks, channel, scalar = [], 0, 0
    for block, centred in zip(split_blocks(x, block_shapes(IRREPS)), norm.scalar, strict=True):
        columns = []
        for c in range(block.shape[2]):
            values = block[:, :, c]
            if centred:
                values = values - values.mean()
            values = norm.weight[channel] * values / (values.square().mean() + norm.eps).sqrt()
            channel += 1
            if centred:
                values = values + norm.bias[scalar]
                scalar += 1
            columns.append(values)
        blocks.append(torch.stack(columns, 2))
    return join_blocks(blocks)


def test_formula():
    norm, x = make_norm()
    expected = torch.cat([by_hand(norm, x[graph == BATCH]) for graph in range(3)])
    torch.testing.assert_close(norm(x, BATCH), expected)


def test_only_true_scalars_are_centred():
    """The mean of pseudoscalars changes its sign under a reflection: a bias on them would break it."""
    norm, x = make_norm()
    kind = Irreps(IRREPS, layout="ir_mul")
    element = O3().sample(2, generator=torch.Generator().manual_seed(0))[1]
    moved = norm(kind.act(element, x), BATCH)
    torch.testing.assert_close(moved, kind.act(element, norm(x, BATCH)))
    assert norm.scalar == [True, False, False, False] and norm.bias.shape == (3,)


def test_gradient():
    norm, x = make_norm()
    assert torch.autograd.gradcheck(lambda x: norm(x, BATCH), x.requires_grad_())

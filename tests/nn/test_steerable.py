"""Layouts of steerable features."""

from __future__ import annotations

import torch

from equizoo.nn.steerable import block_shapes, from_mul_ir, join_blocks, split_blocks, to_mul_ir

IRREPS = "3x0e+2x1o+1x2e+4x0o"


def test_blocks_have_their_channels_last():
    assert block_shapes(IRREPS) == [(1, 3), (3, 2), (5, 1), (1, 4)]
    x = torch.arange(18.0).expand(2, 18)
    blocks = split_blocks(x, block_shapes(IRREPS))
    assert [tuple(block.shape) for block in blocks] == [(2, 1, 3), (2, 3, 2), (2, 5, 1), (2, 1, 4)]
    assert blocks[1][0].tolist() == [[3, 4], [5, 6], [7, 8]]
    assert torch.equal(join_blocks(blocks), x)


def test_layouts_are_inverse_to_each_other():
    x = torch.randn(5, 18)
    ours = from_mul_ir(x, IRREPS)
    # e3nn: both vectors one after the other
    vectors = x[:, 3:9].unflatten(1, (2, 3))
    assert torch.equal(split_blocks(ours, block_shapes(IRREPS))[1], vectors.transpose(1, 2))
    assert torch.equal(to_mul_ir(ours, IRREPS), x)

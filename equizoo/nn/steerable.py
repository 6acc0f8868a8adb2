"""Layout of steerable features.

Between layers a feature is one tensor ``(N, dim)`` in the layout ``ir_mul``: block after block, and in each
block the channels are last. Inside a layer it is a list of blocks ``(N, 2l+1, channels)``. e3nn's layout
(``mul_ir``) has the channels first; :func:`to_mul_ir` and :func:`from_mul_ir` convert.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def block_shapes(irreps: Any) -> list[tuple[int, int]]:
    """Return ``(2l+1, channels)`` of each block of e3nn irreps.

    Example:
        >>> block_shapes("8x0e+4x1o")
        [(1, 8), (3, 4)]
    """
    from e3nn import o3

    return [(2 * degree + 1, mul) for mul, (degree, _) in o3.Irreps(irreps)]


def split_blocks(x: Tensor, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Return the blocks ``(N, 2l+1, channels)`` of features ``(N, dim)`` in the layout ``ir_mul``."""
    parts = x.split([size * channels for size, channels in shapes], dim=-1)
    return [part.unflatten(-1, shape) for part, shape in zip(parts, shapes, strict=True)]


def join_blocks(blocks: Sequence[Tensor]) -> Tensor:
    """Return features ``(N, dim)`` in the layout ``ir_mul`` from their blocks."""
    return torch.cat([block.flatten(-2) for block in blocks], dim=-1)


def to_mul_ir(x: Tensor, irreps: Any) -> Tensor:
    """Return features ``(N, dim)`` in e3nn's layout from those in ``ir_mul``.

    Example:
        >>> to_mul_ir(torch.tensor([[1.0, 2, 3, 4, 5, 6]]), "2x1o").tolist()
        [[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]]
    """
    return join_blocks([block.transpose(-1, -2) for block in split_blocks(x, block_shapes(irreps))])


def from_mul_ir(x: Tensor, irreps: Any) -> Tensor:
    """Return features ``(N, dim)`` in the layout ``ir_mul`` from those in e3nn's layout."""
    shapes = [(channels, size) for size, channels in block_shapes(irreps)]
    return join_blocks([block.transpose(-1, -2) for block in split_blocks(x, shapes)])

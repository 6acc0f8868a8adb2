"""Gated nonlinearity of steerable features.

Scalars pass through SiLU; each other channel is scaled by the sigmoid of a scalar of its own. Both functions
carry the constant that makes their second moment 1 on normal input, as in e3nn.

References:
    Weiler et al., "3D Steerable CNNs", NeurIPS 2018, Section 3.4; e3nn's ``Gate`` and ``normalize2mom``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SILU, SIGMOID = 1.6791767923989418, 1.8467055342154763
"""1/√E[φ(x)²] for x ~ N(0, 1), as e3nn estimates it from a sample."""


class Gate(nn.Module):
    """``[silu(s), sigmoid(g)·v]`` from blocks ``[(s, g), v, …]``.

    Args:
        scalars: Number of scalars that pass.
        gated: Channels of each other block.

    Example:
        >>> gate = Gate(2, [3])
        >>> [tuple(y.shape) for y in gate([torch.randn(4, 1, 5), torch.randn(4, 3, 3)])]
        [(4, 1, 2), (4, 3, 3)]
    """

    def __init__(self, scalars: int, gated: Sequence[int]) -> None:
        super().__init__()
        self.scalars, self.gated = scalars, list(gated)

    def forward(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Gate features.

        Args:
            blocks: ``(N, 1, scalars + Σ gated)`` scalars, then ``(N, 2l+1, channels)`` for each gated block.

        Returns:
            ``(N, 1, scalars)`` and the gated blocks.
        """
        scalars, *gates = blocks[0].split([self.scalars, *self.gated], dim=-1)
        scaled = [y * (SIGMOID * torch.sigmoid(gate)) for y, gate in zip(blocks[1:], gates, strict=True)]
        return [SILU * nn.functional.silu(scalars), *scaled]

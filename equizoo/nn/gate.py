"""Gated nonlinearity of steerable features.

Scalars pass through SiLU; each other channel is scaled by the sigmoid of a scalar of its own. Both functions
carry the constant that makes their second moment 1 on normal input, as in e3nn.

References:
    Weiler et al., "3D Steerable CNNs", NeurIPS 2018, Section 3.4; e3nn's ``Gate`` and ``normalize2mom``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

SILU, SIGMOID = 1.6791767923989418, 1.8467055342154763
"""1/√E[φ(x)²] for x ~ N(0, 1), as e3nn estimates it from a sample."""


class Gate(nn.Module):
    """``[silu(s), sigmoid(g)·v]`` from blocks ``[(s, g), v, …]``.

    Args:
        scalars: Number of scalars that pass.
        gated: Channels of each other block.
        degrees: Degree of each of them.

    Example:
        >>> gate = Gate(2, [3], [1])
        >>> [tuple(y.shape) for y in gate([torch.randn(4, 1, 5), torch.randn(4, 3, 3)])]
        [(4, 1, 2), (4, 3, 3)]
    """

    def __init__(self, scalars: int, gated: Sequence[int], degrees: Sequence[int]) -> None:
        super().__init__()
        self.scalars, self.gated = scalars, list(gated)
        self.width = scalars + sum(gated)
        before, first, gates, blocks = self.width, scalars, scalars, []
        for channels, degree in zip(gated, degrees, strict=True):
            size = 2 * degree + 1
            blocks.append((before, size, channels, first, gates))
            before, first, gates = before + size * channels, first + size * channels, gates + channels
        self.dim, self.factors = first, (scalars, self.width, SILU, SIGMOID)
        self.blocks = np.array(blocks, np.uint64).reshape(-1, 5)

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

    def fused_backward(self, grad: Tensor, y: Tensor, sigma: Tensor, grad_y: Tensor) -> None:
        """Fill the gradient in ``y`` from that of the features ``(N, dim)``, with a compiled kernel."""
        from equizoo.nn._gate_kernels import gate_backward

        gate_backward(grad.numpy(), y.numpy(), sigma.numpy(), self.blocks, self.factors, grad_y.numpy())

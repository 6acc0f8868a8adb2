"""Instance normalisation of steerable features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equizoo.nn.steerable import block_shapes, join_blocks, split_blocks


class InstanceNorm(nn.Module):
    """Scale each channel so that its mean square over the nodes of a graph is a learned weight squared.

    Scalars (0e) are centred first and get a learned bias.

    Args:
        irreps: Irreps of the features.
        eps: Added to the mean square.

    Attributes:
        weight: One a channel, in the order of the irreps.
        bias: One a scalar channel.

    Example:
        >>> norm = InstanceNorm("2x0e+1x1o")
        >>> norm(torch.randn(6, 5), torch.tensor([0, 0, 0, 1, 1, 1])).shape
        torch.Size([6, 5])

    References:
        Ulyanov et al., "Instance Normalization", 2016; the form of SEGNN's QM9 experiment (component norms,
        mean over the graph).
    """

    def __init__(self, irreps: str, eps: float = 1e-5) -> None:
        from e3nn import o3

        super().__init__()
        self.shapes, self.eps = block_shapes(irreps), eps
        self.scalar = [str(ir) == "0e" for _, ir in o3.Irreps(irreps)]
        channels = [c for _, c in self.shapes]
        self.weight = nn.Parameter(torch.ones(sum(channels)))
        self.bias = nn.Parameter(
            torch.zeros(sum(c for c, scalar in zip(channels, self.scalar, strict=True) if scalar))
        )

    def forward(self, x: Tensor, batch: Tensor) -> Tensor:
        """Normalise.

        Args:
            x: ``(N, dim)`` features in the layout ``ir_mul``.
            batch: ``(N,)`` graph of each node, ascending from 0.

        Returns:
            ``(N, dim)`` features.
        """
        graphs = x.shape[0]  # at most one a node; counting them would stop an export
        count = x.new_zeros(graphs).index_add(0, batch, x.new_ones(graphs)).clamp(min=1)

        def mean(values: Tensor) -> Tensor:
            total = values.new_zeros(graphs, values.shape[1]).index_add(0, batch, values)
            return (total / count[:, None]).index_select(0, batch)

        weights = iter(self.weight.split([c for _, c in self.shapes]))
        scalars = [c for (_, c), scalar in zip(self.shapes, self.scalar, strict=True) if scalar]
        biases = iter(self.bias.split(scalars))
        blocks = []
        for block, scalar in zip(split_blocks(x, self.shapes), self.scalar, strict=True):
            if scalar:
                block = block - mean(block.squeeze(1)).unsqueeze(1)
            scale = next(weights) * (mean(block.square().mean(1)) + self.eps).rsqrt()
            block = block * scale.unsqueeze(1)
            blocks.append(block + next(biases) if scalar else block)
        return join_blocks(blocks)

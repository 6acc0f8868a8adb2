"""Steerable E(3)-equivariant message passing (SEGNN), plain and relaxed: what all inputs share.

Brandstetter, Hesselink, van der Pol, Bekkers, Welling, "Geometric and Physical Quantities Improve E(3)
Equivariant Message Passing", ICLR 2022. Relaxed as in Manolache et al., "Learning (Approximately) Equivariant
Networks via Constrained Optimization" (ACE), Section 4 and Appendix A: one γ after each of the two node
updates of a layer.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from equizoo.nn.coupling import CouplingTable
from equizoo.nn.edges import Edges
from equizoo.nn.gate import Gate
from equizoo.nn.instance_norm import InstanceNorm
from equizoo.nn.steerable import block_shapes, join_blocks, split_blocks
from equizoo.nn.tensor_product import TensorProduct
from equizoo.relaxation.layer import Relaxation
from equizoo.relaxation.spectral import spectral_normalise
from equizoo.symmetry.features import Irreps

BRANCHES = ("mlp", "linear", "bounded")


def balanced_irreps(width: int, lmax_hidden: int, lmax_attributes: int) -> str:
    """Return the hidden irreps whose layer has about as many weights as a linear map of ``width`` scalars.

    Args:
        width: Width of the linear map.
        lmax_hidden: Largest degree of the features.
        lmax_attributes: Largest degree of the attributes.

    Returns:
        ``n`` copies of each degree with the parity of spherical harmonics, n as small as the weights allow.

    Example:
        >>> balanced_irreps(64, 1, 1)
        '32x0e+32x1o'

    References:
        Brandstetter et al. (2022), Appendix C ("weight balanced").
    """
    degrees = range(lmax_hidden + 1)
    paths = sum(
        (l1 + l2 + l3) % 2 == 0 and abs(l1 - l2) <= l3 <= l1 + l2
        for l1 in degrees
        for l2 in range(lmax_attributes + 1)
        for l3 in degrees
    )
    n = math.isqrt(max(0, math.ceil(width**2 / paths) - 1)) + 1
    return "+".join(f"{n}x{degree}{'eo'[degree % 2]}" for degree in degrees)


class GatedProduct(TensorProduct):
    """Tensor product followed by a gate.

    Args:
        irreps_in: Irreps of the input, an entry a block.
        irreps_out: Irreps of the output: scalars first, then one block a degree.
        table: Coupling of the attributes.
    """

    def __init__(self, irreps_in: Any, irreps_out: str, table: CouplingTable) -> None:
        (_, scalars), *rest = block_shapes(irreps_out)
        gated = [channels for _, channels in rest]
        _, *others = irreps_out.split("+")
        super().__init__(irreps_in, "+".join([f"{scalars + sum(gated)}x0e", *others]), table)
        self.gate = Gate(scalars, gated)
        self.relaxation: Relaxation | None = None


class SteerableLayer(nn.Module):
    """Message passing: two gated products on edges, a sum, and two products on nodes, with a residual.

    Args:
        irreps: Hidden irreps.
        extra: Number of invariant scalars of an edge.
        table: Coupling of the attributes.
        norm: Normalise the result over each graph.

    References:
        Brandstetter et al. (2022), Equations 8 to 11.
    """

    def __init__(self, irreps: str, extra: int, table: CouplingTable, norm: bool = False) -> None:
        super().__init__()
        self.irreps = irreps
        self.shapes = block_shapes(irreps)
        scalars = f"+{extra}x0e" if extra else ""
        self.message_1 = GatedProduct(f"{irreps}+{irreps}{scalars}", irreps, table)
        self.message_2 = GatedProduct(irreps, irreps, table)
        self.update_1 = GatedProduct(f"{irreps}+{irreps}", irreps, table)
        self.update_2 = TensorProduct(irreps, irreps, table)
        self.update_2.relaxation = None
        self.norm = InstanceNorm(irreps) if norm else None

    def relax(self, branch: str) -> None:
        """Give both updates an unconstrained term, see :data:`BRANCHES`."""
        out = Irreps(self.irreps, layout="ir_mul")
        for layer, copies in ((self.update_1, 2), (self.update_2, 1)):
            kind = Irreps("+".join([self.irreps] * copies), layout="ir_mul")
            layer.relaxation = Relaxation(make_branch(branch, kind.dim, out.dim), kind, out)

    def forward(
        self, x: Tensor, nodes: Tensor, edges: Tensor, extra: Tensor | None, graph: Edges, batch: Tensor
    ) -> Tensor:
        """Update node features.

        Args:
            x: ``(N, dim)`` features in the layout ``ir_mul``.
            nodes: ``(N, width)`` coefficients of the node attributes.
            edges: ``(E, width)`` coefficients of the edge attributes.
            extra: ``(E, extra)`` invariants of the edges.
            graph: The edges.
            batch: ``(N,)`` graph of each node.

        Returns:
            ``(N, dim)`` features.
        """
        blocks = [block.contiguous() for block in split_blocks(x, self.shapes)]
        own, other = [graph.receivers] * len(blocks), [graph.senders] * len(blocks)
        invariants = [] if extra is None else [extra.unsqueeze(1)]
        messages = self.message_1(
            [*blocks, *blocks, *invariants], edges, [*own, *other, *[None] * len(invariants)]
        )
        received = [graph.sum(message) for message in self.message_2(messages, edges)]
        update = self._relaxed(
            self.update_1,
            self.update_1([*blocks, *received], nodes),
            lambda: torch.cat([x, join_blocks(received)], -1),
        )
        y = x + join_blocks(
            self._relaxed(self.update_2, self.update_2(update, nodes), lambda: join_blocks(update))
        )
        return y if self.norm is None else self.norm(y, batch)

    def _relaxed(self, layer: nn.Module, blocks: list[Tensor], inputs: Any) -> list[Tensor]:
        if layer.relaxation is None:
            return blocks
        y = layer.relaxation(join_blocks(blocks), inputs())
        return [block.contiguous() for block in split_blocks(y, self.shapes)]


def make_branch(kind: str, dim_in: int, dim_out: int) -> nn.Module:
    """Build an unconstrained branch.

    Args:
        kind: ``"mlp"``: the published three layers with GELU; ``"linear"``: one matrix, as in CR;
            ``"bounded"``: the three layers without biases and with spectral norm 1, as the resilient method
            asks for.
        dim_in: Width of the input.
        dim_out: Width of the output.

    References:
        ACE, Appendix A; CR (Pertigkiozoglou et al., 2024) for the matrix, drawn from N(0, 1e-4) there.
    """
    if kind == "linear":
        linear = nn.Linear(dim_in, dim_out, bias=False)
        nn.init.normal_(linear.weight, std=1e-2)
        return linear
    bias = kind == "mlp"
    branch = nn.Sequential(
        nn.Linear(dim_in, 2 * dim_out, bias=bias),
        nn.GELU(),
        nn.Linear(2 * dim_out, dim_out, bias=bias),
        nn.GELU(),
        nn.Linear(dim_out, dim_out, bias=bias),
    )
    return branch if bias else spectral_normalise(branch, power_iterations=1)

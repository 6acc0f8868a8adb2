"""Steerable E(3)-equivariant message passing (SEGNN), plain and relaxed: what all inputs share.

Brandstetter, Hesselink, van der Pol, Bekkers, Welling, "Geometric and Physical Quantities Improve E(3)
Equivariant Message Passing", ICLR 2022. Relaxed as in Manolache et al., "Learning (Approximately) Equivariant
Networks via Constrained Optimization" (ACE), Section 4 and Appendix A: one γ after each of the two node
updates of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from equizoo.nn.coupling import CouplingTable
from equizoo.nn.edges import Edges
from equizoo.nn.gate import Gate
from equizoo.nn.instance_norm import InstanceNorm
from equizoo.nn.steerable import block_shapes
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
        irreps_in: Irreps of the input, an entry a block; a list for several inputs.
        irreps_out: Irreps of the output: scalars first, then one block a degree.
        table: Coupling of the attributes.
        sources: As in :class:`equizoo.nn.tensor_product.TensorProduct`.
    """

    def __init__(
        self, irreps_in: Any, irreps_out: str, table: CouplingTable, sources: Sequence[int] | None = None
    ) -> None:
        (_, scalars), *rest = block_shapes(irreps_out)
        gated = [channels for _, channels in rest]
        _, *others = irreps_out.split("+")
        super().__init__(irreps_in, "+".join([f"{scalars + sum(gated)}x0e", *others]), table, sources)
        self.gate = Gate(scalars, gated, [size // 2 for size, _ in rest])
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
        inputs = [irreps, irreps, *([f"{extra}x0e"] if extra else [])]
        self.message_1 = GatedProduct(inputs, irreps, table, (0, 0, 1)[: len(inputs)])
        self.message_2 = GatedProduct(irreps, irreps, table)
        self.update_1 = GatedProduct([irreps, irreps], irreps, table)
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
        inputs, rows = ([x], [graph.receivers, graph.senders])
        if extra is not None:
            inputs, rows = [x, extra], [*rows, None]
        messages = self.message_1(inputs, edges, rows)
        received = graph.sum(self.message_2([messages], edges))
        update = self.update_1([x, received], nodes)
        if self.update_1.relaxation is not None:
            update = self.update_1.relaxation(update, torch.cat([x, received], -1))
        y = self.update_2([update], nodes)
        if self.update_2.relaxation is not None:
            y = self.update_2.relaxation(y, update)
        return x + y if self.norm is None else self.norm(x + y, batch)


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

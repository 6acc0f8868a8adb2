"""Fully connected O(3) tensor product with attributes, as a few matrix products.

The weights are those of e3nn's ``FullyConnectedTensorProduct`` in the scaling of the released SEGNN, and the
result is equal to round-off. The order of the work differs: the Clebsch-Gordan coefficients are contracted
with the attributes once (:class:`equizoo.nn.coupling.CouplingTable`), all paths into one output degree share
a matrix product, and inputs that are gathered from nodes are multiplied by the weights before they are
gathered.

References:
    Brandstetter et al. (SEGNN), 2022, Section 3; Geiger & Smidt, "e3nn: Euclidean Neural Networks", 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from equizoo.nn.coupling import CouplingTable, Path
from equizoo.nn.fused_product import FusedProduct, can_fuse, product
from equizoo.nn.gate import Gate
from equizoo.nn.product_plan import ProductPlan
from equizoo.nn.steerable import block_shapes, join_blocks


class TensorProduct(nn.Module):
    """``out[w] = Σ √(2l3+1) W[u, v, w] (x[u] ⊗ a[v])`` with a bias on scalars.

    Args:
        irreps_in: Irreps of the input, an entry a block; a list for several inputs.
        irreps_out: Irreps of the output, an entry a block.
        table: Coupling of the attributes.
        sources: Index of the tensor from which each input is gathered; None: no input is gathered.

    Attributes:
        weight: Flat weights in the order of e3nn's instructions, each ``(mul_in, mul_attribute, mul_out)``.
        bias: Bias of the scalar (0e) output channels; None if there are none.
        gate: What follows the product, or None.

    Raises:
        ValueError: A degree is above that of the table, or an output block has no path to it.

    Example:
        >>> table = CouplingTable("0e+1o", degree=1)
        >>> layer = TensorProduct("8x0e+4x1o", "16x0e+2x1o", table)
        >>> layer([torch.randn(5, 20)], table(torch.randn(5, 4))).shape
        torch.Size([5, 22])
    """

    def __init__(
        self, irreps_in: Any, irreps_out: Any, table: CouplingTable, sources: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        parts = irreps_in if isinstance(irreps_in, list) else [irreps_in]
        inputs = [block_shapes(part) for part in parts]
        irreps_in = "+".join(str(part) for part in parts)
        paths = table.paths(irreps_in, irreps_out)
        shapes_in, self.shapes = block_shapes(irreps_in), block_shapes(irreps_out)
        copies = [mul for mul, _ in table.attributes]
        fan_in = [0] * len(self.shapes)
        for path in paths:
            fan_in[path.target] += shapes_in[path.source][1]
        if 0 in fan_in:
            raise ValueError(f"{irreps_in} and attributes {table.attributes} cannot make all of {irreps_out}")
        scalars = [
            i for i, (_, (degree, parity)) in enumerate(_irreps(irreps_out)) if (degree, parity) == (0, 1)
        ]
        self._scalars = scalars
        bias = torch.cat([_uniform(self.shapes[i][1], fan_in[i]) for i in scalars]) if scalars else None
        self.register_parameter("bias", None if bias is None else nn.Parameter(bias))
        where, pieces = _layout(paths, shapes_in, self.shapes, copies)
        self.weight = nn.Parameter(torch.cat([_uniform(size, fan_in[target]) for size, target in pieces]))
        self.plan = ProductPlan(paths, where, inputs, self.shapes, sources)
        self.gate: Gate | None = None

    def forward(
        self, tensors: Sequence[Tensor], a: Tensor, rows: Sequence[Tensor | None] | None = None
    ) -> Tensor:
        """Multiply features by attributes.

        Args:
            tensors: ``(E, dim)`` inputs in the layout ``ir_mul``, or ``(N, dim)`` tensors from which they are
                gathered.
            a: ``(E, width)`` coefficients of the attributes, from :class:`CouplingTable`.
            rows: ``(E,)`` row of its tensor that output row e of each input reads, or None for row e itself.

        Returns:
            ``(E, dim)`` output in the layout ``ir_mul``.
        """
        plan, rows = self.plan, rows or [None] * len(tensors)
        if self._scalars in ([], [0]) and can_fuse(a, tensors, len(rows)):
            if torch.is_grad_enabled():
                return FusedProduct.apply(plan, self.gate, rows, a, self.weight, self.bias, *tensors)
            tensors = [x.contiguous() for x in tensors]
            return product(plan, self.gate, rows, a, plan.pack(self.weight), self.bias, tensors)
        outs = plan.run(self.weight[plan.order.to(self.weight.device)], tensors, rows, a)
        if self.bias is not None:
            parts = self.bias.split([self.shapes[i][1] for i in self._scalars])
            for i, part in zip(self._scalars, parts, strict=True):
                outs[i] = outs[i] + part
        return join_blocks(outs if self.gate is None else self.gate(outs))


def _irreps(irreps: Any) -> Any:
    from e3nn import o3

    return o3.Irreps(irreps)


def _uniform(size: int, fan_in: int) -> Tensor:
    bound = 1 / math.sqrt(fan_in)
    return torch.empty(size).uniform_(-bound, bound)


def _layout(
    paths: Sequence[Path],
    shapes_in: Sequence[tuple[int, int]],
    shapes_out: Sequence[tuple[int, int]],
    copies: Sequence[int],
) -> tuple[list[Tensor], list[tuple[int, int]]]:
    """Return where the ``(mul_in, mul_out)`` weights of each path lie in the flat vector, and its pieces.

    A piece is (number of weights, output block), one an instruction of e3nn.
    """
    where, pieces, offset = [], [], 0
    for path in paths:
        mul_in, mul_out, n = shapes_in[path.source][1], shapes_out[path.target][1], copies[path.attribute]
        if path.copy == 0:
            index = offset + torch.arange(mul_in * n * mul_out).reshape(mul_in, n, mul_out)
            pieces.append((index.numel(), path.target))
            offset += index.numel()
        where.append(index[:, path.copy])
    return where, pieces

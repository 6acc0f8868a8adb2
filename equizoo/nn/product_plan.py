"""The order of the work in a tensor product: what meets the weights first, and what the attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from equizoo.nn.contraction import Contraction, Term
from equizoo.nn.coupling import Path

Shapes = Sequence[tuple[int, int]]


class ProductPlan:
    """Early paths meet their weights before the attributes, late ones after.

    Early paths of one input block share the product ``x @ [W …]``; late paths into one output block share
    the product ``[A·x …] @ W``. For a path from degree l1 to l3, the first costs 2l1+1 rows and the second
    2l3+1; with inputs that are gathered from nodes to edges, early products run once a node.

    Args:
        paths: The couplings.
        where: ``(mul_in, mul_out)`` place of each path's weights in the flat weight vector.
        shapes_in: ``(2l+1, channels)`` of each input block.
        shapes_out: The same of the output.
        early: Whether a path from 2l1+1 to 2l3+1 components is early.

    Attributes:
        order: Permutation of the flat weights that packs the matrices one after the other.
        inverse: The inverse permutation.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        where: Sequence[Tensor],
        shapes_in: Shapes,
        shapes_out: Shapes,
        early: Callable[[int, int], bool],
    ) -> None:
        self.shapes_out = list(shapes_out)
        widths, depths = [0] * len(shapes_in), [0] * len(shapes_out)
        before, after = [], []
        columns: list[list[Tensor]] = [[] for _ in shapes_in]
        stacked: list[list[Tensor]] = [[] for _ in shapes_out]
        for path, index in zip(paths, where, strict=True):
            s, o = path.source, path.target
            if early(shapes_in[s][0], shapes_out[o][0]):
                before.append(Term(s, widths[s], o, 0, shapes_out[o][1], path.columns))
                columns[s].append(index)
                widths[s] += shapes_out[o][1]
            else:
                after.append(Term(s, 0, o, depths[o], shapes_in[s][1], path.columns))
                stacked[o].append(index)
                depths[o] += shapes_in[s][1]
        indices = [torch.cat(parts, 1) if parts else None for parts in columns]
        indices += [torch.cat(parts, 0) if parts else None for parts in stacked]
        self._sizes = [None if index is None else tuple(index.shape) for index in indices]
        self._sources = len(shapes_in)
        self.order = torch.cat([index.flatten() for index in indices if index is not None])
        self.inverse = self.order.argsort()
        mixed = [(size, depth) for (size, _), depth in zip(shapes_out, depths, strict=True)]
        self.early = Contraction(before, shapes_out) if before else None
        self.late = Contraction(after, mixed) if after else None

    def matrices(self, packed: Tensor) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """Cut packed weights into the matrices of the input blocks and of the output blocks."""
        found, start = [], 0
        for size in self._sizes:
            if size is None:
                found.append(None)
                continue
            found.append(packed[start : start + size[0] * size[1]].view(size))
            start += size[0] * size[1]
        return found[: self._sources], found[self._sources :]

    def run(
        self, packed: Tensor, blocks: Sequence[Tensor], rows: Sequence[Tensor | None], a: Tensor
    ) -> list[Tensor]:
        """Return the output blocks ``(E, 2l+1, channels)``, without bias, in torch operations."""
        wide, tall = self.matrices(packed)
        outs: list[Tensor | None] = [None] * len(self.shapes_out)
        if self.early is not None:
            products = [x if w is None else x @ w for x, w in zip(blocks, wide, strict=True)]
            outs = list(self.early(products, rows, a))
        if self.late is not None:
            for o, (x, w) in enumerate(zip(self.late(blocks, rows, a), tall, strict=True)):
                if w is not None:
                    outs[o] = x @ w if outs[o] is None else outs[o] + x @ w
        return [y for y in outs if y is not None]

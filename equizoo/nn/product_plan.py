"""The order of the work in a tensor product: what meets the weights first, and what the attributes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from equizoo.nn.contraction import Contraction, Shapes, Term, slots_by_block, slots_by_row
from equizoo.nn.coupling import Path
from equizoo.nn.steerable import split_blocks


class ProductPlan:
    """Early paths meet their weights before the attributes, late ones after.

    Early paths of one block share the product ``x @ [W …]``; late paths into one output block share the
    product ``[A·x …] @ W``. For a path from degree l1 to l3, the first costs 2l1+1 rows and the second 2l3+1:
    paths that raise the degree are early. Where inputs are gathered from nodes to edges all are: a node is
    multiplied once, not once an edge.

    Args:
        paths: The couplings.
        where: ``(mul_in, mul_out)`` place of each path's weights in the flat weight vector.
        inputs: ``(2l+1, channels)`` of the blocks of each input.
        shapes_out: The same of the output.
        sources: Index of the tensor from which each input is gathered; None: no input is gathered.

    Attributes:
        early, late: Couplings to the attributes, of products and of blocks.
        blocks, products: Slots of the blocks that are multiplied early, and of their products.
        product_dims: Number of values of a row of the products of each tensor.
        mixed, outs: Slots of what is multiplied late, and of the output blocks to which it goes.
        mixed_dim, dim: Number of values of a row of them and of the output.
        scalars: Slot of the first output block.
        spare: Number of values of a row of the largest block that is multiplied early.
        places: Where the output blocks lie before and after they are made features.
        tables: Blocks, outs, and terms, as :mod:`equizoo.nn._product_kernels` takes them.
        order: Permutation of the flat weights that packs the matrices one after the other.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        where: Sequence[Tensor],
        inputs: Sequence[Shapes],
        shapes_out: Shapes,
        sources: Sequence[int] | None,
    ) -> None:
        gathered, sources = sources is not None, range(len(inputs)) if sources is None else list(sources)
        self.shapes_out = list(shapes_out)
        self.tensors = [inputs[sources.index(k)] for k in range(max(sources) + 1)]
        starts = [sum(map(len, self.tensors[:k])) for k in range(len(self.tensors))]
        blocks = [
            (use, starts[sources[use]] + b) for use, part in enumerate(inputs) for b in range(len(part))
        ]
        sizes = [size for shapes in self.tensors for size, _ in shapes]
        wide: list[list[Tensor]] = [[] for _ in sizes]
        tall: list[list[Tensor]] = [[] for _ in shapes_out]
        early, late = [], []
        for path, index in zip(paths, where, strict=True):
            (use, s), o, (mul_in, mul_out) = blocks[path.source], path.target, index.shape
            if gathered or sizes[s] < shapes_out[o][0]:
                early.append(Term(s, use, _extent(wide[s], 1), o, 0, mul_out, path.columns))
                wide[s].append(index)
            else:
                late.append(Term(s, use, 0, o, _extent(tall[o], 0), mul_in, path.columns))
                tall[o].append(index)
        self._couple(early, late, [_extent(x, 1) for x in wide], [_extent(x, 0) for x in tall])
        indices = [torch.cat(x, 1) for x in wide if x] + [torch.cat(x, 0) for x in tall if x]
        self._shapes = [tuple(index.shape) for index in indices]
        self._sizes = [index.numel() for index in indices]
        self.order = torch.cat([index.flatten() for index in indices])
        self._runs = _runs(self.order.numpy())
        self.tables = self._tables()

    def _couple(
        self, early: Sequence[Term], late: Sequence[Term], widths: Sequence[int], depths: Sequence[int]
    ) -> None:
        rest = iter(widths)
        products = [[(size, next(rest)) for size, _ in shapes] for shapes in self.tensors]
        mixed = [(size, depth) for (size, _), depth in zip(self.shapes_out, depths, strict=True)]
        at_products = [slot for k, shapes in enumerate(products) for slot in slots_by_block(shapes, k)]
        at_blocks = [slot for k, shapes in enumerate(self.tensors) for slot in slots_by_row(shapes, k)]
        at_outs, at_mixed = slots_by_block(self.shapes_out), slots_by_block(mixed)
        self.early = Contraction(early, at_products, at_outs, [o for o, depth in enumerate(depths) if depth])
        self.late = Contraction(late, at_blocks, at_mixed)
        self._used = [s for s, width in enumerate(widths) if width]
        self._filled = [o for o, depth in enumerate(depths) if depth]
        self.blocks, self.products = ([slots[s] for s in self._used] for slots in (at_blocks, at_products))
        self.mixed, self.outs = ([slots[o] for o in self._filled] for slots in (at_mixed, at_outs))
        self.product_dims = [sum(size * c for size, c in shapes) for shapes in products]
        self.mixed_dim = sum(size * c for size, c in mixed)
        self.dim, self.scalars = sum(size * c for size, c in self.shapes_out), at_outs[0]
        self.spare = max([slot.size * slot.channels for slot in self.blocks], default=0)
        places = [
            (slot.before, slot.size, slot.channels, row.first, 0)
            for slot, row in zip(at_outs, slots_by_row(self.shapes_out), strict=True)
        ]
        self.places = np.array(places, np.uint64)

    def _tables(self) -> tuple[np.ndarray, ...]:
        ats = [0, *itertools.accumulate(self._sizes)]
        uses = [sum({1 << term.use for term in self.early.terms if term.source == s}) for s in self._used]
        early = [
            (x.tensor, x.first, x.row, x.size, x.channels, y.channels, at, y.before, use)
            for x, y, at, use in zip(self.blocks, self.products, ats, uses, strict=False)
        ]
        late = [
            (x.before, y.before, x.size, x.channels, y.channels, at)
            for x, y, at in zip(self.mixed, self.outs, ats[len(early) :], strict=False)
        ]
        blocks, outs = np.array(early, np.uint64).reshape(-1, 9), np.array(late, np.uint64).reshape(-1, 6)
        return blocks, outs, self.early.table, self.late.table

    def pack(self, weight: Tensor) -> Tensor:
        """Return flat weights in the order of the plan, by a compiled kernel and without a gradient."""
        from equizoo.nn._product_kernels import move_runs

        packed = torch.empty_like(weight)
        move_runs(weight.detach().contiguous().numpy(), packed.numpy(), self._runs, 0, 1)
        return packed

    def unpack(self, packed: Tensor) -> Tensor:
        """Undo :meth:`pack`."""
        from equizoo.nn._product_kernels import move_runs

        weight = torch.empty_like(packed)
        move_runs(packed.numpy(), weight.numpy(), self._runs, 1, 0)
        return weight

    def matrices(self, packed: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Cut packed weights into the matrices of ``blocks`` and those of ``outs``."""
        parts = packed.split_with_sizes(self._sizes)
        found = [x.view(shape) for x, shape in zip(parts, self._shapes, strict=True)]
        return found[: len(self.blocks)], found[len(self.blocks) :]

    def run(
        self, packed: Tensor, tensors: Sequence[Tensor], rows: Sequence[Tensor | None], a: Tensor
    ) -> list[Tensor]:
        """Return the output blocks ``(E, 2l+1, channels)``, without bias, in torch operations.

        Args:
            packed: Weights in the order of the plan.
            tensors: ``(N, dim)`` features.
            rows: ``(E,)`` row of its tensor that output row e reads, for each input; None: row e itself.
            a: ``(E, width)`` coefficients.
        """
        pairs = zip(tensors, self.tensors, strict=True)
        blocks = [block for x, shapes in pairs for block in split_blocks(x, shapes)]
        wide, tall = self.matrices(packed)
        products = {s: blocks[s] @ w for s, w in zip(self._used, wide, strict=True)}
        outs = self.early(products, rows, a)
        mixed = self.late(blocks, rows, a)
        for o, w in zip(self._filled, tall, strict=True):
            outs[o] = outs[o] + mixed[o] @ w
        return outs


def _runs(order: np.ndarray) -> np.ndarray:
    """Return runs of consecutive numbers: where each begins, the number there, and its length."""
    starts = np.flatnonzero(np.diff(order, prepend=-2) != 1)
    return np.stack([starts, order[starts], np.diff(starts, append=len(order))], 1).astype(np.uint64)


def _extent(indices: Sequence[Tensor], axis: int) -> int:
    return sum(index.shape[axis] for index in indices)

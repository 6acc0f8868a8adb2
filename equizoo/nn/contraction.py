"""Gathered contraction: sums of channel vectors scaled by the coefficients of each row.

``out_o[e, m3, to + c] = Σ A[e, column] · x_s[row_u(e), m1, first + c]`` over terms (s, u, m1, o, m3, …). It
is the part of a steerable layer that is not a matrix product. The torch version here runs anywhere and is
differentiable any number of times; :mod:`equizoo.nn.fused_product` has the compiled one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Shapes = Sequence[tuple[int, int]]


class Slot(NamedTuple):
    """Where a block lies in the flat memory of a tensor with n rows.

    Component m of channel c of row i is at ``n·before + first + i·row + m·channels + c``.

    Attributes:
        tensor: Index of the tensor.
        size: 2l+1.
        channels: Number of channels.
        before, first, row: See above.
    """

    tensor: int
    size: int
    channels: int
    before: int
    first: int
    row: int


def slots_by_row(shapes: Shapes, tensor: int = 0) -> list[Slot]:
    """Return the slots of blocks ``(2l+1, channels)`` in features ``(n, dim)``.

    Example:
        >>> slots_by_row([(1, 8), (3, 4)])[1]
        Slot(tensor=0, size=3, channels=4, before=0, first=8, row=20)
    """
    dim = sum(size * channels for size, channels in shapes)
    first = [sum(size * channels for size, channels in shapes[:k]) for k in range(len(shapes))]
    return [Slot(tensor, *shape, 0, start, dim) for shape, start in zip(shapes, first, strict=True)]


def slots_by_block(shapes: Shapes, tensor: int = 0) -> list[Slot]:
    """Return the slots of blocks that lie one after the other, each ``(n, 2l+1, channels)``.

    Example:
        >>> slots_by_block([(1, 8), (3, 4)])[1]
        Slot(tensor=0, size=3, channels=4, before=8, first=0, row=12)
    """
    return [
        Slot(*slot[:3], slot.first, 0, slot.size * slot.channels) for slot in slots_by_row(shapes, tensor)
    ]


@dataclass(frozen=True)
class Term:
    """Couples ``channels`` channels of one input block to one output block.

    Attributes:
        source: Input block.
        use: Index of the row map with which it is read.
        first: First channel in it.
        target: Output block.
        to: First channel in it.
        channels: Number of channels.
        columns: ``(2l1+1, 2l3+1)`` columns of the coefficients; -1: none.
    """

    source: int
    use: int
    first: int
    target: int
    to: int
    channels: int
    columns: tuple[tuple[int, ...], ...]


class Contraction:
    """A fixed list of terms.

    Args:
        terms: The terms.
        sources: Slot of each input block.
        targets: Slot of each output block.
        filled: Output blocks that hold a value to which the compiled kernels add.

    Attributes:
        table: The terms for the compiled kernels, a row for each m1 and m3.

    Example:
        >>> terms = [Term(0, 0, 0, 0, 0, 4, ((0,), (1,), (2,)))]
        >>> dot = Contraction(terms, slots_by_row([(3, 4)]), slots_by_block([(1, 4)]))
        >>> v, a = torch.ones(5, 3, 4), torch.ones(5, 3)
        >>> dot([v], [None], a)[0].shape
        torch.Size([5, 1, 4])
    """

    def __init__(
        self,
        terms: Sequence[Term],
        sources: Sequence[Slot],
        targets: Sequence[Slot],
        filled: Sequence[int] = (),
    ) -> None:
        self.terms, self.sources, self.targets = list(terms), list(sources), list(targets)
        rows, seen = [], set()
        for t in self.terms:
            x, y = self.sources[t.source], self.targets[t.target]
            for m3 in range(y.size):
                for m1 in range(x.size):
                    if t.columns[m1][m3] < 0:
                        continue
                    first = x.first + m1 * x.channels + t.first
                    place = (y.before, y.first + m3 * y.channels + t.to, y.row)
                    fresh = place not in seen and t.target not in filled
                    seen.add(place)
                    kind = (x.tensor, t.use, x.before, first, x.row)
                    rows.append((*kind, *place, t.channels, t.columns[m1][m3], fresh))
        self.table = np.array(rows, np.uint64).reshape(-1, 11)

    def __call__(
        self, xs: Sequence[Tensor] | Mapping[int, Tensor], rows: Sequence[Tensor | None], a: Tensor
    ) -> list[Tensor]:
        """Sum the terms.

        Args:
            xs: ``(N_s, 2l+1, C_s)`` input blocks.
            rows: ``(E,)`` row maps: which row output row e reads; None: row e itself.
            a: ``(E, width)`` coefficients.

        Returns:
            ``(E, 2l+1, C)`` output blocks.
        """
        outs = [a.new_zeros(a.shape[0], slot.size, slot.channels) for slot in self.targets]
        padded = torch.nn.functional.pad(a, (0, 1))  # column -1 is 0
        gathered: dict[tuple[int, int], Tensor] = {}
        for term in self.terms:
            key, row = (term.source, term.use), rows[term.use]
            if key not in gathered:
                gathered[key] = xs[term.source] if row is None else xs[term.source].index_select(0, row)
            coefficients = padded[:, torch.tensor(term.columns, device=a.device)]
            x = gathered[key][..., term.first : term.first + term.channels]
            y = torch.einsum("emn,emc->enc", coefficients, x)
            after = self.targets[term.target].channels - term.to - term.channels
            outs[term.target] = outs[term.target] + torch.nn.functional.pad(y, (term.to, after))
        return outs

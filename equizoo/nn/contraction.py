"""Gathered contraction: sums of channel vectors scaled by the coefficients of each row.

``out_o[e, m3, to + c] = Σ A[e, column] · x_s[row_s(e), m1, first + c]`` over terms (s, m1, o, m3, …). It is
the part of a steerable layer that is not a matrix product. The torch version here runs anywhere and is
differentiable any number of times; :mod:`equizoo.nn.fused_product` has the compiled one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Term:
    """Couples ``channels`` channels of one input block to one output block.

    Attributes:
        source: Input block.
        first: First channel in it.
        target: Output block.
        to: First channel in it.
        channels: Number of channels.
        columns: ``(2l1+1, 2l3+1)`` columns of the coefficients; -1: none.
    """

    source: int
    first: int
    target: int
    to: int
    channels: int
    columns: tuple[tuple[int, ...], ...]


class Contraction:
    """A fixed list of terms.

    Args:
        terms: The terms.
        shapes: ``(2l+1, channels)`` of each output block.

    Attributes:
        table: The terms for the compiled kernels, a row for each m1 and m3.

    Example:
        >>> dot = Contraction([Term(0, 0, 0, 0, 4, ((0,), (1,), (2,)))], [(1, 4)])
        >>> v, a = torch.ones(5, 3, 4), torch.ones(5, 3)
        >>> dot([v], [None], a)[0].shape
        torch.Size([5, 1, 4])
    """

    def __init__(self, terms: Sequence[Term], shapes: Sequence[tuple[int, int]]) -> None:
        self.terms, self.shapes = list(terms), list(shapes)
        rows = [
            (t.source, m1, t.first, t.target, m3, t.to, t.channels, column)
            for t in self.terms
            for m1, columns in enumerate(t.columns)
            for m3, column in enumerate(columns)
            if column >= 0
        ]
        self.table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 8).numpy()

    def __call__(self, xs: Sequence[Tensor], rows: Sequence[Tensor | None], a: Tensor) -> list[Tensor]:
        """Sum the terms.

        Args:
            xs: ``(N_s, 2l+1, C_s)`` input blocks.
            rows: ``(E,)`` row of each block that output row e reads; None: row e itself.
            a: ``(E, width)`` coefficients.

        Returns:
            ``(E, 2l+1, C)`` output blocks.
        """
        outs = [a.new_zeros(a.shape[0], *shape) for shape in self.shapes]
        padded = torch.nn.functional.pad(a, (0, 1))  # column -1 is 0
        gathered = [x if row is None else x.index_select(0, row) for x, row in zip(xs, rows, strict=True)]
        for term in self.terms:
            coefficients = padded[:, torch.tensor(term.columns, device=a.device)]
            x = gathered[term.source][..., term.first : term.first + term.channels]
            y = torch.einsum("emn,emc->enc", coefficients, x)
            after = self.shapes[term.target][1] - term.to - term.channels
            outs[term.target] = outs[term.target] + torch.nn.functional.pad(y, (term.to, after))
        return outs

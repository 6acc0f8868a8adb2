"""Clebsch-Gordan coupling of attributes, contracted once for all layers that use them.

A fully connected tensor product with attributes a is
``out[w, m3] = Σ W[u, v, w] C[m1, m2, m3] x[u, m1] a[v, m2]``. The part
``A[m1, m3] = √(2l3+1) Σ_m2 C[m1, m2, m3] a[m2]`` does not know the weights: it is computed once a row (a node
or an edge) and serves every layer. What is left of a layer is a sum of scaled channel vectors and one matrix
product an output degree.

References:
    Brandstetter et al., "Geometric and Physical Quantities Improve E(3) Equivariant Message Passing" (SEGNN),
    ICLR 2022, Section 3; normalisation as in the released code (e3nn's "component", without its path weight).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Path:
    """One coupling of an input block and one attribute to an output block.

    Attributes:
        source: Index of the input block.
        attribute: Index of the attribute block.
        copy: Which of the attribute's copies.
        target: Index of the output block.
        columns: ``(2l1+1, 2l3+1)`` columns of :meth:`CouplingTable.forward`; -1 where the coefficient is 0.
    """

    source: int
    attribute: int
    copy: int
    target: int
    columns: tuple[tuple[int, ...], ...]


class CouplingTable(nn.Module):
    """The coefficients ``A[m1, m3]`` of every coupling of some attributes.

    Args:
        attributes: Irreps of the attributes, such as ``"1x0e+1x1o"``.
        degree: Largest degree of the features that are coupled.

    Raises:
        ValueError: The irreps cannot be read.

    Example:
        >>> table = CouplingTable("0e+1o", degree=1)
        >>> table(torch.tensor([[1.0, 0.1, 0.2, 0.3]])).shape[1] == table.width
        True
    """

    matrix: Tensor

    def __init__(self, attributes: Any, degree: int) -> None:
        from e3nn import o3

        super().__init__()
        self.attributes = o3.Irreps(attributes)
        self.degree = degree
        self._columns: dict[tuple[int, int, int, int], tuple[tuple[int, ...], ...]] = {}
        vectors: list[Tensor] = []
        for index, ((copies, (l2, _)), where) in enumerate(
            zip(self.attributes, self.attributes.slices(), strict=True)
        ):
            for copy in range(copies):
                start = where.start + copy * (2 * l2 + 1)
                for l1 in range(degree + 1):
                    for l3 in range(abs(l1 - l2), min(l1 + l2, degree) + 1):
                        self._columns[index, copy, l1, l3] = self._append(vectors, start, l1, l2, l3)
        matrix = torch.stack(vectors, 1) if vectors else torch.zeros(self.attributes.dim, 0)
        self.register_buffer("matrix", matrix.to(torch.get_default_dtype()), persistent=False)
        self._exact = matrix

    def _append(self, vectors: list[Tensor], start: int, l1: int, l2: int, l3: int) -> tuple[Any, ...]:
        coefficients = _clebsch_gordan(l1, l2, l3)
        columns = []
        for m1 in range(2 * l1 + 1):
            row = []
            for m3 in range(2 * l3 + 1):
                part = coefficients[m1, :, m3]
                row.append(len(vectors) if part.any() else -1)
                if part.any():
                    vector = torch.zeros(self.attributes.dim, dtype=torch.float64)
                    vector[start : start + 2 * l2 + 1] = part
                    vectors.append(vector)
            columns.append(tuple(row))
        return tuple(columns)

    def _apply(self, fn: Any, recurse: bool = True) -> CouplingTable:
        super()._apply(fn, recurse)
        # from float64 each time: a table that was once float32 must not stay rounded
        self.matrix = self._exact.to(self.matrix)
        return self

    @property
    def width(self) -> int:
        """Number of coefficients a row."""
        return self.matrix.shape[1]

    def paths(self, irreps_in: Any, irreps_out: Any) -> list[Path]:
        """Return the couplings from one set of features to another, in the order of e3nn's instructions.

        Args:
            irreps_in: Irreps of the input, an entry a block.
            irreps_out: Irreps of the output, an entry a block.

        Raises:
            ValueError: A degree is above that of the table.
        """
        from e3nn import o3

        irreps_in, irreps_out = o3.Irreps(irreps_in), o3.Irreps(irreps_out)
        if max(irreps_in.lmax, irreps_out.lmax) > self.degree:
            raise ValueError(
                f"the table couples degrees up to {self.degree}, got {irreps_in} and {irreps_out}"
            )
        return [
            Path(source, attribute, copy, target, self._columns[attribute, copy, ir_in.l, ir_out.l])
            for source, (_, ir_in) in enumerate(irreps_in)
            for attribute, (copies, ir_attribute) in enumerate(self.attributes)
            for target, (_, ir_out) in enumerate(irreps_out)
            if ir_out in ir_in * ir_attribute
            for copy in range(copies)
        ]

    def forward(self, attributes: Tensor) -> Tensor:
        """Contract attributes with the Clebsch-Gordan coefficients.

        Args:
            attributes: ``(E, dim)`` attributes, in e3nn's layout.

        Returns:
            ``(E, width)`` coefficients.

        Raises:
            ValueError: The attributes have another dimension.
        """
        if attributes.ndim != 2 or attributes.shape[1] != self.attributes.dim:
            raise ValueError(
                f"attributes {self.attributes} have shape (E, {self.attributes.dim}), "
                f"got {tuple(attributes.shape)}"
            )
        return attributes @ self.matrix


@functools.cache
def _clebsch_gordan(l1: int, l2: int, l3: int) -> Tensor:
    """Return ``√(2 l3 + 1)`` times e3nn's 3j symbol, in float64 and with exact zeros."""
    from e3nn import o3

    with torch.inference_mode(False), torch.device("cpu"):
        symbol = o3.wigner_3j(l1, l2, l3, dtype=torch.float64) * (2 * l3 + 1) ** 0.5
        return torch.where(symbol.abs() < 1e-12, 0.0, symbol)

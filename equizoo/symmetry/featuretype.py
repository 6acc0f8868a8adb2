"""The base class of feature types: how group elements line up with the axes of a tensor.

Conventions shared by every type:

- the feature axis is the last one; node order is the axis before it (the last one for labels);
- an element without batch axes acts on the whole tensor;
- a batch of elements is aligned with the leading axes of the tensor: (B, 3, 3) with (B, ..., dim);
- with ``index`` (N,), the graph of each node, a batch of elements acts per graph on (..., N, dim);
- only features ``per="node"`` are permuted or indexed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from equizoo.symmetry.element import Element


class FeatureType(ABC):
    """How one tensor transforms.

    Args:
        per: ``"node"`` for one feature vector a node, ``"graph"`` for one a graph.

    Attributes:
        feature_axes: Number of trailing axes that belong to the feature.
    """

    feature_axes: ClassVar[int] = 1

    def __init__(self, per: str = "node") -> None:
        if per not in ("node", "graph"):
            raise ValueError(f'per must be "node" or "graph", got {per!r}')
        self.per = per

    @property
    @abstractmethod
    def dim(self) -> int:
        """Size of the (flattened) feature axis."""

    @abstractmethod
    def _transform(self, rotation: Tensor, translation: Tensor, x: Tensor) -> Tensor:
        """Apply float64 (..., 3, 3) and (..., 3), which broadcast against the leading axes of ``x``."""

    @abstractmethod
    def _lie(self, omega: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
        """Apply the (3, 3) and (3,) parts of a Lie-algebra element."""

    def act(self, element: Element, x: Tensor, index: Tensor | None = None) -> Tensor:
        """Transform ``x`` by a group element.

        Args:
            element: One element, or a batch of them (see the conventions of this module).
            x: (..., dim) features.
            index: (N,) graph of each node, when ``element`` has one element for each graph. Features
                ``per="graph"`` do not need it and ignore it.

        Returns:
            A tensor of the shape and dtype of ``x``.

        Raises:
            ValueError: The shapes do not fit together.

        Example:
            >>> from equizoo.symmetry import O3, Vectors
            >>> g = O3().sample()
            >>> v = torch.randn(5, 6)
            >>> torch.allclose(Vectors(2).act(g, v).norm(dim=-1), v.norm(dim=-1), atol=1e-5)
            True
        """
        self.check(x)
        if self.per == "graph":
            index = None
        elif element.permutation is not None:
            x = self._permute(element.permutation, x, index)
        rotation, translation = self._align(element, x, index)
        return self._transform(rotation, translation, x)

    def lie(self, generator: Tensor, x: Tensor) -> Tensor:
        """Return d/dt ρ(exp(tA)) x at t = 0.

        Args:
            generator: (4, 4) element A of the Lie algebra, as in :meth:`Group.lie_algebra`.
            x: (..., dim) features.

        Returns:
            A tensor of the shape of ``x``.
        """
        self.check(x)
        generator = generator.to(x.device)
        return self._lie(generator[:3, :3], generator[:3, 3], x)

    def generators(self, algebra: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Return the matrices by which a Lie algebra acts, ``dρ(A) x = x @ matrix.T``.

        Args:
            algebra: (k, 4, 4) basis, as in :meth:`Group.lie_algebra`.
            dtype: Floating type of the result; None means that of ``algebra``.

        Returns:
            (k, dim, dim) matrices.

        Raises:
            ValueError: The action is not linear: points are shifted by translations; use :meth:`lie`.
        """
        dtype = dtype or algebra.dtype
        basis = torch.eye(self.dim, dtype=dtype, device=algebra.device)
        origin = torch.zeros_like(basis[:1])
        matrices = torch.zeros(len(algebra), self.dim, self.dim, dtype=dtype, device=algebra.device)
        for matrix, generator in zip(matrices, algebra, strict=True):
            if self.lie(generator, origin).any():
                raise ValueError(f"translations act on {self!r} by a shift, which is not a matrix; use lie()")
            matrix.copy_(self.lie(generator, basis).T)
        return matrices

    def check(self, x: Tensor) -> None:
        """Raise ValueError if ``x`` is not (..., dim)."""
        if x.ndim < 1 or x.shape[-1] != self.dim:
            raise ValueError(f"{self!r} expects (..., {self.dim}), got {tuple(x.shape)}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._describe()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeatureType) and (repr(self), self.per) == (repr(other), other.per)

    def __hash__(self) -> int:
        return hash((repr(self), self.per))

    def _describe(self) -> str:
        return str(self.dim)

    def _permute(self, permutation: Tensor, x: Tensor, index: Tensor | None) -> Tensor:
        if index is not None and permutation.ndim > 1:
            raise ValueError(
                "a batch of permutations and a graph index do not go together; permute one at a time"
            )
        axis = x.ndim - self.feature_axes - 1
        if axis < 0 or x.shape[axis] != permutation.shape[-1]:
            n = permutation.shape[-1]
            raise ValueError(f"a permutation of {n} nodes cannot act on {self!r} of shape {tuple(x.shape)}")
        permutation = permutation.to(x.device)
        if permutation.ndim == 1:
            return x.index_select(axis, permutation)
        between = (1,) * (axis + 1 - permutation.ndim)
        shape = permutation.shape[:-1] + between + permutation.shape[-1:] + (1,) * self.feature_axes
        return torch.take_along_dim(x, permutation.reshape(shape), axis)

    def _align(self, element: Element, x: Tensor, index: Tensor | None) -> tuple[Tensor, Tensor]:
        rotation, translation = element.rotation.to(x.device), element.translation.to(x.device)
        leading = x.shape[: x.ndim - self.feature_axes]
        batch = element.batch_shape
        if not batch:
            return rotation, translation
        if index is not None:
            if index.ndim != 1 or not leading or leading[-1] != len(index):
                raise ValueError(f"index {tuple(index.shape)} does not name the nodes of {tuple(x.shape)}")
            return rotation[index], translation[index]
        if len(batch) > len(leading) or any(b != s for b, s in zip(batch, leading, strict=False)):
            raise ValueError(
                f"elements {tuple(batch)} do not match the leading axes of {tuple(x.shape)}; "
                "give index= when x has one row a node"
            )
        ones = (1,) * (len(leading) - len(batch))
        return rotation.reshape(*batch, *ones, 3, 3), translation.reshape(*batch, *ones, 3)

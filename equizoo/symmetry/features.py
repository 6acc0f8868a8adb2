"""Feature types: how a group element, and an element of the Lie algebra, acts on a tensor.

:mod:`equizoo.symmetry.featuretype` states the conventions that all of them share. Irreps and images have
files of their own and are found here too.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from equizoo.symmetry.featuretype import FeatureType
from equizoo.symmetry.images import Images
from equizoo.symmetry.irreps import Irreps

__all__ = [
    "DirectSum",
    "FeatureType",
    "Images",
    "Irreps",
    "Labels",
    "Points",
    "Scalars",
    "Trajectories",
    "Vectors",
]


class Scalars(FeatureType):
    """Invariants.

    Args:
        n: Number of channels.
        per: ``"node"`` or ``"graph"``.
    """

    def __init__(self, n: int = 1, per: str = "node") -> None:
        super().__init__(per)
        self.n = n

    @property
    def dim(self) -> int:
        """Number of channels."""
        return self.n

    def _transform(self, rotation: Tensor, translation: Tensor, x: Tensor) -> Tensor:
        return x

    def _lie(self, omega: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class Labels(Scalars):
    """Invariants without a feature axis, such as atomic numbers (N,)."""

    feature_axes: ClassVar[int] = 0

    def __init__(self, per: str = "node") -> None:
        super().__init__(1, per)

    def check(self, x: Tensor) -> None:
        """Accept any shape."""

    def _describe(self) -> str:
        return ""


class Vectors(FeatureType):
    """Polar vectors, which rotate and reflect and do not feel translations.

    Args:
        n: Number of channels; (..., 3n) is read as (..., n, 3).
        per: ``"node"`` or ``"graph"``.
    """

    def __init__(self, n: int = 1, per: str = "node") -> None:
        super().__init__(per)
        self.n = n

    @property
    def dim(self) -> int:
        """Three a channel."""
        return 3 * self.n

    def _transform(self, rotation: Tensor, translation: Tensor, x: Tensor) -> Tensor:
        return (x.unflatten(-1, (self.n, 3)) @ rotation.to(x.dtype).mT).flatten(-2)

    def _lie(self, omega: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
        return (x.unflatten(-1, (self.n, 3)) @ omega.to(x.dtype).mT).flatten(-2)

    def _describe(self) -> str:
        return str(self.n)


class Points(FeatureType):
    """Points in space (..., 3), which rotate, reflect and move."""

    @property
    def dim(self) -> int:
        """Three."""
        return 3

    def _transform(self, rotation: Tensor, translation: Tensor, x: Tensor) -> Tensor:
        return (x.unsqueeze(-2) @ rotation.to(x.dtype).mT).squeeze(-2) + translation.to(x.dtype)

    def _lie(self, omega: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
        return x @ omega.to(x.dtype).mT + velocity.to(x.dtype)

    def _describe(self) -> str:
        return ""


class Trajectories(FeatureType):
    """Places of a point at several times (..., T, 3), which rotate, reflect and move together.

    Args:
        frames: Number of times T.
        per: ``"node"`` or ``"graph"``.

    Example:
        >>> from equizoo.symmetry import SO3, Trajectories
        >>> Trajectories(5).act(SO3().sample(), torch.randn(7, 5, 3)).shape
        torch.Size([7, 5, 3])
    """

    feature_axes: ClassVar[int] = 2

    def __init__(self, frames: int, per: str = "node") -> None:
        super().__init__(per)
        self.frames = frames

    @property
    def dim(self) -> int:
        """Three a time."""
        return 3 * self.frames

    def check(self, x: Tensor) -> None:
        """Raise ValueError if ``x`` is not (..., T, 3)."""
        if x.ndim < 2 or x.shape[-2:] != (self.frames, 3):
            raise ValueError(f"{self!r} expects (..., {self.frames}, 3), got {tuple(x.shape)}")

    def generators(self, algebra: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Return the matrices of a Lie algebra on flattened (3T) trajectories; see :class:`FeatureType`."""
        matrices = Points().generators(algebra, dtype)
        return torch.stack([torch.block_diag(*[matrix] * self.frames) for matrix in matrices])

    def _transform(self, rotation: Tensor, translation: Tensor, x: Tensor) -> Tensor:
        return x @ rotation.to(x.dtype).mT + translation.to(x.dtype).unsqueeze(-2)

    def _lie(self, omega: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
        return x @ omega.to(x.dtype).mT + velocity.to(x.dtype)

    def _describe(self) -> str:
        return str(self.frames)


class DirectSum(FeatureType):
    """Features side by side on the trailing axis.

    Args:
        *parts: Feature types, all per node or all per graph.

    Raises:
        ValueError: There are no parts, they mix nodes and graphs, or one has no trailing feature axis.

    Example:
        >>> from equizoo.symmetry import Points, Scalars
        >>> DirectSum(Scalars(64), Points()).dim
        67
    """

    def __init__(self, *parts: FeatureType) -> None:
        if not parts:
            raise ValueError("a direct sum needs at least one part")
        if len({part.per for part in parts}) > 1:
            raise ValueError(f"a direct sum is per node or per graph, not both: {parts}")
        if any(part.feature_axes != 1 for part in parts):
            raise ValueError(f"only types with one feature axis can be summed, got {parts}")
        super().__init__(parts[0].per)
        self.parts = parts

    @property
    def dim(self) -> int:
        """Sum over the parts."""
        return sum(part.dim for part in self.parts)

    def _describe(self) -> str:
        return ", ".join(map(repr, self.parts))

    def _split(self, x: Tensor) -> list[tuple[FeatureType, Tensor]]:
        return list(zip(self.parts, x.split([part.dim for part in self.parts], -1), strict=True))

    def _transform(self, rotation: Tensor, translation: Tensor, x: Tensor) -> Tensor:
        return torch.cat([part._transform(rotation, translation, y) for part, y in self._split(x)], -1)

    def _lie(self, omega: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
        return torch.cat([part._lie(omega, velocity, y) for part, y in self._split(x)], -1)

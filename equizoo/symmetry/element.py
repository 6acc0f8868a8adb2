"""Elements of the groups of :mod:`equizoo.symmetry.groups`: what they are, composition, inverse."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Element:
    """One group element, or a batch of them.

    Args:
        rotation: (..., 3, 3) orthogonal matrices; the determinant may be −1.
        translation: (..., 3) shifts, in the unit of the coordinates.
        permutation: (..., n) node order, ``(P x)_i = x_{permutation[i]}``, or None for the identity.

    Example:
        >>> from equizoo.symmetry.groups import SE3
        >>> g = SE3().sample(generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> e = g.compose(g.inverse())
        >>> torch.allclose(e.rotation, torch.eye(3, dtype=torch.float64))
        True
    """

    rotation: Tensor
    translation: Tensor
    permutation: Tensor | None = None

    @property
    def batch_shape(self) -> torch.Size:
        """Leading shape of a batch of elements; empty for one element."""
        return self.rotation.shape[:-2]

    def __getitem__(self, index: int | slice | Tensor) -> Element:
        if not self.batch_shape:
            raise IndexError("this is one element, not a batch; sample(n) makes a batch")
        permutation = None if self.permutation is None else self.permutation[index]
        return Element(self.rotation[index], self.translation[index], permutation)

    def compose(self, other: Element) -> Element:
        """Return ``self ∘ other``, the element that acts as ``other`` first."""
        rotation = self.rotation @ other.rotation
        translation = _apply(self.rotation, other.translation) + self.translation
        if self.permutation is None or other.permutation is None:
            return Element(
                rotation, translation, self.permutation if other.permutation is None else other.permutation
            )
        mine, others = torch.broadcast_tensors(self.permutation, other.permutation)
        return Element(rotation, translation, torch.take_along_dim(others, mine, -1))

    def inverse(self) -> Element:
        """Return the inverse element."""
        rotation = self.rotation.mT
        permutation = None if self.permutation is None else torch.argsort(self.permutation, -1)
        return Element(rotation, -_apply(rotation, self.translation), permutation)

    def to(self, *args: torch.dtype | torch.device | str) -> Element:
        """Move or cast the geometric part; node order keeps its integer type."""
        rotation, translation = self.rotation.to(*args), self.translation.to(*args)
        permutation = None if self.permutation is None else self.permutation.to(rotation.device)
        return Element(rotation, translation, permutation)


def _apply(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector.unsqueeze(-1)).squeeze(-1)

"""Images as features of the group of quarter turns."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from equizoo.symmetry.featuretype import FeatureType


class Images(FeatureType):
    """Images (..., H, W) with H = W under quarter turns about z; a row below another has the smaller y.

    Args:
        size: Height in pixels, where ``dim`` is needed; None accepts any square.
        per: ``"node"`` or ``"graph"``.
    """

    feature_axes: ClassVar[int] = 2

    def __init__(self, size: int | None = None, per: str = "graph") -> None:
        super().__init__(per)
        self.size = size

    @property
    def dim(self) -> int:
        """Number of pixels."""
        if self.size is None:
            raise ValueError("the number of pixels is not known; build the type as Images(size)")
        return self.size**2

    def check(self, x: Tensor) -> None:
        """Raise ValueError if ``x`` is not a square image of the stated size."""
        size = x.shape[-1] if self.size is None and x.ndim else self.size
        if x.ndim < 2 or x.shape[-2:] != (size, size):
            raise ValueError(f"{self!r} expects square images (..., H, H), got {tuple(x.shape)}")

    def _describe(self) -> str:
        return "" if self.size is None else str(self.size)

    def _transform(self, rotation: Tensor, translation: Tensor, x: Tensor) -> Tensor:
        angle = torch.atan2(rotation[..., 1, 0], rotation[..., 0, 0])
        turns = (angle / (math.pi / 2)).round()
        flat = (rotation[..., 2, 2] - 1).abs() + (angle - turns * (math.pi / 2)).abs()
        if (flat > 1e-4).any():
            raise ValueError("an image grid can only be turned by quarter turns about z; use the group C4")
        turns = turns[..., None, None] % 4
        out = x
        for k in (1, 2, 3):
            out = torch.where(turns == k, torch.rot90(x, k, (-2, -1)), out)
        return out

    def _lie(self, omega: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
        raise ValueError("quarter turns are discrete: images have no Lie derivative")

"""Irreducible representations of O(3) as features, exact in float64.

The Wigner matrices come from e3nn's spherical harmonics, which are polynomials of the coordinates:
``Y(R x) = D(R) Y(x)`` is solved for D on fixed points. Euler angles, which lose half of the digits near the
identity, are not needed, and improper rotations need no special case.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor

from equizoo.symmetry.featuretype import FeatureType


class Irreps(FeatureType):
    """A direct sum of irreducible representations.

    Args:
        irreps: Such as ``"8x0e+4x1o"``; a string or an ``e3nn.o3.Irreps``.
        per: ``"node"`` or ``"graph"``.
        layout: Order inside a block: ``"mul_ir"`` as in e3nn, or ``"ir_mul"`` with the channels last.

    Raises:
        ValueError: ``irreps`` cannot be read, or no such layout.

    Example:
        >>> from equizoo.symmetry import SO3
        >>> kind = Irreps("2x0e+1o")
        >>> kind.dim
        5
        >>> kind.act(SO3().sample(), torch.randn(7, 5)).shape
        torch.Size([7, 5])

    References:
        Geiger & Smidt, "e3nn: Euclidean Neural Networks", 2022, Section 2.
    """

    def __init__(self, irreps: Any, per: str = "node", layout: str = "mul_ir") -> None:
        from e3nn import o3

        super().__init__(per)
        if layout not in ("mul_ir", "ir_mul"):
            raise ValueError(f"layout must be 'mul_ir' or 'ir_mul', got {layout!r}")
        self.irreps, self.layout = o3.Irreps(irreps), layout

    @property
    def dim(self) -> int:
        """Sum of multiplicity × (2l + 1)."""
        return int(self.irreps.dim)

    def _describe(self) -> str:
        return repr(str(self.irreps)) + (", layout='ir_mul'" if self.layout == "ir_mul" else "")

    def _transform(self, rotation: Tensor, translation: Tensor, x: Tensor) -> Tensor:
        rotation = rotation.to(torch.float64)
        kinds = {(degree, p) for _, (degree, p) in self.irreps} - {(0, 1)}
        blocks = {(degree, p): wigner(degree, rotation) for degree, p in kinds}
        for degree, p in kinds:
            if p != (-1) ** degree:
                blocks[degree, p] = blocks[degree, p] * torch.linalg.det(rotation).sign()[..., None, None]
        return self._blockwise(blocks, x)

    def _lie(self, omega: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
        # ω = Σ_k ω_k J_k with J_k the rotations about x, y, z
        parts = torch.stack([omega[2, 1], omega[0, 2], omega[1, 0]]).to(torch.float64)
        blocks = {
            (degree, p): torch.einsum("k,kij->ij", parts, _so3_generators(degree).to(x.device))
            for _, (degree, p) in self.irreps
        }
        return self._blockwise(blocks, x)

    def _blockwise(self, blocks: dict[tuple[int, int], Tensor], x: Tensor) -> Tensor:
        """Apply a matrix to every block; a kind of block without one stays as it is."""
        if not self.dim:
            return x
        parts = []
        for (mul, (degree, p)), part in zip(
            self.irreps,
            x.split([mul * (2 * degree + 1) for mul, (degree, _) in self.irreps], -1),
            strict=True,
        ):
            if (degree, p) not in blocks:
                parts.append(part)
                continue
            matrix = blocks[degree, p].to(x.dtype)
            if self.layout == "mul_ir":
                moved = part.unflatten(-1, (mul, 2 * degree + 1)) @ matrix.mT
            else:
                moved = matrix @ part.unflatten(-1, (2 * degree + 1, mul))
            parts.append(moved.flatten(-2))
        return torch.cat(parts, -1)


def wigner(degree: int, rotation: Tensor) -> Tensor:
    """Return the matrix D of degree l with natural parity, ``Y(R x) = D(R) Y(x)``.

    Args:
        degree: Degree l.
        rotation: (..., 3, 3) orthogonal matrices in float64; for determinant −1, D carries (−1)^l.

    Returns:
        (..., 2l + 1, 2l + 1) matrices in float64.
    """
    if degree == 0:
        return torch.ones_like(rotation[..., :1, :1])
    if degree == 1:  # the harmonics of degree 1 are the coordinates
        return rotation
    points, inverse = (tensor.to(rotation.device) for tensor in _frame(degree))
    return (inverse @ _harmonics(degree, points @ rotation.mT)).mT


def _harmonics(degree: int, points: Tensor) -> Tensor:
    from e3nn import o3

    return o3.spherical_harmonics(degree, points, normalize=False, normalization="component")


@functools.cache
def _frame(degree: int) -> tuple[Tensor, Tensor]:
    """Points that determine D (a Fibonacci lattice) and the pseudo-inverse of their harmonics."""
    with torch.inference_mode(False), torch.device("cpu"):
        n = 4 * (2 * degree + 1)
        k = torch.arange(n, dtype=torch.float64)
        height = 1 - (2 * k + 1) / n
        angle = math.pi * (3 - math.sqrt(5)) * k
        radius = (1 - height**2).sqrt()
        points = torch.stack([radius * angle.cos(), radius * angle.sin(), height], -1)
        return points, torch.linalg.pinv(_harmonics(degree, points))


@functools.cache
def _so3_generators(degree: int) -> Tensor:
    """(3, 2l + 1, 2l + 1) derivatives of :func:`wigner` along rotations about x, y, z."""
    from equizoo.symmetry.groups import SO3

    with torch.inference_mode(False), torch.device("cpu"), torch.enable_grad():
        points, inverse = _frame(degree)
        matrices = []
        for generator in SO3().lie_algebra(torch.float64):
            tangent = points @ generator[:3, :3].mT
            _, change = torch.autograd.functional.jvp(
                functools.partial(_harmonics, degree), (points,), (tangent,)
            )
            matrices.append((inverse @ change).mT)
        return torch.stack(matrices)

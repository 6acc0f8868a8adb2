"""Symmetry groups of three-dimensional space and of node order: Haar samples and Lie algebras.

Every element acts on points as ``x -> R x + t`` (``det R`` may be −1) and on node order as
``(P x)_i = x_{permutation[i]}``. What an element does to other features is the business of
:mod:`equizoo.symmetry.features`.

References:
    Shoemake, "Uniform random rotations", Graphics Gems III (1992): Haar measure on SO(3), unit quaternions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from equizoo._nearest import did_you_mean
from equizoo.symmetry.element import Element

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class Group:
    """A symmetry group; the base class is the trivial group.

    Attributes:
        compact: True if the group has a normalised Haar measure. Translations have none: they are sampled
            from a normal distribution of width ``scale``.
    """

    compact: ClassVar[bool] = True

    def sample(
        self,
        n: int | None = None,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Element:
        """Draw from the Haar measure.

        Args:
            n: Size of the batch of elements; None draws one element without a batch axis.
            generator: Source of randomness; the numbers are drawn in float64 on its device and then moved,
                so that one seed means the same elements for every dtype.
            dtype: Floating type of the result; None means torch's default.
            device: Device of the result; None means the CPU.

        Returns:
            An element with ``rotation`` (n, 3, 3) and ``translation`` (n, 3), without ``n`` if it is None.

        Raises:
            ValueError: ``n`` is negative.
        """
        if n is not None and n < 0:
            raise ValueError(f"cannot draw {n} elements; give n >= 0, or None for a single one")
        count = 1 if n is None else n
        element = Element(
            self._rotations(count, generator),
            self._translations(count, generator),
            self._order(count, generator),
        ).to(device or "cpu", dtype or torch.get_default_dtype())
        return element[0] if n is None else element

    def identity(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Element:
        """Return the identity element."""
        dtype = dtype or torch.get_default_dtype()
        return Element(torch.eye(3, dtype=dtype, device=device), torch.zeros(3, dtype=dtype, device=device))

    def lie_algebra(
        self, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> Tensor:
        """Return a basis of the Lie algebra.

        Returns:
            (k, 4, 4) homogeneous generators: rotations about x, y, z first, then shifts along x, y, z; k = 0
            for a discrete group.
        """
        basis = torch.zeros(0, 4, 4, dtype=torch.float64)
        for generator in self._generators():
            basis = torch.cat([basis, generator.unsqueeze(0)])
        return basis.to(device=device, dtype=dtype or torch.get_default_dtype())

    def _rotations(self, n: int, generator: torch.Generator | None) -> Tensor:
        return torch.eye(3, dtype=torch.float64, device=_device(generator)).repeat(n, 1, 1)

    def _translations(self, n: int, generator: torch.Generator | None) -> Tensor:
        return torch.zeros(n, 3, dtype=torch.float64, device=_device(generator))

    def _order(self, n: int, generator: torch.Generator | None) -> Tensor | None:
        return None

    def _generators(self) -> list[Tensor]:
        return []


def _device(generator: torch.Generator | None) -> torch.device:
    return torch.device("cpu") if generator is None else generator.device


def _cross(axis: Sequence[float]) -> Tensor:
    x, y, z = axis
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    matrix[:3, :3] = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return matrix


def _shift(k: int) -> Tensor:
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    matrix[k, 3] = 1.0
    return matrix


@dataclass(frozen=True)
class SO2(Group):
    """Rotations about one axis.

    Args:
        axis: ``"x"``, ``"y"``, ``"z"``, or three numbers (normalised here).
    """

    axis: str | tuple[float, float, float] = "z"

    def __post_init__(self) -> None:
        """Refuse an axis that is not one."""
        if isinstance(self.axis, str):
            valid = self.axis in _AXES
        else:
            valid = len(self.axis) == 3 and math.hypot(*self.axis) > 0
        if not valid:
            raise ValueError(
                f"axis must be 'x', 'y', 'z' or three numbers that are not all 0, got {self.axis!r}"
            )

    @property
    def direction(self) -> tuple[float, ...]:
        """Unit vector of the axis."""
        vector = _AXES[self.axis] if isinstance(self.axis, str) else self.axis
        length = math.hypot(*vector)
        return tuple(v / length for v in vector)

    def _rotations(self, n: int, generator: torch.Generator | None) -> Tensor:
        angle = (
            2
            * math.pi
            * torch.rand(n, 1, 1, generator=generator, dtype=torch.float64, device=_device(generator))
        )
        k = _cross(self.direction)[:3, :3].to(angle.device)
        return torch.eye(3, dtype=k.dtype, device=k.device) + angle.sin() * k + (1 - angle.cos()) * (k @ k)

    def _generators(self) -> list[Tensor]:
        return [_cross(self.direction)]


@dataclass(frozen=True)
class SO3(Group):
    """All rotations."""

    def _rotations(self, n: int, generator: torch.Generator | None) -> Tensor:
        q = torch.randn(n, 4, generator=generator, dtype=torch.float64, device=_device(generator))
        w, x, y, z = (q / q.norm(dim=-1, keepdim=True)).unbind(-1)
        rows = (
            (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
            (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
            (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
        )
        return torch.stack([torch.stack(row, -1) for row in rows], -2)

    def _generators(self) -> list[Tensor]:
        return [_cross(_AXES[axis]) for axis in "xyz"] + super()._generators()


@dataclass(frozen=True)
class O3(SO3):
    """Rotations and reflections; half of the samples have determinant −1."""

    def _rotations(self, n: int, generator: torch.Generator | None) -> Tensor:
        rotation = super()._rotations(n, generator)
        sign = torch.randint(0, 2, (n, 1, 1), generator=generator, device=rotation.device) * 2 - 1
        return sign * rotation


@dataclass(frozen=True)
class C4(Group):
    """Quarter turns about z; on images, counter-clockwise quarter turns of the grid."""

    def _rotations(self, n: int, generator: torch.Generator | None) -> Tensor:
        turns = torch.randint(0, 4, (n,), generator=generator, device=_device(generator))
        quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
        powers = torch.stack([torch.linalg.matrix_power(quarter, k) for k in range(4)])
        return powers.to(turns.device)[turns]


@dataclass(frozen=True)
class Translations(Group):
    """Translations; samples are normal.

    Args:
        scale: Standard deviation of each coordinate, in the unit of the coordinates.
    """

    compact: ClassVar[bool] = False
    scale: float = 1.0

    def _translations(self, n: int, generator: torch.Generator | None) -> Tensor:
        return self.scale * torch.randn(
            n, 3, generator=generator, dtype=torch.float64, device=_device(generator)
        )

    def _generators(self) -> list[Tensor]:
        return [_shift(k) for k in range(3)]


@dataclass(frozen=True)
class SE3(SO3, Translations):
    """Rotations and translations.

    Args:
        scale: Standard deviation of each coordinate of a translation.
    """


@dataclass(frozen=True)
class E3(O3, Translations):
    """Rotations, reflections and translations.

    Args:
        scale: Standard deviation of each coordinate of a translation.
    """


@dataclass(frozen=True)
class Permutations(Group):
    """Permutations of nodes within each graph of a batch.

    Args:
        sizes: Number of nodes, or the number of nodes of each graph: nodes stay in their graph, so that a
            sorted graph index stays as it is.
    """

    sizes: int | tuple[int, ...]

    def _order(self, n: int, generator: torch.Generator | None) -> Tensor:
        sizes = (self.sizes,) if isinstance(self.sizes, int) else tuple(self.sizes)
        start, blocks = 0, []
        for size in sizes:
            keys = torch.rand(n, size, generator=generator, dtype=torch.float64, device=_device(generator))
            blocks.append(start + keys.argsort(-1))
            start += size
        return torch.cat(blocks, -1)


def group(name: str) -> Group:
    """Return a group by name, with its default options.

    Args:
        name: ``SO2`` (about z), ``SO3``, ``O3``, ``C4``, ``Translations``, ``SE3`` or ``E3``.

    Raises:
        ValueError: There is no such group; ``Permutations`` needs the number of nodes, so it has no default.

    Example:
        >>> group("SO3").lie_algebra().shape
        torch.Size([3, 4, 4])
    """
    groups = {cls.__name__: cls for cls in (SO2, SO3, O3, C4, Translations, SE3, E3)}
    if name not in groups:
        hint = did_you_mean(name, groups)
        raise ValueError(
            f"no group named {name!r}{hint} (there are {', '.join(groups)}; build Permutations(n) yourself)"
        )
    return groups[name]()

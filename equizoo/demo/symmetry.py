"""The symmetry lab: move an input, and compare the answer with the moved answer.

A network is equivariant when ``f(g·x) = g·f(x)`` for every motion g of space. What is left in floating-point
numbers is round-off; a network that keeps terms ``γ·f_neq`` leaves more, in proportion to γ.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from equizoo.demo import models
from equizoo.demo.particles import Motion
from equizoo.pipelines.molecules import Molecule
from equizoo.relaxation.layer import relaxations
from equizoo.symmetry import SO2
from equizoo.symmetry.element import Element
from equizoo.symmetry.featuretype import FeatureType

_STEERING = threading.Lock()  # γ of a network that all visitors share is changed for one answer at a time


@dataclass(frozen=True)
class Comparison:
    """An answer, and what a motion of the input made of it.

    Attributes:
        before: f(x), float64.
        expected: g·f(x).
        after: f(g·x).
        relative: Root mean square of ``f(g·x) − g·f(x)`` over that of ``f(x)``.
    """

    before: np.ndarray
    expected: np.ndarray
    after: np.ndarray
    relative: float


def molecule(given: Molecule) -> dict[str, Tensor]:
    """Return a molecule as inputs of a network, centred [Å]."""
    pos = torch.from_numpy(given.pos - given.pos.mean(0))
    return {"z": torch.from_numpy(given.z), "pos": pos, "batch": torch.zeros(len(pos), dtype=torch.long)}


def cloud(points: np.ndarray) -> dict[str, Tensor]:
    """Return a cloud (n, 3) as inputs of a network."""
    return {"points": torch.from_numpy(np.array(points, dtype=np.float64))[None]}


def particles(motion: Motion) -> dict[str, Tensor]:
    """Return the start of a motion as inputs of a network, centred [length]."""
    pos = torch.from_numpy(motion.pos[0] - motion.pos[0].mean(0))
    return {"pos": pos, "vel": torch.from_numpy(motion.vel), "charge": torch.from_numpy(motion.charge)}


def body(positions: np.ndarray, velocities: np.ndarray) -> dict[str, Tensor]:
    """Return a body (J, 3) as inputs of a network, where it is: y up, the floor at 0 [length]."""
    pos, vel = torch.from_numpy(positions), torch.from_numpy(velocities)
    return {"pos": pos, "vel": vel, "batch": torch.zeros(len(pos), dtype=torch.long)}


def turn(axis: Sequence[float], angle: float) -> Element:
    """Return a rotation about an axis through the origin.

    Args:
        axis: Unit vector.
        angle: In degrees.

    Example:
        >>> turn((0.0, 1.0, 0.0), 180.0).rotation.round().diagonal().tolist()
        [-1.0, 1.0, -1.0]
    """
    return Element(_about(axis, math.radians(angle)), torch.zeros(3, dtype=torch.float64))


def element(turn: Sequence[float], shift: float = 0.0, mirror: str = "no") -> Element:
    """Return a motion of space: a reflection, then rotations about x, y, z, then a shift along x.

    Args:
        turn: Angles about x, y and z [degrees].
        shift: In the unit of the coordinates.
        mirror: ``"x"``, ``"y"`` or ``"z"``: the coordinate whose sign changes; ``"no"`` for none.

    Example:
        >>> element((0, 0, 90)).rotation.round(decimals=3)[0].tolist()
        [0.0, -1.0, 0.0]
        >>> round(float(torch.linalg.det(element((10, 20, 30), mirror="x").rotation)), 6)
        -1.0
    """
    rotation = torch.eye(3, dtype=torch.float64)
    if mirror in "xyz":
        rotation["xyz".index(mirror)] *= -1
    for axis, angle in zip("xyz", turn, strict=True):
        rotation = _about(SO2(axis).direction, math.radians(angle)) @ rotation
    return Element(rotation, torch.tensor([float(shift), 0.0, 0.0], dtype=torch.float64))


def _about(axis: Sequence[float], angle: float) -> Tensor:
    """Return the (3, 3) rotation about a unit vector (Rodrigues)."""
    x, y, z = axis
    k = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return torch.eye(3, dtype=torch.float64) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)


def axis_and_angle(rotation: Tensor) -> tuple[tuple[float, float, float], float]:
    """Return the unit axis and the angle [degrees, 0 to 180] of a (3, 3) matrix, a reflection left out.

    Example:
        >>> axis, angle = axis_and_angle(element((0, 0, 90)).rotation)
        >>> [round(x, 6) for x in axis], round(angle, 3)
        ([0.0, 0.0, 1.0], 90.0)
    """
    proper = rotation * torch.linalg.det(rotation).sign()
    angle = float(((proper.trace() - 1) / 2).clamp(-1, 1).acos())
    if angle < 1e-6:
        return (1.0, 0.0, 0.0), 0.0
    # the axis is the vector that the rotation keeps: R − 1 has it as its null space
    axis = torch.linalg.svd(proper - torch.eye(3, dtype=torch.float64)).Vh[-1]
    wedge = torch.stack(
        [proper[2, 1] - proper[1, 2], proper[0, 2] - proper[2, 0], proper[1, 0] - proper[0, 1]]
    )
    axis = axis * (1.0 if float(axis @ wedge) >= 0 else -1.0)
    return tuple(axis.tolist()), math.degrees(angle)  # type: ignore[return-value]


def compare(
    model: str, variant: str, dtype: str, inputs: Mapping[str, Tensor], motion: Element, gamma: float = 1.0
) -> Comparison:
    """Compare the answer to a moved input with the moved answer.

    Args:
        model: Name of a bundled model.
        variant: ``"equivariant"`` or ``"partial"``.
        dtype: ``"float32"`` or ``"float64"``: what the network computes in.
        inputs: What :func:`molecule`, :func:`cloud`, :func:`particles` or :func:`body` returns.
        motion: The motion g.
        gamma: Factor on every γ of the partial variant.
    """
    network = models.network(model, variant, dtype)
    with steered(network, gamma):
        return _compare(network, inputs, motion, _call(network, inputs))


def errors_by_angle(
    model: str,
    variant: str,
    dtype: str,
    inputs: Mapping[str, Tensor],
    axis: tuple[float, float, float],
    angles: Sequence[float],
    gamma: float = 1.0,
) -> list[float]:
    """Return the relative error of :func:`compare` for rotations about one axis.

    Args:
        model: As for :func:`compare`.
        variant: As for :func:`compare`.
        dtype: As for :func:`compare`.
        inputs: As for :func:`compare`.
        axis: Unit vector.
        angles: Angles [degrees].
        gamma: As for :func:`compare`.
    """
    network = models.network(model, variant, dtype)
    with steered(network, gamma):
        before = _call(network, inputs)
        return [_compare(network, inputs, turn(axis, angle), before).relative for angle in angles]


@contextmanager
def steered(network: nn.Module, factor: float) -> Iterator[None]:
    """Multiply every γ of a network, for one answer; a network without γ is left alone."""
    terms = list(relaxations(network).values())
    if not terms:
        yield
        return
    with _STEERING:
        try:
            for term in terms:
                term.modulation = factor * term.gamma.detach()
            yield
        finally:
            for term in terms:
                term.modulation = None


def _compare(network: nn.Module, inputs: Mapping[str, Tensor], motion: Element, before: Tensor) -> Comparison:
    types: Mapping[str, FeatureType | None] = network.input_types  # type: ignore[assignment]
    result: FeatureType = network.output_type  # type: ignore[assignment]
    moved = {
        name: value if (kind := types[name]) is None else kind.act(motion, value)
        for name, value in inputs.items()
    }
    after, expected = _call(network, moved), result.act(motion, before)
    size = float(before.square().mean().sqrt())
    difference = float((after - expected).square().mean().sqrt())
    relative = difference / size if size else 0.0
    return Comparison(before.numpy(), expected.numpy(), after.numpy(), relative)


@torch.no_grad()
def _call(network: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the float64 answer of a network in its own precision."""
    dtype = next(network.parameters()).dtype
    cast = {name: x.to(dtype) if x.is_floating_point() else x for name, x in inputs.items()}
    return network(**cast).double()

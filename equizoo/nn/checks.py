"""Checks of model inputs that would otherwise end in a wrong number."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def molecule_inputs(
    z: Any, pos: Tensor | None, batch: Tensor | None, num_graphs: int | None
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return what a model of molecules was called with: tensors, or one PyG ``Data`` or ``Batch``.

    Args:
        z: ``(N,)`` atomic numbers, or an object with ``z``, ``pos`` and perhaps ``batch``.
        pos: ``(N, 3)`` positions.
        batch: ``(N,)`` molecule of each atom; None for one molecule.
        num_graphs: B, if it is known.

    Returns:
        ``z`` as int64, ``pos``, ``batch`` and B.

    Raises:
        TypeError: ``pos`` is missing.
        ValueError: See :func:`check_molecules`.
    """
    if pos is None:
        if not (hasattr(z, "pos") and hasattr(z, "z")):
            raise TypeError("give z, pos and batch, or one PyG Data or Batch that has z and pos")
        z, pos, batch = z.z, z.pos, getattr(z, "batch", None)
    if batch is None:
        batch, num_graphs = torch.zeros(pos.shape[0], dtype=torch.long, device=pos.device), 1
    if not torch.compiler.is_compiling():
        check_molecules(z, pos, batch)
    return z.long(), pos, batch, int(batch[-1]) + 1 if num_graphs is None else num_graphs


def check_molecules(z: Tensor, pos: Tensor, batch: Tensor) -> None:
    """Raise unless ``z`` (N,), ``pos`` (N, 3) and ``batch`` (N,) describe molecules.

    Raises:
        ValueError: No atoms, shapes that do not fit, an unsorted ``batch``, an atomic number outside 1 to 99,
            or positions that are not finite.
    """
    if pos.ndim != 2 or pos.shape[1] != 3 or z.shape != pos.shape[:1] or batch.shape != z.shape:
        shapes = f"{tuple(z.shape)}, {tuple(pos.shape)}, {tuple(batch.shape)}"
        raise ValueError(f"z, pos and batch must have shapes (N,), (N, 3) and (N,), got {shapes}")
    if pos.shape[0] == 0:
        raise ValueError("there are no atoms")
    if z.is_floating_point() or batch.is_floating_point():
        raise ValueError(f"z and batch must hold integers, got {z.dtype} and {batch.dtype}")
    if bool((batch[1:] < batch[:-1]).any()) or int(batch[0]) < 0:
        raise ValueError("batch must be sorted and start at 0 or above: sort the atoms by molecule first")
    if not bool(((z > 0) & (z < 100)).all()):
        raise ValueError(f"atomic numbers must lie in 1 to 99, got {int(z.min())} to {int(z.max())}")
    if not bool(torch.isfinite(pos).all()):
        raise ValueError("positions must be finite: found NaN or infinity")


def check_particles(pos: Tensor, vel: Tensor, charge: Tensor, batch: Tensor) -> None:
    """Raise unless ``pos`` (N, 3), ``vel`` (N, 3), ``charge`` (N, 1) and ``batch`` (N,) describe particles.

    Raises:
        ValueError: No particles, shapes that do not fit, an unsorted ``batch``, or values not finite.
    """
    if pos.ndim != 2 or pos.shape[1] != 3 or vel.shape != pos.shape:
        raise ValueError(
            f"pos and vel must have the same shape (N, 3), got {tuple(pos.shape)} and {tuple(vel.shape)}"
        )
    if charge.shape[0] != pos.shape[0] or batch.shape != pos.shape[:1]:
        raise ValueError(
            f"charge and batch need one entry for each of {pos.shape[0]} particles, "
            f"got {charge.shape[0]} and {tuple(batch.shape)}"
        )
    if pos.shape[0] == 0:
        raise ValueError("there are no particles")
    if bool((batch[1:] < batch[:-1]).any()) or int(batch[0]) < 0:
        raise ValueError("batch must be sorted and start at 0 or above: sort the particles by system first")
    for name, value in (("positions", pos), ("velocities", vel), ("charges", charge)):
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} must be finite: found NaN or infinity")


def check_clouds(points: Tensor, batch: Tensor | None, num_graphs: int | None = None) -> None:
    """Raise unless ``points`` (B, N, 3), or (R, 3) with ``batch`` (R,), describe clouds of points.

    Raises:
        ValueError: No points, shapes that do not fit, integers for points or fractions for clouds, an
            unsorted ``batch``, a cloud without points, another number of clouds than ``num_graphs``, or
            points that are not finite.
    """
    if points.ndim not in (2, 3) or points.shape[-1] != 3:
        raise ValueError(f"points must have shape (B, N, 3) or (R, 3), got {tuple(points.shape)}")
    if points.numel() == 0:
        raise ValueError("there are no points")
    if not points.is_floating_point():
        raise ValueError(f"points must be floating-point numbers, got {points.dtype}")
    if batch is not None:
        if points.ndim == 3 or batch.shape != points.shape[:1]:
            raise ValueError(
                f"batch goes with (R, 3) points and has one entry a point, "
                f"got {tuple(batch.shape)} with {tuple(points.shape)}"
            )
        if batch.is_floating_point():
            raise ValueError(f"batch must hold integers, got {batch.dtype}")
        if bool((batch[1:] < batch[:-1]).any()) or int(batch[0]) < 0:
            raise ValueError("batch must be sorted and start at 0 or above: sort the points by cloud first")
        clouds = int(batch[-1]) + 1 if num_graphs is None else num_graphs
        if int(batch.unique_consecutive().shape[0]) != clouds or int(batch[-1]) != clouds - 1:
            raise ValueError(
                f"batch must name each of the {clouds} clouds from 0 to {clouds - 1}: a cloud without points "
                "has no class"
            )
    if not bool(torch.isfinite(points).all()):
        raise ValueError("points must be finite: found NaN or infinity")

"""Checks of model inputs that would otherwise end in a wrong number."""

from __future__ import annotations

import torch
from torch import Tensor


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

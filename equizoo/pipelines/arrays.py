"""Arrays that users give: from anything that holds numbers, and from ``.npz`` files. Nothing is executed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np


def as_floats(values: Any) -> np.ndarray:
    """Return numbers as a float64 array.

    Args:
        values: An array; a tensor of any floating type, on any device, with or without a gradient; or nested
            lists of numbers, arrays and tensors.

    Raises:
        ValueError: They are not one array of real numbers.

    Example:
        >>> import torch
        >>> as_floats([torch.ones(2, dtype=torch.bfloat16, requires_grad=True), [3, 4]]).tolist()
        [[1.0, 1.0], [3.0, 4.0]]
    """
    try:
        if np.ma.is_masked(values):
            raise TypeError("some are masked: leave those out")
        array = np.asarray(plain(values))
        if array.dtype.kind not in "fiubO":
            raise TypeError(f"they are {array.dtype}")
        return array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # torch raises the last where there are no numbers
        raise ValueError(f"not one array of numbers ({error})") from None


def plain(values: Any) -> Any:
    """Return an array, a number or nested lists with arrays in place of tensors."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        return (values.double() if values.is_floating_point() else values).numpy()
    return [plain(value) for value in values] if isinstance(values, (list, tuple)) else values


def read_npz(
    data: bytes, aliases: Mapping[str, Sequence[str]], needed: Collection[str], largest: int
) -> dict[str, np.ndarray]:
    """Read the arrays of an ``.npz`` file.

    Args:
        data: The file.
        aliases: Names under which the file may hold each array.
        needed: Arrays that may not be missing.
        largest: Largest size of its arrays [bytes].

    Returns:
        The arrays that are there, by their first name.

    Raises:
        ValueError: It is no whole file, its arrays are too large, or one is missing or holds no plain values.

    Example:
        >>> content = io.BytesIO()
        >>> np.savez(content, positions=np.zeros((2, 3)))
        >>> read_npz(content.getvalue(), {"pos": ("pos", "positions")}, ["pos"], 10**6)["pos"].shape
        (2, 3)
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
            found = {
                key: next((name for name in names if name in sizes), None) for key, names in aliases.items()
            }
            if sum(sizes.values()) > largest:
                raise ValueError(f"the arrays are larger than {largest >> 20} MB; split the file")
            for key in needed:
                if found[key] is None:
                    raise ValueError(f"the file has no array {key!r}; its arrays are {sorted(sizes)}")
            return {
                key: _array(archive.read(f"{name}.npy")) for key, name in found.items() if name is not None
            }
    except ValueError:
        raise
    except Exception as error:  # anybody may have made the file
        raise ValueError(f"not a whole .npz file ({error})") from None


def _array(data: bytes) -> np.ndarray:
    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"an array cannot be read ({error})") from None

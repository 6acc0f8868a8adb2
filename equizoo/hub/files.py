"""Files of checkpoints: digests, and telling a safetensors file from a pickle."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from equizoo.hub.errors import CheckpointNotFound, CorruptWeights, DigestMismatch, PickleRefused

WEIGHTS = "model.safetensors"
_PICKLE_STARTS = tuple(bytes([0x80, protocol]) for protocol in range(1, 6))
_PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")


def sha256(data: bytes) -> str:
    """Return the SHA-256 digest of ``data`` in hexadecimal.

    Example:
        >>> sha256(b"")[:8]
        'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def read_weights(folder: Path, variant: str, digest: str) -> bytes:
    """Read ``<variant>/model.safetensors`` and check that it is what it should be.

    Args:
        folder: Checkpoint folder.
        variant: ``"equivariant"`` or ``"partial"``.
        digest: SHA-256 that its publisher wrote down.

    Returns:
        The bytes of the file.

    Raises:
        CheckpointNotFound: The file is not there.
        PickleRefused: The file is a pickle, whatever its name, or only pickles are there.
        CorruptWeights: The file is truncated or no safetensors file.
        DigestMismatch: The file is another one than was published.
    """
    path = folder / variant / WEIGHTS
    if not path.is_file():
        pickles = [
            p for p in sorted([*folder.glob("*"), *path.parent.glob("*")]) if p.suffix in _PICKLE_SUFFIXES
        ]
        if pickles:
            raise PickleRefused(f"{pickles[0]} may hold a pickle, which can run code; only {path} is read")
        raise CheckpointNotFound(f"{path} does not exist")
    data = path.read_bytes()
    weights_header(data, str(path))
    if sha256(data) != digest:
        raise DigestMismatch(
            f"{path} is not the published file: its SHA-256 is {sha256(data)}, config.json says {digest}. "
            "Fetch the checkpoint again from where you trust it"
        )
    return data


def weights_header(data: bytes, where: str) -> dict[str, Any]:
    """Return the header of a safetensors file: data type, shape and offsets of each tensor.

    Args:
        data: The whole file.
        where: What to call it in a message.

    Returns:
        ``{tensor name: {"dtype", "shape", "data_offsets"}}``.

    Raises:
        PickleRefused: It is a pickle or a torch archive.
        CorruptWeights: It is truncated or no safetensors file.
    """
    if data[8:9] != b"{":
        if data[:4] == b"PK\x03\x04" or data[:2] in _PICKLE_STARTS:
            raise PickleRefused(f"{where} is a pickle under another name: it could run code when opened")
        raise CorruptWeights(f"{where} is truncated or no safetensors file ({len(data)} bytes)")
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + size])
        header.pop("__metadata__", None)
        expected = 8 + size + max((entry["data_offsets"][1] for entry in header.values()), default=0)
        if any(math.prod(entry["shape"]) < 0 for entry in header.values()):
            raise ValueError("a negative shape")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise CorruptWeights(
            f"{where} is truncated or no safetensors file: its header cannot be read"
        ) from error
    if len(data) != expected:
        raise CorruptWeights(
            f"{where} is truncated or damaged: {len(data)} bytes where its header says {expected}"
        )
    return header

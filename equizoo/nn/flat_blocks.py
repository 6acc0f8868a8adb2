"""Features as flat memory, for the compiled kernels and the matrix products (CPU).

Blocks that lie one after the other are matrices ``(n·(2l+1), channels)``; in features ``(n, dim)`` only the
kernels reach them without a copy. A :class:`equizoo.nn.contraction.Slot` says where a block lies.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equizoo.nn.contraction import Contraction, Slot

INPUTS = 3
"""Largest number of inputs: kernels take tuples of a fixed length."""
Rows = Sequence[Tensor | None]
_thread = threading.local()


def workspace(name: str, kind: Any, size: int) -> np.ndarray:
    """Return uninitialised memory of at least ``size``; the next call of that name in this thread takes it.

    It is in the cache already, and the allocator need not get it from the system.
    """
    held: dict[Any, np.ndarray] = _thread.__dict__
    memory = held.get((name, kind))
    if memory is None or memory.shape[0] < size:
        memory = held[name, kind] = np.empty(size, kind)
    return memory


def scratch(name: str, like: Tensor, size: int) -> Tensor:
    """Return so much of a :func:`workspace` as a tensor of the type of ``like``."""
    kind = np.float32 if like.dtype == torch.float32 else np.float64
    return torch.from_numpy(workspace(name, kind, size)[:size])


def matrix(flat: Tensor, slot: Slot, count: int) -> Tensor:
    """Return a block of ``count`` rows as a view.

    Example:
        >>> from equizoo.nn.contraction import slots_by_block
        >>> matrix(torch.zeros(40), slots_by_block([(1, 8), (3, 4)])[1], 2).shape
        torch.Size([6, 4])
    """
    start = flat.storage_offset() + count * slot.before
    return flat.as_strided((count * slot.size, slot.channels), (slot.channels, 1), start)


def columns(x: Tensor, slot: Slot) -> Tensor:
    """Return a block of features ``(n, dim)`` as a view of their columns."""
    return x.narrow(1, slot.first, slot.size * slot.channels)


def contract(
    contraction: Contraction,
    inputs: Sequence[Tensor],
    counts: Sequence[int],
    rows: Rows,
    a: Tensor,
    y: Tensor,
) -> None:
    """Compute a contraction.

    Args:
        contraction: The terms.
        inputs: Contiguous tensors, laid out as its slots say.
        counts: Rows of each input.
        rows: ``(E,)`` row of its tensor that output row e reads, for each use; None: row e itself.
        a: ``(E, width)`` coefficients.
        y: Flat memory for the output blocks.
    """
    from equizoo.nn._product_kernels import contract as kernel

    coefficients = a.detach().numpy()
    kernel(flat(inputs), padded(counts), index(rows, a), coefficients, contraction.table, y.numpy())


def contract_backward(
    contraction: Contraction,
    grad: Tensor,
    grads: Sequence[Tensor],
    counts: Sequence[int],
    rows: Rows,
    a: Tensor,
) -> None:
    """Add the gradients of the inputs to ``grads``; other arguments as in :func:`contract`."""
    from equizoo.nn._product_kernels import contract_backward as kernel

    coefficients = a.detach().numpy()
    kernel(grad.numpy(), padded(counts), index(rows, a), coefficients, contraction.table, flat(grads))


def flat(tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    """Return contiguous tensors as flat arrays, as many as the kernels take."""
    arrays = tuple([x.detach().numpy().reshape(-1) for x in tensors])
    return arrays + arrays[:1] * (INPUTS - len(arrays))


def padded(counts: Sequence[int]) -> tuple[int, ...]:
    """Return numbers of rows, as many as the kernels take."""
    return (*counts, 0, 0)[:INPUTS]


def index(rows: Rows, a: Tensor) -> tuple[Any, ...]:
    """Return the row maps as arrays, as many as the kernels take."""
    identity = _identity(a.shape[0])
    arrays = tuple([identity if row is None else row.numpy() for row in rows])
    return arrays + (identity,) * (INPUTS - len(arrays))


@functools.lru_cache(maxsize=16)
def _identity(count: int) -> np.ndarray:
    return np.arange(count)

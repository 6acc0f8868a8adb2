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


def scratch(name: str, like: Tensor, size: int) -> Tensor:
    """Return uninitialised memory that the next call of that name in this thread takes over.

    It is in the cache already, and the allocator need not get it from the system.
    """
    held: dict[Any, Tensor] = _thread.__dict__
    key = name, like.dtype
    memory = held.get(key)
    if memory is None or memory.shape[0] < size:
        with torch.inference_mode(False):
            memory = held[key] = torch.empty(size, dtype=like.dtype)
    return memory.narrow(0, 0, size)


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
    from equizoo.nn._contraction_kernels import contract as kernel

    coefficients = a.detach().numpy()
    kernel(_flat(inputs), _padded(counts), _index(rows, a), coefficients, contraction.table, y.numpy())


def contract_backward(
    contraction: Contraction,
    grad: Tensor,
    grads: Sequence[Tensor],
    counts: Sequence[int],
    rows: Rows,
    a: Tensor,
) -> None:
    """Add the gradients of the inputs to ``grads``; other arguments as in :func:`contract`."""
    from equizoo.nn._contraction_kernels import contract_backward as kernel

    coefficients = a.detach().numpy()
    kernel(grad.numpy(), _padded(counts), _index(rows, a), coefficients, contraction.table, _flat(grads))


def _flat(tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    arrays = tuple([x.detach().numpy().reshape(-1) for x in tensors])
    return arrays + arrays[:1] * (INPUTS - len(arrays))


def _padded(counts: Sequence[int]) -> tuple[int, ...]:
    return (*counts, 0, 0)[:INPUTS]


def _index(rows: Rows, a: Tensor) -> tuple[Any, ...]:
    identity = _identity(a.shape[0])
    arrays = tuple([identity if row is None else row.numpy() for row in rows])
    return arrays + (identity,) * (INPUTS - len(arrays))


@functools.lru_cache(maxsize=16)
def _identity(count: int) -> np.ndarray:
    return np.arange(count)

"""Compiled gradient of the gate (CPU). ``sigma`` is the sigmoid of all scalars.

``y`` is flat, block after block; ``out`` has one row a node or edge. A row of ``blocks`` (those that are
scaled) is (values of a row before it in ``y``, 2l+1, channels, first column in ``out``, first gate). Places
are unsigned, as in :mod:`equizoo.nn._product_kernels`.
"""

from __future__ import annotations

import numba
from numba import uint64


@numba.njit(fastmath=True, cache=True)
def gate_backward(grad, y, sigma, blocks, factors, grad_y):
    """Fill ``grad_y`` with the gradient of the blocks."""
    rows, plain, width = uint64(sigma.shape[0]), uint64(factors[0]), uint64(factors[1])
    kind = y.dtype.type
    one = kind(1)  # a Python 1 would make float64 of float32
    silu, sigmoid = kind(factors[2]), kind(factors[3])
    for n in range(rows):
        for c in range(plain):
            s = sigma[n, c]
            grad_y[n * width + c] = silu * grad[n, c] * s * (one + y[n * width + c] * (one - s))
        for c in range(plain, width):
            grad_y[n * width + c] = 0
        for k in range(blocks.shape[0]):
            before, size, channels, first, gates = blocks[k]
            slope = n * width + gates
            for m in range(size):
                start, to = rows * before + (n * size + m) * channels, first + m * channels
                for c in range(channels):
                    s = sigma[n, gates + c]
                    scaled = sigmoid * grad[n, to + c] * s
                    grad_y[start + c] = scaled
                    grad_y[slope + c] += scaled * y[start + c] * (one - s)

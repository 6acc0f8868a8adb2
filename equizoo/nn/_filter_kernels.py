"""Compiled kernels of the tabulated continuous-filter convolution (CPU, float32).

``position`` is the distance of a pair in units of the knot spacing; ``chunks`` cuts the list of pairs where
graphs begin, one piece a thread. A single piece runs in the calling thread: threads of a pool would spin
between calls.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(inline="always")
def _knots(position, rows):
    """First of the four knots around a position, and the cubic Lagrange weights of the four."""
    row = min(np.int64(position), rows - 4)
    t = np.float64(position) - row
    a, b, c = t + 1.0, t - 1.0, t - 2.0
    w0, w1, w2, w3 = -t * b * c / 6.0, a * b * c * 0.5, -a * t * c * 0.5, a * t * b / 6.0
    return row, np.float32(w0), np.float32(w1), np.float32(w2), np.float32(w3)


@numba.njit(inline="always")
def _interpolate(table, row, w0, w1, w2, w3, out):
    r0, r1, r2, r3 = table[row], table[row + 1], table[row + 2], table[row + 3]
    for c in range(out.shape[0]):
        out[c] = w0 * r0[c] + w1 * r1[c] + w2 * r2[c] + w3 * r3[c]


@numba.njit(inline="always")
def _add_product(out, a, b):
    for c in range(out.shape[0]):
        out[c] += a[c] * b[c]


@numba.njit(inline="always")
def _add_scaled(out, a, b):
    for c in range(out.shape[0]):
        out[c] += a * b[c]


@numba.njit(fastmath=True, cache=True)
def _forward(h, table, position, first, second, start, stop, out):
    filters = np.empty(h.shape[1], np.float32)
    for p in range(start, stop):
        row, w0, w1, w2, w3 = _knots(position[p], table.shape[0])
        _interpolate(table, row, w0, w1, w2, w3, filters)
        i, j = first[p], second[p]
        _add_product(out[i], filters, h[j])
        _add_product(out[j], filters, h[i])


@numba.njit(fastmath=True, cache=True)
def _backward(grad, h, table, position, first, second, start, stop, grad_h, grad_table):
    filters, slope = np.empty(h.shape[1], np.float32), np.empty(h.shape[1], np.float32)
    for p in range(start, stop):
        row, w0, w1, w2, w3 = _knots(position[p], table.shape[0])
        _interpolate(table, row, w0, w1, w2, w3, filters)
        i, j = first[p], second[p]
        hi, hj, gi, gj = h[i], h[j], grad[i], grad[j]
        _add_product(grad_h[j], filters, gi)
        _add_product(grad_h[i], filters, gj)
        for c in range(slope.shape[0]):
            slope[c] = gi[c] * hj[c] + gj[c] * hi[c]
        _add_scaled(grad_table[row], w0, slope)
        _add_scaled(grad_table[row + 1], w1, slope)
        _add_scaled(grad_table[row + 2], w2, slope)
        _add_scaled(grad_table[row + 3], w3, slope)


@numba.njit(parallel=True, cache=True)
def _forward_threaded(h, table, position, first, second, chunks, out):
    for k in numba.prange(chunks.shape[0] - 1):
        _forward(h, table, position, first, second, chunks[k], chunks[k + 1], out)


@numba.njit(parallel=True, cache=True)
def _backward_threaded(grad, h, table, position, first, second, chunks, grad_h, parts):
    for k in numba.prange(chunks.shape[0] - 1):
        _backward(grad, h, table, position, first, second, chunks[k], chunks[k + 1], grad_h, parts[k])


def convolve(h, table, position, first, second, chunks):
    """Sum ``W(d_ij)∘h_j`` over the neighbours j of each node; ``(N, C)``."""
    out = np.zeros_like(h)
    if len(chunks) == 2:
        _forward(h, table, position, first, second, chunks[0], chunks[1], out)
    else:
        _forward_threaded(h, table, position, first, second, chunks, out)
    return out


def convolve_backward(grad, h, table, position, first, second, chunks):
    """Return the gradients in h ``(N, C)`` and, one part a thread, in the table ``(threads, K, C)``."""
    grad_h = np.zeros_like(h)
    parts = np.zeros((len(chunks) - 1, *table.shape), np.float32)
    if len(chunks) == 2:
        _backward(grad, h, table, position, first, second, chunks[0], chunks[1], grad_h, parts[0])
    else:
        _backward_threaded(grad, h, table, position, first, second, chunks, grad_h, parts)
    return grad_h, parts

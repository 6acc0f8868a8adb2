"""Compiled pooling of vectors seen from a frame (CPU): see :mod:`equizoo.nn.frame_pooling`."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(fastmath=True, cache=True)
def _project(x, y, z, a, b, c, out):
    for i in range(out.shape[0]):
        out[i] = a * x[i] + b * y[i] + c * z[i]


@numba.njit(fastmath=True, cache=True)
def _accumulate(values, total):
    for i in range(values.shape[0]):
        total[i] += values[i]


@numba.njit(fastmath=True, cache=True)
def _keep_largest(values, largest, place, row):
    for i in range(values.shape[0]):
        larger = values[i] > largest[i]
        largest[i] = values[i] if larger else largest[i]
        place[i] = row if larger else place[i]


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def pool(x, frames, starts, largest, mean, place):
    """Fill ``largest`` and ``mean`` (B, 3, C) and the row ``place`` of the largest."""
    value = np.empty(x.shape[2], x.dtype)
    for b in range(starts.shape[0] - 1):
        largest[b] = -np.inf
        mean[b] = 0
        for r in range(starts[b], starts[b + 1]):
            for a in range(3):
                _project(x[r, 0], x[r, 1], x[r, 2], frames[r, 0, a], frames[r, 1, a], frames[r, 2, a], value)
                _accumulate(value, mean[b, a])
                _keep_largest(value, largest[b, a], place[b, a], np.int32(r))
        share = x.dtype.type(1) / x.dtype.type(starts[b + 1] - starts[b])
        for a in range(3):
            for c in range(x.shape[2]):
                mean[b, a, c] *= share


@numba.njit(fastmath=True, cache=True)
def _add_scaled(out, scale, values):
    for i in range(out.shape[0]):
        out[i] += scale * values[i]


@numba.njit(fastmath=True, cache=True)
def _inner(a, b):
    total = a.dtype.type(0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def pool_backward(grad_largest, grad_mean, x, frames, starts, place, grad_x, grad_frames):
    """Add to the gradients of ``x`` and ``frames``."""
    for b in range(starts.shape[0] - 1):
        share = x.dtype.type(1) / x.dtype.type(starts[b + 1] - starts[b])
        for r in range(starts[b], starts[b + 1]):
            for m in range(3):
                for a in range(3):
                    _add_scaled(grad_x[r, m], share * frames[r, m, a], grad_mean[b, a])
                    grad_frames[r, m, a] += share * _inner(x[r, m], grad_mean[b, a])
        for a in range(3):
            for c in range(x.shape[2]):
                r, g = place[b, a, c], grad_largest[b, a, c]
                for m in range(3):
                    grad_x[r, m, c] += g * frames[r, m, a]
                    grad_frames[r, m, a] += g * x[r, m, c]

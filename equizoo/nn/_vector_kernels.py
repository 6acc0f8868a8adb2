"""Compiled kernels of the vector-neuron activation (CPU).

An *element* e is a pair (point, neighbour) or a point. It has features ``p = u[u_row[e]] + v[v_row[e]]`` and
directions ``d = du[…] + dv[…]``, each with three components of ``channels`` values; elements ``first[i]`` to
``first[i + 1]`` are averaged into output row i. An empty ``v`` stands for zeros. Nothing is kept for single
elements: each pass computes them again, block by block in the cache. Loops are short and simple, so that all
become vector instructions.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import uint64

BLOCK = 2048  # values of one component that are worked on at a time
NORM, DOT, SQUARE, SCALE, RATIO, SHARE = range(6)  # rows of the scratch memory of a block
A, B, MEAN, RSTD, S1, S2 = range(6)  # rows of the constants of the channels


@numba.njit(cache=True)
def _block(first, row, channels):
    """Last row of the block that begins at ``row``."""
    limit = first[row] + max(1, BLOCK // channels)
    stop = row + 1
    while stop < first.shape[0] - 1 and first[stop + 1] <= limit:
        stop += 1
    return stop


@numba.njit(cache=True)
def _largest(first, channels):
    """Number of elements of the largest block."""
    row, largest = 0, 0
    while row < first.shape[0] - 1:
        stop = _block(first, row, channels)
        largest = max(largest, first[stop] - first[row])
        row = stop
    return largest


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _gather(u, v, u_row, v_row, start, stop, channels, p):
    """Fill ``p`` (3, elements·channels)."""
    row, size, flat = uint64(3) * channels, uint64(p.shape[1]), p.reshape(-1)
    for m in range(uint64(3)):
        to = m * size
        for e in range(start, stop):
            a = uint64(u_row[e]) * row + m * channels
            if v.shape[0]:
                b = uint64(v_row[e]) * row + m * channels
                for c in range(channels):
                    flat[to + c] = u[a + c] + v[b + c]
            else:
                for c in range(channels):
                    flat[to + c] = u[a + c]
            to += channels


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _scatter(g, rows, start, stop, channels, out):
    """Add ``g`` (3, elements·channels) to the rows of the elements."""
    row, size, flat = uint64(3) * channels, uint64(g.shape[1]), g.reshape(-1)
    for m in range(uint64(3)):
        at = m * size
        for e in range(start, stop):
            to = uint64(rows[e]) * row + m * channels
            for c in range(channels):
                out[to + c] += flat[at + c]
            at += channels


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _dot(p, d, out, size):
    x, y, z, a, b, c = p[0], p[1], p[2], d[0], d[1], d[2]
    for i in range(size):
        out[i] = x[i] * a[i] + y[i] * b[i] + z[i] * c[i]


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _norms(p, norm, eps, size):
    _dot(p, p, norm, size)
    for i in range(size):
        norm[i] = np.sqrt(norm[i]) + eps


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _add_elements(values, start, stop, channels, part, total):
    """Add the sum over the elements of a block to ``total`` (float64)."""
    part[:] = 0
    at = uint64(0)
    for _ in range(start, stop):
        for c in range(channels):
            part[c] += values[at + c]
        at += channels
    for c in range(channels):
        total[c] += part[c]


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def norm_sums(u, v, u_row, v_row, first, channels, eps, sums):
    """Add the norms of all elements, and their squares, to ``sums`` (2, channels), in float64."""
    width, most = uint64(channels), _largest(first, channels) * channels
    p, norm, part = np.empty((3, most), u.dtype), np.empty(most, u.dtype), np.empty(channels, u.dtype)
    row = 0
    while row < first.shape[0] - 1:
        stop = _block(first, row, channels)
        start, end = uint64(first[row]), uint64(first[stop])
        size = (end - start) * width
        _gather(u, v, u_row, v_row, start, end, width, p)
        _norms(p, norm, eps, size)
        _add_elements(norm, start, end, width, part, sums[0])
        for i in range(size):
            norm[i] = norm[i] * norm[i]
        _add_elements(norm, start, end, width, part, sums[1])
        row = stop


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _tiled(constants, times):
    """Repeat (k, channels) constants for each element of a block."""
    count, channels = constants.shape
    out = np.empty((count, times * channels), constants.dtype)
    for k in range(count):
        for t in range(times):
            out[k, t * channels : (t + 1) * channels] = constants[k]
    return out


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _scales(norm, a, b, scale, size):
    for i in range(size):
        scale[i] = (a[i] * norm[i] + b[i]) / norm[i]


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _ratios(dot, square, scale, slope, eps, ratio, share, size):
    """``ratio = slope/|d|²`` where the product with the direction is negative, else 0."""
    zero = slope - slope
    for i in range(size):
        value = slope / (square[i] + eps) if scale[i] * dot[i] < zero else zero
        ratio[i] = value
        share[i] = value * dot[i]


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _elements(u, v, du, dv, u_row, v_row, start, stop, channels, k, slope, eps, p, d, work):
    """Compute everything about the elements of a block that the output needs."""
    size = (stop - start) * channels
    _gather(u, v, u_row, v_row, start, stop, channels, p)
    _gather(du, dv, u_row, v_row, start, stop, channels, d)
    _norms(p, work[NORM], eps, size)
    _scales(work[NORM], k[A], k[B], work[SCALE], size)
    _dot(p, d, work[DOT], size)
    _dot(d, d, work[SQUARE], size)
    _ratios(work[DOT], work[SQUARE], work[SCALE], slope, eps, work[RATIO], work[SHARE], size)


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _outputs(p, d, share, scale, out, size):
    for m in range(3):
        x, y, z = p[m], d[m], out[m]
        for i in range(size):
            z[i] = scale[i] * (x[i] - share[i] * y[i])


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _means(y, first, row, stop, channels, out):
    size, flat, at0 = uint64(y.shape[1]), y.reshape(-1), uint64(0)
    for r in range(uint64(row), uint64(stop)):
        count = uint64(first[r + 1] - first[r])
        weight = y.dtype.type(1) / y.dtype.type(count)
        for m in range(uint64(3)):
            to, at = (r * uint64(3) + m) * channels, m * size + at0
            for c in range(channels):
                out[to + c] = weight * flat[at + c]
            for _ in range(uint64(1), count):
                at += channels
                for c in range(channels):
                    out[to + c] += weight * flat[at + c]
        at0 += count * channels


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def activate(u, v, du, dv, u_row, v_row, first, constants, slope, eps, out):
    """Fill ``out`` (rows·3·channels). The norm n of p becomes ``A·n + B``, with its direction kept."""
    channels = constants.shape[1]
    width, most = uint64(channels), _largest(first, channels)
    k, shape = _tiled(constants, most), (3, most * channels)
    p, d, y = np.empty(shape, u.dtype), np.empty(shape, u.dtype), np.empty(shape, u.dtype)
    work = np.empty((6, most * channels), u.dtype)
    row = 0
    while row < first.shape[0] - 1:
        stop = _block(first, row, channels)
        start, end = uint64(first[row]), uint64(first[stop])
        _elements(u, v, du, dv, u_row, v_row, start, end, width, k, slope, eps, p, d, work)
        _outputs(p, d, work[SHARE], work[SCALE], y, (end - start) * width)
        _means(y, first, row, stop, width, out)
        row = stop


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _spread(grad, first, row, stop, channels, g):
    """Fill ``g`` (3, elements·channels) with the gradient of each element's output."""
    size, flat, at0 = uint64(g.shape[1]), g.reshape(-1), uint64(0)
    for r in range(uint64(row), uint64(stop)):
        count = uint64(first[r + 1] - first[r])
        weight = g.dtype.type(1) / g.dtype.type(count)
        for m in range(uint64(3)):
            at, to = (r * uint64(3) + m) * channels, m * size + at0
            for _ in range(count):
                for c in range(channels):
                    flat[to + c] = weight * grad[at + c]
                to += channels
        at0 += count * channels


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _norm_gradients(p, d, g, work, k, gy, x, size):
    """Gradient ``gy`` of the normalised norms, and the norms ``x`` before weight and bias."""
    share, norm, mean, rstd = work[SHARE], work[NORM], k[MEAN], k[RSTD]
    gy[:size] = 0
    for m in range(3):
        a, b, c = p[m], d[m], g[m]
        for i in range(size):
            gy[i] += c[i] * (a[i] - share[i] * b[i])
    for i in range(size):
        gy[i] = gy[i] / norm[i]
    for i in range(size):
        x[i] = (norm[i] - mean[i]) * rstd[i]


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def constant_sums(grad, u, v, du, dv, u_row, v_row, first, constants, slope, eps, sums):
    """Add the gradients of bias and weight of the batch norm to ``sums`` (2, channels), in float64."""
    channels = constants.shape[1]
    width, most = uint64(channels), _largest(first, channels)
    k, shape = _tiled(constants, most), (3, most * channels)
    p, d, g = np.empty(shape, u.dtype), np.empty(shape, u.dtype), np.empty(shape, u.dtype)
    work, part = np.empty((8, most * channels), u.dtype), np.empty(channels, u.dtype)
    gy, x = work[6], work[7]
    row = 0
    while row < first.shape[0] - 1:
        stop = _block(first, row, channels)
        start, end = uint64(first[row]), uint64(first[stop])
        size = (end - start) * width
        _elements(u, v, du, dv, u_row, v_row, start, end, width, k, slope, eps, p, d, work)
        _spread(grad, first, row, stop, width, g)
        _norm_gradients(p, d, g, work, k, gy, x, size)
        _add_elements(gy, start, end, width, part, sums[0])
        for i in range(size):
            x[i] = x[i] * gy[i]
        _add_elements(x, start, end, width, part, sums[1])
        row = stop


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _radial(gy, x, norm, scale, a, s1, s2, eps, size):
    """Turn ``gy`` into the factor of p in its gradient."""
    tiny = eps * eps
    for i in range(size):
        gn = a[i] * (gy[i] - s1[i] - x[i] * s2[i]) - gy[i] * scale[i]
        gy[i] = gn / max(norm[i] - eps, tiny)


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _along(gd, scale, ratio, share, square, twice, eps, size):
    """Turn ``gd = g·d`` into ``ratio·h·d`` with h = scale·g; ``twice`` is 2·share·h·d/|d|²."""
    for i in range(size):
        hd = scale[i] * gd[i]
        twice[i] = (share[i] + share[i]) * hd / (square[i] + eps)
        gd[i] = ratio[i] * hd


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _vector_gradients(p, d, g, scale, share, along, radial, twice, gp, gd, size):
    for m in range(3):
        x, y, z, out, back = p[m], d[m], g[m], gp[m], gd[m]
        for i in range(size):
            out[i] = scale[i] * z[i] - along[i] * y[i] + radial[i] * x[i]
        for i in range(size):
            back[i] = twice[i] * y[i] - along[i] * x[i] - share[i] * scale[i] * z[i]


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def activate_backward(
    grad, u, v, du, dv, u_row, v_row, first, constants, slope, eps, grad_u, grad_v, grad_du, grad_dv
):
    """Add to the gradients of u, v, du, dv. S1 and S2 are means of :func:`constant_sums` in training."""
    channels = constants.shape[1]
    width, most = uint64(channels), _largest(first, channels)
    k, shape = _tiled(constants, most), (3, most * channels)
    p, d, g = np.empty(shape, u.dtype), np.empty(shape, u.dtype), np.empty(shape, u.dtype)
    gp, gd, work = (
        np.empty(shape, u.dtype),
        np.empty(shape, u.dtype),
        np.empty((10, most * channels), u.dtype),
    )
    radial, x, along, twice = work[6], work[7], work[8], work[9]
    row = 0
    while row < first.shape[0] - 1:
        stop = _block(first, row, channels)
        start, end = uint64(first[row]), uint64(first[stop])
        size = (end - start) * width
        _elements(u, v, du, dv, u_row, v_row, start, end, width, k, slope, eps, p, d, work)
        _spread(grad, first, row, stop, width, g)
        _norm_gradients(p, d, g, work, k, radial, x, size)
        _radial(radial, x, work[NORM], work[SCALE], k[A], k[S1], k[S2], eps, size)
        _dot(g, d, along, size)
        _along(along, work[SCALE], work[RATIO], work[SHARE], work[SQUARE], twice, eps, size)
        _vector_gradients(p, d, g, work[SCALE], work[SHARE], along, radial, twice, gp, gd, size)
        _scatter(gp, u_row, start, end, width, grad_u)
        _scatter(gd, u_row, start, end, width, grad_du)
        if v.shape[0]:
            _scatter(gp, v_row, start, end, width, grad_v)
            _scatter(gd, v_row, start, end, width, grad_dv)
        row = stop

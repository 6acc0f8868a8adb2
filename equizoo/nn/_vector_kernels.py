"""Compiled kernels of the vector-neuron activation (CPU).

An *element* e is a pair (point, neighbour) or a point. It has features ``p = u[senders[e]] +
v[receivers[e]]`` and directions ``d = du[…] + dv[…]``, each with three components of ``channels`` values;
the elements ``first[i]`` to ``first[i + 1]`` of receiver i are averaged into output row i. An empty ``v``
stands for zeros. Nothing is kept for single elements: each pass computes them again, block by block in
the cache.

The scratch memory of a block is one array of rows of ``STRIDE`` values. That is a constant, so the
compiler sees that rows do not overlap, and all that happens to a value is one loop of vector
instructions. Loops run to the next multiple of ``LANES``; what lies beyond the elements of the block is
computed and not used.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import uint64

BLOCK, LANES = 2048, 64  # a block holds the channels of one element at least
STRIDE = BLOCK + 80  # no power of two, so that rows do not meet in one set of the cache
ROWS = 23
# where rows begin: p, d, the gradient g or the output, gradients of p and d, constants of the channels
PX, PY, PZ, DX, DY, DZ, GX, GY, GZ, UX, UY, UZ, WX, WY, WZ, A, B, MEAN, RSTD, S1, S2, BIAS, WEIGHT = (
    np.uint64(STRIDE * row) for row in range(ROWS)
)  # fmt: skip
P, D, G, U, W, ONE = PX, DX, GX, UX, WX, np.uint64(1)


@numba.njit(cache=True)
def _scratch(constants):
    """Return scratch memory with the (k, channels) constants repeated for each element of a block."""
    count, channels = constants.shape
    w = np.zeros(ROWS * STRIDE, constants.dtype)
    for k in range(count):
        start = int(A) + k * STRIDE
        for at in range(start, start + BLOCK // channels * channels, channels):
            w[at : at + channels] = constants[k]
    return w


@numba.njit(cache=True)
def _padded(size):
    lanes = uint64(LANES)
    return (size + lanes - ONE) // lanes * lanes


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _gather(u, v, senders, receivers, start, stop, channels, w, to):
    """Write the sums of the parts of a block of elements to three rows."""
    row = uint64(3) * channels
    for m in range(uint64(3)):
        at = to + m * uint64(STRIDE)
        for e in range(start, stop):
            a = uint64(senders[e]) * row + m * channels
            if v.shape[0]:
                b = uint64(receivers[e]) * row + m * channels
                for c in range(channels):
                    w[at + c] = u[a + c] + v[b + c]
            else:
                for c in range(channels):
                    w[at + c] = u[a + c]
            at += channels


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _scatter(w, start_row, rows, start, stop, channels, out):
    """Add three rows to the rows of the elements."""
    row = uint64(3) * channels
    for m in range(uint64(3)):
        at = start_row + m * uint64(STRIDE)
        for e in range(start, stop):
            to = uint64(rows[e]) * row + m * channels
            for c in range(channels):
                out[to + c] += w[at + c]
            at += channels


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _add_elements(w, at, count, channels, part, total):
    """Add the sum over the elements of a block to ``total`` (float64)."""
    part[:] = 0
    for _ in range(count):
        for c in range(channels):
            part[c] += w[at + c]
        at += channels
    for c in range(channels):
        total[c] += part[c]


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _norms(w, eps, size):
    """Write the norms of p and their squares."""
    for i in range(size):
        x, y, z = w[i + PX], w[i + PY], w[i + PZ]
        norm = np.sqrt(x * x + y * y + z * z) + eps
        w[i + BIAS] = norm
        w[i + WEIGHT] = norm * norm


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def norm_sums(u, v, senders, receivers, channels, eps, sums):
    """Add the norms of all elements, and their squares, to ``sums`` (2, channels), in float64."""
    width, elements = uint64(channels), uint64(senders.shape[0])
    w, part = np.zeros(ROWS * STRIDE, u.dtype), np.empty(channels, u.dtype)
    step = uint64(BLOCK) // width
    for start in range(uint64(0), elements, step):
        count = min(step, elements - start)
        _gather(u, v, senders, receivers, start, start + count, width, w, P)
        _norms(w, eps, _padded(count * width))
        _add_elements(w, BIAS, count, width, part, sums[0])
        _add_elements(w, WEIGHT, count, width, part, sums[1])


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _response(x, y, z, a, b, c, gain, offset, slope, eps):
    """Return |p|, 1/(|p| + ε), 1/(|d|² + ε), the scale of p, p·d, and what of that is taken off along d."""
    length, square = np.sqrt(x * x + y * y + z * z), a * a + b * b + c * c + eps
    norm, zero = length + eps, slope - slope
    both = slope / slope / (norm * square)  # one division, which takes as long as all the rest, for two
    scale, dot = gain + offset * (both * square), x * a + y * b + z * c
    ratio = slope * (both * norm) if scale * dot < zero else zero
    return length, both * square, both * norm, scale, dot, ratio


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _outputs(w, slope, eps, size):
    """Write the outputs of the elements to the rows of g."""
    for i in range(size):
        x, y, z, a, b, c = w[i + PX], w[i + PY], w[i + PZ], w[i + DX], w[i + DY], w[i + DZ]
        _, _, _, scale, dot, ratio = _response(x, y, z, a, b, c, w[i + A], w[i + B], slope, eps)
        share = ratio * dot
        w[i + GX] = scale * (x - share * a)
        w[i + GY] = scale * (y - share * b)
        w[i + GZ] = scale * (z - share * c)


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _means(w, receivers, first, start, stop, channels, out):
    """Add the outputs of a block to the means of their receivers."""
    row = uint64(3) * channels
    for m in range(uint64(3)):
        at = G + m * uint64(STRIDE)
        for e in range(start, stop):
            r = uint64(receivers[e])
            weight = w.dtype.type(1) / w.dtype.type(first[r + ONE] - first[r])
            to = r * row + m * channels
            for c in range(channels):
                out[to + c] += weight * w[at + c]
            at += channels


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def activate(u, v, du, dv, senders, receivers, first, constants, slope, eps, out):
    """Add to ``out`` (rows·3·channels). The norm n of p becomes ``A·n + B``, with its direction kept."""
    width, elements = uint64(constants.shape[1]), uint64(senders.shape[0])
    w, step = _scratch(constants), uint64(BLOCK) // width
    for start in range(uint64(0), elements, step):
        stop = min(start + step, elements)
        _gather(u, v, senders, receivers, start, stop, width, w, P)
        _gather(du, dv, senders, receivers, start, stop, width, w, D)
        _outputs(w, slope, eps, _padded((stop - start) * width))
        _means(w, receivers, first, start, stop, width, out)


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _spread(grad, receivers, first, start, stop, channels, w):
    """Write the gradient of each element's output to the rows of g."""
    row = uint64(3) * channels
    for m in range(uint64(3)):
        to = G + m * uint64(STRIDE)
        for e in range(start, stop):
            r = uint64(receivers[e])
            weight = w.dtype.type(1) / w.dtype.type(first[r + ONE] - first[r])
            at = r * row + m * channels
            for c in range(channels):
                w[to + c] = weight * grad[at + c]
            to += channels


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _constant_gradients(w, slope, eps, size):
    """Write the gradients of bias and weight of the batch norm."""
    for i in range(size):
        x, y, z, a, b, c = w[i + PX], w[i + PY], w[i + PZ], w[i + DX], w[i + DY], w[i + DZ]
        gx, gy, gz = w[i + GX], w[i + GY], w[i + GZ]
        length, per_norm, _, _, dot, ratio = _response(x, y, z, a, b, c, w[i + A], w[i + B], slope, eps)
        share = ratio * dot
        change = (gx * (x - share * a) + gy * (y - share * b) + gz * (z - share * c)) * per_norm
        w[i + BIAS] = change
        w[i + WEIGHT] = change * ((length + eps - w[i + MEAN]) * w[i + RSTD])


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def constant_sums(grad, u, v, du, dv, senders, receivers, first, constants, slope, eps, sums):
    """Add the gradients of bias and weight of the batch norm to ``sums`` (2, channels), in float64."""
    channels, elements = constants.shape[1], uint64(senders.shape[0])
    w, part, width = _scratch(constants), np.empty(channels, u.dtype), uint64(channels)
    step = uint64(BLOCK) // width
    for start in range(uint64(0), elements, step):
        count = min(step, elements - start)
        stop = start + count
        _gather(u, v, senders, receivers, start, stop, width, w, P)
        _gather(du, dv, senders, receivers, start, stop, width, w, D)
        _spread(grad, receivers, first, start, stop, width, w)
        _constant_gradients(w, slope, eps, _padded(count * width))
        _add_elements(w, BIAS, count, width, part, sums[0])
        _add_elements(w, WEIGHT, count, width, part, sums[1])


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def _vector_gradients(w, slope, eps, size):
    """Write the gradients of p and d."""
    tiny = eps * eps
    for i in range(size):
        x, y, z, a, b, c = w[i + PX], w[i + PY], w[i + PZ], w[i + DX], w[i + DY], w[i + DZ]
        gx, gy, gz = w[i + GX], w[i + GY], w[i + GZ]
        length, per_norm, per_square, scale, dot, ratio = _response(
            x, y, z, a, b, c, w[i + A], w[i + B], slope, eps
        )
        share = ratio * dot
        change = (gx * (x - share * a) + gy * (y - share * b) + gz * (z - share * c)) * per_norm
        standard = (length + eps - w[i + MEAN]) * w[i + RSTD]
        radial = w[i + A] * (change - w[i + S1] - standard * w[i + S2]) - change * scale
        radial = radial / (length if length > tiny else tiny)
        hd = scale * (gx * a + gy * b + gz * c)
        along, twice, share = ratio * hd, (share + share) * hd * per_square, share * scale
        w[i + UX] = scale * gx - along * a + radial * x
        w[i + UY] = scale * gy - along * b + radial * y
        w[i + UZ] = scale * gz - along * c + radial * z
        w[i + WX] = twice * a - along * x - share * gx
        w[i + WY] = twice * b - along * y - share * gy
        w[i + WZ] = twice * c - along * z - share * gz


@numba.njit(fastmath=True, error_model="numpy", cache=True)
def activate_backward(
    grad, u, v, du, dv, senders, receivers, first, constants, slope, eps, grad_u, grad_v, grad_du, grad_dv
):
    """Add to the gradients of u, v, du, dv. S1 and S2 are means of :func:`constant_sums` in training."""
    width, elements = uint64(constants.shape[1]), uint64(senders.shape[0])
    w, step = _scratch(constants), uint64(BLOCK) // width
    for start in range(uint64(0), elements, step):
        stop = min(start + step, elements)
        _gather(u, v, senders, receivers, start, stop, width, w, P)
        _gather(du, dv, senders, receivers, start, stop, width, w, D)
        _spread(grad, receivers, first, start, stop, width, w)
        _vector_gradients(w, slope, eps, _padded((stop - start) * width))
        _scatter(w, U, senders, start, stop, width, grad_u)
        _scatter(w, W, senders, start, stop, width, grad_du)
        if v.shape[0]:
            _scatter(w, U, receivers, start, stop, width, grad_v)
            _scatter(w, W, receivers, start, stop, width, grad_dv)

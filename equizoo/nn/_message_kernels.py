"""Compiled messages of the equivariant transformer (CPU); see :mod:`equizoo.nn.vector_messages`.

One pass over the edges, with nothing kept for an edge but what its weights need. Arrays are flat: row ``n``
of C values begins at ``n·C``. Loops are short and simple, so that all become vector instructions.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import uint64

OPTIONS = {"fastmath": True, "error_model": "numpy", "cache": True}


@numba.njit(**OPTIONS)
def _attention(query, key, weight, envelope, i, j, e, width, heads, attention, slope):
    """Fill the attention of each head, and its derivative by the product of query and key."""
    size, one = width // heads, query.dtype.type(1)
    for h in range(heads):
        a, b, c = i * width + h * size, j * width + h * size, e * width + h * size
        total = one - one
        for n in range(size):
            total += query[a + n] * key[b + n] * weight[c + n]
        sigmoid = one / (one + np.exp(-total))
        attention[h] = total * sigmoid * envelope
        slope[h] = sigmoid * (one + total * (one - sigmoid)) * envelope


@numba.njit(**OPTIONS)
def send(query, key, value, vec, edge_key, edge_value, receivers, senders, direction, envelope, sizes, x, y):
    """Add messages to ``x`` (N·C) and ``y`` (N·3·C); ``sizes`` is (C, heads)."""
    width, heads = uint64(sizes[0]), uint64(sizes[1])
    size = width // heads
    attention, slope = np.empty(heads, query.dtype), np.empty(heads, query.dtype)
    first, second = np.empty(width, query.dtype), np.empty(width, query.dtype)
    for e in range(uint64(receivers.shape[0])):
        i, j, factor = uint64(receivers[e]), uint64(senders[e]), envelope[e]
        _attention(query, key, edge_key, factor, i, j, e, width, heads, attention, slope)
        of_value, of_edge = uint64(3) * j * width, uint64(3) * e * width
        for h in range(heads):
            a, to = attention[h], i * width + h * size
            b, c = of_value + h * size, of_edge + h * size
            for n in range(size):
                x[to + n] += a * value[b + n] * edge_value[c + n]
        b, c = of_value + width, of_edge + width
        for n in range(width):
            first[n] = factor * value[b + n] * edge_value[c + n]
        b, c = b + width, c + width
        for n in range(width):
            second[n] = factor * value[b + n] * edge_value[c + n]
        for m in range(uint64(3)):
            d, a, to = direction[e, m], (uint64(3) * j + m) * width, (uint64(3) * i + m) * width
            for n in range(width):
                y[to + n] += vec[a + n] * first[n] + d * second[n]


@numba.njit(**OPTIONS)
def send_back(
    query, key, value, vec, edge_key, edge_value, receivers, senders, direction, envelope, sizes, gx, gy,
    d_query, d_key, d_value, d_vec, d_edge_key, d_edge_value,
):  # fmt: skip
    """Fill the gradients by the weights of edges, and add those by what atoms hold."""
    width, heads = uint64(sizes[0]), uint64(sizes[1])
    size, zero = width // heads, query.dtype.type(0)
    attention, slope = np.empty(heads, query.dtype), np.empty(heads, query.dtype)
    first, second = np.empty(width, query.dtype), np.empty(width, query.dtype)
    for e in range(uint64(receivers.shape[0])):
        i, j, factor = uint64(receivers[e]), uint64(senders[e]), envelope[e]
        _attention(query, key, edge_key, factor, i, j, e, width, heads, attention, slope)
        of_value, of_edge = uint64(3) * j * width, uint64(3) * e * width
        for h in range(heads):
            a, shift = attention[h], h * size
            at, b, c = i * width + shift, of_value + shift, of_edge + shift
            total = zero
            for n in range(size):
                g = gx[at + n]
                total += g * value[b + n] * edge_value[c + n]
                d_edge_value[c + n] = a * g * value[b + n]
                d_value[b + n] += a * g * edge_value[c + n]
            total *= slope[h]
            k, w = j * width + shift, e * width + shift
            for n in range(size):
                d_query[at + n] += total * key[k + n] * edge_key[w + n]
                d_key[k + n] += total * query[at + n] * edge_key[w + n]
                d_edge_key[w + n] = total * query[at + n] * key[k + n]
        to, at = uint64(3) * i * width, uint64(3) * j * width
        u, v, w = direction[e, 0] * factor, direction[e, 1] * factor, direction[e, 2] * factor
        for n in range(width):
            a, b, c = gy[to + n], gy[to + width + n], gy[to + 2 * width + n]
            first[n] = factor * (a * vec[at + n] + b * vec[at + width + n] + c * vec[at + 2 * width + n])
            second[n] = a * u + b * v + c * w
        b, c = of_value + width, of_edge + width
        for n in range(width):
            d_edge_value[c + n] = first[n] * value[b + n]
            d_value[b + n] += first[n] * edge_value[c + n]
        for n in range(width):
            first[n] = factor * value[b + n] * edge_value[c + n]
        b, c = b + width, c + width
        for n in range(width):
            d_edge_value[c + n] = second[n] * value[b + n]
            d_value[b + n] += second[n] * edge_value[c + n]
        for m in range(uint64(3)):
            a, b = at + m * width, to + m * width
            for n in range(width):
                d_vec[a + n] += gy[b + n] * first[n]

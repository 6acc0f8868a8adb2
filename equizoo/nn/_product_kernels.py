"""Compiled kernels of the tensor product and its gate (CPU).

All arrays are flat. A row of ``terms`` (columns below) adds ``a[e, column]`` times a run of channels of one
input to a run of channels of the output, for every output row e; a place is ``rows·before + first + n·row``
for row n of a tensor of ``rows`` rows. Rows are taken in pieces that stay in the cache while all work passes
over them, and matrix products go to BLAS in pieces for which OpenBLAS starts no threads. Places are unsigned:
a signed index may count from the end, and that test keeps loops from vector instructions. All kernels are in
one file, since a change of one that is called from another file would not be seen in numba's cache.
"""

from __future__ import annotations

import functools
import math

import numba
import numpy as np
from numba import uint64

PIECE, BLAS_WORK = 64, 262144
# terms: tensor and row map of the input; its place; the place in the output; channels; coefficient; whether
# the term is the first into its place
TENSOR, USE, X_BEFORE, X_FIRST, X_ROW, Y_BEFORE, Y_FIRST, Y_ROW, CHANNELS, COLUMN, FRESH = range(11)
# blocks, which meet their weights before the attributes: tensor; first value and number of values of a row of
# it; 2l+1; channels; width of the product; first weight; values of a row before the product; bits of row maps
_, FIRST, ROW, SIZE, FROM, WIDTH, WEIGHT, BEFORE, USES = range(9)


@functools.cache
def exponential(kind):
    """Return the type of floats, that of integers of their size, and constants of the exponential function.

    They are the offset and the place of the exponent in a float, bounds of the argument, 1/log 2, log 2 in
    two parts, 1, and 1/k! for k = 2 … 12.
    """
    if kind == np.float32:
        whole, layout, upper = np.int32, (127, 23, -87.0, 88.0), 0.693359375
    else:
        whole, layout, upper = np.int64, (1023, 52, -708.0, 709.0), 0.69314718036912382
    logs = 1 / math.log(2), upper, math.log(2) - upper, 1.0
    return kind.type, whole, np.array([*layout, *logs, *(1 / math.factorial(k) for k in range(2, 13))], kind)


@numba.njit(cache=True)
def move_runs(x, y, runs, to, of):
    """Copy runs of values; ``to`` and ``of`` are columns of ``runs``: where a run is in y and in x."""
    for n in range(runs.shape[0]):
        target, source = runs[n, to], runs[n, of]
        for c in range(runs[n, 2]):
            y[target + c] = x[source + c]


@numba.njit(fastmath=True, cache=True)
def _set(x, x_at, x_row, rows, a, column, y, y_at, y_row, channels, start, stop):
    for e in range(start, stop):
        scale, source, target = a[e, column], x_at + uint64(rows[e]) * x_row, y_at + (e - start) * y_row
        for c in range(channels):
            y[target + c] = scale * x[source + c]


@numba.njit(fastmath=True, cache=True)
def _add(x, x_at, x_row, rows, a, column, y, y_at, y_row, channels, start, stop):
    for e in range(start, stop):
        scale, source, target = a[e, column], x_at + uint64(rows[e]) * x_row, y_at + (e - start) * y_row
        for c in range(channels):
            y[target + c] += scale * x[source + c]


@numba.njit(fastmath=True, cache=True)
def _add_back(x, x_at, x_row, rows, a, column, y, y_at, y_row, channels, start, stop):
    for e in range(start, stop):
        scale, source, target = a[e, column], x_at + uint64(rows[e]) * x_row, y_at + e * y_row
        for c in range(channels):
            x[source + c] += scale * y[target + c]


@numba.njit(cache=True)
def _contract(xs, counts, rows, a, terms, start, stop, y, held, first):
    """Sum the terms of rows ``start`` to ``stop`` into ``y`` of ``held`` rows, from row ``first``."""
    for t in range(terms.shape[0]):
        term = terms[t]
        tensor = term[TENSOR]
        x_at = uint64(counts[tensor]) * term[X_BEFORE] + term[X_FIRST]
        y_at = held * term[Y_BEFORE] + term[Y_FIRST] + first * term[Y_ROW]
        if term[FRESH]:
            _set(xs[tensor], x_at, term[X_ROW], rows[term[USE]], a, term[COLUMN],
                 y, y_at, term[Y_ROW], term[CHANNELS], start, stop)  # fmt: skip
        else:
            _add(xs[tensor], x_at, term[X_ROW], rows[term[USE]], a, term[COLUMN],
                 y, y_at, term[Y_ROW], term[CHANNELS], start, stop)  # fmt: skip


@numba.njit(cache=True)
def contract(xs, counts, rows, a, terms, y):
    """Sum the terms into the output ``y``; ``counts`` are the rows of each input."""
    count = uint64(a.shape[0])
    for start in range(uint64(0), count, uint64(PIECE)):
        stop = min(start + uint64(PIECE), count)
        _contract(xs, counts, rows, a, terms, start, stop, y, count, start)


@numba.njit(cache=True)
def contract_backward(grad_y, counts, rows, a, terms, grad_xs):
    """Add the gradient of the output to those of the inputs."""
    count = uint64(a.shape[0])
    for start in range(uint64(0), count, uint64(PIECE)):
        stop = min(start + uint64(PIECE), count)
        for t in range(terms.shape[0]):
            term = terms[t]
            tensor = term[TENSOR]
            x_at = uint64(counts[tensor]) * term[X_BEFORE] + term[X_FIRST]
            y_at = count * term[Y_BEFORE] + term[Y_FIRST]
            _add_back(grad_xs[tensor], x_at, term[X_ROW], rows[term[USE]], a, term[COLUMN],
                      grad_y, y_at, term[Y_ROW], term[CHANNELS], start, stop)  # fmt: skip


@numba.njit(fastmath=True, cache=True)
def product(
    xs, counts, rows, a, weight, tables, ends, bias, factors, constants, memory, bits, keep, y, sigma, out
):
    """Fill ``out`` with the gated product.

    Args:
        xs: Tensors, as many as are taken.
        counts: Rows of each.
        rows: Row of its tensor that an output row reads, for each input.
        a: ``(E, width)`` coefficients.
        weight: All matrices, one after the other.
        tables: ``blocks``, ``outs``, early and late terms, and what the gate scales.
        ends: Where in ``memory`` the products of each tensor end, the mixed rows, the spare ones.
        bias: ``(width,)`` of the first output block, or nothing.
        factors: Number of scalars that pass the gate (-1: no gate) and of all; factors of silu and sigmoid.
        constants: From :func:`exponential`.
        memory: Memory of floats.
        bits: Memory of integers of their size.
        keep: Whether ``y`` and ``sigma`` are to hold all rows at the end; if not, they hold a piece.
        y: Blocks before the gate.
        sigma: Sigmoid of the first.
        out: ``(E, dim)``.
    """
    blocks, outs, early, late, gates = tables
    products = (memory[: ends[0]], memory[ends[0] : ends[1]], memory[ends[1] : ends[2]])
    mixed, spare = memory[ends[2] : ends[3]], memory[ends[3] :]
    count, done = uint64(a.shape[0]), np.zeros(blocks.shape[0], np.uint64)
    for start in range(uint64(0), count, uint64(PIECE)):
        stop = min(start + uint64(PIECE), count)
        n = stop - start
        held, first = (count, start) if keep else (n, uint64(0))
        for k in range(blocks.shape[0]):
            tensor, needed = blocks[k, TENSOR], done[k]
            for use in range(3):
                if blocks[k, USES] >> uint64(use) & uint64(1):
                    for e in range(start, stop):
                        needed = max(needed, uint64(rows[use][e]) + uint64(1))
            _multiply(xs[tensor], counts[tensor], weight, blocks[k], done[k], needed, spare, products[tensor])
            done[k] = needed
        _contract(xs, counts, rows, a, late, start, stop, mixed, n, uint64(0))
        for k in range(outs.shape[0]):
            before, to, size, depth, channels, at = outs[k]  # values of a row before; sizes; first weight
            w = weight[at : at + depth * channels].reshape(depth, channels)
            x = mixed[n * before : n * (before + size * depth)].reshape(n * size, depth)
            to = held * to + first * size * channels
            _dot(x, w, y[to : to + n * size * channels].reshape(n * size, channels))
        _contract(products, counts, rows, a, early, start, stop, y, held, first)
        _finish(y, sigma, bias, factors, gates, constants, bits, held, first, start, n, out)


@numba.njit(fastmath=True, cache=True)
def _multiply(x, rows, weight, block, done, needed, spare, y):
    first, row, size, channels = block[FIRST], block[ROW], block[SIZE], block[FROM]
    width, at, before = block[WIDTH], block[WEIGHT], block[BEFORE]
    w, run, rows = weight[at : at + channels * width].reshape(channels, width), size * channels, uint64(rows)
    for start in range(done, needed, uint64(PIECE)):
        n = min(start + uint64(PIECE), needed) - start
        if row == run:
            values = x[start * run : (start + n) * run]
        else:
            values = spare[: n * run]
            for i in range(n):
                source, target = (start + i) * row + first, i * run
                for c in range(run):
                    values[target + c] = x[source + c]
        to = rows * before + start * size * width
        products = y[to : to + n * size * width]
        _dot(values.reshape(n * size, channels), w, products.reshape(n * size, width))


@numba.njit(cache=True)
def _dot(x, w, out):
    step = max(1, BLAS_WORK // w.size)
    if x.shape[0] <= step:
        np.dot(x, w, out)
        return
    for start in range(0, x.shape[0], step):
        np.dot(x[start : start + step], w, out[start : start + step])


@numba.njit(fastmath=True, cache=True)
def _finish(y, sigma, bias, factors, gates, constants, bits, held, first, start, n, out):
    plain, width, channels, kind = factors[0], uint64(factors[1]), uint64(bias.size), out.dtype.type
    silu, sigmoid = kind(factors[2]), kind(factors[3])
    for i in range(first, first + n):
        for c in range(channels):
            y[i * channels + c] += bias[c]
    if plain < 0:
        for k in range(gates.shape[0]):
            before, size, channels, to, _ = gates[k]
            for i in range(n):
                source, run = held * before + (first + i) * size * channels, size * channels
                for c in range(run):
                    out[start + i, to + c] = y[source + c]
        return
    here = slice(first * width, (first + n) * width)
    logistic(y[here], bits, constants, sigma[here])
    for i in range(n):
        row, at = first + i, (first + i) * width
        for c in range(uint64(plain)):
            out[start + i, c] = silu * y[at + c] * sigma[at + c]
        for k in range(gates.shape[0]):
            before, size, channels, to, of = gates[k]
            for m in range(size):
                source, target = held * before + (row * size + m) * channels, to + m * channels
                for c in range(channels):
                    out[start + i, target + c] = sigmoid * y[source + c] * sigma[at + of + c]


@numba.njit(fastmath=True, cache=True, error_model="numpy")
def logistic(x, bits, constants, out):
    """Fill ``out`` with 1/(1 + exp(-x)); exp(y) is 2^n·exp(y - n·log 2), a series in [-0.35, 0.35]."""
    powers, whole_type = bits.view(out.dtype), bits.dtype.type
    offset, shift = whole_type(constants[0]), whole_type(constants[1])
    low, high, per_log, log_1, log_2 = constants[2], constants[3], constants[4], constants[5], constants[6]
    one, half, c3, c4, c5, c6 = (
        constants[7],
        constants[8],
        constants[9],
        constants[10],
        constants[11],
        constants[12],
    )
    c7, c8, c9, c10, c11, c12 = (
        constants[13],
        constants[14],
        constants[15],
        constants[16],
        constants[17],
        constants[18],
    )
    for i in range(uint64(x.size)):
        y = min(max(-x[i], low), high)
        whole = np.floor(y * per_log + half)
        r = (y - whole * log_1) - whole * log_2
        z = c8 + r * (c9 + r * (c10 + r * (c11 + r * c12)))
        z = c3 + r * (c4 + r * (c5 + r * (c6 + r * (c7 + r * z))))
        out[i] = one + r * (one + r * (half + r * z))
        bits[i] = (whole_type(whole) + offset) << shift
    for i in range(uint64(x.size)):
        out[i] = one / (one + out[i] * powers[i])

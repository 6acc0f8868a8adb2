"""Compiled kernels of the gathered contraction (CPU).

All arrays are flat. A row of ``terms`` (columns below) adds ``a[e, column]`` times a run of channels of one
input to a run of channels of the output, for every output row e; a place is ``rows·before + first + n·row``
for row n of a tensor of ``rows`` rows. Rows are taken in pieces that stay in the cache while all terms pass
over them. Places are unsigned: a signed index may count from the end, and that test keeps loops from vector
instructions.
"""

from __future__ import annotations

import numba
from numba import uint64

PIECE = 64
# tensor and row map of the input; its place; the place in the output; channels; coefficient; whether the term
# is the first into its place
TENSOR, USE, X_BEFORE, X_FIRST, X_ROW, Y_BEFORE, Y_FIRST, Y_ROW, CHANNELS, COLUMN, FRESH = range(11)


@numba.njit(fastmath=True, cache=True)
def _set(x, x_at, x_row, rows, a, column, y, y_at, y_row, channels, start, stop):
    for e in range(start, stop):
        scale, source, target = a[e, column], x_at + uint64(rows[e]) * x_row, y_at + e * y_row
        for c in range(channels):
            y[target + c] = scale * x[source + c]


@numba.njit(fastmath=True, cache=True)
def _add(x, x_at, x_row, rows, a, column, y, y_at, y_row, channels, start, stop):
    for e in range(start, stop):
        scale, source, target = a[e, column], x_at + uint64(rows[e]) * x_row, y_at + e * y_row
        for c in range(channels):
            y[target + c] += scale * x[source + c]


@numba.njit(fastmath=True, cache=True)
def _add_back(x, x_at, x_row, rows, a, column, y, y_at, y_row, channels, start, stop):
    for e in range(start, stop):
        scale, source, target = a[e, column], x_at + uint64(rows[e]) * x_row, y_at + e * y_row
        for c in range(channels):
            x[source + c] += scale * y[target + c]


@numba.njit(cache=True)
def contract(xs, counts, rows, a, terms, y):
    """Sum the terms into the output ``y``; ``counts`` are the rows of each input."""
    count = uint64(a.shape[0])
    for start in range(uint64(0), count, uint64(PIECE)):
        stop = min(start + uint64(PIECE), count)
        for t in range(terms.shape[0]):
            term = terms[t]
            tensor = term[TENSOR]
            x_at = uint64(counts[tensor]) * term[X_BEFORE] + term[X_FIRST]
            y_at = count * term[Y_BEFORE] + term[Y_FIRST]
            if term[FRESH]:
                _set(xs[tensor], x_at, term[X_ROW], rows[term[USE]], a, term[COLUMN],
                     y, y_at, term[Y_ROW], term[CHANNELS], start, stop)  # fmt: skip
            else:
                _add(xs[tensor], x_at, term[X_ROW], rows[term[USE]], a, term[COLUMN],
                     y, y_at, term[Y_ROW], term[CHANNELS], start, stop)  # fmt: skip


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

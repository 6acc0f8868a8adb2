"""Compiled kernels of the gathered contraction (CPU).

A row of ``terms`` is (source block, m1, first channel, target block, m3, first channel, channels, column):
``out[target][e, m3, :] += a[e, column] · x[source][row[source][e], m1, :]``. Blocks come as tuples of a fixed
length, padded with empty arrays, so that one compilation serves every layer. Rows are taken in pieces that
stay in the cache while all terms pass over them.
"""

from __future__ import annotations

import numba

PIECE = 64


@numba.njit(inline="always")
def _add_scaled(y, scale, x):
    for c in range(y.shape[0]):
        y[c] += scale * x[c]


@numba.njit(inline="always")
def _dot(x, y):
    total = x.dtype.type(0)
    for c in range(y.shape[0]):
        total += x[c] * y[c]
    return total


@numba.njit(fastmath=True, cache=True)
def _forward(term, x, row, a, y, start, stop):
    _, m1, first, _, m3, to, channels, column = term
    for e in range(start, stop):
        _add_scaled(y[e, m3][to : to + channels], a[e, column], x[row[e], m1][first : first + channels])


@numba.njit(fastmath=True, cache=True)
def _backward(term, x, row, a, y, start, stop):
    _, m1, first, _, m3, to, channels, column = term
    for e in range(start, stop):
        _add_scaled(x[row[e], m1][first : first + channels], a[e, column], y[e, m3][to : to + channels])


@numba.njit(fastmath=True, cache=True)
def _coefficient(term, x, row, a, y, start, stop):
    _, m1, first, _, m3, to, channels, column = term
    for e in range(start, stop):
        a[e, column] += _dot(x[row[e], m1][first : first + channels], y[e, m3][to : to + channels])


@numba.njit(inline="always")
def _term(terms, t):
    return (
        terms[t, 0], terms[t, 1], terms[t, 2], terms[t, 3], terms[t, 4], terms[t, 5], terms[t, 6], terms[t, 7]
    )  # fmt: skip


@numba.njit(fastmath=True, cache=True)
def contract(xs, rows, a, terms, outs):
    """Fill the outputs with the sum of the terms."""
    for start in range(0, a.shape[0], PIECE):
        stop = min(start + PIECE, a.shape[0])
        for o in range(len(outs)):
            outs[o][start:stop] = 0
        for t in range(terms.shape[0]):
            s, o = terms[t, 0], terms[t, 3]
            _forward(_term(terms, t), xs[s], rows[s], a, outs[o], start, stop)


@numba.njit(fastmath=True, cache=True)
def contract_backward(grads, rows, a, terms, grad_xs):
    """Add the gradient of the outputs to that of the inputs."""
    for start in range(0, a.shape[0], PIECE):
        stop = min(start + PIECE, a.shape[0])
        for t in range(terms.shape[0]):
            s, o = terms[t, 0], terms[t, 3]
            _backward(_term(terms, t), grad_xs[s], rows[s], a, grads[o], start, stop)


@numba.njit(fastmath=True, cache=True)
def coefficient_backward(grads, rows, xs, terms, grad_a):
    """Add the gradient of the outputs to that of the coefficients."""
    for start in range(0, grad_a.shape[0], PIECE):
        stop = min(start + PIECE, grad_a.shape[0])
        for t in range(terms.shape[0]):
            s, o = terms[t, 0], terms[t, 3]
            _coefficient(_term(terms, t), xs[s], rows[s], grad_a, grads[o], start, stop)

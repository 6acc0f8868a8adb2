"""Compiled kernels of the gate (CPU). ``sigma`` is the sigmoid of all scalars, computed by torch."""

from __future__ import annotations

import numba


@numba.njit(inline="always")
def _activate(out, x, sigma, constant):
    for c in range(out.shape[0]):
        out[c] = constant * x[c] * sigma[c]


@numba.njit(inline="always")
def _activate_backward(out, grad, x, sigma, constant):
    for c in range(out.shape[0]):
        out[c] = constant * grad[c] * sigma[c] * (1 + x[c] * (1 - sigma[c]))


@numba.njit(inline="always")
def _add_product(out, x, y):
    for c in range(out.shape[0]):
        out[c] += x[c] * y[c]


@numba.njit(inline="always")
def _times_slope(out, sigma, constant):
    for c in range(out.shape[0]):
        out[c] *= constant * sigma[c] * (1 - sigma[c])


@numba.njit(fastmath=True, cache=True)
def gate(scalars, sigma, ys, silu, sigmoid, out, outs):
    """Activate scalars and scale the other blocks."""
    plain = out.shape[1]
    for n in range(out.shape[0]):
        _activate(out[n], scalars[n], sigma[n], silu)
    first = plain
    for k in range(len(ys)):
        y, z = ys[k], outs[k]
        width = y.shape[2]
        for n in range(y.shape[0]):
            gates = sigma[n][first : first + width]
            for m in range(y.shape[1]):
                _activate(z[n, m], y[n, m], gates, sigmoid)
        first += width


@numba.njit(fastmath=True, cache=True)
def gate_backward(grad, grads, scalars, sigma, ys, silu, sigmoid, grad_scalars, grad_ys):
    """Return the gradients by filling ``grad_scalars`` (zeroed) and ``grad_ys``."""
    plain = grad.shape[1]
    for n in range(grad.shape[0]):
        _activate_backward(grad_scalars[n][:plain], grad[n], scalars[n], sigma[n], silu)
    first = plain
    for k in range(len(ys)):
        y, z, w = ys[k], grads[k], grad_ys[k]
        width = y.shape[2]
        for n in range(y.shape[0]):
            gates = sigma[n][first : first + width]
            slope = grad_scalars[n][first : first + width]
            for m in range(y.shape[1]):
                _activate(w[n, m], z[n, m], gates, sigmoid)
                _add_product(slope, z[n, m], y[n, m])
            _times_slope(slope, gates, sigmoid)
        first += width

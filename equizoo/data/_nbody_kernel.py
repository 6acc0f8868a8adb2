"""Compiled step of the charged-particle simulation.

Several systems ("lanes", the last axis) move at once, so that every inner loop runs over independent
numbers and becomes vector instructions. No sum is reordered: a system moves the same whatever is beside it.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(inline="always", error_model="numpy")
def _difference(a, b, out):
    for lane in range(out.shape[0]):
        out[lane] = a[lane] - b[lane]


@numba.njit(inline="always", error_model="numpy")
def _strength(x, y, z, first, second, out):
    """Product of the charges over the cube of the distance."""
    for lane in range(out.shape[0]):
        squared = x[lane] * x[lane] + y[lane] * y[lane] + z[lane] * z[lane]
        out[lane] = first[lane] * second[lane] / (squared * np.sqrt(squared))


@numba.njit(inline="always", error_model="numpy")
def _repel(strength, difference, first, second):
    for lane in range(strength.shape[0]):
        push = strength[lane] * difference[lane]
        first[lane] += push
        second[lane] -= push


@numba.njit(inline="always", error_model="numpy")
def _kick_and_drift(pos, vel, acceleration, largest, uniform, charge, decay, weight, dt):
    for lane in range(pos.shape[0]):
        a = min(max(acceleration[lane], -largest), largest) + uniform * charge[lane]
        vel[lane] = decay * vel[lane] + weight * a
        pos[lane] += dt * vel[lane]


@numba.njit(inline="always", error_model="numpy")
def _bounce(height, speed, floor):
    for lane in range(height.shape[0]):
        if height[lane] < floor:
            height[lane] = 2.0 * floor - height[lane]
            speed[lane] = -speed[lane]


@numba.njit(cache=True, error_model="numpy")
def advance(pos, vel, charge, dt, largest, uniform, decay, weight, floor, every, pos_out, vel_out):
    """Move the systems and store them after every ``every`` steps.

    ``pos``, ``vel`` ``(3, n, lanes)`` are changed in place; ``charge`` ``(n, lanes)``; ``uniform`` ``(3,)``
    is the field; a step makes a velocity ``decay·v + weight·a``, with ``decay``, ``weight`` ``(3,)`` by axis;
    ``floor`` is −inf without a floor; ``pos_out``, ``vel_out`` ``(frames, 3, n, lanes)``.
    """
    particles, lanes = charge.shape
    acceleration, difference = np.empty((3, particles, lanes)), np.empty((3, lanes))
    strength = np.empty(lanes)
    for frame in range(pos_out.shape[0]):
        for _ in range(every):
            acceleration[:] = 0.0
            for i in range(particles):
                for j in range(i):
                    for k in range(3):
                        _difference(pos[k, i], pos[k, j], difference[k])
                    x, y, z = difference[0], difference[1], difference[2]
                    _strength(x, y, z, charge[i], charge[j], strength)
                    for k in range(3):
                        _repel(strength, difference[k], acceleration[k, i], acceleration[k, j])
            for k in range(3):
                for i in range(particles):
                    a, e = acceleration[k, i], uniform[k]
                    _kick_and_drift(pos[k, i], vel[k, i], a, largest, e, charge[i], decay[k], weight[k], dt)
            if floor > -np.inf:
                for i in range(particles):
                    _bounce(pos[2, i], vel[2, i], floor)
        pos_out[frame] = pos
        vel_out[frame] = vel

"""Compiled search for nearest neighbours in many small clouds (CPU)."""

from __future__ import annotations

import numba
import numpy as np
from numba import uint64


@numba.njit(fastmath=True, cache=True)
def _squared_distances(columns, centre, count, out):
    """Fill ``out`` (count,) with squared distances; ``columns`` (D, count) holds the coordinates."""
    out[:count] = 0
    for d in range(columns.shape[0]):
        column, origin = columns[d], centre[d]
        for j in range(uint64(count)):
            out[j] += (column[j] - origin) * (column[j] - origin)


@numba.njit(cache=True)
def _smallest(values, count, k, best, rows):
    """Fill ``rows`` (k,) with the places of the k smallest values, in ascending order of the values."""
    held = 0
    for j in range(count):
        value = values[j]
        if held == k and value >= best[k - 1]:
            continue
        at = held if held < k else k - 1
        while at > 0 and best[at - 1] > value:
            best[at], rows[at] = best[at - 1], rows[at - 1]
            at -= 1
        best[at], rows[at] = value, j
        held = min(held + 1, k)


@numba.njit(cache=True)
def nearest(x, starts, first, rows):
    """Fill ``rows`` (E,) with the neighbours of each point: as many as ``first`` (R + 1,) has room for."""
    largest = 0
    for b in range(starts.shape[0] - 1):
        largest = max(largest, starts[b + 1] - starts[b])
    distance, best, near = np.empty(largest, x.dtype), np.empty(largest, x.dtype), np.empty(largest, np.int64)
    for b in range(starts.shape[0] - 1):
        begin, end = starts[b], starts[b + 1]
        count = end - begin
        columns = np.ascontiguousarray(x[begin:end].T)
        for i in range(begin, end):
            k = first[i + 1] - first[i]
            _squared_distances(columns, x[i], count, distance)
            _smallest(distance, count, k, best, near)
            for e in range(k):
                rows[first[i] + e] = begin + near[e]

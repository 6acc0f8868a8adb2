"""Compiled deviations of conformers (CPU)."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def _largest_root(m, above):
    """Return s1 + s2 ± s3 of a 3 x 3 matrix from a number that is not below it."""
    squares = 0.0
    minors = 0.0
    determinant = 0.0
    for i in range(3):
        a, b = (i + 1) % 3, (i + 2) % 3
        for j in range(3):
            c, d = (j + 1) % 3, (j + 2) % 3
            minor = m[a, c] * m[b, d] - m[a, d] * m[b, c]
            squares += m[i, j] * m[i, j]
            minors += minor * minor
            if i == 0:
                determinant += m[0, j] * minor
    constant = squares * squares - 4 * minors
    root = min(above, np.sqrt(3 * squares))
    for _ in range(50):
        centred = root * root - 2 * squares
        value = (centred * root - 8 * determinant) * root + constant
        slope = (centred + root * root) * 2 * root - 8 * determinant
        if slope <= 1e-7 * root * root * root:  # two roots that round to one: points on a line
            return root
        step = value / slope
        root -= step
        if abs(step) <= 1e-13 * root:
            return root
    return root


@numba.njit(cache=True)
def overlaps(probes, references, symmetries, size, best):
    """Fill ``best`` (P, R) with the largest overlap over the relabellings (S, H) of centred points."""
    atoms = probes.shape[1]
    m = np.empty((3, 3))
    for p in range(probes.shape[0]):
        for s in range(symmetries.shape[0]):
            for r in range(references.shape[0]):
                m[:] = 0.0
                for k in range(atoms):
                    row = symmetries[s, k]
                    for i in range(3):
                        for j in range(3):
                            m[i, j] += probes[p, row, i] * references[r, k, j]
                best[p, r] = max(best[p, r], _largest_root(m, size[p, r] / 2))

"""How well sampled conformers cover the reference conformers: COV and AMR, recall and precision.

References:
    O.-E. Ganea et al., "GeoMol", NeurIPS 2021, Section 5: coverage and average minimum RMSD.
    D. L. Theobald, Acta Crystallographica A 61, 478 (2005); P. Liu et al., J. Comput. Chem. 31, 1561 (2010):
    the least deviation of two sets of points from the largest root of a quartic.
"""

from __future__ import annotations

import functools
import importlib.util

import numpy as np

_BLOCK = 2**18  # pairs of geometries at once
_NEWTON_STEPS, _CLOSE, _FLAT = 50, 1e-13, 1e-7


def best_rmsds(probes: np.ndarray, references: np.ndarray, symmetries: np.ndarray) -> np.ndarray:
    """Deviation of each probe from each reference, after the best rotation and the best relabelling.

    What RDKit's ``GetBestRMS`` returns for each pair, for all pairs at once. Reflections are not allowed.

    Args:
        probes: (P, H, 3) positions of the heavy atoms [Å].
        references: (R, H, 3) positions of the heavy atoms [Å].
        symmetries: (S, H) int64 relabellings of the heavy atoms, from
            :func:`equizoo.data.graph_symmetry.graph_symmetries`.

    Returns:
        (P, R) float64 [Å].

    Raises:
        ValueError: The shapes do not fit together.

    Example:
        >>> bond = np.array([[[0.0, 0.0, 0.0], [0.0, 0.0, 1.5]]])
        >>> best_rmsds(bond, bond[..., [2, 0, 1]] * 1.2 + 5, np.array([[0, 1]])).round(6).tolist()
        [[0.15]]
    """
    probes, references = (np.ascontiguousarray(x, dtype=np.float64) for x in (probes, references))
    symmetries = np.ascontiguousarray(symmetries, dtype=np.int64)
    atoms = probes.shape[1] if probes.ndim == 3 else -1
    if (
        probes.shape[1:] != (atoms, 3)
        or references.shape[1:] != (atoms, 3)
        or symmetries.shape[1:] != (atoms,)
    ):
        raise ValueError(
            f"probes {probes.shape}, references {references.shape} and symmetries {symmetries.shape} "
            "must be (P, H, 3), (R, H, 3) and (S, H) with the same H"
        )
    probes = probes - probes.mean(1, keepdims=True)
    references = references - references.mean(1, keepdims=True)
    size = (probes**2).sum((1, 2))[:, None] + (references**2).sum((1, 2))[None]
    best = np.zeros(size.shape)
    if _has_numba():
        from equizoo.data._rmsd_kernels import overlaps

        overlaps(probes, references, symmetries, size, best)
    else:
        _overlaps(probes, references, symmetries, size, best)
    return np.sqrt(np.maximum(size - 2 * best, 0) / max(atoms, 1))


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def _overlaps(
    probes: np.ndarray, references: np.ndarray, symmetries: np.ndarray, size: np.ndarray, best: np.ndarray
) -> None:
    """Fill ``best`` (P, R) with the largest overlap over the relabellings: the same without numba."""
    atoms = probes.shape[1]
    right = np.ascontiguousarray(references.transpose(1, 2, 0)).reshape(atoms, -1)  # (H, 3 R)
    block = max(1, _BLOCK // max(1, size.size))
    for first in range(0, len(symmetries), block):
        rows = symmetries[first : first + block]
        left = probes.transpose(2, 0, 1)[:, :, rows]  # (3, P, S, H)
        products = (left.reshape(-1, atoms) @ right).reshape(3, len(probes), len(rows), 3, len(references))
        overlap = _overlap(products.transpose(0, 3, 1, 2, 4), size[:, None])  # (P, S, R)
        np.maximum(best, overlap.max(1, initial=0), out=best)


def _overlap(m: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the largest trace of a rotation times each matrix: s1 + s2 ± s3 of its singular values.

    It is the largest root of x⁴ - 2 Σ s² x² - 8 det x + (Σ s²)² - 4 Σ s_i² s_j², which Newton's method finds
    from above.

    Args:
        m: (3, 3, ...) matrices, the entries first.
        size: Sum of the squared sizes, which broadcasts with the rest of the shape of ``m``.
    """
    minors = [
        m[(i + 1) % 3, (j + 1) % 3] * m[(i + 2) % 3, (j + 2) % 3]
        - m[(i + 1) % 3, (j + 2) % 3] * m[(i + 2) % 3, (j + 1) % 3]
        for i in range(3)
        for j in range(3)
    ]
    squares = np.einsum("ij...,ij...->...", m, m)
    determinant = sum(m[0, j] * minors[j] for j in range(3))
    constant = squares**2 - 4 * sum(minor**2 for minor in minors)
    root = np.minimum(size / 2, np.sqrt(3 * squares))  # both are above the largest root
    for _ in range(_NEWTON_STEPS):
        centred = root**2 - 2 * squares
        value = (centred * root - 8 * determinant) * root + constant
        slope = (centred + root**2) * 2 * root - 8 * determinant
        flat = slope <= _FLAT * root**3  # two roots that round to one: points on a line
        step = np.where(flat, 0, value / np.where(flat, 1, slope))
        root -= step
        if (np.abs(step) <= _CLOSE * root).all():
            break
    return root


def coverage(rmsds: np.ndarray, threshold: float) -> dict[str, float]:
    """Coverage and average minimum deviation of one molecule.

    Args:
        rmsds: (P, R) deviations of P sampled from R reference conformers [Å], both at least 1.
        threshold: A conformer nearer than this [Å] is covered: 0.5 for QM9, 0.75 for drugs.

    Returns:
        ``cov_r``: share of the references with a sample nearer than the threshold; ``amr_r``: mean over the
        references of the deviation of the nearest sample [Å]; ``cov_p`` and ``amr_p``: the same of samples
        from references.

    Raises:
        ValueError: There are no samples or no references, or a deviation is not a number.

    Example:
        >>> coverage(np.array([[0.1, 0.9], [0.3, 0.8]]), 0.5)
        {'cov_r': 0.5, 'amr_r': 0.45, 'cov_p': 1.0, 'amr_p': 0.2}
    """
    if rmsds.ndim != 2 or not rmsds.size:
        raise ValueError(
            f"deviations of shape {rmsds.shape}; one sample and one reference are needed at least"
        )
    if np.isnan(rmsds).any():
        raise ValueError("a deviation is not a number")
    recall, precision = rmsds.min(0), rmsds.min(1)
    return {
        "cov_r": float((recall < threshold).mean()),
        "amr_r": float(recall.mean()),
        "cov_p": float((precision < threshold).mean()),
        "amr_p": float(precision.mean()),
    }


def summary(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and median over molecules of what :func:`coverage` returns for each.

    Example:
        >>> summary([{"amr_r": 0.1}, {"amr_r": 0.3}, {"amr_r": 0.8}])
        {'amr_r': {'mean': 0.4, 'median': 0.3}}
    """
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        name: {"mean": float(values.mean().round(12)), "median": float(np.median(values).round(12))}
        for name, values in columns.items()
    }

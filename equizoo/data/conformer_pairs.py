"""Start geometries paired with their nearest reference conformers, atom by atom.

Hydrogens of one atom and symmetric groups carry labels that mean nothing; a pair is made with the labels that
bring the two geometries nearest, so that the way from one to the other turns no methyl group by 120 degrees.

References:
    W. Kabsch, Acta Crystallographica A 32, 922 (1976): the rotation of least deviation.
"""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np

from equizoo.data.molecule_graphs import MoleculeGraph, stereo_kept

_CANDIDATES, _ROUNDS = 12, 2


class Pairs(NamedTuple):
    """S start geometries and the reference conformer of each.

    Attributes:
        starts: (S, N, 3) float64 [Å], centred, turned onto their references.
        match: (S,) int64 number of the reference conformer.
        permutation: (S, N) int64; the reference of start ``s`` is ``conformers[match[s]][permutation[s]]``.
        rmsd: (S,) deviation of all atoms [Å].
        heavy_rmsd: (S,) deviation of the heavy atoms alone, in the same alignment [Å].
        farthest: (S,) largest distance between an atom and its place in the reference [Å].
    """

    starts: np.ndarray
    match: np.ndarray
    permutation: np.ndarray
    rmsd: np.ndarray
    heavy_rmsd: np.ndarray
    farthest: np.ndarray

    @classmethod
    def between(
        cls,
        starts: np.ndarray,
        ends: np.ndarray,
        heavy: np.ndarray,
        match: np.ndarray,
        permutation: np.ndarray,
    ) -> Pairs:
        """Measure how far starts lie from what they are paired with.

        Args:
            starts: (S, N, 3) positions [Å], turned onto ``ends``.
            ends: (S, N, 3) positions [Å], with the labels of the starts.
            heavy: (H,) numbers of the heavy atoms.
            match: (S,) number of the reference conformer of each.
            permutation: (S, N) its labels.
        """
        squares = ((starts - ends) ** 2).sum(-1)
        rmsd, heavy_rmsd = np.sqrt(squares.mean(1)), np.sqrt(squares[:, heavy].mean(1))
        return cls(starts, match, permutation, rmsd, heavy_rmsd, np.sqrt(squares.max(1)))


def no_pairs(atoms: int) -> Pairs:
    """Return the pairs of a molecule of ``atoms`` atoms that has no start geometries."""
    positions, labels, numbers = np.zeros((0, atoms, 3)), np.zeros((0, atoms), np.int64), np.zeros(0)
    return Pairs(positions, numbers.astype(np.int64), labels, numbers, numbers, numbers)


def kabsch(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Find the proper rotations that bring centred points nearest to others.

    Args:
        moving: (..., N, 3) points around the origin.
        fixed: (..., N, 3) points around the origin.

    Returns:
        (..., 3, 3) such that ``moving @ rotation`` is nearest to ``fixed``; the determinant is 1.

    Example:
        >>> turned = np.eye(3)[[1, 2, 0]]
        >>> bool(np.allclose(kabsch(np.eye(3) @ turned, np.eye(3)), turned.T))
        True
    """
    left, _, right = np.linalg.svd(np.swapaxes(moving, -1, -2) @ fixed)
    handedness = np.sign(np.linalg.det(left @ right))
    left[..., :, 2] *= handedness[..., None]
    return left @ right


def nearest_pairs(
    graph: MoleculeGraph, symmetries: np.ndarray, starts: np.ndarray, conformers: np.ndarray
) -> Pairs:
    """Pair each start with the reference conformer, and the labels of its atoms, that are nearest to it.

    Args:
        graph: The molecule.
        symmetries: (P, H) relabellings of the heavy atoms, from
            :func:`equizoo.data.molecule_symmetry.bond_symmetries`; those that turn a stereo centre or a
            double bond into its opposite are not used.
        starts: (S, N, 3) positions [Å]; S may be 0.
        conformers: (K, N, 3) positions [Å], K at least 1.

    Returns:
        The pairs.

    Raises:
        ValueError: An atom has more than four hydrogens, or there is no reference conformer.

    Example:
        >>> from rdkit import Chem
        >>> from equizoo.data.molecule_graphs import molecule_graph
        >>> water = molecule_graph(Chem.AddHs(Chem.MolFromSmiles("O")))
        >>> pos = np.array([[[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]])
        >>> pairs = nearest_pairs(water, np.array([[0]]), pos[:, [0, 2, 1]], pos)
        >>> pairs.permutation.tolist(), round(pairs.rmsd.item(), 6)
        ([[0, 2, 1]], 0.0)
    """
    if not len(conformers):
        raise ValueError("there is no reference conformer to pair with")
    if not len(starts):
        return no_pairs(len(graph))
    starts, conformers = np.asarray(starts, np.float64), np.asarray(conformers, np.float64)
    labels = _Labels(graph)
    heavy = graph.heavy[symmetries]
    rows = np.stack([labels.with_hydrogens(conformers[0], conformers[0], row) for row in heavy])
    rows = rows[stereo_kept(graph, conformers[0][rows]) | (np.arange(len(rows)) == 0)]
    tried = [_aligned_by(labels, atoms, row, starts, conformers) for row in rows for atoms in labels.frames]
    cost = np.stack([each[0] for each in tried], 1).reshape(len(starts), -1)  # (S, T K)
    labelled = np.stack([each[1] for each in tried], 1).reshape(len(starts), -1, len(graph))
    best = np.argsort(cost, axis=1)[:, :_CANDIDATES]
    return _refined(labels, starts, conformers, best % len(conformers), _take(labelled, best))


def _aligned_by(
    labels: _Labels, atoms: np.ndarray, row: np.ndarray, starts: np.ndarray, conformers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Align ``atoms`` of all pairs, then label the hydrogens: squared deviation (S, K), labels (S, K, N)."""
    moved = starts - starts[:, atoms].mean(1, keepdims=True)
    fixed = conformers - conformers[:, row[atoms]].mean(1, keepdims=True)
    moved = moved[:, None] @ kabsch(moved[:, None, atoms], fixed[None, :, row[atoms]])
    fixed = np.broadcast_to(fixed, moved.shape)
    heavy = np.broadcast_to(row[labels.heavy], (*moved.shape[:2], len(labels.heavy)))
    labelled = labels.with_hydrogens(moved, fixed, heavy)
    return ((moved - _take(fixed, labelled)) ** 2).sum((-1, -2)), labelled


def _refined(
    labels: _Labels, starts: np.ndarray, conformers: np.ndarray, match: np.ndarray, labelled: np.ndarray
) -> Pairs:
    """Align all atoms of the candidates and label the hydrogens again; keep the nearest of each start."""
    fixed = conformers[match] - conformers[match].mean(2, keepdims=True)  # (S, T, N, 3)
    moved = (starts - starts.mean(1, keepdims=True))[:, None]
    for _ in range(_ROUNDS):
        turned = moved @ kabsch(moved, _take(fixed, labelled))
        labelled = labels.with_hydrogens(turned, fixed, labelled[..., labels.heavy])
    ends = _take(fixed, labelled)
    turned = moved @ kabsch(moved, ends)
    best = np.arange(len(starts)), ((turned - ends) ** 2).sum((-1, -2)).argmin(1)
    return Pairs.between(turned[best], ends[best], labels.heavy, match[best], labelled[best])


def _take(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Pick rows of ``values`` (..., N, 3) or (..., N, M) by ``index`` (..., n)."""
    return np.take_along_axis(values, index[..., None], axis=-2)


class _Labels:
    """Hydrogens by the heavy atom that holds them, and how they are labelled."""

    def __init__(self, graph: MoleculeGraph) -> None:
        self.atoms, self.heavy = len(graph), graph.heavy
        self.frames = (graph.heavy, np.arange(len(graph)))  # what a first alignment is made by
        held: dict[int, list[int]] = {}
        for i, j in graph.bonds.tolist():
            for atom, other in ((i, j), (j, i)):
                if graph.z[other] == 1 and graph.z[atom] != 1:
                    held.setdefault(atom, []).append(other)
        if crowded := [atom for atom, hydrogens in held.items() if len(hydrogens) > 4]:
            raise ValueError(
                f"atom {crowded[0]} has {len(held[crowded[0]])} hydrogens; at most four are known"
            )
        self.table = np.zeros((self.atoms, 4), dtype=np.int64)
        for atom, hydrogens in held.items():
            self.table[atom, : len(hydrogens)] = hydrogens
        place = {int(atom): k for k, atom in enumerate(self.heavy)}
        counts = {count: [a for a in held if len(held[a]) == count] for count in (1, 2, 3, 4)}
        self.groups = [
            (np.array(atoms), np.array([place[a] for a in atoms]), np.array(list(permutations(range(count)))))
            for count, atoms in counts.items()
            if atoms
        ]

    def with_hydrogens(self, moved: np.ndarray, fixed: np.ndarray, heavy: np.ndarray) -> np.ndarray:
        """Extend labels of heavy atoms to the hydrogens, each to the nearest free one of its atom.

        Args:
            moved: (..., N, 3) positions.
            fixed: (..., N, 3) positions in whose frame ``moved`` is.
            heavy: (..., H) atom of ``fixed`` for each heavy atom of ``moved``.

        Returns:
            (..., N) int64 atom of ``fixed`` for each atom of ``moved``.
        """
        labelled = np.empty((*heavy.shape[:-1], self.atoms), dtype=np.int64)
        labelled[...] = np.arange(self.atoms)
        labelled[..., self.heavy] = heavy
        for atoms, places, orders in self.groups:
            count = orders.shape[1]
            own = self.table[atoms, :count]  # (A, h)
            other = self.table[heavy[..., places], :count]  # (..., A, h)
            flat = other.reshape(*other.shape[:-2], len(atoms) * count)
            there = _take(fixed, flat).reshape(*other.shape, 3)
            apart = moved[..., own, :][..., :, None, :] - there[..., None, :, :]
            squares = (apart**2).sum(-1)  # (..., A, h, h)
            best = squares[..., np.arange(count), orders].sum(-1).argmin(-1)  # (..., A)
            labelled[..., own] = np.take_along_axis(other, orders[best], axis=-1)
        return labelled

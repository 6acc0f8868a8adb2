"""One molecule with its reference conformers and the start geometries that are paired with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equizoo.data.conformer_pairs import Pairs, no_pairs
from equizoo.data.molecule_graphs import MoleculeGraph

_KT = 0.0019872043 * 298.15  # [kcal/mol]


@dataclass(frozen=True)
class Ensemble:
    """A molecule of N atoms, its K reference conformers, and S start geometries paired with them.

    Attributes:
        smiles: SMILES of the molecule.
        graph: Its graph.
        conformers: (K, N, 3) float32 [Å], each centred.
        energy: (K,) float32 above the lowest [kcal/mol]; zeros where energies are not known.
        starts: (S, N, 3) float32 [Å], centred and turned onto their references; S may be 0.
        match: (S,) int64 reference conformer of each start.
        permutation: (S, N) int64; ``conformers[match[s]][permutation[s]]`` is the reference of start ``s``.

    Raises:
        ValueError: The shapes do not fit together.
    """

    smiles: str
    graph: MoleculeGraph
    conformers: np.ndarray
    energy: np.ndarray
    starts: np.ndarray
    match: np.ndarray
    permutation: np.ndarray

    def __post_init__(self) -> None:
        atoms, conformers, starts = len(self.graph), len(self.conformers), len(self.starts)
        expected = {
            "conformers": (conformers, atoms, 3),
            "energy": (conformers,),
            "starts": (starts, atoms, 3),
            "match": (starts,),
            "permutation": (starts, atoms),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{self.smiles}: {name} is {getattr(self, name).shape}, expected {shape}")

    @classmethod
    def of(
        cls,
        smiles: str,
        graph: MoleculeGraph,
        conformers: np.ndarray,
        energy: np.ndarray | None = None,
        pairs: Pairs | None = None,
    ) -> Ensemble:
        """Centre the conformers and put their energies above the lowest.

        Args:
            smiles: SMILES of the molecule.
            graph: Its graph.
            conformers: (K, N, 3) [Å].
            energy: (K,) [kcal/mol], from any zero; not known unless given.
            pairs: Start geometries, from :func:`equizoo.data.conformer_pairs.nearest_pairs`.
        """
        conformers = np.asarray(conformers, dtype=np.float64)
        energy = np.zeros(len(conformers)) if energy is None else np.asarray(energy, dtype=np.float64)
        pairs = no_pairs(len(graph)) if pairs is None else pairs
        return cls(
            smiles,
            graph,
            (conformers - conformers.mean(1, keepdims=True)).astype(np.float32),
            (energy - energy.min(initial=np.inf)).astype(np.float32),
            pairs.starts.astype(np.float32),
            pairs.match.astype(np.int64),
            pairs.permutation.astype(np.int64),
        )

    @property
    def weights(self) -> np.ndarray:
        """(K,) float64 Boltzmann weights at 298.15 K, which sum to one."""
        weights = np.exp(-(self.energy.astype(np.float64)) / _KT)
        return weights / weights.sum()

    @property
    def references(self) -> np.ndarray:
        """(S, N, 3) float32 [Å]: the reference of each start, in the labels of its atoms."""
        rows = self.conformers[self.match]
        return np.take_along_axis(rows, self.permutation[..., None], axis=1)

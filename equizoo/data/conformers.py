"""Molecules with reference conformers and paired start geometries: what a conformer generator learns from.

References:
    S. Axelrod, R. Gómez-Bombarelli, "GEOM", Scientific Data 9, 185 (2022): ensembles with Boltzmann weights.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from equizoo._replacing import replacing
from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.molecule_graphs import MoleculeGraph

_GRAPH_ROWS = {
    "z": "atoms",
    "node_attr": "atoms",
    "bonds": "bonds",
    "bond_order": "bonds",
    "centres": "centres",
    "double_bonds": "double_bonds",
}
_COUNTS = ("atoms", "bonds", "centres", "double_bonds", "conformers", "starts")


@dataclass(frozen=True)
class ConformerSet:
    """M molecules with all their arrays end to end.

    Attributes:
        smiles: SMILES of the molecules.
        counts: (M, 6) int64: atoms, bonds, stereo centres, stereo bonds, conformers, starts of each molecule.
        arrays: The flat arrays: ``z``, ``node_attr``, ``bonds``, ``bond_order``, ``centres``,
            ``double_bonds`` as in :class:`MoleculeGraph` with atoms numbered within their molecule;
            ``pos``, ``energy``, ``start_pos``, ``match``, ``permutation`` as in :class:`Ensemble`.

    Example:
        >>> graph = MoleculeGraph([8, 1, 1], np.zeros((3, 10)), [[0, 1], [0, 2]], [1, 1],
        ...                       np.zeros((0, 5)), np.zeros((0, 5)))
        >>> water = Ensemble.of("O", graph, [[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]])
        >>> data = ConformerSet.of([water, water])
        >>> len(data), data.conformers(1).shape, data.weights(1).tolist()
        (2, (1, 3, 3), [1.0])
    """

    smiles: list[str]
    counts: np.ndarray
    arrays: dict[str, np.ndarray]
    _ends: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts, dtype=np.int64).reshape(-1, len(_COUNTS))
        object.__setattr__(self, "counts", counts)
        atoms, conformers, starts = counts[:, 0], counts[:, 4], counts[:, 5]
        rows = np.concatenate([counts, (conformers * atoms)[:, None], (starts * atoms)[:, None]], axis=1)
        object.__setattr__(self, "_ends", np.concatenate([np.zeros((1, 8), np.int64), rows.cumsum(0)]))
        if len(self.smiles) != len(counts):
            raise ValueError(f"{len(self.smiles)} SMILES for {len(counts)} molecules")
        for name, column in self._columns().items():
            if len(self.arrays[name]) != self._ends[-1, column]:
                raise ValueError(
                    f"{name} has {len(self.arrays[name])} rows, the counts say {self._ends[-1, column]}"
                )

    @staticmethod
    def _columns() -> dict[str, int]:
        """Return the column of ``_ends`` that cuts each array."""
        columns = {name: _COUNTS.index(kind) for name, kind in _GRAPH_ROWS.items()}
        return columns | {"energy": 4, "match": 5, "pos": 6, "start_pos": 7, "permutation": 7}

    @classmethod
    def of(cls, ensembles: Iterable[Ensemble]) -> ConformerSet:
        """Put molecules end to end; molecules without conformers may be among them."""
        ensembles = list(ensembles)
        columns: dict[str, list[np.ndarray]] = {name: [] for name in cls._columns()}
        for one in ensembles:
            for name in _GRAPH_ROWS:
                columns[name].append(getattr(one.graph, name))
            columns["energy"].append(one.energy)
            columns["match"].append(one.match)
            columns["pos"].append(one.conformers.reshape(-1, 3))
            columns["start_pos"].append(one.starts.reshape(-1, 3))
            columns["permutation"].append(one.permutation.reshape(-1))
        counts = [
            [
                *(len(getattr(one.graph, name)) for name in ("z", "bonds", "centres", "double_bonds")),
                len(one.conformers),
                len(one.starts),
            ]
            for one in ensembles
        ]
        if not ensembles:
            raise ValueError("a set needs at least one molecule")
        arrays = {name: np.concatenate(parts) for name, parts in columns.items()}
        return cls([one.smiles for one in ensembles], np.array(counts), arrays)

    def __len__(self) -> int:
        return len(self.smiles)

    def __iter__(self) -> Iterator[Ensemble]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Ensemble:
        """Return molecule ``i`` with its conformers and starts."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"molecule {i} of a set of {len(self)}")
        i %= len(self)
        part = {
            name: self.arrays[name][self._ends[i, column] : self._ends[i + 1, column]]
            for name, column in self._columns().items()
        }
        atoms = int(self.counts[i, 0])
        return Ensemble(
            self.smiles[i],
            MoleculeGraph(**{name: part[name] for name in _GRAPH_ROWS}),
            part["pos"].reshape(-1, atoms, 3),
            part["energy"],
            part["start_pos"].reshape(-1, atoms, 3),
            part["match"],
            part["permutation"].reshape(-1, atoms).astype(np.int64),
        )

    def graph(self, i: int) -> MoleculeGraph:
        """Return the graph of molecule ``i``."""
        return self[i].graph

    def conformers(self, i: int) -> np.ndarray:
        """Return the reference conformers (K, N, 3) float32 [Å] of molecule ``i``."""
        return self[i].conformers

    def weights(self, i: int) -> np.ndarray:
        """Return the Boltzmann weights (K,) of the reference conformers of molecule ``i``."""
        return self[i].weights

    def starts(self, i: int) -> np.ndarray:
        """Return the starts (S, N, 3) float32 [Å] of molecule ``i``, each turned onto its reference."""
        return self[i].starts

    def pairs(self, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return starts and references (S, N, 3) [Å], label by label, and the deviations (S,) [Å]."""
        one = self[i]
        references = one.references
        return one.starts, references, np.sqrt(((one.starts - references) ** 2).sum(-1).mean(1))

    def subset(self, indices: Sequence[int] | np.ndarray) -> ConformerSet:
        """Return the molecules at ``indices``, in that order, as a set of their own."""
        return ConformerSet.of(self[int(i)] for i in indices)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the set to one ``.npz`` file, which appears when it is complete."""
        small = {name: self.arrays[name].astype(np.int16) for name in ("bonds", "centres", "double_bonds")}
        small |= {name: self.arrays[name].astype(np.uint8) for name in ("z", "bond_order")}
        small["permutation"] = self.arrays["permutation"].astype(np.int16)
        with replacing(path) as part, open(part, "wb") as file:
            np.savez_compressed(
                file, smiles=np.array(self.smiles), counts=self.counts, **(self.arrays | small)
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ConformerSet:
        """Read a set that :meth:`save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged or something else.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                flat = {name: arrays[name] for name in cls._columns()}
                smiles, counts = arrays["smiles"].tolist(), arrays["counts"]
            flat |= {name: flat[name].astype(np.int64) for name in ("z", "bonds", "bond_order", "match")}
            flat |= {name: flat[name].astype(np.int64) for name in ("centres", "double_bonds", "permutation")}
            made = cls(smiles, counts, flat)
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{path} is no file of conformers: {error}") from error
        if not all(np.isfinite(flat[name]).all() for name in ("pos", "start_pos", "energy")):
            raise ValueError(f"{path} is damaged: a position or an energy is not a finite number")
        return made

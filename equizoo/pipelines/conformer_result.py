"""What the conformer pipeline answers: a molecule with its conformers, and what became of the samples."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Tally:
    """What became of the samples of one molecule.

    Attributes:
        asked: Conformers asked for.
        sampled: Samples drawn.
        not_embedded: Samples without a start: the distance geometry failed.
        wrong_stereo: Samples rejected since a centre or double bond was not as asked.
        clashes: Samples rejected for bonds, angles or atoms in each other's way.
        not_relaxed: Samples whose relaxation failed.
        duplicates: Samples that were copies of another one.
        made: Conformers returned.
        seconds: Time it took [s].
    """

    asked: int
    sampled: int = 0
    not_embedded: int = 0
    wrong_stereo: int = 0
    clashes: int = 0
    not_relaxed: int = 0
    duplicates: int = 0
    made: int = 0
    seconds: float = 0.0

    @property
    def rejected(self) -> int:
        """Number of samples that are no conformers of the molecule."""
        return self.not_embedded + self.wrong_stereo + self.clashes + self.not_relaxed


@dataclass(frozen=True)
class Conformers:
    """The conformers of one molecule, the lowest energy first.

    Attributes:
        source: What to call the molecule.
        tally: What became of the samples.
        name: Name that the input gives it, or None.
        error: Why there is no answer, or None.
        domain_reason: What is unlike the training set, or None.
        mol: RDKit ``Mol`` with explicit hydrogens and K conformers, which have the properties ``sample`` and,
            where it is known, ``energy``; None without an answer.
        smiles: Canonical SMILES of the stereo isomer, or None.
        chosen: Number of stereo elements that the input left open and that were chosen; a group of centres
            that are given relative to each other only is one.
        energies: (K,) energies [kcal/mol], NaN where they are not known.
        method: What computed them and where: ``"MMFF94, briefly relaxed"`` (the positions are those before),
            ``"MMFF94"``, ``"GFN2-xTB"``, or None.
        samples: (K,) number of the sample that each conformer is, from 0.
    """

    source: str
    tally: Tally
    name: str | None = None
    error: str | None = None
    domain_reason: str | None = None
    mol: Any = None
    smiles: str | None = None
    chosen: int = 0
    energies: np.ndarray | None = None
    method: str | None = None
    samples: np.ndarray | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.mol is not None

    @property
    def in_domain(self) -> bool:
        """Whether the training set has molecules like it."""
        return self.ok and self.domain_reason is None

    def __len__(self) -> int:
        """Return K, the number of conformers."""
        return self.mol.GetNumConformers() if self.ok else 0

    @property
    def z(self) -> np.ndarray:
        """(N,) int64 atomic numbers; empty without an answer."""
        atoms = self.mol.GetAtoms() if self.ok else ()
        return np.array([atom.GetAtomicNum() for atom in atoms], dtype=np.int64)

    @property
    def positions(self) -> np.ndarray:
        """(K, N, 3) positions [Å]; without an answer (0, 0, 3)."""
        if not self.ok:
            return np.zeros((0, 0, 3))
        return np.stack([conformer.GetPositions() for conformer in self.mol.GetConformers()])

    @property
    def relative_energies(self) -> np.ndarray:
        """(K,) energies above the lowest [kcal/mol], NaN where they are not known."""
        if self.energies is None:
            return np.full(len(self), np.nan)
        return self.energies - self.energies[0] if len(self) else self.energies

    def record(self) -> dict[str, Any]:
        """Return a dict of plain values, as JSON takes them; None stands for what is not known."""
        known = self.energies is not None and np.isfinite(self.energies).all()
        return {
            "input": self.source,
            "name": self.name,
            "ok": self.ok,
            "error": self.error,
            "in_domain": self.in_domain if self.ok else None,
            "domain_reason": self.domain_reason,
            "smiles": self.smiles,
            "chosen_stereo": self.chosen,
            "elements": [atom.GetSymbol() for atom in self.mol.GetAtoms()] if self.ok else [],
            "energy_method": self.method,
            "relative_energies": self.relative_energies.tolist() if known and self.ok else None,
            "positions": self.positions.round(5).tolist(),
            "tally": asdict(self.tally),
        }

    def to_sdf(self, path: str | os.PathLike[str]) -> None:
        """Write an SDF file, see :func:`equizoo.pipelines.conformer_files.write_sdf`."""
        from equizoo.pipelines.conformer_files import write_sdf

        write_sdf([self], path)

    def to_xyz(self, path: str | os.PathLike[str]) -> None:
        """Write an XYZ file, see :func:`equizoo.pipelines.conformer_files.write_xyz`."""
        from equizoo.pipelines.conformer_files import write_xyz

        write_xyz([self], path)

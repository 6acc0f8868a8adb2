"""What happens to samples after the model: checked, relaxed if asked, given an energy; and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from equizoo.pipelines.conformer_energies import has_mmff, polish_mmff, polish_xtb, rank_energies
from equizoo.pipelines.conformer_input import Subject
from equizoo.pipelines.conformer_selection import sound
from equizoo.pipelines.conformer_stereo import keeps_stereo
from equizoo.pipelines.geometry import Refused


class Screen:
    """Accepts or rejects samples of one molecule.

    Args:
        subject: The molecule.
        polish: ``None``, ``"mmff"`` or ``"xtb"``.

    Attributes:
        method: What the energies are, or None where MMFF94 has no parameters for the molecule.
        seen: Number of samples so far.
        fates: Number of rejected samples, by reason; see
            :class:`~equizoo.pipelines.conformer_result.Tally`.

    Raises:
        Refused: The molecule cannot be relaxed in that way.
    """

    def __init__(self, subject: Subject, polish: str | None) -> None:
        known = has_mmff(subject.mol)
        if polish == "mmff" and not known:
            raise Refused(f"MMFF94 has no parameters for {subject.smiles}; use polish=None")
        self.mol, self.graph, self.polish = subject.mol, subject.graph, polish
        self.method = {"mmff": "MMFF94", "xtb": "GFN2-xTB"}.get(
            polish or "", "MMFF94, briefly relaxed" if known else None
        )
        self.seen = 0
        self.fates: Counter[str] = Counter()

    def __call__(
        self, drawn: Sequence[int], samples: Sequence[int], positions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Screen some samples.

        Args:
            drawn: Numbers of the samples that were drawn.
            samples: Numbers of the K samples that have positions.
            positions: (K, N, 3) positions [Å].

        Returns:
            (A, N, 3) positions [Å], (A,) energies [kcal/mol] and (A,) numbers of the accepted samples; an
            energy that cannot be computed is NaN.
        """
        self.seen += len(drawn)
        self.fates["not_embedded"] += len(drawn) - len(samples)
        numbers = np.array(samples, dtype=np.int64)
        kept = self._right(positions)
        positions, numbers = positions[kept], numbers[kept]
        if self.polish is None:
            known = self.method is not None
            energies = rank_energies(self.mol, positions) if known else np.full(len(positions), np.nan)
            return positions, energies, numbers
        polish = {"mmff": polish_mmff, "xtb": polish_xtb}[self.polish]
        positions, energies = polish(self.mol, positions)
        relaxed = np.isfinite(positions).all((1, 2)) & np.isfinite(energies)
        self.fates["not_relaxed"] += int((~relaxed).sum())
        positions, energies, numbers = positions[relaxed], energies[relaxed], numbers[relaxed]
        kept = self._right(positions)
        return positions[kept], energies[kept], numbers[kept]

    def _right(self, positions: np.ndarray) -> np.ndarray:
        """Say which samples (K, N, 3) have the stereochemistry asked for and no clashes; (K,) bool."""
        finite = np.isfinite(positions).all((1, 2))
        right = finite.copy()
        right[finite] = keeps_stereo(self.mol, self.graph, positions[finite])
        kept = right.copy()
        kept[right] = sound(self.mol, positions[right])
        self.fates["wrong_stereo"] += int((finite & ~right).sum())
        self.fates["clashes"] += int((~finite).sum() + (right & ~kept).sum())
        return kept

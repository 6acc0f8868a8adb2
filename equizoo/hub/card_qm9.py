"""What a model card says about QM9."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from equizoo.hub.card_facts import Dataset
from equizoo.hub.card_published import Published
from equizoo.hub.config import CheckpointConfig

_CHARACTERISED = 130_831  # molecules of QM9 that passed the consistency check

ENERGIES = ("U0", "U", "H", "G")
"""Targets that models may learn relative to free atoms."""


class QM9(Dataset):
    """QM9, with energies relative to free atoms unless the settings say total energies."""

    text = (
        "QM9: small neutral closed-shell organic molecules with their B3LYP/6-31G(2df,p) equilibrium "
        "geometries in vacuum and properties at the same level. Molecules that failed the consistency check "
        "of its authors are left out."
    )
    papers = ("qm9",)
    limits = (
        "The reference is B3LYP/6-31G(2df,p) in vacuum at its own minimum; other conformers, strained "
        "geometries and other levels of theory were never seen.",
    )
    title, sample, measured = "QM9", "molecule", ", at the geometries of the data set"
    norm = "over the targets, in standard deviations of the targets"
    sources = "equizoo.data.qm9_files"

    def split(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        """Return the standard split, or the seed of another."""
        seed = results["data"].get("split_seed")
        if seed is None:
            return "the standard split of Cormorant, EGNN and SEGNN"
        return f"a shuffled 80/10/10 split with seed {results['seed'] if seed == 'run' else seed}"

    def notes(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say what the energies are relative to, and whether molecules were missing."""
        relative, there = self._relative(config, results), sum(results["counts"].values())
        energies = (
            f"Energies: the model predicts {', '.join(relative)} relative to free atoms; the pipeline adds "
            "the free atoms in float64 and returns both"
        )
        lacking = f"The data had {there:,} of the {_CHARACTERISED:,} molecules of the split"
        return [*([energies] if relative else []), *([lacking] if there < _CHARACTERISED else [])]

    def setting(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say how many targets share the model, how they are scaled and what energies are relative to."""
        data, targets = results["data"], len(config.targets)
        return [
            *([f"one model for {targets} targets"] if targets > 1 else []),
            "atom references and standardised targets" if data.get("standardise") else "no standardisation",
            "total energies" if data.get("energies") == "total" else "energies relative to free atoms",
        ]

    def caveats(
        self,
        config: CheckpointConfig,
        results: Mapping[str, Any],
        published: Published,
        lower: Collection[str],
    ) -> list[str]:
        """Say that total and relative energies do not compare."""
        energies = self._relative(config, results)
        if not energies or published.energies != "total":
            return []
        others = [target.name for target in config.targets if target.name not in energies]
        return [
            f"{', '.join(energies)}: the published models had to learn an offset of about −10⁴ eV, this one "
            "did not; these rows compare recipes, not methods. Without them it is "
            f"{len(set(lower) & set(others))} of {len(others)}."
        ]

    def _relative(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        if results["data"].get("energies") == "total":
            return []
        return [target.name for target in config.targets if target.name in ENERGIES]

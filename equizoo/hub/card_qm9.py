"""What a model card says about QM9."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from equizoo.hub.card_facts import Dataset
from equizoo.hub.card_geometries import calibration_of
from equizoo.hub.card_published import Published
from equizoo.hub.card_tables import number
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.results import test_errors

_CHARACTERISED = 130_831  # molecules of QM9 that passed the consistency check

ENERGIES = ("U0", "U", "H", "G")
"""Targets that models may learn relative to free atoms."""

_SHOWN = ("gap", "U0", "mu")  # targets at the head of a card

_PUBLISHED_SIZES = {
    "schnet": {"hidden": 64, "interactions": 6, "cutoff": 10.0},
    "segnn-molecules": {
        "hidden": 128, "layers": 7, "lmax_hidden": 2, "lmax_attributes": 3, "radius": 2.0
    },
}  # fmt: skip
"""What the published networks have for keys of ``config``, as their numbers of parameters confirm."""
_PHYSICS = {
    "extent": "r2: its head starts from electrons that sit at the nuclei and learns what is left.",
    "dipole": "mu: its head is the dipole moment of charges on the atoms.",
}
"""What heads know of their target."""
_SIZES = {
    "hidden": "{} features",
    "interactions": "{} interaction blocks",
    "layers": "{} layers",
    "lmax_hidden": "features up to l = {}",
    "lmax_attributes": "spherical harmonics up to l = {}",
    "cutoff": "a cutoff of {:g} Å",
    "radius": "a cutoff of {:g} Å",
}


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
    packages = ("rdkit", "ase", "tblite")
    counted = False

    def brief(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return the mean errors of a few targets, for DFT geometries and for a SMILES."""
        names = [target.name for target in config.targets]
        chosen = [name for name in _SHOWN if name in names] or names[:3]

        def listed(errors: Mapping[str, float]) -> str:
            return ", ".join(f"{n} {number(errors[n], 2)} {results['units'][n]}" for n in chosen)

        errors = test_errors(results, next(iter(config.variants)))
        lines = [f"**How wrong**, on average over test molecules at their DFT geometries: {listed(errors)}."]
        if "mmff" in (calibration := calibration_of(results)):
            made = listed(calibration["mmff"]["mae"])
            lines.append(f"**From a SMILES**, whose geometry is made with MMFF94: {made}.")
        domain = config.domain
        return [
            *lines,
            f"**Do not trust it** for other elements than {', '.join(domain.elements)}, more than "
            f"{domain.max_heavy_atoms} heavy atoms, ions, radicals, or geometries far from a minimum.",
        ]

    def exact(self, config: CheckpointConfig) -> str:
        """Say that the targets are scalars."""
        return "invariant under rotations, mirrors and translations"

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
        """Say how many targets share the model and how they are read out and scaled, and its size."""
        data, targets = results["data"], len(config.targets)
        heads = [f"{', '.join(names)}: {head}" for head, names in _heads(config).items() if head != "sum"]
        return [
            *([f"one model for {targets} targets"] if targets > 1 else []),
            *([f"a head for each kind of target ({'; '.join(heads)}; the others: sum)"] if heads else []),
            "atom references and standardised targets" if data.get("standardise") else "no standardisation",
            "total energies" if data.get("energies") == "total" else "energies relative to free atoms",
            *_sizes(config),
        ]

    def caveats(
        self, config: CheckpointConfig, results: Mapping[str, Any], published: Published
    ) -> list[str]:
        """Say which rows differ by what the recipes were given, not by method."""
        energies, heads = self._relative(config, results), _heads(config)
        given = []
        if energies and published.energies == "total":
            given.append(
                f"{', '.join(energies)}: the published models had to learn an offset of about −10⁴ eV, this "
                "one did not."
            )
        given += [text for head, text in _PHYSICS.items() if head in heads]
        if results["data"].get("standardise") and any(target.name == "zpve" for target in config.targets):
            given.append("zpve: what each element adds to it was fitted before training.")
        if not given:
            return []
        return [
            f"**The columns compare recipes, not methods.** {' '.join(given)} All rows differ by scales, "
            "optimiser, size and length too. So how many targets are below the published errors says nothing "
            "about the method, and is not counted."
        ]

    def _relative(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        if results["data"].get("energies") == "total":
            return []
        return [target.name for target in config.targets if target.name in ENERGIES]


def _heads(config: CheckpointConfig) -> dict[str, list[str]]:
    """Return the targets that each kind of head reads out; empty where all are alike."""
    heads = config.config.get("aggregations")
    if not isinstance(heads, list) or len(heads) != len(config.targets):
        return {}
    pairs = sorted(zip(heads, (target.name for target in config.targets), strict=True), key=lambda x: x[0])
    return {head: [name for _, name in group] for head, group in groupby(pairs, key=lambda pair: pair[0])}


def _sizes(config: CheckpointConfig) -> list[str]:
    """Return the sizes of the network that are not the published ones."""
    published = _PUBLISHED_SIZES.get(config.family, {})
    return [
        f"{_SIZES[key].format(config.config[key])} (published: {theirs:g})"
        for key, theirs in published.items()
        if config.config.get(key, theirs) != theirs
    ]

"""What a model card says about ensembles of conformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from equizoo.hub.card_facts import Dataset
from equizoo.hub.card_tables import table
from equizoo.hub.config import CheckpointConfig

_STARTS = {
    "etkdg": "an ETKDGv3 embedding by RDKit, paired with the reference conformer nearest to it",
    "mmff": "an ETKDGv3 embedding by RDKit that MMFF94 has relaxed, paired with the reference conformer "
    "nearest to it",
    "harmonic": "a sample of the harmonic prior of the bond graph, turned onto a reference conformer",
}
_FIGURES = (
    ("cov_r", "COV-R [%]", 100.0, 1),
    ("amr_r", "AMR-R [Å]", 1.0, 3),
    ("cov_p", "COV-P [%]", 100.0, 1),
    ("amr_p", "AMR-P [Å]", 1.0, 3),
)


class ConformerEnsembles(Dataset):
    """Reference ensembles of small molecules, made for this zoo."""

    text = (
        "Molecules of QM9: GFN2-xTB ensembles of molecules with rotatable bonds (RDKit ETKDGv3 embeddings, "
        "MMFF94, GFN2-xTB, deduplicated, within 6 kcal/mol, connectivity and stereochemistry kept), and the "
        "DFT geometries of other molecules. It is not GEOM, and no figure here compares with one on GEOM."
    )
    papers = ("etflow", "etkdg", "xtb", "qm9")
    limits = (
        "References are minima of a semi-empirical method in vacuum; solvents, crystals and proteins prefer "
        "other conformers.",
        "Ring conformations and torsions are those that its starts have: it refines, it does not search.",
    )
    title, sample = "QM9 conformers", "molecule"
    measured = ", heavy atoms, symmetry-aware, two generated conformers a reference"
    norm = "over the velocity of an atom, divided by the root mean square of a coordinate of the velocity"
    sources = "equizoo.data.qm9_files"

    def by_checkpoint(self, targets: Any) -> bool:
        """Give each checkpoint a row."""
        return True

    def split(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        """Return where the parts come from."""
        return (
            "training and validation molecules are from the training split of QM9 (the validation ones held "
            "out by molecule), test molecules from its test split"
        )

    def notes(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say what a flow starts from, and what is done to training samples."""
        domain, data = config.domain, results["data"]
        return [
            f"What is counted in training are {domain.pairs:,} pairs of a start and a conformer, of "
            f"{domain.molecules:,} molecules; a flow starts from "
            f"{_STARTS[domain.prior]}",
            f"Training samples are turned at random, with noise of {data.get('noise', 0.05):g} Å around the "
            "path",
        ]

    def sections(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return the section on ensembles: the baselines of the same run, the steps, and drugs."""
        measured = results.get("ensembles")
        if not measured:
            return ["## Ensembles\n\nNot measured."]
        parts = ["## Ensembles"]
        for part in measured["sets"]:
            parts += [_about(part), _rows(part)]
        if measured.get("steps"):
            parts += [
                "By the number of evaluations of the network, on the first molecules of the first set:",
                _rows({"rows": measured["steps"]}),
            ]
        return ["\n\n".join(parts)]


def _about(part: Mapping[str, Any]) -> str:
    return (
        f"{part['title']}: {part['molecules']:,} molecules, {part['references']:,} reference conformers, "
        f"twice as many generated ones; RMSD of heavy atoms over symmetries, threshold {part['threshold']:g} "
        "Å. Means over molecules, medians in brackets; seconds a conformer on one thread, with the time of "
        "what the flow starts from."
    )


def _rows(part: Mapping[str, Any]) -> str:
    head = ["", *(title for _, title, _, _ in _FIGURES), "s", "stereo kept [%]"]
    body = []
    for name, row in part["rows"].items():
        cells = [
            f"{factor * row[key]['mean']:.{digits}f} ({factor * row[key]['median']:.{digits}f})"
            for key, _, factor, digits in _FIGURES
        ]
        body.append([name, *cells, f"{row['seconds']:.2g}", f"{100 * row['stereo']:.1f}"])
    return table(head, body)

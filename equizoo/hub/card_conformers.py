"""What a model card says about ensembles of conformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from equizoo.data.tight_binding import SHORT_FORCE, SHORT_STEPS
from equizoo.hub.card_ensembles import FIGURES, FORCE_FIELD, cells, ensemble_tables
from equizoo.hub.card_facts import Dataset, best_variant
from equizoo.hub.card_tables import MISSING, table
from equizoo.hub.config import VARIANTS, CheckpointConfig
from equizoo.hub.results import test_errors

_STARTS = {
    "etkdg": "an ETKDGv3 embedding by RDKit, paired with the reference conformer nearest to it",
    "mmff": "an ETKDGv3 embedding by RDKit that MMFF94 has relaxed, paired with the reference conformer "
    "nearest to it",
    "harmonic": "a sample of the harmonic prior of the bond graph, turned onto a reference conformer",
}
_MINIMA = ", or, of molecules without an ensemble, with the minimum that GFN2-xTB relaxes it to"
_PREPARED = {
    "qm9": "",
    "qm9-mmff-xtb": "--start mmff --ends xtb --geometries 10000 ",
}
"""Options of ``equizoo.data.prepare_conformers`` that the files of each name were made with."""
_ENERGIES = (
    ("before", "E [kcal/mol]", 2),
    ("after", "E relaxed [kcal/mol]", 2),
    ("strain", "strain [kcal/mol]", 2),
    ("moved", "moved [Å]", 3),
)


class ConformerEnsembles(Dataset):
    """Reference ensembles of small molecules, made for this zoo."""

    text = (
        "Molecules of QM9: GFN2-xTB ensembles of molecules with rotatable bonds, and single conformers of "
        "other molecules. The ensembles were made for this zoo: 40 ETKDGv3 embeddings by RDKit, MMFF94, at "
        "most 24 conformers relaxed with GFN2-xTB by tblite, deduplicated, within 6 kcal/mol, connectivity "
        "and stereochemistry kept. It is not GEOM, and no figure here compares with one on GEOM."
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
    packages = ("rdkit", "ase", "tblite", "posebusters")

    def brief(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return how near conformers come to reference conformers, and how near their starts are."""
        variant = best_variant(config, results)
        errors, beside = test_errors(results, variant), _beside(results, variant)
        lines = [
            f"**How wrong**, RMSD of heavy atoms on test molecules: {errors['precision']:.3f} Å from a "
            f"conformer to the nearest reference, {errors['recall']:.3f} Å from a reference to the nearest "
            "conformer."
        ]
        if beside:
            lines.append(
                f"**Beside {FORCE_FIELD}** alone (the same two, on new starts): {'; '.join(beside)}."
            )
        return [
            *lines,
            f"**Do not trust it** for molecules of more than {config.domain.max_heavy_atoms} heavy atoms, "
            "which were never seen in training, for ions, or for the energies of its conformers.",
        ]

    def preparation(self, config: CheckpointConfig) -> str:
        """Return the command that makes the files which a run reads."""
        options = _PREPARED.get(config.domain.name)
        if options is None:
            return ""
        return f"python -m equizoo.data.prepare_conformers {options}--out $EQUIZOO_DATA"

    def exact(self, config: CheckpointConfig) -> str:
        """Leave out mirrors: the flow knows which way a stereo centre is to turn."""
        if config.config.get("chirality"):
            return "equivariant under rotations and translations (mirror images it tells apart)"
        return super().exact(config)

    def by_checkpoint(self, targets: Any) -> bool:
        """Give each checkpoint a row."""
        return True

    def tables(self, checkpoints: Sequence[tuple[CheckpointConfig, Mapping[str, Any]]]) -> list[str]:
        """Return the flows beside RDKit on each set of molecules."""
        return ensemble_tables(checkpoints)

    def split(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        """Return where the parts come from."""
        return (
            "training and validation molecules are from the training split of QM9 (the validation ones held "
            "out by molecule), test molecules from its test split"
        )

    def notes(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say what a flow starts from, and what is done to training samples."""
        domain, data = config.domain, results["data"]
        farthest = data.get("farthest")
        near = (
            ""
            if farthest is None
            else f"; pairs in which an atom goes farther than {farthest:g} Å are left out"
        )
        return [
            "The first command of the training makes its files from `qm9.npz`, `qm9_smiles.tsv.gz` and the "
            "ensembles `qm9xtb_train.npz` and `qm9xtb_test.npz` in `$EQUIZOO_DATA`. None of them is part of "
            "the package: `equizoo.data.ensemble_builder` makes ensembles in the same way, and "
            "`equizoo.data.conformer_files` says how the two files are laid out",
            f"What is counted in training are {domain.pairs:,} pairs of a start and a conformer, of "
            f"{domain.molecules:,} molecules; a flow starts from "
            f"{_STARTS[domain.prior]}{_MINIMA if domain.name.endswith('-xtb') else ''}{near}",
            f"Training samples are turned at random, {_around(data.get('noise', 0.05))} the path",
        ]

    def unlike(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say where the energies of generated conformers are above those of MMFF94."""
        lines = []
        for part in results.get("ensembles", {}).get("validity", []):
            measured = (part["rows"].get(way, {}).get("energy") for way in ("`equivariant`", FORCE_FIELD))
            mine, theirs = (None if energy is None else energy["strain"]["mean"] for energy in measured)
            if mine and theirs and mine > theirs:
                lines.append(
                    f"On average the conformers hold {mine:.1f} kcal/mol of GFN2-xTB strain, those of MMFF94 "
                    f"{theirs:.1f}: a few bonds to hydrogen are too short or too long. Where energies "
                    'matter, relax them (`polish="xtb"` of the pipeline).'
                )
        return lines

    def sections(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return what was measured on ensembles beside the baselines of the same run, and on validity."""
        measured = results.get("ensembles")
        if not measured:
            return ["## Ensembles\n\nNot measured."]
        parts = ["## Ensembles"]
        for i, part in enumerate(measured["sets"]):
            parts += [_about(part), *([] if i else [_other_starts(part, results)]), _rows(part, config)]
        if measured.get("steps"):
            parts += [
                "By the number of evaluations of the network, on the first molecules of the first set:",
                _rows({"rows": measured["steps"]}, config),
            ]
        if measured.get("validity"):
            parts += ["## Validity", *(_validity(part, config) for part in measured["validity"])]
        return ["\n\n".join(parts)]


def _around(noise: float) -> str:
    return f"with noise of {noise:g} Å around" if noise else "without noise around"


def _about(part: Mapping[str, Any]) -> str:
    return (
        f"{part['title']}: {part['molecules']:,} molecules, {part['references']:,} reference conformers, "
        f"twice as many generated ones; RMSD of heavy atoms over symmetries, threshold {part['threshold']:g} "
        "Å. Means over molecules, medians in brackets; seconds a conformer on one thread, with the time of "
        "what the flow starts from."
    )


def _beside(results: Mapping[str, Any], variant: str) -> list[str]:
    """Return precision and recall on each set of molecules beside those of the force field."""
    lines = []
    for part in results.get("ensembles", {}).get("sets", []):
        mine, theirs = (part["rows"].get(way) for way in (f"`{variant}`", FORCE_FIELD))
        if mine and theirs:
            pairs = ((mine[key]["mean"], theirs[key]["mean"]) for key in ("amr_p", "amr_r"))
            both = " and ".join(f"{one:.3f} instead of {other:.3f} Å" for one, other in pairs)
            lines.append(f"{both} on {part['title'][0].lower()}{part['title'][1:]}")
    return lines


def _other_starts(part: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """Say why the errors of the test set are measured a second time, with other figures."""
    return (
        f"They differ from the errors above: those are of {results['n']:,} molecules and the starts that lie "
        "prepared in the test file, these of starts that were embedded anew, with other seeds and for all "
        f"ways alike; {part['molecules']:,} molecules could be embedded."
    )


def _shipped(rows: Mapping[str, Any], config: CheckpointConfig) -> dict[str, Any]:
    """Return the rows of ways to generate conformers without those of variants that are not shipped."""
    left_out = {f"`{variant}`" for variant in VARIANTS} - {f"`{variant}`" for variant in config.variants}
    return {name: row for name, row in rows.items() if name not in left_out}


def _rows(part: Mapping[str, Any], config: CheckpointConfig) -> str:
    head = ["", *(title for _, title, _, _ in FIGURES), "s", "stereo kept [%]"]
    body = []
    for name, row in _shipped(part["rows"], config).items():
        body.append([name, *cells(row), f"{row['seconds']:.2g}", f"{100 * row['stereo']:.1f}"])
    return table(head, body)


def _validity(part: Mapping[str, Any], config: CheckpointConfig) -> str:
    rows = _shipped(part["rows"], config)
    relaxed = any("energy" in row for row in rows.values())
    text = (
        f"{part['title']}: {part['molecules']:,} molecules, the first conformers of each. Share that passes "
        "all checks of [PoseBusters](https://doi.org/10.1039/D3SC04185A) that need nothing but the molecule "
        "(its configuration `mol`; lengths, angles and clashes are of heavy atoms), and share that passes "
        "lengths, angles and clashes with hydrogens too"
    )
    if relaxed:
        text += (
            "; GFN2-xTB energy above the lowest reference conformer, as generated and after at most "
            f"{SHORT_STEPS} steps of relaxation (until no force is above {SHORT_FORCE:g} eV/Å), the strain "
            "that this takes off, and the RMSD by which it moves the heavy atoms: means, medians in brackets"
        )
    head = ["", "conformers", "pass [%]", "hydrogens too [%]"]
    head += [title for _, title, _ in _ENERGIES] + ["relaxed [%]"] if relaxed else []
    body = []
    for name, row in rows.items():
        cells = [name, f"{row['conformers']:,}"]
        cells += [f"{100 * row[key]:.1f}" for key in ("passed", "passed_hydrogens")]
        body.append([*cells, *(_energies(row.get("energy")) if relaxed else [])])
    return "\n\n".join([f"{text}.", table(head, body), _failures(rows)])


def _energies(energy: Mapping[str, Any] | None) -> list[str]:
    if energy is None:
        return [MISSING] * (len(_ENERGIES) + 1)
    cells = [
        f"{energy[key]['mean']:.{digits}f} ({energy[key]['median']:.{digits}f})"
        for key, _, digits in _ENERGIES
    ]
    return [*cells, f"{100 * energy['converged']:.1f}"]


def _failures(rows: Mapping[str, Any]) -> str:
    """Return a list of what failed, by row, or a sentence if nothing did."""
    lines = [
        f"- {name}: " + ", ".join(f"{check} {100 * share:.1f} %" for check, share in failed.items())
        for name, row in rows.items()
        if (failed := {check: share for check, share in row["failed"].items() if share})
    ]
    return "\n".join(["What fails:\n", *lines]) if lines else "No conformer fails a check."

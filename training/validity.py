"""Whether generated conformers are sound molecules, and how far from minima of GFN2-xTB they are.

A sample of the molecules of :mod:`equizoo.training.ensembles`, a few conformers of each, generated in the
same ways. What is measured is added to ``ensembles.json``::

    validity     [{"title", "molecules", "rows": {name: row}}, …], the lowest reference conformers in the
                 first row
    row          {"conformers", "passed", "passed_hydrogens", "failed": {check: share}, "energy"}
    energy       optional: {"conformers", "converged", "strain" | "before" | "after" | "moved": {"mean",
                 "median"}}

``passed`` is the share of the conformers that pass every check of the configuration ``mol`` of PoseBusters,
``passed_hydrogens`` the share of those that pass the same checks with hydrogens too, and ``failed`` the share
that fails a check. A check that PoseBusters cannot make of a molecule is neither passed nor failed.

``before`` is the GFN2-xTB energy of a conformer above the lowest reference conformer [kcal/mol], ``after``
the same at the end of a short relaxation (:data:`equizoo.data.tight_binding.SHORT_STEPS`), ``strain`` the
difference, ``moved`` the RMSD of heavy atoms over it [Å], and ``converged`` the share that it brings to a
minimum. Conformers that GFN2-xTB has no solution for are not counted in ``conformers`` of ``energy``.

References:
    M. Buttenschoen, G. M. Morris, C. M. Deane, Chem. Sci. 15, 3130 (2024): PoseBusters.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from equizoo.data.conformer_metrics import best_rmsds, summary
from equizoo.data.conformer_validity import HYDROGENS, posebusters_checks
from equizoo.data.tight_binding import SHORT_FORCE, SHORT_STEPS, relax_molecule, tight_binding_energies
from equizoo.hub.errors import EquizooError
from equizoo.training.ensembles import FILE, Known, Subject, drug_like, of_set, subjects, ways
from equizoo.training.runfolder import RunFolder
from equizoo.training.variants import Trained, load_trained

log = logging.getLogger(__name__)

REFERENCES = "reference conformers"
Way = Callable[[Subject], np.ndarray]
Checks = Mapping[str, np.ndarray]


def soundness(checks: Sequence[Checks]) -> dict[str, Any]:
    """Return how many conformers pass.

    Args:
        checks: Of each molecule, what :func:`equizoo.data.conformer_validity.posebusters_checks` returns.
    """
    failed = {check: np.concatenate([one[check] for one in checks]) == 0 for check in checks[0]}
    every = np.stack(list(failed.values()))
    own = every[[not check.endswith(HYDROGENS) for check in failed]]
    return {
        "conformers": every.shape[1],
        "passed": float(1 - own.any(0).mean()),
        "passed_hydrogens": float(1 - every.any(0).mean()),
        "failed": {check: float(values.mean()) for check, values in failed.items()},
    }


def energies(
    chosen: Sequence[Subject], generated: Sequence[np.ndarray], lowest: Sequence[float]
) -> dict[str, Any]:
    """Return how far conformers are from minima of GFN2-xTB.

    Args:
        chosen: The molecules.
        generated: Conformers ``(P, N, 3)`` of each [Å].
        lowest: GFN2-xTB energy of the lowest reference conformer of each molecule [kcal/mol].

    Returns:
        What is written as ``energy``, see the head of this module.

    Raises:
        ImportError: tblite or ASE is not installed.
        ValueError: GFN2-xTB has no solution for any of the conformers.
    """
    from tqdm import tqdm

    rows, converged = [], 0
    shown = tqdm(chosen, desc="GFN2-xTB", leave=False, disable=None)
    for subject, pos, zero in zip(shown, generated, lowest, strict=True):
        graph = subject.ensemble.graph
        same = np.arange(len(graph.heavy))[None]
        for one in pos:
            done = relax_molecule(subject.mol, one.astype(np.float64), SHORT_FORCE, SHORT_STEPS)
            if done is None:
                log.warning("%s: GFN2-xTB has no solution; left out", subject.ensemble.smiles)
                continue
            moved = best_rmsds(one[None, graph.heavy], done.pos[None, graph.heavy], same)
            rows.append(
                {
                    "strain": done.before - done.after,
                    "before": done.before - zero,
                    "after": done.after - zero,
                    "moved": float(moved[0, 0]),
                }
            )
            converged += done.converged
    if not rows:
        raise ValueError("GFN2-xTB has no solution for any of the conformers")
    return {"conformers": len(rows), "converged": converged / len(rows), **summary(rows)}


def validity(
    trained: Trained,
    *,
    others: Mapping[str, Sequence[Known]] | None = None,
    limit: int | None = None,
    conformers: int = 2,
) -> list[dict[str, Any]]:
    """Measure every variant of a run or a checkpoint, RDKit's ways, and the reference conformers.

    Energies are those of the test molecules only, whose references are minima of GFN2-xTB.

    Args:
        trained: Its variants and its task.
        others: Further molecules by title.
        limit: Use so many of the test molecules, spread over all; None: all.
        conformers: Largest number of conformers of a molecule.

    Returns:
        What is written as ``validity``, see the head of this module.

    Raises:
        ConfigError: The model does not make conformers.
        ImportError: PoseBusters, tblite or ASE is not installed.
        ValueError: ``limit`` or ``conformers`` is below 1.
    """
    if conformers < 1 or (limit is not None and limit < 1):
        raise ValueError(f"limit and conformers must be 1 or more, got {limit} and {conformers}")
    generators: dict[str, Way] = {
        REFERENCES: lambda subject: subject.ensemble.conformers,
        **ways(trained),
    }
    task: Any = trained.task
    pairs = -(-conformers // 2)
    sets = {"Test molecules": subjects(of_set(task.conformers("test")), limit, pairs)}
    sets |= {title: subjects(known, None, pairs) for title, known in (others or {}).items()}
    report = [
        {"title": title, "molecules": len(chosen), "rows": examined(chosen, generators, conformers)}
        for title, chosen in sets.items()
    ]
    add_energies(report[0]["rows"], sets["Test molecules"], generators, conformers)
    return report


def examined(
    chosen: Sequence[Subject], generators: Mapping[str, Way], conformers: int
) -> dict[str, dict[str, Any]]:
    """Return the row of each way, without energies.

    Args:
        chosen: The molecules.
        generators: Each takes a molecule and returns ``(P, N, 3)`` conformers [Å].
        conformers: Largest number of conformers of a molecule.
    """
    from tqdm import tqdm

    checks: dict[str, list[Checks]] = {way: [] for way in generators}
    for subject in tqdm(chosen, desc="PoseBusters", leave=False, disable=None):
        generated = [generate(subject)[:conformers] for generate in generators.values()]
        found = posebusters_checks(subject.mol, np.concatenate(generated))
        ends = np.cumsum([len(pos) for pos in generated])[:-1]
        for k, way in enumerate(generators):
            checks[way].append({check: np.split(values, ends)[k] for check, values in found.items()})
    return {way: soundness(one) for way, one in checks.items()}


def add_energies(
    rows: dict[str, dict[str, Any]],
    chosen: Sequence[Subject],
    generators: Mapping[str, Way],
    conformers: int,
) -> None:
    """Add ``energy`` to rows that :func:`examined` returned for the same molecules."""
    lowest = [
        float(np.nanmin(tight_binding_energies(one.graph.z, one.conformers)))
        for one in (subject.ensemble for subject in chosen)
    ]
    for way, generate in generators.items():
        log.info("relaxing conformers: %s", way)
        generated = [generate(subject)[:conformers] for subject in chosen]
        rows[way]["energy"] = energies(chosen, generated, lowest)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m equizoo.training.validity``.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0, or 2 if the folder or the data cannot be used, or a package is missing.
    """
    options = argparse.ArgumentParser(
        prog="python -m equizoo.training.validity", description=__doc__.splitlines()[0]
    )
    options.add_argument("folder", help="run folder or checkpoint folder")
    options.add_argument("--data", help="folder of the data set (default: $EQUIZOO_DATA)")
    options.add_argument("--limit", type=int, default=120, help="number of test molecules (default: 120)")
    options.add_argument("--conformers", type=int, default=2, help="of each molecule, at most (default: 2)")
    options.add_argument("--drugs", help="drugconf_hutchison.npz: check drug-like molecules too")
    options.add_argument("--drug-limit", type=int, help="use so many drug-like molecules only")
    arguments = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    data = {"root": arguments.data} if arguments.data else {}
    folder = RunFolder(arguments.folder)
    try:
        trained = load_trained(arguments.folder, data)
        drugs = drug_like(arguments.drugs, trained, arguments.drug_limit) if arguments.drugs else {}
        others = {title: known for title, (known, _) in drugs.items()}
        report = validity(trained, others=others, limit=arguments.limit, conformers=arguments.conformers)
        found = {"sets": [], "steps": {}} | folder.read_measured(FILE)
    except (EquizooError, ValueError, FileNotFoundError, ImportError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for part in report:
        for way, row in part["rows"].items():
            log.info("%s, %s: %.1f %% pass", part["title"], way, 100 * row["passed"])
    folder.write_measured(FILE, {**found, "validity": report})
    log.info("wrote %s", folder.path / FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main())

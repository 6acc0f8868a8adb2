"""How generated conformers compare with reference ensembles, beside RDKit on the same molecules, in one run.

What is measured is written into the folder as ``ensembles.json``::

    sets     [{"title", "molecules", "references", "threshold", "rows": {name: row}}, …]
    steps    {"1 step": row, …}, of the equivariant variant on the first molecules of the first set
    row      {"cov_r" | "amr_r" | "cov_p" | "amr_p": {"mean", "median"}, "seconds", "stereo"}

``seconds`` is the time of a conformer on one thread, that of what a flow starts from included, and ``stereo``
the share of the conformers in which every centre and double bond is as asked. ``validity`` is added to the
file by :mod:`equizoo.training.validity`, after this.

References:
    Ganea et al., "GeoMol", NeurIPS 2021, Section 4: coverage and average minimum RMSD, two generated
    conformers a reference.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformer_metrics import best_rmsds, coverage, summary
from equizoo.data.conformers import ConformerSet
from equizoo.data.embeddings import embed_many, relax_mmff
from equizoo.data.graph_symmetry import graph_symmetries
from equizoo.data.molecule_graphs import stereo_kept
from equizoo.hub.errors import EquizooError
from equizoo.symmetry.measure import evaluating
from equizoo.training.config import ConfigError
from equizoo.training.runfolder import RunFolder
from equizoo.training.variants import Trained, load_trained

log = logging.getLogger(__name__)

TASK = "conformers"
FILE = "ensembles.json"
FIGURES = ("cov_r", "amr_r", "cov_p", "amr_p")
STEPS = (1, 2, 5, 10, 20, 50)
FEW = 40
"""Molecules that the number of steps is varied on."""


class Known(NamedTuple):
    """A molecule with reference conformers.

    Attributes:
        ensemble: Its graph and its conformers.
        mol: RDKit ``Mol`` with explicit hydrogens, atoms in the order of the conformers.
    """

    ensemble: Ensemble
    mol: Any


class Subject(NamedTuple):
    """A molecule to measure on.

    Attributes:
        ensemble: The molecule and its reference conformers.
        mol: RDKit ``Mol`` with explicit hydrogens, atoms in the order of the references.
        symmetries: ``(S, H)`` relabellings of the heavy atoms.
        starts: ``(P, N, 3)`` ETKDG embeddings, two a reference [Å].
        seconds: Time of one of them.
    """

    ensemble: Ensemble
    mol: Any
    symmetries: np.ndarray
    starts: np.ndarray
    seconds: float


def of_set(conformers: ConformerSet) -> list[Known]:
    """Return the molecules of a prepared set, whose atoms are in the order of their SMILES."""
    from rdkit import Chem

    return [Known(one, Chem.AddHs(Chem.MolFromSmiles(one.smiles))) for one in conformers]


def subjects(known: Sequence[Known], limit: int | None, references: int) -> list[Subject]:
    """Embed molecules, two starts for each of at most ``references`` reference conformers.

    Molecules that RDKit cannot embed are left out, with a warning.
    """
    from tqdm import tqdm

    chosen: Sequence[int] = range(len(known))
    if limit is not None and limit < len(chosen):
        chosen = [int(i) for i in np.linspace(0, len(known) - 1, limit)]
    made = []
    for i in tqdm(chosen, desc="ETKDG", leave=False, disable=None):
        one, mol = known[i]
        count, started = 2 * min(len(one.conformers), references), time.process_time()
        starts = embed_many(mol, count, seed=i)
        if not len(starts):
            log.warning("%s: RDKit finds no embedding; left out", one.smiles)
            continue
        seconds = (time.process_time() - started) / count
        starts = starts[np.arange(count) % len(starts)]
        made.append(Subject(one, mol, graph_symmetries(one.graph), starts, seconds))
    return made


def measured(chosen: Iterable[Subject], generate: Callable[[Subject], np.ndarray], threshold: float) -> dict:
    """Return the row of a way to generate conformers.

    Args:
        chosen: The molecules.
        generate: Takes a molecule and returns ``(P, N, 3)`` conformers [Å].
        threshold: Largest RMSD of a conformer that counts as found [Å].
    """
    rows, seconds, kept, count = [], 0.0, 0, 0
    for subject in chosen:
        graph, started = subject.ensemble.graph, time.process_time()
        made = generate(subject)
        seconds += time.process_time() - started + subject.seconds * len(made)
        heavy = graph.z > 1
        references = subject.ensemble.conformers[: len(subject.starts) // 2, heavy]
        rows.append(coverage(best_rmsds(made[:, heavy], references, subject.symmetries), threshold))
        kept += int(stereo_kept(graph, made).sum())
        count += len(made)
    return summary(rows) | {"seconds": seconds / count, "stereo": kept / count}


def force_field(subject: Subject) -> np.ndarray:
    """Return the starts of a molecule after MMFF94; as they are, where it has no parameters."""
    try:
        return relax_mmff(subject.mol, subject.starts)[0]
    except ValueError:
        return subject.starts


def ways(trained: Trained) -> dict[str, Callable[[Subject], np.ndarray]]:
    """Return the ways to generate conformers that are compared: those of RDKit, then each variant.

    Raises:
        ConfigError: The model does not make conformers.
    """
    task: Any = trained.task
    if task.task_name != TASK:
        raise ConfigError(f"ensembles are measured for {TASK} only, not for {task.task_name}")
    made: dict[str, Callable[[Subject], np.ndarray]] = {"ETKDG": lambda subject: subject.starts}
    made["ETKDG + MMFF94"] = force_field
    for variant, model in trained.models.items():
        made[f"`{variant}`"] = _flow(task, model, task.options.steps)
    return made


def drug_like(
    path: str | Path, trained: Trained, limit: int | None = None
) -> dict[str, tuple[list[Known], float]]:
    """Return drug-like molecules with reference conformers, by title, with their threshold [Å].

    Args:
        path: ``drugconf_hutchison.npz``.
        trained: The model; molecules of elements that it was not trained on, which the pipeline refuses, are
            left out.
        limit: So many molecules, spread over the file; None: all.
    """
    from equizoo.data.conformer_files import read_hutchison

    task: Any = trained.task
    elements = set(task.domain()["elements"])
    found = [one for one in read_hutchison(Path(path)) if _elements(one.mol) <= elements]
    count = min(limit or len(found), len(found))
    chosen = np.linspace(0, len(found) - 1, count).astype(int)
    title = "Drug-like molecules of the elements in training, larger than any there"
    return {title: ([_known(found[i]) for i in chosen], 0.75)}


def _elements(mol: Any) -> set[str]:
    return {atom.GetSymbol() for atom in mol.GetAtoms()}


def ensembles(
    trained: Trained,
    *,
    others: Mapping[str, tuple[Sequence[Known], float]] | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """Measure every variant of a run or a checkpoint, ETKDG, and ETKDG with MMFF94.

    Args:
        trained: Its variants and its task.
        others: Further molecules by title, with their thresholds [Å].
        limit: Use so many molecules of each set; None: all.

    Returns:
        What is written, see the head of this module.

    Raises:
        ConfigError: The model does not make conformers.
    """
    generators = ways(trained)
    task: Any = trained.task
    options = task.options
    sets = {"Test molecules": (of_set(task.conformers("test")), options.threshold), **(others or {})}
    report: dict[str, Any] = {"sets": [], "steps": {}}
    for title, (known, threshold) in sets.items():
        chosen = subjects(known, limit, options.references)
        rows = {}
        for way, generate in generators.items():
            log.info("measuring %s on %s", way, title)
            rows[way] = measured(chosen, generate, threshold)
        references = sum(len(subject.starts) // 2 for subject in chosen)
        about = {"title": title, "molecules": len(chosen), "references": references, "threshold": threshold}
        report["sets"].append({**about, "rows": rows})
        if not report["steps"]:
            first = next(iter(trained.models.values()))
            report["steps"] = {
                f"{steps} step{'s' if steps > 1 else ''}": measured(
                    chosen[:FEW], _flow(task, first, steps), threshold
                )
                for steps in STEPS
            }
    return report


def _flow(task: Any, model: Any, steps: int) -> Callable[[Subject], np.ndarray]:
    def generate(subject: Subject) -> np.ndarray:
        graph, starts = subject.ensemble.graph, subject.starts
        if task.options.prior == "harmonic":
            starts = task.harmonic_starts(graph, len(starts), seed=0)
        elif task.options.prior == "mmff":
            starts = force_field(subject)
        with evaluating(model):
            return task.carried(model, graph, starts, steps)

    return generate


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m equizoo.training.ensembles``.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0, or 2 if the folder or the data cannot be used.
    """
    options = argparse.ArgumentParser(prog="python -m equizoo.training.ensembles", description=__doc__)
    options.add_argument("folder", help="run folder or checkpoint folder")
    options.add_argument("--data", help="folder of the data set (default: $EQUIZOO_DATA)")
    options.add_argument("--drugs", help="drugconf_hutchison.npz: measure on drug-like molecules too")
    options.add_argument("--limit", type=int, help="use so many molecules of each set only")
    options.add_argument("--drug-limit", type=int, help="use so many drug-like molecules only")
    arguments = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    data = {"root": arguments.data} if arguments.data else {}
    try:
        trained = load_trained(arguments.folder, data)
        others = drug_like(arguments.drugs, trained, arguments.drug_limit) if arguments.drugs else {}
        report = ensembles(trained, others=others, limit=arguments.limit)
    except (EquizooError, ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for part in report["sets"]:
        for way, row in part["rows"].items():
            figures = "  ".join(
                f"{key} {row[key]['mean']:.3f}" for key in ("cov_r", "amr_r", "cov_p", "amr_p")
            )
            log.info("%s, %s: %s  %.3g s", part["title"], way, figures, row["seconds"])
    RunFolder(arguments.folder).write_measured(FILE, report)
    log.info("wrote %s", Path(arguments.folder) / FILE)
    return 0


def _known(reference: Any) -> Known:
    from equizoo.data.molecule_graphs import molecule_graph

    graph = molecule_graph(reference.mol)
    made = Ensemble.of(reference.smiles, graph, reference.conformers, reference.energy)
    return Known(made, reference.mol)


if __name__ == "__main__":
    sys.exit(main())

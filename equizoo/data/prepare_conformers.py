"""``python -m equizoo.data.prepare_conformers --out FOLDER``: files that conformer generators train on.

Reads ``qm9xtb_train.npz``, ``qm9xtb_test.npz``, ``qm9.npz`` and ``qm9_smiles.tsv.gz`` from ``--data`` or
``$EQUIZOO_DATA`` and writes ``conformers-qm9-train.npz``, ``-valid.npz`` and ``-test.npz``, each molecule
with ETKDG geometries that are paired with their nearest reference conformers, and ``conformers-qm9.json``,
which says what was taken, what was left out and why. With ``--start mmff`` the geometries are relaxed by
MMFF94 first, and the files are called ``conformers-qm9-mmff…``. With ``--ends xtb`` as well, GFN2-xTB relaxes
each of them for training molecules without an ensemble, in place of pairing them with the B3LYP geometry, and
the files are called ``conformers-qm9-mmff-xtb…``; a stopped run goes on where it was. Training and validation
molecules are from the training part of QM9's split alone.

The two ``qm9xtb`` files may be made by ``python -m equizoo.data.ensemble_builder``; its molecules have no
numbers, so that those of QM9 are compared with them by SMILES alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equizoo._replacing import replacing
from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformer_files import Reference, qm9_training_numbers, read_ensembles, read_qm9_geometries
from equizoo.data.conformer_pairs import Pairs, nearest_pairs
from equizoo.data.conformers import ConformerSet
from equizoo.data.embeddings import embed_many, relax_mmff
from equizoo.data.ensemble_builder import build_ensembles
from equizoo.data.molecule_graphs import molecule_graph, stereo_kept
from equizoo.data.molecule_symmetry import bond_symmetries
from equizoo.data.relaxed_pairs import PairSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preparation:
    """What goes into the files.

    Attributes:
        start: ``etkdg``, or ``mmff``: the embeddings are relaxed by MMFF94, and molecules for which it has no
            parameters get no starts.
        ends: What the starts of molecules without an ensemble are paired with: ``dft``, their one B3LYP
            geometry, or ``xtb``, the minima that GFN2-xTB relaxes them to, which are those of the ensembles.
        geometries: Number of such molecules of QM9's training part that are tried for the training file.
        geometry_starts: ETKDG geometries of each of them that are paired with B3LYP's.
        starts: ETKDG geometries for each conformer of an ensemble.
        most_starts: Largest number of them for a training molecule; validation and test have no limit.
        valid: Share of the training ensembles that become the validation file.
        heavy: A start of a molecule with a single reference is left out when it deviates more [Å] in its
            heavy atoms: it is another conformer, whose reference is not known.
        farthest: The same when an atom is farther [Å] from its place, which finds turned hydroxyl groups.
        seed: Of the choice of molecules, the split and the embeddings.
    """

    start: str = "etkdg"
    ends: str = "dft"
    geometries: int = 8000
    geometry_starts: int = 2
    starts: int = 2
    most_starts: int = 24
    valid: float = 0.05
    heavy: float = 0.6
    farthest: float = 1.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ends == "xtb" and self.start != "mmff":
            raise ValueError("GFN2-xTB relaxes starts that MMFF94 has relaxed: it needs --start mmff")

    @property
    def name(self) -> str:
        """Name of the files."""
        parts = ["qm9", self.start * (self.start != "etkdg"), self.ends * (self.ends != "dft")]
        return "-".join(filter(None, parts))


STANDARD = Preparation()


def paired(reference: Reference, starts: int, seed: int, start: str = "etkdg") -> tuple[Ensemble, Pairs]:
    """Embed a molecule and pair the embeddings with its reference conformers.

    Args:
        reference: The molecule.
        starts: Number of embeddings.
        seed: Their seed.
        start: See :class:`Preparation`.

    Returns:
        The molecule with its pairs, and the pairs.
    """
    graph = molecule_graph(reference.mol)
    pos = embed_many(reference.mol, starts, seed)
    if start == "mmff":
        try:
            pos = relax_mmff(reference.mol, pos)[0]
        except ValueError:
            pos = pos[:0]
        pos = pos[stereo_kept(graph, pos)]
    pairs = nearest_pairs(graph, bond_symmetries(reference.mol), pos, reference.conformers)
    return Ensemble.of(reference.smiles, graph, reference.conformers, reference.energy, pairs), pairs


def _ensembles(references: Iterable[Reference], most: int, settings: Preparation, seen: Counter[str]) -> list:
    made = []
    for one in references:
        wanted = min(settings.starts * len(one.conformers), most)
        ensemble, _ = paired(one, wanted, _seed(settings, one), settings.start)
        seen["starts that failed"] += wanted - len(ensemble.starts)
        made.append(ensemble)
    return made


def _without_ensemble(
    folder: Path, numbers: np.ndarray, taken: set[str], numbers_taken: set[str], seen: Counter[str]
) -> Iterator[Reference]:
    """Yield molecules of QM9 with their geometries, each once.

    ``taken`` are SMILES and ``numbers_taken`` numbers of the molecules that the ensembles have.
    """
    for one in read_qm9_geometries(folder, numbers):
        seen["tried"] += 1
        if one is None:
            seen["geometry is not that of the SMILES"] += 1
        elif one.name in numbers_taken or _canonical(one) in taken:
            seen["already in an ensemble"] += 1
        else:
            taken.add(_canonical(one))
            yield one


def _geometries(references: Iterable[Reference], settings: Preparation, seen: Counter[str]) -> list[Ensemble]:
    """Return molecules with one reference each; those with no start near it are left out."""
    made = []
    for one in references:
        ensemble, pairs = paired(one, settings.geometry_starts, _seed(settings, one), settings.start)
        near = (pairs.heavy_rmsd < settings.heavy) & (pairs.farthest < settings.farthest)
        seen["starts that failed"] += settings.geometry_starts - len(near)
        seen["starts of another conformer"] += int((~near).sum())
        if not near.any():
            seen["no start near the geometry"] += 1
            continue
        kept = Pairs(*(values[near] for values in pairs))
        made.append(Ensemble.of(one.smiles, ensemble.graph, one.conformers, one.energy, kept))
    return made


def _minima(
    references: Iterable[Reference],
    out: Path,
    processes: int | None,
    settings: Preparation,
    seen: Counter[str],
) -> list[Ensemble]:
    """Return molecules whose starts are paired with the minima of GFN2-xTB; they wait in ``out``."""
    from rdkit import Chem

    smiles = [Chem.MolToSmiles(Chem.RemoveHs(one.mol)) for one in references]
    reasons = build_ensembles(smiles, out, PairSettings(seed=settings.seed), processes)
    seen.update(reasons.values())
    return list(ConformerSet.load(out))


def _seed(settings: Preparation, reference: Reference) -> int:
    name = reference.name
    number = int(name) if name.isdecimal() else int(hashlib.sha256(name.encode()).hexdigest()[:4], 16)
    return settings.seed * 1_000_003 + number - 1


def _canonical(reference: Reference) -> str:
    from rdkit import Chem

    return str(Chem.CanonSmiles(reference.smiles))


def prepare(
    data: Path, out: Path, settings: Preparation = STANDARD, processes: int | None = None
) -> dict[str, Any]:
    """Write the files.

    Args:
        data: The folder with the sources.
        out: The folder for the files; made if it is not there.
        settings: What goes into them.
        processes: Number of processes that relax with GFN2-xTB; None: this one.

    Returns:
        What the ``.json`` file says: counts and mean deviations of each file.

    Raises:
        FileNotFoundError: A source is missing.
        ValueError: A source is damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    train, test = (read_ensembles(data / f"qm9xtb_{part}.npz") for part in ("train", "test"))
    order = np.random.default_rng(settings.seed).permutation(len(train))
    held_out = set(order[: round(settings.valid * len(train))].tolist())
    numbers = qm9_training_numbers(data)
    chosen = np.random.default_rng(settings.seed + 1).permutation(numbers)[: settings.geometries]
    report: dict[str, Any] = {"settings": asdict(settings), "files": {}}

    def write(part: str, ensembles: list[Ensemble], seen: Counter[str]) -> None:
        path = out / f"conformers-{settings.name}-{part}.npz"
        made = ConformerSet.of(ensembles)
        made.save(path)
        rmsd = np.concatenate([made.pairs(i)[2] for i in range(len(made))])
        facts = {
            "molecules": len(made),
            "conformers": int(made.counts[:, 4].sum()),
            "starts": len(rmsd),
            "mean deviation of pairs, all atoms [Å]": round(float(rmsd.mean()), 4),
            "bytes": path.stat().st_size,
        }
        report["files"][path.name] = facts | {"left out": dict(seen)}
        log.info("%s: %s", path, facts)

    seen: Counter[str] = Counter()
    write("test", _ensembles(test, sys.maxsize, settings, seen), seen)
    seen = Counter()
    valid = [one for i, one in enumerate(train) if i in held_out]
    write("valid", _ensembles(valid, sys.maxsize, settings, seen), seen)
    seen = Counter()
    rest = [one for i, one in enumerate(train) if i not in held_out]
    taken = {_canonical(one) for one in (*train, *test)}
    numbers_taken = {one.name for one in (*train, *test)}
    ensembles = _ensembles(rest, settings.most_starts, settings, seen)
    others = _without_ensemble(data, chosen, taken, numbers_taken, seen)
    if settings.ends == "xtb":
        built = out / f"pairs-{settings.name}-{settings.geometries}.npz"
        write("train", ensembles + _minima(others, built, processes, settings, seen), seen)
    else:
        write("train", ensembles + _geometries(others, settings, seen), seen)
    path = out / f"conformers-{settings.name}.json"
    with replacing(path) as part:
        part.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the head of this file.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0 when the files are written, 2 when a source is missing or damaged.
    """
    options = argparse.ArgumentParser(prog="python -m equizoo.data.prepare_conformers", description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    options.add_argument("--out", type=Path, required=True, help="folder for the files")
    options.add_argument(
        "--data", type=Path, default=os.environ.get("EQUIZOO_DATA"), help="folder of the sources"
    )
    options.add_argument("--start", choices=("etkdg", "mmff"), default=STANDARD.start)
    options.add_argument("--ends", choices=("dft", "xtb"), default=STANDARD.ends)
    options.add_argument("--geometries", type=int, default=STANDARD.geometries,
                         help="molecules without an ensemble (default: %(default)s)")  # fmt: skip
    options.add_argument("--starts", type=int, default=STANDARD.starts, help="starts for each xTB conformer")
    options.add_argument("--seed", type=int, default=STANDARD.seed)
    options.add_argument("--processes", type=int, default=1, help="that relax with GFN2-xTB")
    given = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if given.data is None:
        log.error("no data folder: pass --data or set EQUIZOO_DATA")
        return 2
    try:
        settings = Preparation(
            given.start, given.ends, given.geometries, starts=given.starts, seed=given.seed
        )
        prepare(given.data, given.out, settings, given.processes)
    except (FileNotFoundError, ValueError) as error:
        log.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m equizoo.data.ensemble_builder SMILES_FILE --out FILE.npz``: ensembles of many molecules.

The molecules are cut into parts that several processes work on; a part that is finished is never made again,
so that the same command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from equizoo._interrupts import interrupts_held
from equizoo._replacing import replacing
from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformers import ConformerSet
from equizoo.data.ensembles import LEVELS, STANDARD, EnsembleSettings, NoEnsemble, make_ensemble
from equizoo.data.relaxed_pairs import PairSettings, make_pairs

_THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
Settings = EnsembleSettings | PairSettings

log = logging.getLogger(__name__)


def build_ensembles(
    smiles: Sequence[str],
    out: Path,
    settings: Settings = STANDARD,
    processes: int | None = None,
    part_size: int = 16,
) -> dict[str, str]:
    """Make the ensembles of many molecules and write them to one file.

    Args:
        smiles: The molecules.
        out: The file, which :meth:`equizoo.data.conformers.ConformerSet.load` reads. Finished parts wait in
            the folder ``<out>.parts`` until all are there; the folder may be deleted afterwards.
        settings: How they are made: as ensembles, or as pairs of a start and its minimum.
        processes: Number of processes that work; None: this one, where a Ctrl-C while RDKit embeds can be
            lost, and with it a molecule.
        part_size: Molecules in a part.

    Returns:
        The molecules that have no ensemble, with the reason.

    Raises:
        ValueError: The folder belongs to other molecules or settings, or no molecule has an ensemble.
        ImportError: GFN2-xTB is asked for, and tblite is not installed.
    """
    from tqdm import tqdm

    folder = out.with_name(out.name + ".parts")
    folder.mkdir(parents=True, exist_ok=True)
    _check_same(folder / "settings.json", smiles, settings, part_size)
    jobs = [
        (list(smiles[first : first + part_size]), folder / f"{first // part_size:06d}", settings)
        for first in range(0, len(smiles), part_size)
    ]
    left = [job for job in jobs if not job[1].with_suffix(".json").exists()]
    log.info("%d of %d parts are finished already", len(jobs) - len(left), len(jobs))
    with tqdm(total=len(jobs), initial=len(jobs) - len(left), unit="part", disable=None) as bar:
        if processes is None:
            for job in left:
                _make_part(job)
                bar.update()
        else:
            with _one_thread(), interrupts_held():
                pool = multiprocessing.get_context("spawn").Pool(processes)
            with pool:
                for _ in pool.imap_unordered(_make_part, left):
                    bar.update()
    return _join([job[1] for job in jobs], out)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Give one thread to each process that is started meanwhile; libraries read this when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _check_same(path: Path, smiles: Sequence[str], settings: Settings, part_size: int) -> None:
    digest = hashlib.sha256("\n".join(smiles).encode()).hexdigest()
    wanted = {**asdict(settings), "part_size": part_size, "sha256 of the SMILES": digest}
    if not path.exists():
        _write_json(path, wanted)
    elif json.loads(path.read_text(encoding="utf-8")) != wanted:
        raise ValueError(
            f"{path.parent} belongs to other molecules or settings; delete it, or write to another file"
        )


def _make_part(job: tuple[list[str], Path, Settings]) -> None:
    """Make the ensembles of a part; the file of reasons, written last, says that it is finished."""
    smiles, path, settings = job
    made: list[Ensemble] = []
    reasons: dict[str, str] = {}
    for one in smiles:
        try:
            pairs = isinstance(settings, PairSettings)
            made.append(make_pairs(one, settings) if pairs else make_ensemble(one, settings))
        except NoEnsemble as reason:
            reasons[one] = str(reason)
    if made:
        ConformerSet.of(made).save(path.with_suffix(".npz"))
    _write_json(path.with_suffix(".json"), reasons)


def _write_json(path: Path, content: dict) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _join(paths: Sequence[Path], out: Path) -> dict[str, str]:
    reasons: dict[str, str] = {}
    ensembles: list[Ensemble] = []
    for path in paths:
        reasons |= json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if path.with_suffix(".npz").exists():
            ensembles += ConformerSet.load(path.with_suffix(".npz"))
    if not ensembles:
        raise ValueError(f"no molecule has an ensemble: {next(iter(reasons.values()), 'there are none')}")
    ConformerSet.of(ensembles).save(out)
    return reasons


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the head of this file.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0 when the file is written, 2 when the molecules or the settings cannot be used.
    """
    options = argparse.ArgumentParser(
        prog="python -m equizoo.data.ensemble_builder", description="Make conformer ensembles."
    )
    options.add_argument("smiles", type=Path, help="a file with a SMILES at the start of each line")
    options.add_argument("--out", type=Path, required=True, help="the .npz file")
    options.add_argument("--level", choices=LEVELS, default="xtb", help="what the conformers are minima of")
    options.add_argument("--embeddings", type=int, default=40, help="for each molecule (default: 40)")
    options.add_argument("--processes", type=int, default=1)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        lines = given.smiles.read_text(encoding="utf-8").splitlines()
        smiles = [line.split()[0] for line in lines if line.strip()]
        settings = EnsembleSettings(given.level, given.embeddings, seed=given.seed)
        reasons = build_ensembles(smiles, given.out, settings, given.processes)
    except (OSError, ValueError, ImportError) as error:
        log.error("%s", error)
        return 2
    for one, reason in reasons.items():
        log.warning("%s: %s", one, reason)
    log.info("%s: %d molecules", given.out, sum(one not in reasons for one in smiles))
    return 0


if __name__ == "__main__":
    sys.exit(main())

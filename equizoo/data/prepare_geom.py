"""``python -m equizoo.data.prepare_geom ARCHIVE --test SMILES_FILE --out FOLDER``: GEOM as training files.

Reads ``qm9_crude.msgpack.tar.gz`` or ``drugs_crude.msgpack.tar.gz`` (:data:`equizoo.data.geom_files.SOURCES`)
and writes ``conformers-geom-qm9-train.npz``, ``-valid.npz`` and ``-test.npz`` (``geom-drugs`` for the other),
for the harmonic prior, and ``conformers-geom-qm9.json``, which says what is in them and what was left out.

``SMILES_FILE`` names the test molecules, one in a line, alone or in a column ``smiles``: the published test
sets have 1,000 molecules each. Of the others a share that does not depend on their order is for validation.

References:
    O.-E. Ganea et al., "GeoMol", NeurIPS 2021: the test molecules. M. Hassan et al., "ET-Flow", NeurIPS 2024,
    Section 4.1: the 30 conformers of the highest Boltzmann weight in training, all of them in tests.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from equizoo._replacing import replacing
from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformers import ConformerSet
from equizoo.data.geom_files import read_geom
from equizoo.data.molecule_graphs import molecule_graph

log = logging.getLogger(__name__)

#: Conformers of a training molecule, and the share of the molecules for validation, 13,323 of 119,909.
MOST, VALID = 30, 0.111


def read_test_smiles(path: Path, test_set: str | None = None) -> frozenset[str]:
    """Read the test molecules.

    Args:
        path: A SMILES in each line, or a table with a header, a column ``smiles``, perhaps a column ``set``.
        test_set: Rows of the table whose ``set`` is this one; None: all.

    Returns:
        Canonical SMILES.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line holds no SMILES, or there is none of that set.
    """
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if lines and "smiles" in lines[0].split(","):
        rows = csv.DictReader(lines)
        lines = [row["smiles"] for row in rows if test_set is None or row.get("set") == test_set]
    found = frozenset(_canonical(line.split()[0]) for line in lines)
    if not found or "" in found:
        raise ValueError(f"{path} has no test molecules, or a line that is no SMILES")
    return found


def part_of(smiles: str, test: Collection[str], valid: float, seed: int) -> str:
    """Return ``train``, ``valid`` or ``test`` for a molecule, whatever the others are.

    Example:
        >>> part_of("CCO", {"CCO"}, 0.5, 0), part_of("CCN", {"CCO"}, 1.0, 0), part_of("CCN", {"CCO"}, 0.0, 0)
        ('test', 'valid', 'train')
    """
    canonical = _canonical(smiles)
    if canonical in test:
        return "test"
    digest = hashlib.sha256(f"{seed} {canonical}".encode()).digest()
    return "valid" if int.from_bytes(digest[:4], "big") < valid * 2**32 else "train"


def _canonical(smiles: str) -> str:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    return "" if mol is None else str(Chem.MolToSmiles(mol))


def prepare_geom(
    path: Path,
    out: Path,
    test: Collection[str],
    *,
    valid: float = VALID,
    seed: int = 0,
    molecules: int | None = None,
) -> dict[str, Any]:
    """Write the files.

    Args:
        path: GEOM's archive, or the ``.msgpack`` file in it.
        out: The folder for the files; made if it is not there.
        test: Canonical SMILES of the test molecules.
        valid: Share of the others that is for validation.
        seed: Of that choice.
        molecules: Use so many of the first molecules only.

    Returns:
        What the ``.json`` file says.

    Raises:
        FileNotFoundError: There is no such archive.
        ValueError: It is damaged, or a part has no molecule.
    """
    out.mkdir(parents=True, exist_ok=True)
    name = "geom-drugs" if "drugs" in path.name else "geom-qm9"
    report: dict[str, Any] = {"source": path.name, "seed": seed, "valid": valid, "files": {}}
    for part in ("train", "valid", "test"):
        seen: Counter[str] = Counter()
        made = _read(path, part, lambda smiles: part_of(smiles, test, valid, seed), molecules, seen)
        if not made:
            raise ValueError(f"{path} has no molecule for the part {part!r}")
        file = out / f"conformers-{name}-{part}.npz"
        ConformerSet.of(made).save(file)
        facts = {"molecules": len(made), "conformers": sum(len(one.conformers) for one in made)}
        report["files"][file.name] = facts | {"left out": dict(+seen)}
        log.info("%s: %s", file, report["files"][file.name])
    with replacing(out / f"conformers-{name}.json") as temporary:
        temporary.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return report


def _read(
    path: Path, part: str, belongs: Callable[[str], str], molecules: int | None, seen: Counter[str]
) -> list[Ensemble]:
    """Return the molecules of a part; what is left out is counted."""
    from tqdm import tqdm

    def wanted(smiles: str) -> bool:
        inside = belongs(smiles) == part
        seen["several fragments"] += inside and "." in smiles
        return inside and "." not in smiles

    made = []
    found = read_geom(path, None if part == "test" else MOST, molecules, wanted)
    for one in tqdm(found, part, unit=" molecules", leave=False, disable=None):
        if one is None or not len(one.conformers):
            seen["no conformer with the bonds and stereochemistry of the SMILES"] += 1
        else:
            made.append(Ensemble.of(one.smiles, molecule_graph(one.mol), one.conformers, one.energy))
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the head of this file.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0 when the files are written, 2 when a source is missing or damaged.
    """
    options = argparse.ArgumentParser(prog="python -m equizoo.data.prepare_geom", description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    options.add_argument("archive", type=Path, help="qm9_crude or drugs_crude, .msgpack.tar.gz or .msgpack")
    options.add_argument("--test", type=Path, required=True, help="file of the SMILES of the test molecules")
    options.add_argument("--set", help="rows of a table of test molecules whose column 'set' is this")
    options.add_argument("--out", type=Path, default=os.environ.get("EQUIZOO_DATA"),
                         help="folder for the files (default: $EQUIZOO_DATA)")  # fmt: skip
    options.add_argument("--valid", type=float, default=VALID, help="share for validation (%(default)s)")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--molecules", type=int, help="use so many of the first molecules only")
    given = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if given.out is None or not 0 < given.valid < 1:
        log.error("give --out, or set EQUIZOO_DATA; --valid lies between 0 and 1")
        return 2
    try:
        test = read_test_smiles(given.test, given.set)
        prepare_geom(
            given.archive, given.out, test, valid=given.valid, seed=given.seed, molecules=given.molecules
        )
    except (FileNotFoundError, ImportError, ValueError) as error:
        log.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Parsers of the formats QM9 is published in: GDB-9's extended XYZ, and DeepChem's SDF with a CSV table."""

from __future__ import annotations

import csv
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

SYMBOLS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
_CSV_TARGETS = ("mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "u0", "u298", "h298", "g298", "cv")


@dataclass(frozen=True)
class RawQM9:
    """QM9 as published: M molecules in the original units.

    Attributes:
        z: (N,) uint8 atomic numbers.
        pos: (N, 3) float64 positions [Å].
        n_atoms: (M,) int64 atoms of each molecule.
        targets: (M, 12) float64: mu [D], alpha [a0³], homo, lumo, gap [Ha], r2 [a0²], zpve, U0, U, H, G [Ha],
            Cv [cal/mol/K].
        index: (M,) int64 numbers of the molecules, from 1, rising.
        uncharacterized: (3054,) int64 numbers of the molecules that failed the consistency check.
        smiles: SMILES by number (of the graphs of GDB-17), if the format has them.
        geometry_smiles: SMILES of the B3LYP geometries by number, stereochemistry included, if the format has
            them.
    """

    z: np.ndarray
    pos: np.ndarray
    n_atoms: np.ndarray
    targets: np.ndarray
    index: np.ndarray
    uncharacterized: np.ndarray
    smiles: dict[int, str] | None = None
    geometry_smiles: dict[int, str] | None = None


class _Molecule(NamedTuple):
    index: int
    z: list[int]
    pos: list[list[float]]
    targets: list[float]
    smiles: str | None
    geometry_smiles: str | None = None


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say the name of the file with what is wrong with it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (
        KeyError,
        IndexError,
        ValueError,
        EOFError,
        OSError,
        tarfile.TarError,
        csv.Error,
        zlib.error,
    ) as error:
        raise ValueError(f"{path} is damaged or something else: {error}") from error


def read_uncharacterized(folder: Path) -> np.ndarray:
    """Read ``uncharacterized.txt``: nine lines of text, 3,054 rows, and a last line.

    Raises:
        FileNotFoundError: The file is not in ``folder``.
        ValueError: A row does not begin with a number.
    """
    path = folder / "uncharacterized.txt"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: the 3,054 molecules it lists belong to no split. "
            "Download https://ndownloader.figshare.com/files/3195404 to that name."
        )
    with _named(path):
        rows = path.read_text(encoding="utf-8").rstrip().splitlines()[9:-1]
        numbers = [row.split()[:1] for row in rows]
        wrong = next(
            (k for k, words in enumerate(numbers, 10) if not words or not words[0].isdecimal()), None
        )
        if wrong is not None:
            raise ValueError(f"line {wrong} does not begin with a number")
        return np.array([int(words[0]) for words in numbers], dtype=np.int64)


def read_xyz_archive(path: Path) -> RawQM9:
    """Read ``dsgdb9nsd.xyz.tar.bz2``: one XYZ file a molecule."""
    return _collect(_xyz_of_archive(path), path)


def _xyz_of_archive(path: Path) -> Iterator[_Molecule]:
    with tarfile.open(path, "r|bz2") as archive:
        for name, file in _members(archive):
            if name.endswith(".xyz"):
                yield _parse_xyz(file.read().decode(), name)


def read_xyz_folder(path: Path) -> RawQM9:
    """Read a folder of ``dsgdb9nsd_*.xyz`` files."""
    files = sorted(path.glob("*.xyz"))
    return _collect((_parse_xyz(file.read_text(encoding="utf-8"), file.name) for file in files), path)


def read_sdf(path: Path) -> RawQM9:
    """Read ``gdb9.sdf`` with the table ``gdb9.sdf.csv`` beside it."""
    table = path.with_name(path.name + ".csv")
    if not table.exists():
        raise FileNotFoundError(
            f"{table} is missing: it has the targets of {path.name}, and gdb9.tar.gz holds both"
        )
    return _collect(_records_of_folder(path, table), path)


def _records_of_folder(path: Path, table: Path) -> Iterator[_Molecule]:
    with open(path, encoding="utf-8") as sdf, open(table, encoding="utf-8-sig", newline="") as rows:
        yield from _parse_sdf(sdf, rows)


def read_sdf_archive(path: Path) -> RawQM9:
    """Read ``gdb9.tar.gz``, which holds ``gdb9.sdf`` and ``gdb9.sdf.csv``."""
    return _collect(_records_of_archive(path), path)


def _records_of_archive(path: Path) -> Iterator[_Molecule]:
    with tarfile.open(path, "r:gz") as archive:
        files = dict(_members(archive))
        for name in ("gdb9.sdf", "gdb9.sdf.csv"):
            if name not in files:
                raise ValueError(f"it is not DeepChem's archive: it has no {name}")
        sdf = io.TextIOWrapper(files["gdb9.sdf"], "utf-8")
        yield from _parse_sdf(sdf, io.TextIOWrapper(files["gdb9.sdf.csv"], "utf-8-sig"))


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in archive:
        file = archive.extractfile(member)
        if file is not None:
            yield Path(member.name).name, file


def _number(text: str) -> float:
    return float(text.replace("*^", "e"))


def _parse_xyz(text: str, name: str) -> _Molecule:
    lines = text.splitlines()
    try:
        n = int(lines[0])
        header = lines[1].split()  # "gdb", number, three rotational constants, twelve targets
        atoms = [line.split() for line in lines[2 : n + 2]]
        if len(header) != 17 or len(atoms) != n:
            raise ValueError(f"it has {len(atoms)} of {n} atoms and {len(header)} of 17 header words")
        smiles = lines[n + 3].split() if len(lines) > n + 3 else []
        return _Molecule(
            int(header[1]),
            [SYMBOLS[atom[0]] for atom in atoms],
            [[_number(x) for x in atom[1:4]] for atom in atoms],
            [_number(x) for x in header[5:]],
            smiles[0] if smiles else None,
            smiles[1] if len(smiles) > 1 else None,
        )
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{name} is not a GDB-9 XYZ file: {error}") from error


def _parse_sdf(sdf: Iterable[str], table: Iterable[str]) -> Iterator[_Molecule]:
    lines = csv.DictReader(table)
    if missing := sorted({"mol_id", *_CSV_TARGETS} - set(lines.fieldnames or ())):
        raise ValueError(f"the table of targets has no column {', '.join(missing)}")
    try:
        rows = {row["mol_id"]: [float(row[name]) for name in _CSV_TARGETS] for row in lines}
    except (ValueError, TypeError) as error:  # TypeError: the row is cut
        raise ValueError(f"line {lines.line_num} of the table of targets cannot be read: {error}") from error
    record: list[str] = []
    for line in sdf:
        if not line.startswith("$$$$"):
            record.append(line)
            continue
        name = record[0].strip() if record else ""
        try:
            atoms = [row.split() for row in record[4 : 4 + int(record[3][:3])]]
            positions = [[float(x) for x in atom[:3]] for atom in atoms]
            yield _Molecule(
                int(name.split("_")[1]), [SYMBOLS[a[3]] for a in atoms], positions, rows[name], None
            )
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(f"record {name!r} of the SDF file cannot be read: {error}") from error
        record = []


def _collect(molecules: Iterable[_Molecule], path: Path) -> RawQM9:
    from tqdm import tqdm

    uncharacterized = read_uncharacterized(path.parent)
    with _named(path):
        found = sorted(tqdm(molecules, desc=path.name, unit=" molecules", leave=False), key=lambda m: m.index)
    if not found:
        raise ValueError(f"{path} has no molecules")
    names = {m.index: m.smiles for m in found if m.smiles is not None}
    geometries = {m.index: m.geometry_smiles for m in found if m.geometry_smiles is not None}
    return RawQM9(
        z=np.array([z for m in found for z in m.z], dtype=np.uint8),
        pos=np.array([p for m in found for p in m.pos], dtype=np.float64),
        n_atoms=np.array([len(m.z) for m in found], dtype=np.int64),
        targets=np.array([m.targets for m in found], dtype=np.float64),
        index=np.array([m.index for m in found], dtype=np.int64),
        uncharacterized=uncharacterized,
        smiles=names if len(names) == len(found) else None,
        geometry_smiles=geometries if len(geometries) == len(found) else None,
    )

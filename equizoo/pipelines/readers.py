"""Files of molecules: ``.xyz``, ``.sdf``, ``.smi``, ``.csv``. A bad record becomes an entry that says why."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

SUFFIXES = (".xyz", ".sdf", ".smi", ".csv")
_NAME_COLUMNS = ("name", "title", "id", "mol_id", "molecule")
#: Endings of files that molecules are not read from, with the tasks that read them.
OTHER_TASKS = dict.fromkeys((".ply", ".off", ".obj", ".npy", ".pcd"), "point-cloud-classification") | {
    ".npz": "particle-forecasting or motion-forecasting",
    ".amc": "motion-forecasting",
}
_ATOM_LINE = re.compile(r"\s*(?:[A-Za-z]{1,3}[0-9]{0,4}|[0-9]{1,3})(?:\s+[-+.\dA-Za-z*^]+){3}")
_COUNT = re.compile(r"[0-9]{1,9}")
_CHARGE = re.compile(r"\bcharge\s*[=:]\s*([-+]?\d+)", re.IGNORECASE)


class Coordinates(NamedTuple):
    """Atoms without bonds: n symbols or atomic numbers, (n, 3) positions [Å], and the charge if stated."""

    elements: list[Any]
    positions: Any
    charge: float = 0.0


@dataclass(frozen=True)
class Entry:
    """One molecule of the input, not yet looked at.

    Attributes:
        label: What to call it in the answer.
        item: A SMILES string, an RDKit ``Mol``, or :class:`Coordinates`; None if there is an error.
        name: Name that the file gives it.
        source: File and place in it.
        error: Why it cannot be read.
    """

    label: str
    item: Any = None
    name: str | None = None
    source: str | None = None
    error: str | None = None


def read_file(path: Path, smiles_column: str | None = None) -> Iterator[Entry]:
    """Yield the molecules of a file.

    Args:
        path: A file whose name ends in one of ``SUFFIXES``.
        smiles_column: Column of a CSV file that has the SMILES; the one named "smiles" unless given.

    Yields:
        An entry a record; one with an error if the whole file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        yield Entry(str(path), error=unread(path))
        return
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        yield Entry(str(path), source=path.name, error=f"the file cannot be read: {error.strerror}")
        return
    readers = {".xyz": _read_xyz, ".sdf": _read_sdf, ".smi": read_smi}
    entries = list(
        _read_csv(text, path.name, smiles_column) if suffix == ".csv" else readers[suffix](text, path.name)
    )
    yield from entries or [Entry(str(path), source=path.name, error="the file has no molecules")]


def unread(path: Path) -> str:
    """Return why molecules are not read from a file or folder of that name, and what to do."""
    if path.is_dir():
        kind, task = f"folders like {path.name!r}", "point-cloud-classification"
    else:
        kind, task = f"files like {path.name!r}", OTHER_TASKS.get(path.suffix.lower(), "")
    reason = f"{kind} are not read, only {', '.join(SUFFIXES)}"
    return f"{reason}; the task {task} reads them (--task)" if task else reason


def read_smi(text: str, file: str) -> Iterator[Entry]:
    """Yield the molecules of lines of a SMILES string and, if there is one, a name.

    Args:
        text: The lines.
        file: What to call the file in the answers.
    """
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(None, 1)
        if words and not (number == 1 and words[0].lower() == "smiles"):
            name = words[1].strip() if len(words) > 1 else None
            yield Entry(words[0], words[0], name, f"{file}, line {number}")


def _read_csv(text: str, file: str, smiles_column: str | None) -> Iterator[Entry]:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = [column.strip() for column in next(rows, [])]
    lower = [column.lower() for column in columns]
    wanted = (smiles_column or "smiles").strip().lower()
    if wanted not in lower:
        yield Entry(file, source=file, error=f"the file has no column {wanted!r}; its columns are {columns}")
        return
    column = lower.index(wanted)
    name_column = next((lower.index(name) for name in _NAME_COLUMNS if name in lower), None)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield Entry(
                f"{file}, line {rows.line_num}", source=f"{file}, line {rows.line_num}", error=str(error)
            )
            continue
        if row is None:
            return
        place = f"{file}, line {rows.line_num}"
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= column:
            yield Entry(place, source=place, error=f"the row has {len(row)} of {len(columns)} columns")
            continue
        if len(row[column].splitlines()) > 1:
            yield Entry(place, source=place, error="the SMILES has line breaks: is a quote not closed?")
            continue
        name = row[name_column].strip() if name_column is not None and name_column < len(row) else None
        yield Entry(row[column].strip() or place, row[column].strip(), name or None, place)


def _read_sdf(text: str, file: str) -> Iterator[Entry]:
    from rdkit import Chem, rdBase

    records = re.split(r"(?m)^\$\$\$\$.*\n?", text)
    for number, record in enumerate(records, 1):
        if not record.strip():
            continue
        place, name = f"{file}, record {number}", record.partition("\n")[0].strip() or None
        with rdBase.BlockLogs():
            mol = Chem.MolFromMolBlock(record, removeHs=False)
            if mol is None:  # unsanitised, it can still say what is wrong with it
                mol = Chem.MolFromMolBlock(record, sanitize=False, removeHs=False)
        if mol is None:
            yield Entry(name or place, None, name, place, "the record is not a valid MOL block")
        else:
            yield Entry(name or place, mol, name, place)


def _read_xyz(text: str, file: str) -> Iterator[Entry]:
    lines = text.splitlines()
    i, frame = 0, 0
    while i < len(lines):
        if not lines[i].strip():
            i += 1
            continue
        frame += 1
        place = f"{file}, frame {frame}"
        count = lines[i].strip()
        if not _COUNT.fullmatch(count):
            yield Entry(
                place, source=place, error=f"line {i + 1} should be the number of atoms, it is {count[:40]!r}"
            )
            i = _next_count(lines, i)
            continue
        start = i + 2
        end = start
        while end < len(lines) and _ATOM_LINE.match(lines[end]):
            end += 1
        comment = lines[i + 1].strip() if i + 1 < len(lines) else ""
        i = _next_count(lines, end)
        yield _xyz_entry(int(count), comment, lines[start:end], place)


def _next_count(lines: list[str], start: int) -> int:
    """Return the next line that is a whole number alone, as the first line of a frame is."""
    return next((i for i in range(start, len(lines)) if _COUNT.fullmatch(lines[i].strip())), len(lines))


def _xyz_entry(count: int, comment: str, atoms: list[str], place: str) -> Entry:
    name = comment[:60] or None
    if len(atoms) != count:
        return Entry(place, None, name, place, f"the first line says {count} atoms, but {len(atoms)} follow")
    words = [line.split() for line in atoms]
    try:
        positions = [[float(x.replace("*^", "e")) for x in row[1:4]] for row in words]
    except ValueError as error:
        return Entry(place, None, name, place, f"a coordinate is not a number: {error}")
    charge = _CHARGE.search(comment)
    elements = [
        int(row[0]) if _COUNT.fullmatch(row[0]) else row[0].rstrip("0123456789").capitalize() for row in words
    ]
    return Entry(place, Coordinates(elements, positions, float(charge[1]) if charge else 0.0), name, place)

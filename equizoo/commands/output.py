"""Printing: tables, JSON, CSV, and what a command ends with."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

OK, FAILED, USAGE, PARTLY = 0, 1, 2, 3

EXIT_CODES = f"""exit codes:
  {OK}  done; every input was answered
  {FAILED}  failed: no input was answered, or an error stopped the command
  {USAGE}  wrong usage, or a recipe or data set that cannot be used
  {PARTLY}  some inputs were answered and some refused (each refused one says why)"""


def expand_inputs(arguments: Sequence[str]) -> list[Any]:
    """Return the molecules of a command: in place of ``-`` those of standard input, read as a ``.smi`` file.

    A line of standard input may also be the name of a file.

    Raises:
        ValueError: There are none.
    """
    from equizoo.pipelines.molecules_input import is_path
    from equizoo.pipelines.readers import read_smi

    inputs: list[Any] = []
    for argument in arguments:
        entries = read_smi(sys.stdin.read(), "standard input") if argument == "-" else ()
        inputs += [entry.item if is_path(entry.item) else entry for entry in entries]
        inputs += [argument] if argument != "-" else []
    if not inputs:
        raise ValueError("standard input has no molecules")
    return inputs


def print_json(value: Any) -> None:
    """Print ``value`` as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as CSV with a header line."""
    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def format_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as text in aligned columns.

    Example:
        >>> print(format_rows([{"name": "a", "size": 10}], ["name", "size"]))
        name  size
        a     10
    """
    cells = [list(columns), *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(columns))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)

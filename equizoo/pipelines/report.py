"""Results of the property pipeline as a table to read, and as a CSV file."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from equizoo.pipelines.figure import plot_results
from equizoo.pipelines.quantities import Row, decimals, label, rows
from equizoo.pipelines.writing import table_file

__all__ = ["format_table", "plot_results", "write_csv"]

_GEOMETRIES = {"given": "given geometry", "mmff": "MMFF94 geometry", "xtb": "GFN2-xTB geometry"}
_ABOUT = (
    "input",
    "name",
    "source",
    "ok",
    "error",
    "in_domain",
    "domain_reason",
    "smiles",
    "formula",
    "geometry",
)


def format_table(results: Sequence[dict[str, Any]], width: int | None = None) -> str:
    """Return results as text: a row a property, a column a molecule, notes below.

    Args:
        results: What the pipeline returned for a list.
        width: Characters a line; molecules that do not fit go into further blocks. The width of the terminal
            unless given, or 120 where there is none.

    Returns:
        The text, without a line break at its end.

    Example:
        >>> refused = dict(input="C1CC", name=None, source=None, ok=False, error="not a valid SMILES")
        >>> print(format_table([refused]))
        no answer:
          C1CC: not a valid SMILES
    """
    width = width or shutil.get_terminal_size((120, 24)).columns
    answered = [result for result in results if result["ok"]]
    digits = decimals(answered)
    columns = [_column(result, digits) for result in answered]
    stub = _stub(answered[0]) if answered else []
    room = width - len(stub[0]) if stub else 0
    lines: list[str] = []
    while columns:
        fit = 1
        while fit < len(columns) and sum(len(column[0]) for column in columns[: fit + 1]) <= room:
            fit += 1
        lines += [("".join(parts)).rstrip() for parts in zip(stub, *columns[:fit], strict=True)] + [""]
        columns = columns[fit:]
    return "\n".join([*lines, *_notes(results, answered)])


def _stub(result: dict[str, Any]) -> list[str]:
    """Return the left part of each line: name, description and unit."""
    groups = [rows(result, "properties"), rows(result, "atomization")]
    name = max(len(row.name) for row in groups[0]) + 2
    about = max(len(row.description) for row in groups[0]) + 2
    unit = max(len(row.unit) for row in groups[0]) + 1
    first, second = (
        [f"{r.name:<{name}}{r.description:<{about}}{r.unit:<{unit}}" for r in group] for group in groups
    )
    empty = " " * (name + about + unit)
    lines = [empty, empty, empty, "─" * len(empty), *first]
    return [*lines, empty, "relative to free atoms".ljust(len(empty)), *second] if second else lines


def _column(result: dict[str, Any], digits: dict[str, int]) -> list[str]:
    """Return the part of each line that belongs to one molecule, all of one width."""
    first, second = (_cells(rows(result, group), digits) for group in ("properties", "atomization"))
    head = [
        label(result) + ("" if result["in_domain"] else " †"),
        result["formula"],
        _GEOMETRIES[result["geometry"]],
    ]
    width = max(len(text) for text in (*head, *first, *second)) + 3
    lines = [text.rjust(width) for text in head] + ["─" * width] + [text.rjust(width) for text in first]
    return [*lines, " " * width, " " * width, *(text.rjust(width) for text in second)] if second else lines


def _cells(table: list[Row], digits: dict[str, int]) -> list[str]:
    halves = ["" if r.half_width is None else f"{r.half_width:.{digits[r.name]}f}" for r in table]
    pad = max(map(len, halves), default=0)
    tails = [f" ± {half:>{pad}}" if half else " " * (pad + 3) * bool(pad) for half in halves]
    return [f"{r.value:.{digits[r.name]}f}{tail}" for r, tail in zip(table, tails, strict=True)]


def _notes(results: Sequence[dict[str, Any]], answered: Sequence[dict[str, Any]]) -> Iterator[str]:
    coverage = sorted({result["coverage"] for result in answered} - {None})
    if coverage:
        share = "/".join(f"{100 * part:.0f}" for part in coverage)
        yield f"± holds the value computed by DFT for {share} % of molecules like the training set's."
    outside = [result for result in answered if not result["in_domain"]]
    if outside:
        yield "† is outside the training domain: how large the error is there was not measured."
        yield from (f"  {label(result)}: {result['domain_reason']}" for result in outside)
    refused = [result for result in results if not result["ok"]]
    if refused:
        yield from ["", "no answer:"] if answered else ["no answer:"]
        yield from (f"  {_place(result)}: {result['error']}" for result in refused)


def _place(result: dict[str, Any]) -> str:
    text, source = label(result, 60), result["source"]
    return text if source is None or source in text else f"{text} ({source})"


def write_csv(results: Sequence[dict[str, Any]], path: str | os.PathLike[str]) -> None:
    """Write a line a result: what it is, then value and ends of the interval of each property.

    Args:
        results: What the pipeline returned for a list.
        path: The file; it appears whole or not at all.
    """
    table = []
    for result in results:
        line = {key: result[key] for key in (*_ABOUT, "coverage")}
        for group, suffix in (
            (("properties", ""), ("atomization", " relative to atoms")) if result["ok"] else ()
        ):
            for name, quantity in result[group].items():
                column, (low, high) = (
                    f"{name}{suffix} [{quantity['unit']}]",
                    quantity["interval"] or (None, None),
                )
                line |= {column: quantity["value"], f"{column} low": low, f"{column} high": high}
        table.append(line)
    columns = dict.fromkeys([*_ABOUT, "coverage", *(key for line in table for key in line)])
    with table_file(path) as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(table)

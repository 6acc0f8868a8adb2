"""The numbers of a result, row by row, and how many decimals each deserves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from equizoo.data.qm9 import TARGETS

_DESCRIPTIONS = {target.name: target.description for target in TARGETS}


class Row(NamedTuple):
    """One quantity of one result.

    Attributes:
        name: Name of the target.
        description: What it is.
        unit: Its unit.
        value: The prediction.
        half_width: Half width of the interval, or None.
        test_mae: Mean absolute error on the test set, or None.
    """

    name: str
    description: str
    unit: str
    value: float
    half_width: float | None
    test_mae: float | None


def rows(result: dict[str, Any], group: str) -> list[Row]:
    """Return the quantities of an answered result.

    Args:
        result: One dict of the pipeline.
        group: ``"properties"``, or ``"atomization"`` for the energies relative to free atoms.

    Returns:
        A row a quantity, in the order of the model's targets.
    """
    table = []
    for name, quantity in result[group].items():
        interval = quantity["interval"]
        half = None if interval is None else (interval[1] - interval[0]) / 2
        about = _DESCRIPTIONS.get(name, name)
        table.append(Row(name, about, quantity["unit"], quantity["value"], half, quantity["test_mae"]))
    return table


def decimals(results: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Return the decimals of each target: two digits of its smallest half width, or else test error."""
    table: dict[str, list[Row]] = {}
    for result in results:
        for row in rows(result, "properties"):
            table.setdefault(row.name, []).append(row)
    digits = {}
    for name, column in table.items():
        scales = [row.half_width for row in column if row.half_width] or [
            row.test_mae or 0.01 for row in column
        ]
        digits[name] = min(6, max(0, 1 - math.floor(math.log10(min(scales)) + 1e-6)))
    return digits


def label(result: dict[str, Any], length: int = 18) -> str:
    """Return the name of a result, or else its input, cut to ``length`` characters."""
    text = result["name"] or result["input"] or "''"
    return text if len(text) <= length else text[: length - 1] + "…"

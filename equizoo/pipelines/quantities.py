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
        interval: Ends of the interval, or None; the lower end is cut off at 0 where less is impossible.
        test_mae: Mean absolute error on the test set, or None.
    """

    name: str
    description: str
    unit: str
    value: float
    interval: list[float] | None
    test_mae: float | None

    @property
    def half_width(self) -> float | None:
        """Distance from the prediction to the upper end of the interval, or None."""
        return None if self.interval is None else self.interval[1] - self.value


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
        values = (quantity[key] for key in ("unit", "value", "interval", "test_mae"))
        table.append(Row(name, _DESCRIPTIONS.get(name, name), *values))
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

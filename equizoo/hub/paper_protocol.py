"""The table of runs that follow a published protocol, beside the published figures.

Such runs show what a method does under the conditions of its paper. They are not checkpoints: what is kept of
each is the JSON that ``equizoo evaluate`` wrote, in ``model_cards/paper_protocol/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equizoo.hub.card_facts import Published
from equizoo.hub.card_tables import MISSING, number, published_figure, table
from equizoo.hub.strict import read_json

COLUMN_OF_METHOD = {"none": 0, "ace-equality": 1}


def protocol_table(folder: Path, published: Published) -> str:
    """Return the test errors of every run of a folder, one row a target and method.

    Args:
        folder: Folder of JSON files from :func:`equizoo.training.evaluate.evaluate`.
        published: What to put beside them; its columns are those of ``none`` and ``ace-equality``.

    Returns:
        A Markdown table; empty if there is no file.
    """
    reports = [read_json(path) for path in sorted(folder.glob("*.json"))]
    rows = [row for report in reports for row in _rows(report, published)]
    header = ["target", "unit", "method", "seed", "epochs", "γ = 0", "branch on", "published, γ = 0"]
    return table(header, sorted(rows, key=lambda row: (row[0], row[2] != "none"))) if rows else ""


def _rows(report: Mapping[str, Any], published: Published) -> list[list[str]]:
    variants, method = report["variants"], report["method"]
    partial = variants.get("partial", {}).get("mae", {})
    column = published.columns[COLUMN_OF_METHOD[method]]
    return [
        [
            name,
            report["units"][name],
            method,
            str(report["seed"]),
            str(report["epochs"]),
            number(value),
            number(partial[name]) if name in partial else MISSING,
            f"{published_figure(column, name)} ({published.epochs:,} epochs)",
        ]
        for name, value in variants["equivariant"]["mae"].items()
    ]

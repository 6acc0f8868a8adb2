"""The table of sample efficiency: the error of each method by the number of training samples.

What is kept of each run is the JSON that ``equizoo evaluate`` wrote, in ``model_cards/samples/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equizoo.hub.card_datasets import DATASETS
from equizoo.hub.card_facts import find
from equizoo.hub.card_models import method_place
from equizoo.hub.card_tables import MISSING, number, shown, table
from equizoo.hub.results import method_key, read_reports, test_errors

TARGET = "position"


def samples_table(folder: Path) -> str:
    """Return the errors at γ = 0 of every run of a folder, a row a number of samples, a column a method.

    Args:
        folder: Folder of JSON files, see :mod:`equizoo.hub.results`; one run a method and number of samples.

    Returns:
        A Markdown table; empty if there is no file.
    """
    reports = read_reports(folder)
    if not reports:
        return ""
    facts = find(DATASETS, reports[0]["dataset"], "data set", "card_datasets")
    unit = facts.unit(reports[0]["units"][TARGET])
    runs = {(report["counts"]["train"], method_key(report)): report for report in reports}
    methods = sorted({method for _, method in runs}, key=method_place)
    rows = []
    for count in sorted({count for count, _ in runs}):
        mine = [runs.get((count, method)) for method in methods]
        known = [report for report in mine if report]
        lengths = [sorted({one(report) for report in known}) for one in (_epochs, _steps)]
        errors = [MISSING if r is None else shown(test_errors(r, "equivariant")[TARGET], facts) for r in mine]
        rows.append([f"{count:,}", *(", ".join(map(number, length)) for length in lengths), *errors])
    header = [
        "training samples",
        "epochs",
        "steps",
        *(f"{method}, {reports[0]['metric']} [{unit}]" for method in methods),
    ]
    return table(header, rows)


def _epochs(report: Mapping[str, Any]) -> int:
    return int(report["epochs"])


def _steps(report: Mapping[str, Any]) -> int:
    best = report["variants"]["equivariant"]["best"]
    return _epochs(report) * int(best["step"]) // int(best["epoch"])

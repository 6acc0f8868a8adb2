"""The table of random assignments of recordings to training, validation and test.

Which recordings the published sets hold is known in part only; the spread over assignments says how much
hangs on it. What is kept of each run is the JSON that ``equizoo evaluate`` wrote, in
``model_cards/assignments/``.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equizoo.hub.card_datasets import DATASETS
from equizoo.hub.card_facts import find
from equizoo.hub.card_models import method_place
from equizoo.hub.card_tables import MISSING, shown, shown_spread, table
from equizoo.hub.results import Spread, method_key, read_reports, test_errors

TARGET = "position"
VARIANTS = {"equivariant": "γ = 0", "partial": "branch on"}


def assignments_table(folder: Path) -> str:
    """Return the errors of every run of a folder, a row a method and variant, a column an assignment.

    Args:
        folder: Folder of JSON files, see :mod:`equizoo.hub.results`; one run a method and assignment.

    Returns:
        A Markdown table; empty if there is no file.
    """
    reports = read_reports(folder)
    if not reports:
        return ""
    facts = find(DATASETS, reports[0]["dataset"], "data set", "card_datasets")
    unit = f"{reports[0]['metric']} on test [{facts.unit(reports[0]['units'][TARGET])}]"
    runs = {(method_key(report), _assignment(report)): report for report in reports}
    assignments = sorted({assignment for _, assignment in runs})
    rows = []
    for method in sorted({method for method, _ in runs}, key=method_place):
        mine = [runs.get((method, assignment)) for assignment in assignments]
        for variant, title in VARIANTS.items():
            errors = [None if r is None else test_errors(r, variant).get(TARGET) for r in mine]
            if any(errors):
                cells = [MISSING if error is None else shown(error, facts) for error in errors]
                rows.append([f"{method}, {title}", *cells, shown_spread(_spread(errors), facts)])
    header = [unit, *(f"assignment {assignment}" for assignment in assignments), "mean ± deviation"]
    return table(header, rows)


def _assignment(report: Mapping[str, Any]) -> int:
    return int(report["data"]["assignment"])


def _spread(errors: Sequence[float | None]) -> Spread | None:
    known = [error for error in errors if error is not None]
    if len(known) < 2:
        return None
    return Spread(statistics.mean(known), statistics.stdev(known), len(known))

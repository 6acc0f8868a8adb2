"""The table of training on dropped points: how accuracy rises with the epochs, method by method.

What is kept of each run is the JSON that ``equizoo evaluate`` wrote and the run's ``metrics.csv``, under one
name, in ``model_cards/dropped_points/``.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equizoo.hub.assignments import VARIANTS
from equizoo.hub.card_datasets import DATASETS
from equizoo.hub.card_facts import Dataset, find
from equizoo.hub.card_models import method_place
from equizoo.hub.card_tables import MISSING, shown, table
from equizoo.hub.results import method_key, test_errors
from equizoo.hub.strict import read_json

TARGETS = ("instance", "class")


def dropped_points_table(folder: Path) -> str:
    """Return the accuracy on validation clouds by the epoch, and on test clouds, of every run of a folder.

    Args:
        folder: Folder of pairs of files; one run a method.

    Returns:
        A Markdown table, a row a method and variant; empty if there is no file.
    """
    runs = [(read_json(path), _curve(path.with_suffix(".csv"))) for path in sorted(folder.glob("*.json"))]
    if not runs:
        return ""
    facts = find(DATASETS, runs[0][0]["dataset"], "data set", "card_datasets")
    epochs = sorted({epoch for _, curve in runs for epoch in curve})
    rows = []
    for results, curve in sorted(runs, key=lambda run: method_place(method_key(run[0]))):
        for variant, title in VARIANTS.items():
            errors = test_errors(results, variant)
            if errors:
                path = [_figure(curve.get(epoch, {}), variant, facts) for epoch in epochs]
                tested = " / ".join(shown(errors[target], facts) for target in TARGETS)
                rows.append([f"{method_key(results)}, {title}", *path, tested])
    header = ["accuracy [%]", *(f"epoch {epoch}" for epoch in epochs), "test, instance / class"]
    return table(header, rows)


def _curve(path: Path) -> dict[int, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {int(row["epoch"]): row for row in csv.DictReader(file)}


def _figure(row: Mapping[str, Any], variant: str, facts: Dataset) -> str:
    error = row.get(f"valid/{variant}/error rate/{TARGETS[0]}")
    return shown(float(error), facts) if error else MISSING

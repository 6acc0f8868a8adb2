"""The table of runs that follow a published protocol, beside the published figures.

Such runs show what a method does under the conditions of its paper. They are not checkpoints: what is kept of
each is the JSON that ``equizoo evaluate`` wrote, in ``model_cards/paper_protocol/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equizoo.hub.card_datasets import DATASETS, check_units
from equizoo.hub.card_facts import Dataset, find
from equizoo.hub.card_models import method_place
from equizoo.hub.card_published import Published
from equizoo.hub.card_tables import MISSING, published_figure, shown, table
from equizoo.hub.errors import ConfigError
from equizoo.hub.readme_tables import duration, or_dash
from equizoo.hub.results import method_key, read_reports, rotation_error, test_errors


def protocol_table(folder: Path, published: Mapping[str, Mapping[str, Published]]) -> str:
    """Return the test errors of every run of a folder, one row a target and method.

    Args:
        folder: Folder of JSON files, see :mod:`equizoo.hub.results`. A run stands beside the published table
            of its data set whose family begins its name, such as ``schnet`` for ``schnet-qm9-paper-ace``.
        published: What to put beside them, see :func:`equizoo.hub.card_published.read_published`.

    Returns:
        A Markdown table; empty if there is no file.

    Raises:
        ConfigError: Nothing was published for a run, or in another unit.
    """
    reports = read_reports(folder)
    rows = [row for report in reports for row in _rows(report, _published(report, published))]
    header = ["target", "unit", "method", "seed", "epochs", "CPU time", "γ = 0", "branch on"]
    header += [*(f"published, {v}" for v in header[-2:]), "published epochs", "rotation error, branch on"]
    return table(header, sorted(rows, key=lambda row: (row[0], method_place(row[2])))) if rows else ""


def _published(report: Mapping[str, Any], tables: Mapping[str, Mapping[str, Published]]) -> Published:
    part = find(DATASETS, report["dataset"], "data set", "card_datasets").part(report.get("data", {}))
    for family, published in tables.get(report["dataset"], {}).items():
        if report["name"].split("-")[0] == family.split("-")[0] and family.endswith(part):
            check_units(report["name"], report["units"], published)
            return published
    raise ConfigError(
        f"model_cards/published.json has no table of {report['dataset']!r} for the run {report['name']!r}"
    )


def _rows(report: Mapping[str, Any], published: Published) -> list[list[str]]:
    facts: Dataset = find(DATASETS, report["dataset"], "data set", "card_datasets")
    partial, method = test_errors(report, "partial"), method_key(report)
    columns = [published.column(method, variant) for variant in ("equivariant", "partial")]
    part, rotation = facts.part(report.get("data", {})), rotation_error(report)
    return [
        [
            " ".join(filter(None, (name, facts.shows))) + (f", {part}" if part else ""),
            facts.unit(report["units"][name]),
            method,
            str(report["seed"]),
            f"{report['epochs']:,}",
            duration(report.get("cost", {}).get("cpu_hours")),
            shown(value, facts),
            shown(partial[name], facts) if name in partial else MISSING,
            *(published_figure(published, column, name, facts) for column in columns),
            next((or_dash(published.length(column)) for column in columns if column), MISSING),
            or_dash(rotation, 2),
        ]
        for name, value in test_errors(report, "equivariant").items()
    ]

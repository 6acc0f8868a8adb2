"""The table of runs in worlds with a broken symmetry: does a method find the break, and lower the error?

Such runs are not checkpoints: what is kept of each is the JSON that ``equizoo evaluate`` wrote, in
``model_cards/worlds/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equizoo.hub.card_datasets import DATASETS
from equizoo.hub.card_facts import Dataset, find
from equizoo.hub.card_models import method_place
from equizoo.hub.card_nbody import world_of
from equizoo.hub.card_tables import MISSING, number, shown, table
from equizoo.hub.domain import added_to_world
from equizoo.hub.readme_tables import or_dash
from equizoo.hub.results import largest_gamma, method_key, read_reports, rotation_error, test_errors

TARGET = "position"
FRAMES = {"start": 30, "end": 40}
"""Options of the task that say from which frame to which, and what they are unless given."""


def worlds_table(folder: Path) -> str:
    """Return the errors of every run of a folder, one row a world and method.

    A run is compared with the strict model (method ``none``, no relaxed layers) of the same world, frames and
    other options of the task, seed, length and number of training samples.

    Args:
        folder: Folder of JSON files, see :mod:`equizoo.hub.results`.

    Returns:
        A Markdown table; empty if there is no file.

    Raises:
        ConfigError: A file names a world or data set that does not exist.
    """
    reports = read_reports(folder)
    if not reports:
        return ""
    strict = {
        _budget(report): test_errors(report, "equivariant")[TARGET]
        for report in reports
        if method_key(report) == "none"
    }
    facts = find(DATASETS, reports[0]["dataset"], "data set", "card_datasets")
    unit = f"{reports[0]['metric']} on test [{facts.unit(reports[0]['units'][TARGET])}]"
    header = [
        "world",
        "symmetry that is left",
        "frames",
        "method",
        "seed",
        "epochs",
        f"{unit}, γ = 0",
        "branch on",
        "strict / branch on",
        "max \\|γ\\|",
        "rotation error, branch on",
    ]
    return table(header, (_row(report, strict, facts) for report in sorted(reports, key=_place)))


def _row(report: Mapping[str, Any], strict: Mapping[Any, float], facts: Dataset) -> list[str]:
    world = world_of(_fields(report), f"{report['name']}: data.world")
    partial, gamma = test_errors(report, "partial").get(TARGET), largest_gamma(report)
    reference = strict.get(_budget(report))
    return [
        added_to_world(_fields(report)) or world.name,
        world.symmetry,
        " → ".join(str(report["data"].get(key, default)) for key, default in FRAMES.items()),
        method_key(report),
        str(report["seed"]),
        number(report["epochs"]),
        shown(test_errors(report, "equivariant")[TARGET], facts),
        MISSING if partial is None else shown(partial, facts),
        MISSING if partial is None or reference is None else f"{number(reference / partial, 2)} ×",
        or_dash(gamma, 2),
        or_dash(rotation_error(report), 2),
    ]


def _fields(report: Mapping[str, Any]) -> dict[str, Any]:
    return dict(report["data"].get("world", {}))


def _budget(report: Mapping[str, Any]) -> tuple[Any, ...]:
    world = world_of(_fields(report), f"{report['name']}: data.world")
    options = {key: value for key, value in (FRAMES | report["data"]).items() if key != "world"}
    return world, str(sorted(options.items())), report["seed"], report["epochs"], report["counts"]["train"]


def _place(report: Mapping[str, Any]) -> tuple[Any, ...]:
    return added_to_world(_fields(report)), method_place(method_key(report)), report["seed"], report["epochs"]

"""Tables of results for the README: all checkpoints of one family on one data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from equizoo.hub.card_facts import Dataset
from equizoo.hub.card_models import method_place
from equizoo.hub.card_published import Published
from equizoo.hub.card_tables import MISSING, number, published_figure, shown, shown_spread, table
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.results import method_key, rotation_error, spread, test_errors

Checkpoint = tuple[CheckpointConfig, Mapping[str, Any]]


def zoo_table(checkpoints: Sequence[Checkpoint], published: Published | None, facts: Dataset) -> str:
    """Return the test errors of all checkpoints of one family on one data set, and what they cost.

    Args:
        checkpoints: ``config.json`` and ``results.json`` of each.
        published: What to put beside them.
        facts: What is said about the data set.

    Returns:
        A Markdown table: a row a target, or a row a checkpoint, as the data set has it.
    """
    by_checkpoint = facts.by_checkpoint(_targets(checkpoints))
    return (_rows_by_checkpoint if by_checkpoint else _rows_by_target)(checkpoints, published, facts)


def _targets(checkpoints: Sequence[Checkpoint]) -> list[str]:
    return list(dict.fromkeys(target.name for config, _ in checkpoints for target in config.targets))


def _rows_by_target(checkpoints: Sequence[Checkpoint], published: Published | None, facts: Dataset) -> str:
    columns = published.columns if published else ()
    units = {name: unit for _, results in checkpoints for name, unit in results["units"].items()}
    measured = [test_errors(results, "equivariant") for _, results in checkpoints]
    rows = [
        [
            name,
            facts.unit(units[name]),
            *(shown(errors[name], facts) if name in errors else MISSING for errors in measured),
            *(published_figure(published, column, name, facts) for column in columns if published),
        ]
        for name in _targets(checkpoints)
    ]
    sizes = [results["variants"]["equivariant"]["parameters"] for _, results in checkpoints]
    rows.append(["parameters", "", *map(number, sizes), *(or_dash(c.parameters) for c in columns)])
    costs = [results.get("cost", {}) for _, results in checkpoints]
    lengths = [published.length(column) for column in columns if published]
    rows.append(["epochs", "", *(or_dash(c.get("epoch")) for c in costs), *map(or_dash, lengths)])
    rows.append(["CPU time", "", *(duration(c.get("cpu_hours")) for c in costs), *(MISSING for _ in columns)])
    names = [link(config) for config, _ in checkpoints]
    metric = facts.shows or checkpoints[0][1]["metric"]
    return table([f"{metric} on test", "unit", *names, *(f"{c.label}, published" for c in columns)], rows)


def _rows_by_checkpoint(
    checkpoints: Sequence[Checkpoint], published: Published | None, facts: Dataset
) -> str:
    targets = _targets(checkpoints)
    beside = published is not None
    rows = []
    for config, results in sorted(checkpoints, key=lambda one: method_place(method_key(one[1]))):
        method, cost = method_key(results), results.get("cost", {})
        rows.append(
            [
                link(config),
                *(
                    _beside(_error(results, variant, target, facts) for target in targets)
                    for variant in ("equivariant", "partial")
                ),
                *(
                    _beside(
                        published_figure(published, published.column(method, variant), target, facts)
                        for target in targets
                    )
                    for variant in ("equivariant", "partial")
                    if published is not None
                ),
                or_dash(rotation_error(results), 2),
                str(len(results.get("seeds", [])) or 1),
                or_dash(cost.get("epoch")),
                duration(cost.get("cpu_hours")),
            ]
        )
    baselines = {k: v for _, results in checkpoints for k, v in results.get("baselines", {}).items()}
    blank = [MISSING] * (5 + 2 * beside)
    rows += [[f"{name}, no model", shown(error, facts), *blank] for name, error in baselines.items()]
    unit = facts.unit(checkpoints[0][1]["units"][targets[0]])
    which = f", {' / '.join(targets)}" if len(targets) > 1 else ""
    header = [
        f"{facts.shows or checkpoints[0][1]['metric']} on test [{unit}]{which}",
        "γ = 0",
        "branch on",
        *(("published, γ = 0", "published, branch on") if beside else ()),
        "rotation error, branch on",
        "seeds",
        "epochs",
        "CPU time",
    ]
    return table(header, rows)


def duration(hours: float | None) -> str:
    """Return a time in the unit in which it reads best.

    Example:
        >>> duration(0.0175), duration(1.52), duration(None)
        ('63 s', '1.52 h', '–')
    """
    if hours is None:
        return MISSING
    unit, size = next((u, n) for u, n in (("h", 1), ("min", 60), ("s", 3600)) if hours * n >= 1.2 or u == "s")
    return f"{number(size * hours, 3 if unit == 'h' else 2)} {unit}"


def _beside(figures: Iterable[str]) -> str:
    """Return the figures of several targets in one cell; a dash if there is none."""
    found = list(figures)
    return MISSING if set(found) == {MISSING} else " / ".join(found)


def _error(results: Mapping[str, Any], variant: str, target: str, facts: Dataset) -> str:
    """Return mean ± deviation over the seeds, or the error of the checkpoint if there is one seed."""
    errors, found = test_errors(results, variant), spread(results, variant, target)
    if found is not None:
        return shown_spread(found, facts)
    return shown(errors[target], facts) if target in errors else MISSING


def link(config: CheckpointConfig) -> str:
    """Return the name of a checkpoint in Markdown, with a link to its card."""
    return f"[{config.name}](model_cards/{config.name}.md)"


def or_dash(value: float | None, digits: int = 3) -> str:
    """Return a number, or a dash for None."""
    return MISSING if value is None else number(value, digits)

"""Tables of results for the README: all checkpoints of one family on one data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from equizoo.hub.card_facts import Dataset
from equizoo.hub.card_models import method_place
from equizoo.hub.card_published import Published
from equizoo.hub.card_tables import MISSING, number, published_figure, shown, shown_spread, table
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.results import largest_gamma, method_key, spread, test_errors

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
    rows.append(["parameters", "", *map(number, sizes), *(_or_dash(c.parameters) for c in columns)])
    for label, key in (("epochs", "epoch"), ("CPU-hours", "cpu_hours")):
        costs = [results.get("cost", {}).get(key) for _, results in checkpoints]
        known = published.epochs if published and key == "epoch" else None
        rows.append([label, "", *map(_or_dash, costs), *(_or_dash(known) for _ in columns)])
    names = [_link(config) for config, _ in checkpoints]
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
                _link(config),
                method,
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
                str(len(results.get("seeds", [])) or 1),
                _or_dash(largest_gamma(results), 2),
                number(results["variants"]["equivariant"]["parameters"]),
                number(results["counts"]["train"]),
                _or_dash(cost.get("epoch")),
                _or_dash(cost.get("cpu_hours")),
            ]
        )
    baselines = {k: v for _, results in checkpoints for k, v in results.get("baselines", {}).items()}
    blank = [MISSING] * (7 + 2 * beside)
    rows += [[name, "without a model", shown(error, facts), *blank] for name, error in baselines.items()]
    unit = facts.unit(checkpoints[0][1]["units"][targets[0]])
    which = f", {' / '.join(targets)}" if len(targets) > 1 else ""
    header = [
        f"{facts.shows or checkpoints[0][1]['metric']} on test [{unit}]{which}",
        "method",
        "γ = 0",
        "branch on",
        *(("published, γ = 0", "published, branch on") if beside else ()),
        "seeds",
        "max \\|γ\\|",
        "parameters, γ = 0",
        "training samples",
        "epochs",
        "CPU-hours",
    ]
    return table(header, rows)


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


def _link(config: CheckpointConfig) -> str:
    return f"[{config.name}](model_cards/{config.name}.md)"


def _or_dash(value: float | None, digits: int = 3) -> str:
    return MISSING if value is None else number(value, digits)

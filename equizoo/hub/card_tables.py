"""Tables of a model card, from measured figures, and the way that figures are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from equizoo.hub.card_facts import Dataset, strict
from equizoo.hub.card_published import Column, Published
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.results import Spread, spread, test_errors

MISSING = "–"


def number(value: float, digits: int = 3) -> str:
    """Return ``value`` with so many significant digits, without an exponent if it is not tiny; a count whole.

    Example:
        >>> number(0.068641), number(1234.5), number(0.0), number(1.94e-6), number(64)
        ('0.0686', '1,234', '0', '1.94e-6', '64')
    """
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(rounded)))
    if exponent < -4:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}e{int(power)}"
    return f"{value:,.{max(0, digits - 1 - exponent)}f}"


def count(n: int, noun: str) -> str:
    """Return ``"1 thread"``, ``"2 threads"``."""
    return f"{n} {noun}{'s' * (n != 1)}"


def label(variant: str, results: Mapping[str, Any]) -> str:
    """Return what a variant is called in a table: with its γ, if the network ever had one."""
    if strict(results):
        return f"`{variant}`"
    return f"`{variant}` ({'γ = 0' if variant == 'equivariant' else 'γ kept'})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first two are aligned to the right."""
    rules = ["---" if i < 2 else "---:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rules, *rows))


def shown(value: float, facts: Dataset) -> str:
    """Return the figure of an error as those of its data set are shown."""
    return number(facts.figure(value))


def shown_spread(found: Spread | None, facts: Dataset) -> str:
    """Return mean ± deviation over seeds, or a dash."""
    if found is None:
        return MISSING
    return f"{shown(found.mean, facts)} ± {number(found.deviation / 10.0**facts.exponent, 2)}"


def published_figure(published: Published, column: Column | None, target: str, facts: Dataset) -> str:
    """Return mean ± deviation as the paper prints them, or a dash."""
    if column is None or target not in column.errors:
        return MISSING
    mean, deviation = column.errors[target]
    digits = published.decimals
    return f"{facts.figure(mean):.{digits}f} ± {deviation / 10.0**facts.exponent:.{digits}f}"


def errors_table(
    config: CheckpointConfig, results: Mapping[str, Any], published: Published | None, facts: Dataset
) -> str:
    """Return the test errors of each shipped variant beside the published ones.

    Args:
        config: ``config.json``.
        results: ``results.json``.
        published: What stands beside it.
        facts: What is said about the data set.

    Returns:
        A Markdown table: a row a target, or a row a model if there is one target.
    """
    if len(config.targets) == 1:
        return _rows_by_model(config, results, published, facts)
    header, cells = ["target", "unit"], []
    for target in config.targets:
        cells.append([f"{target.name}, {target.description}", facts.unit(results["units"][target.name])])
    for variant in config.variants:
        header.append(label(variant, results))
        measured = test_errors(results, variant)
        found = [spread(results, variant, target.name) for target in config.targets]
        for row, target in zip(cells, config.targets, strict=True):
            row.append(shown(measured[target.name], facts))
        if any(found):
            header.append(f"`{variant}`, mean of {max(s.n for s in found if s)} seeds")
            for row, one in zip(cells, found, strict=True):
                row.append(shown_spread(one, facts))
    if published:
        header += [column.label for column in published.columns]
        for row, target in zip(cells, config.targets, strict=True):
            row += [published_figure(published, column, target.name, facts) for column in published.columns]
    return table(header, cells)


def _rows_by_model(
    config: CheckpointConfig, results: Mapping[str, Any], published: Published | None, facts: Dataset
) -> str:
    (target,) = config.targets
    rows = []
    for variant in config.variants:
        error = shown(test_errors(results, variant)[target.name], facts)
        rows.append([label(variant, results), f"this checkpoint, seed {results['seed']}", error])
    for variant in config.variants:
        found = spread(results, variant, target.name)
        if found:
            kind = f"mean ± deviation of {found.n} seeds"
            rows.append([label(variant, results), kind, shown_spread(found, facts)])
    if published:
        rows += [
            [column.label, "published", published_figure(published, column, target.name, facts)]
            for column in published.columns
        ]
    rows += [
        [name, "without a model", shown(error, facts)] for name, error in results.get("baselines", {}).items()
    ]
    unit = facts.unit(results["units"][target.name])
    return table(["model", "what", f"{facts.shows or results['metric']} of {target.name} [{unit}]"], rows)


def symmetry_table(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return the mean (largest) equivariance error by variant, data type and transformation."""
    measured = {variant: results["variants"][variant]["equivariance"] for variant in config.variants}
    groups = list(dict.fromkeys(g for by_dtype in measured.values() for e in by_dtype.values() for g in e))
    rows = []
    for variant, by_dtype in measured.items():
        for dtype, errors in by_dtype.items():
            cells = (
                f"{number(errors[g]['abs_mean'], 2)} ({number(errors[g]['abs_max'], 2)})" for g in groups
            )
            rows.append([f"`{variant}`", dtype, *cells])
    return table(["variant", "data type", *groups], rows)


def time_table(config: CheckpointConfig, results: Mapping[str, Any], sample: str) -> str:
    """Return parameters and milliseconds a sample by variant and batch size."""
    figures = {variant: results["variants"][variant] for variant in config.variants}
    sizes = list(dict.fromkeys(size for f in figures.values() for size in f["seconds_per_sample"]))
    return table(
        ["variant", "parameters", *(f"batch of {size} [ms a {sample}]" for size in sizes)],
        (
            [
                f"`{variant}`",
                f"{f['parameters']:,}",
                *(number(1e3 * f["seconds_per_sample"][size]) for size in sizes),
            ]
            for variant, f in figures.items()
        ),
    )

"""Tables of a model card and of the README, from measured figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from equizoo.hub.card_facts import Column, Published
from equizoo.hub.config import GEOMETRIES, CheckpointConfig
from equizoo.hub.errors import ConfigError

VARIANT_LABELS = {"equivariant": "`equivariant` (γ = 0)", "partial": "`partial` (γ kept)"}
GEOMETRY_LABELS = {"given": "reference geometry", "mmff": "MMFF94", "xtb": "GFN2-xTB"}
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


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first two are aligned to the right."""
    rules = ["---" if i < 2 else "---:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rules, *rows))


def published_figure(column: Column, target: str) -> str:
    """Return mean ± deviation as the paper prints them, or a dash."""
    return "{:.4f} ± {:.4f}".format(*column.mae[target]) if target in column.mae else MISSING


def check_units(config: CheckpointConfig, published: Published) -> None:
    """Refuse to put figures of different units beside one another.

    Raises:
        ConfigError: A target has another unit than the published table.
    """
    for target in config.targets:
        unit = published.units.get(target.name, target.unit)
        if unit != target.unit:
            raise ConfigError(
                f"{config.name}: {target.name} is in {target.unit}, the published table in {unit}"
            )


def errors_table(config: CheckpointConfig, results: Mapping[str, Any], published: Published | None) -> str:
    """Return the test error of each target, for each shipped variant, beside the published columns."""
    columns = published.columns if published else ()
    header = ["target", "unit", *(VARIANT_LABELS[v] for v in config.variants), *(c.label for c in columns)]
    measured = [results["variants"][variant]["mae"] for variant in config.variants]
    return table(
        header,
        (
            [
                f"{target.name}, {target.description}",
                target.unit,
                *(number(mae[target.name]) for mae in measured),
                *(published_figure(column, target.name) for column in columns),
            ]
            for target in config.targets
        ),
    )


def geometry_table(config: CheckpointConfig, calibration: Mapping[str, Any]) -> str:
    """Return the test error with each kind of geometry, and its ratio to that with the reference geometry."""
    sources = [source for source in GEOMETRIES if source in calibration]

    def cell(target: str, source: str) -> str:
        mae = calibration[source]["mae"][target]
        if source == "given" or "given" not in calibration:
            return number(mae)
        return f"{number(mae)} (× {number(mae / calibration['given']['mae'][target], 2)})"

    return table(
        ["target", "unit", *(GEOMETRY_LABELS[source] for source in sources)],
        ([t.name, t.unit, *(cell(t.name, source) for source in sources)] for t in config.targets),
    )


def interval_table(config: CheckpointConfig, calibration: Mapping[str, Any]) -> str:
    """Return the half width of the interval and its coverage on test, for each kind of geometry."""
    sources = [source for source in GEOMETRIES if source in calibration]

    def cell(target: str, source: str) -> str:
        figures = calibration[source]
        return f"± {number(figures['half_width'][target])} ({100 * figures['test_coverage'][target]:.1f} %)"

    return table(
        ["target", "unit", *(GEOMETRY_LABELS[source] for source in sources)],
        ([t.name, t.unit, *(cell(t.name, source) for source in sources)] for t in config.targets),
    )


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


def time_table(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return parameters and milliseconds a molecule by variant and batch size."""
    figures = {variant: results["variants"][variant] for variant in config.variants}
    sizes = list(dict.fromkeys(size for f in figures.values() for size in f["seconds_per_sample"]))
    return table(
        ["variant", "parameters", *(f"batch of {size} [ms a molecule]" for size in sizes)],
        (
            [
                f"`{variant}`",
                f"{f['parameters']:,}",
                *(number(1e3 * f["seconds_per_sample"][size]) for size in sizes),
            ]
            for variant, f in figures.items()
        ),
    )


def zoo_table(
    checkpoints: Sequence[tuple[CheckpointConfig, Mapping[str, Any]]], published: Published | None
) -> str:
    """Return the test errors of all checkpoints of one family on one data set, and what they cost.

    Args:
        checkpoints: ``config.json`` and ``results.json`` of each.
        published: What to put beside them.

    Returns:
        A Markdown table, a row a target.
    """
    columns = published.columns if published else ()
    targets = list(dict.fromkeys((t.name, t.unit) for config, _ in checkpoints for t in config.targets))
    maes = [results["variants"]["equivariant"]["mae"] for _, results in checkpoints]
    rows = [
        [
            name,
            unit,
            *(number(mae[name]) if name in mae else MISSING for mae in maes),
            *(published_figure(column, name) for column in columns),
        ]
        for name, unit in targets
    ]
    for label, key in (("epochs", "epoch"), ("CPU-hours", "cpu_hours")):
        costs = [results.get("cost", {}).get(key) for _, results in checkpoints]
        known = f"{published.epochs:,}" if published and key == "epoch" else MISSING
        rows.append(
            [label, "", *(MISSING if c is None else number(c) for c in costs), *(known for _ in columns)]
        )
    names = [f"[{config.name}](model_cards/{config.name}.md)" for config, _ in checkpoints]
    return table(["MAE on test", "unit", *names, *(f"{c.label}, published" for c in columns)], rows)

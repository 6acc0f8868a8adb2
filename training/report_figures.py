"""Figures of a report beyond those of every run: projection, equivariance error, and what each layer does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from equizoo.training.plots import COLOURS, GRID, QUIET, Rows, draw, logarithmic, new_figure, plain
from equizoo.training.report_measure import Measured

ERROR = "equivariance/rotation"


def projection_figure(rows: Rows) -> Any:
    """Return how much worse the projected model is than the partial one over epochs, above the largest |γ|.

    Args:
        rows: Rows of ``metrics.csv`` of a run with relaxed layers.

    Returns:
        A matplotlib figure.
    """
    figure, (upper, lower) = new_figure(2)
    epochs = [row["epoch"] for row in rows]
    excess = [score_lost(row) for row in rows]
    largest = [
        max((abs(value) for key, value in row.items() if key.startswith("gamma/")), default=math.nan)
        for row in rows
    ]
    known = [value for value in excess if math.isfinite(value)] or [0.0]
    marker = "." if len(rows) < 20 else ""
    upper.plot(epochs, excess, color=COLOURS["equivariant"], linewidth=1.4, marker=marker)
    upper.axhline(0, color=QUIET, linewidth=0.8)
    upper.set_yscale("symlog", linthresh=10)
    upper.set_yticks(
        ticks := _percent_ticks(min(known), max(known)),
        [f"{tick:+g} %".replace("-", "−") if tick else "0" for tick in ticks],
    )
    upper.minorticks_off()
    upper.set_ylabel("score lost by projecting", color=QUIET)
    lower.plot(epochs, largest, color=COLOURS["partial"], linewidth=1.4, marker=marker)
    logarithmic(lower.yaxis)
    lower.set_ylabel("largest |γ|", color=QUIET)
    return figure


def score_lost(row: Mapping[str, float]) -> float:
    """Return how much the score rises when every γ is set to 0 [%], NaN where a row does not tell."""
    projected, partial = (row.get(f"valid/{v}/score", math.nan) for v in ("equivariant", "partial"))
    return 100 * (projected / partial - 1) if partial else math.nan


def _percent_ticks(low: float, high: float) -> list[float]:
    scale = [-100, -30, -10, -5, 0, 5, 10, 30, 100, 300, 1000, 10_000, 100_000]
    inside = [tick for tick in scale if min(low, -5) <= tick <= max(high, 5)]
    return [float(tick) for tick in inside]


def equivariance_figure(rows: Rows, measured: Measured | None) -> Any:
    """Return the measured equivariance error over epochs and, with ``measured``, what the theory allows.

    Args:
        rows: Rows of ``metrics.csv``, with γ of every layer.
        measured: Constants of the bounds, or None.

    Returns:
        A matplotlib figure.
    """
    figure, (axes,) = new_figure(1)
    draw(axes, rows, ERROR, "measured, over training", color=COLOURS["partial"])
    if measured is not None:
        told = [row for row in rows if all(f"gamma/{layer.name}" in row for layer in measured.layers)]
        gammas = [{key[6:]: value for key, value in row.items() if key.startswith("gamma/")} for row in told]
        epochs = [row["epoch"] for row in told]
        for bound, label, style in (
            (measured.bound, "Theorem 4.2", "-"),
            (measured.layer_bound, "its sum, layer by layer", (0, (4, 2))),
        ):
            values = [bound(gamma) for gamma in gammas]
            axes.plot(
                epochs, values, color=COLOURS["equivariant"], linestyle=style, label=label, linewidth=1.4
            )
        axes.axhline(
            measured.error, color=QUIET, linewidth=0.9, linestyle=":", label="measured, best weights"
        )
    logarithmic(axes.yaxis)
    axes.set_ylabel("equivariance error / size of the output", color=QUIET)
    axes.legend(fontsize=9, frameon=False)
    return figure


def layers_figure(measured: Measured) -> Any:
    """Return |γ|, the equivariance error and the symmetry gap of each relaxed layer side by side.

    Args:
        measured: What was measured on the best partial weights.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    layers = measured.layers
    rows = list(range(len(layers)))
    figure = Figure(figsize=(10.5, 1.5 + 0.34 * len(layers)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12)
    size, error, gap = figure.subplots(1, 3, sharey=True)
    marks = {"color": COLOURS["partial"], "zorder": 3}
    for axes, values in ((size, [abs(x.gamma) for x in layers]), (error, [x.error for x in layers])):
        known = [(value, row) for value, row in zip(values, rows, strict=True) if value]
        if known:
            axes.scatter(*zip(*known, strict=True), s=36, **marks)
            logarithmic(axes.xaxis)
    known = [(layer.gap, row) for layer, row in zip(layers, rows, strict=True) if layer.gap is not None]
    if known:
        values, places = [100 * gap[0] for gap, _ in known], [row for _, row in known]
        bars = [200 * gap[1] for gap, _ in known]
        gap.errorbar(values, places, xerr=bars, fmt="o", markersize=6, elinewidth=1.2, **marks)
    gap.axvline(0, color=QUIET, linewidth=0.8, zorder=1)
    titles = {
        size: "|γ|",
        error: "equivariance error of γ·f_neq\nrelative to the layer's output",
        gap: "symmetry gap of its features\n% of their size, ± 2 standard errors",
    }
    for axes, title in titles.items():
        plain(axes)
        axes.set_title(title, fontsize=9, color=QUIET, loc="left")
        axes.spines["bottom"].set_color(GRID)
    size.set_yticks(rows, [layer.name for layer in layers])
    size.set_ylim(len(layers) - 0.5, -0.5)
    return figure

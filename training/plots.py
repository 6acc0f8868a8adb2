"""Plots of a run: losses and scores, and γ, λ, u of every layer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equizoo.training.runfolder import RunFolder

log = logging.getLogger(__name__)
Rows = Sequence[Mapping[str, float]]
STEERED = {"gamma": "γ", "dual": "λ", "slack": "u"}
COLOURS = {"train": "#9ca3af", "equivariant": "#1f6f8b", "partial": "#c2410c"}
QUIET, GRID = "#6b7280", "#e5e7eb"


def plot_run(folder: RunFolder) -> list[Path]:
    """Draw ``plots/losses.png``, and ``gamma.png``, ``dual.png``, ``slack.png`` where the method has them.

    Args:
        folder: A run folder with ``metrics.csv``.

    Returns:
        The files written; none if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: F401
    except ImportError:
        log.warning("no plots: matplotlib is not installed (pip install 'equizoo[plot]')")
        return []
    rows = folder.read_metrics()
    figures = {"losses": losses_figure(rows)}
    figures |= {name: steering_figure(rows, [name]) for name in steered(rows)}
    return [save_figure(figure, folder.plots / f"{name}.png") for name, figure in figures.items()]


def steered(rows: Rows) -> list[str]:
    """Return which of ``gamma``, ``dual`` and ``slack`` the rows of ``metrics.csv`` have."""
    return [name for name in STEERED if any(key.startswith(f"{name}/") for key in rows[0])]


def losses_figure(rows: Rows) -> Any:
    """Return the training loss and the validation score of each variant over epochs, on a logarithmic axis.

    Args:
        rows: Rows of ``metrics.csv``.

    Returns:
        A matplotlib figure.
    """
    figure, (axes,) = new_figure(1)
    draw(axes, rows, "train/loss", "training loss", color=COLOURS["train"])
    for variant, name in (("partial", "validation, partial"), ("equivariant", "validation, equivariant")):
        draw(axes, rows, f"valid/{variant}/score", name, color=COLOURS[variant])
    logarithmic(axes.yaxis)
    axes.set_ylabel("loss, score", color=QUIET)
    axes.legend(fontsize=9, frameon=False)
    return figure


def steering_figure(rows: Rows, quantities: Sequence[str]) -> Any:
    """Return a panel for each of γ, λ and u with a line a layer, dark for early layers and light for late.

    Args:
        rows: Rows of ``metrics.csv``.
        quantities: Of :data:`STEERED`, those that the rows have.

    Returns:
        A matplotlib figure.
    """
    from matplotlib import colormaps

    figure, panels = new_figure(len(quantities))
    for axes, quantity in zip(panels, quantities, strict=True):
        keys = [key for key in rows[0] if key.startswith(f"{quantity}/")]
        for k, key in enumerate(keys):
            colour = colormaps["viridis"](0.88 * k / max(len(keys) - 1, 1))
            draw(axes, rows, key, key.partition("/")[2], color=colour)
        axes.axhline(0, color=QUIET, linewidth=0.8, zorder=1)
        axes.set_ylabel(STEERED[quantity], color=QUIET, fontsize=13, rotation=0, labelpad=12)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8, frameon=False)
    return figure


def new_figure(panels: int, width: float = 8.0) -> tuple[Any, list[Any]]:
    """Return a figure with plain axes above one another that share the epochs."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(width, 1.2 + 2.6 * panels if panels > 1 else 4.2), layout="constrained")
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False).ravel().tolist()
    for one in axes:
        plain(one)
    axes[-1].set_xlabel("epoch", color=QUIET)
    axes[-1].xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    return figure, axes


def plain(axes: Any) -> None:
    """Take from axes all that is not needed to read them."""
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=9, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)


def draw(axes: Any, rows: Rows, key: str, label: str, **style: Any) -> None:
    """Draw one column of ``metrics.csv`` over epochs, if the rows have it."""
    points = [(row["epoch"], row[key]) for row in rows if key in row]
    if points:
        marker = "." if len(points) < 20 else ""
        axes.plot(*zip(*points, strict=True), label=label, marker=marker, **{"linewidth": 1.4} | style)


def logarithmic(axis: Any) -> None:
    """Make an axis logarithmic after its data are drawn, with a few plain numbers as ticks.

    It stays linear where all values are nearly alike.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = axis.get_data_interval()
    few = MaxNLocator(4, steps=[1, 2, 5, 10])
    if 0 < low <= high < 1.1 * low:
        axis.set_major_locator(few)
        axis.get_major_formatter().set_useOffset(False)
        if high < 1.002 * low:
            getattr(axis.axes, f"set_{axis.axis_name[0]}lim")(0.998 * low, 1.002 * high)
        return
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    if not 0 < low <= high < float("inf"):
        return
    if high / low < 300:
        decades = LogLocator(subs=(1, 2, 5) if high / low < 30 else (1, 3))
        axis.set_major_locator(few if high / low < 3 else decades)
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.set_minor_formatter(NullFormatter())


def save_figure(figure: Any, path: Path) -> Path:
    """Write a figure as PNG; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary, dpi=130)
    temporary.replace(path)
    return path

"""Forecasts of particle systems as a figure: each system seen along two axes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from equizoo.pipelines import require
from equizoo.pipelines.figure import NothingToDraw
from equizoo.pipelines.particles_result import Forecast
from equizoo.pipelines.writing import save_figure

_POSITIVE, _NEGATIVE, _QUIET, _GRID = "#b91c1c", "#1d4ed8", "#6b7280", "#e5e7eb"
_MOST, _ACROSS = 6, 2
_VIEWS = ((0, 1), (0, 2))


def plot_forecasts(forecasts: Sequence[tuple[str, Forecast]], path: str | os.PathLike[str]) -> None:
    """Draw where the particles start, how they move, and where the model sees them at each later time.

    Each system has two panels, x–y and x–z. Filled circles are the start, arrows the velocities, open circles
    the prediction; lines join the predictions of one particle and are not its path. Only the first six
    systems are drawn.

    Args:
        forecasts: What each forecast came from, and the forecast.
        path: The file, ``.png``, ``.svg`` or ``.pdf``; it appears whole or not at all.

    Raises:
        NothingToDraw: There is no forecast.
        WrongEnding: The name ends otherwise.
        MissingExtra: matplotlib is not installed.
    """
    require("matplotlib", "plot", "the figure")
    from matplotlib.figure import Figure

    systems = [(source, forecast, k) for source, forecast in forecasts for k in range(len(forecast.names))]
    if not systems:
        raise NothingToDraw("there is nothing to draw: no input was answered")
    shown = systems[:_MOST]
    across = min(_ACROSS, len(shown))
    down = -(-len(shown) // across)
    figure = Figure(figsize=(6.8 * across, 3.55 * down + 0.6), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    grid = figure.subplots(down, 2 * across, squeeze=False).ravel()
    for number, (source, forecast, k) in enumerate(shown):
        panels = grid[2 * number : 2 * number + 2]
        mark = "" if forecast.in_domain[k] else " (outside the training domain)"
        panels[0].set_title(
            f"{source}, system {forecast.names[k]}{mark}", loc="left", fontsize=10, fontweight="bold"
        )
        for panel, axes in zip(panels, _VIEWS, strict=True):
            _draw(panel, forecast, k, axes)
    for panel in grid[2 * len(shown) :]:
        panel.set_visible(False)
    _draw_key(figure, shown[0][1], len(systems))
    save_figure(figure, path)


def _draw(panel: Any, forecast: Forecast, k: int, axes: tuple[int, int]) -> None:
    """Draw one view of one system."""
    track = forecast.positions[:, k][..., list(axes)]
    velocity = forecast.velocities[0, k][:, list(axes)]
    colours = np.where(forecast.charges[k] > 0, _POSITIVE, _NEGATIVE)
    panel.plot(track[..., 0], track[..., 1], color=_QUIET, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    panel.quiver(
        *track[0].T, *velocity.T, color=colours, angles="xy", scale_units="xy", scale=1,
        width=0.006, headwidth=4.5, headlength=5, alpha=0.55, zorder=2,
    )  # fmt: skip
    panel.scatter(*track[0].T, s=42, c=colours, zorder=3)
    for step in range(1, len(track)):
        last = step == len(track) - 1
        panel.scatter(*track[step].T, s=42 if last else 10, facecolors="white", edgecolors=colours, zorder=4)
    for particle, place in zip(forecast.particles[k], track[0], strict=True):
        panel.annotate(
            particle,
            place,
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=8,
            color=_QUIET,
            zorder=5,
        )
    ends = np.concatenate([track.reshape(-1, 2), track[0] + velocity])
    middle, half = (ends.max(0) + ends.min(0)) / 2, 0.56 * float(np.ptp(ends, axis=0).max()) + 0.1
    panel.set_xlim(middle[0] - half, middle[0] + half)
    panel.set_ylim(middle[1] - half, middle[1] + half)
    panel.set_aspect("equal")
    panel.set_xlabel(f"{'xyz'[axes[0]]} [length]", fontsize=8, color=_QUIET)
    panel.set_ylabel(f"{'xyz'[axes[1]]} [length]", fontsize=8, color=_QUIET)
    panel.tick_params(labelsize=8, length=0)
    panel.grid(color=_GRID, zorder=0)
    panel.set_axisbelow(True)
    for spine in panel.spines.values():
        spine.set_visible(False)


def _draw_key(figure: Any, forecast: Forecast, total: int) -> None:
    """Say below the panels what the marks mean."""
    from matplotlib.lines import Line2D

    dot = {"linestyle": "", "marker": "o", "markersize": 6.5}
    steps = len(forecast.times) - 1
    last = f"prediction at time {forecast.times[-1]:g}"
    later = last if steps == 1 else f"{last} (small: before)"
    marks = [
        Line2D([], [], color=_POSITIVE, label="charge +", **dot),
        Line2D([], [], color=_NEGATIVE, label="charge −", **dot),
        Line2D([], [], color=_QUIET, markerfacecolor="white", label=later, **dot),
        Line2D(
            [],
            [],
            color=_QUIET,
            linestyle="",
            marker=r"$\rightarrow$",
            markersize=14,
            label="velocity at the start",
        ),
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    if total > _MOST:
        figure.suptitle(f"The first {_MOST} of {total} systems", fontsize=9, color=_QUIET, x=0.01, ha="left")

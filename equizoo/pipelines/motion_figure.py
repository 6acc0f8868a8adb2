"""Forecasts of bodies as a picture of a few frames, and as a GIF of all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from equizoo._replacing import replacing
from equizoo.pipelines import require
from equizoo.pipelines.figure import NothingToDraw
from equizoo.pipelines.motion_page import write_page
from equizoo.pipelines.motion_result import GIVEN, INTERPOLATED, PREDICTED, MotionForecast
from equizoo.pipelines.motion_view import COLOURS, GRID, LABELS, QUIET, TRUTH, heading, project
from equizoo.pipelines.writing import MOTION_FIGURES, check_ending, save_figure

_MOST, _PANELS = 4, 5
_WIDE, _FLOOR = 17.0, 2.0  # half width of a panel, and what is seen below the floor [length]
_SLOWER = 4  # a GIF plays so many times slower than the motion


def plot_motions(forecasts: Sequence[MotionForecast], path: str | os.PathLike[str]) -> None:
    """Draw forecasts in the way that the name of the file asks for.

    Args:
        forecasts: The forecasts; a page shows all, a picture the first four, a GIF the first.
        path: The file, ``.html`` (animation, in any browser), ``.gif``, ``.png``, ``.svg`` or ``.pdf``; it
            appears whole or not at all.

    Raises:
        NothingToDraw: There is no forecast.
        WrongEnding: The name ends otherwise.
        MissingExtra: matplotlib is not installed, which an ``.html`` file does not need.
    """
    if not forecasts:
        raise NothingToDraw("there is nothing to draw: no input was answered")
    ending = check_ending(path, MOTION_FIGURES)
    if ending == ".html":
        write_page(forecasts, path)
    elif ending == ".gif":
        write_gif(forecasts[0], path)
    else:
        _write_picture(forecasts[:_MOST], path)


def write_gif(forecast: MotionForecast, path: str | os.PathLike[str], dpi: int = 72) -> None:
    """Write an animation of all frames, four times slower than the motion.

    Args:
        forecast: The forecast.
        path: The file, ``.gif``; it appears whole or not at all.
        dpi: Dots an inch; the picture is 6.4 by 5.2 inches.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    require("matplotlib", "plot", "the animation")
    from matplotlib.animation import FuncAnimation, PillowWriter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.2))
    panel = figure.add_axes((0.02, 0.1, 0.96, 0.8))
    _draw_key(figure, [forecast], y=0.01)

    def draw(frame: int) -> None:
        panel.clear()
        _draw_frame(panel, forecast, frame)
        panel.set_title(f"{forecast.name}: {_when(forecast, frame)}", loc="left", fontsize=10)

    interval = 1000 * _SLOWER / forecast.frame_rate
    animation = FuncAnimation(figure, draw, len(forecast.made), interval=interval, init_func=lambda: None)
    with replacing(path) as temporary:
        animation.save(temporary, writer=PillowWriter(fps=round(1000 / interval)), dpi=dpi)


def _write_picture(forecasts: Sequence[MotionForecast], path: str | os.PathLike[str]) -> None:
    """Draw a row a body: the start, and frames evenly apart up to the last."""
    require("matplotlib", "plot", "the figure")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.0 * _PANELS, 3.1 * len(forecasts) + 0.5), layout="constrained")
    grid = figure.subplots(len(forecasts), _PANELS, squeeze=False)
    for row, forecast in zip(grid, forecasts, strict=True):
        for column, frame in enumerate(_chosen(forecast)):
            _draw_frame(row[column], forecast, frame)
            name = f"{forecast.name}: " if column == 0 else ""
            row[column].set_title(name + _when(forecast, frame), loc="left", fontsize=9)
    _draw_key(figure, forecasts, y=None)
    save_figure(figure, path)


def _chosen(forecast: MotionForecast) -> list[int]:
    """Return the frames of a row: the start, the ends of the predicted stretches, and some in between."""
    last = len(forecast.made) - 1
    frames = {round(last * share / (_PANELS - 1)) for share in range(_PANELS)}
    return sorted(frames)


def _when(forecast: MotionForecast, frame: int) -> str:
    text = f"frame +{frame}, {LABELS[forecast.made[frame]]}"
    errors = forecast.errors
    if errors is None or forecast.made[frame] != PREDICTED or np.isnan(errors[frame]).any():
        return text
    return f"{text}, {errors[frame].mean():.2f} off"


def _draw_frame(panel: Any, forecast: MotionForecast, frame: int) -> None:
    """Draw one frame: the floor, the truth where it is known, and the forecast; the camera goes along."""
    from matplotlib.collections import LineCollection

    direction = heading(forecast.positions)
    centre = forecast.positions[frame].mean(0) * [1, 0, 1]
    floor = [project(line, centre, direction) for line in _floor(centre, direction)]
    panel.add_collection(LineCollection(floor, colors=GRID, linewidths=0.8, zorder=0))
    if forecast.truth is not None and not np.isnan(forecast.truth[frame]).any():
        _draw_body(panel, project(forecast.truth[frame], centre, direction), forecast, TRUTH, 2)
    made = forecast.made[frame]
    seen = project(forecast.positions[frame], centre, direction)
    _draw_body(panel, seen, forecast, COLOURS[made], 3, dashed=made == INTERPOLATED)
    panel.set_xlim(-_WIDE, _WIDE)
    panel.set_ylim(-_FLOOR - 3, 2 * _WIDE - _FLOOR - 3)
    panel.set_aspect("equal")
    panel.set_axis_off()


def _draw_body(
    panel: Any, seen: np.ndarray, forecast: MotionForecast, colour: str, layer: int, dashed: bool = False
) -> None:
    from matplotlib.collections import LineCollection

    style = (0, (3, 1)) if dashed else "-"
    lines = [seen[list(bone)] for bone in forecast.bones]
    panel.add_collection(LineCollection(lines, colors=colour, linewidths=2, linestyles=[style], zorder=layer))
    panel.scatter(*seen.T, s=7, color=colour, zorder=layer)


def _floor(centre: np.ndarray, direction: tuple[float, float], step: float = 5.0) -> Iterator[np.ndarray]:
    """Yield lines of a grid on the floor that stays where it is while the camera moves."""
    forward, side = np.array([direction[0], 0, direction[1]]), np.array([direction[1], 0, -direction[0]])
    here, across = float(centre @ forward), float(centre @ side)
    for k in range(-4, 5):
        along = step * (round(here / step) + k)
        yield np.stack([along * forward + (across + edge) * side for edge in (-10.0, 10.0)])
    for k in range(-2, 3):
        beside = step * (round(across / step) + k)
        yield np.stack([(here + edge) * forward + beside * side for edge in (-20.0, 20.0)])


def _draw_key(figure: Any, forecasts: Sequence[MotionForecast], y: float | None) -> None:
    """Say below the panels what the colours mean, as far as they occur."""
    from matplotlib.lines import Line2D

    used = {made for forecast in forecasts for made in forecast.made}
    marks = [
        Line2D([], [], color=COLOURS[made], linewidth=2, label=LABELS[made])
        for made in (GIVEN, PREDICTED, INTERPOLATED)
        if made in used
    ]
    if any(forecast.truth is not None for forecast in forecasts):
        marks.append(Line2D([], [], color=TRUTH, linewidth=2, label="truth"))
    place = (
        {"loc": "outside lower center"} if y is None else {"loc": "lower center", "bbox_to_anchor": (0.5, y)}
    )
    figure.legend(handles=marks, ncols=len(marks), frameon=False, fontsize=9, labelcolor=QUIET, **place)

"""Classes of point clouds as a figure: each cloud beside its most probable classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from equizoo.pipelines import require
from equizoo.pipelines.figure import NothingToDraw
from equizoo.pipelines.point_clouds_result import Classification
from equizoo.pipelines.writing import save_figure

_COLOUR, _QUIET = "#1f6f8b", "#6b7280"
_MOST, _ACROSS = 12, 3
_TURN, _TILT = np.deg2rad([35.0, 25.0])


def plot_classes(answers: Sequence[Classification], path: str | os.PathLike[str], top_k: int = 5) -> None:
    """Draw the points that the model saw, with z up, and bars of the probabilities.

    Only the first twelve clouds are drawn; those without an answer are left out.

    Args:
        answers: What the pipeline's ``classify`` returned.
        path: The file, ``.png``, ``.svg`` or ``.pdf``; it appears whole or not at all.
        top_k: Number of classes.

    Raises:
        NothingToDraw: No cloud was answered.
        WrongEnding: The name ends otherwise.
        MissingExtra: matplotlib is not installed.
    """
    require("matplotlib", "plot", "the figure")
    from matplotlib.figure import Figure

    answered = [answer for answer in answers if answer.ok]
    if not answered:
        raise NothingToDraw("there is nothing to draw: no input was answered")
    shown = answered[:_MOST]
    across = min(_ACROSS, len(shown))
    down = -(-len(shown) // across)
    figure = Figure(figsize=(5.2 * across, 2.4 * down + 0.3), layout="constrained")
    grid = figure.subplots(down, 2 * across, squeeze=False).ravel()
    for panel in grid[2 * len(shown) :]:
        panel.set_visible(False)
    for number, answer in enumerate(shown):
        _draw_cloud(grid[2 * number], answer)
        _draw_bars(grid[2 * number + 1], answer.top(top_k))
    if len(answered) > _MOST:
        text = f"The first {_MOST} of {len(answered)} clouds"
        figure.suptitle(text, fontsize=9, color=_QUIET, x=0.01, ha="left")
    save_figure(figure, path)


def _draw_cloud(panel: Any, answer: Classification) -> None:
    """Draw the points seen from the side and a little from above, the near ones darker."""
    x, y, z = answer.cloud.T  # type: ignore[union-attr]
    right = x * np.cos(_TURN) + y * np.sin(_TURN)
    away = y * np.cos(_TURN) - x * np.sin(_TURN)
    up = z * np.cos(_TILT) + away * np.sin(_TILT)
    depth = away * np.cos(_TILT) - z * np.sin(_TILT)
    far = np.argsort(-depth)
    shade = 0.95 - 0.65 * (depth - depth.min()) / (np.ptp(depth) or 1)
    panel.scatter(right[far], up[far], s=6, color=_COLOUR, alpha=shade[far], linewidths=0)
    mark = "" if answer.domain_reason is None else " †"
    panel.set_title(answer.place + mark, loc="left", fontsize=10, fontweight="bold")
    panel.set_xlim(-1.05, 1.05)
    panel.set_ylim(-1.05, 1.05)
    panel.set_aspect("equal")
    panel.axis("off")


def _draw_bars(panel: Any, best: Sequence[dict[str, Any]]) -> None:
    names, scores = [one["label"] for one in best], [100 * one["score"] for one in best]
    bars = panel.barh(range(len(best)), scores, height=0.55, color=_COLOUR)
    panel.bar_label(bars, [f"{score:.1f} %" for score in scores], padding=3, fontsize=8, color=_QUIET)
    panel.set_yticks(range(len(best)), [name.replace("_", " ") for name in names], fontsize=8)
    panel.set_xlim(0, 130)
    panel.invert_yaxis()
    panel.set_xticks([])
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)

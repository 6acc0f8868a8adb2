"""Results of the property pipeline as a figure of small multiples."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from equizoo.hub.errors import EquizooError
from equizoo.pipelines import require
from equizoo.pipelines.quantities import Row, decimals, label, rows
from equizoo.pipelines.writing import save_figure

_COLOUR, _QUIET, _GRID = "#1f6f8b", "#6b7280", "#e5e7eb"
_ACROSS, _MOST_LABELS = 4, 60
_MARK = {"marker": "o", "markersize": 5, "linestyle": "", "color": _COLOUR, "zorder": 3}
_BAR = {"linewidth": 3, "color": _COLOUR, "alpha": 0.45, "solid_capstyle": "butt", "zorder": 2}


class NothingToDraw(EquizooError, ValueError):
    """No input was answered, so there is no figure."""


def plot_results(results: Sequence[dict[str, Any]], path: str | os.PathLike[str]) -> None:
    """Draw a panel a property with a line a molecule; the bars are the intervals.

    Energies are drawn relative to free atoms. Molecules outside the training domain are hollow and have no
    bar; inputs without an answer are left out.

    Args:
        results: What the pipeline returned for a list.
        path: The file, ``.png``, ``.svg`` or ``.pdf``; it appears whole or not at all.

    Raises:
        NothingToDraw: No input was answered.
        WrongEnding: The name ends otherwise.
        MissingExtra: matplotlib is not installed.
    """
    require("matplotlib", "plot", "the figure")
    from matplotlib.figure import Figure

    answered = [result for result in results if result["ok"]]
    if not answered:
        raise NothingToDraw("there is nothing to draw: no input was answered")
    names, digits = list(answered[0]["properties"]), decimals(answered)
    across = min(_ACROSS, len(names))
    down = math.ceil(len(names) / across)
    height = down * (0.95 + 0.27 * min(len(answered), _MOST_LABELS)) + 0.6
    figure = Figure(figsize=(3.6 * across + 0.8, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        _draw(
            panel,
            [_row(result, name) for result in answered],
            [r["in_domain"] for r in answered],
            digits[name],
        )
        if name in answered[0]["atomization"]:
            panel.set_title(f"{name} relative to atoms", loc="left", fontsize=10, fontweight="bold")
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    panels[0].set_ylim(len(answered) - 0.4, -0.6)
    if len(answered) <= _MOST_LABELS:
        panels[0].set_yticks(range(len(answered)), [label(result) for result in answered])
    _draw_key(figure, answered)
    save_figure(figure, path)


def _row(result: dict[str, Any], name: str) -> Row:
    table = {row.name: row for group in ("properties", "atomization") for row in rows(result, group)}
    return table[name]


def _draw(panel: Any, table: list[Row], inside: list[bool], digits: int) -> None:
    """Draw the rows of one property."""
    for y, row in enumerate(table):
        if row.interval is not None:
            panel.plot(row.interval, [y, y], **_BAR)
    for known, face in ((True, _COLOUR), (False, "white")):
        rows_of_kind = [y for y, is_inside in enumerate(inside) if is_inside is known]
        panel.plot([table[y].value for y in rows_of_kind], rows_of_kind, markerfacecolor=face, **_MARK)
    for y, row in enumerate(table if len(table) <= _MOST_LABELS else ()):
        half = "" if row.half_width is None else f" ± {row.half_width:.{digits}f}"
        panel.annotate(
            f"{row.value:.{digits}f}{half}",
            (1.0, y),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=_QUIET,
            annotation_clip=False,
        )
    panel.set_title(table[0].name, loc="left", fontsize=10, fontweight="bold")
    panel.set_xlabel(f"{table[0].description} [{table[0].unit}]", fontsize=8, color=_QUIET)
    panel.margins(x=0.12)
    panel.locator_params(axis="x", nbins=4)
    panel.ticklabel_format(axis="x", useOffset=False, style="plain")
    panel.tick_params(labelsize=8, length=0)
    panel.grid(color=_GRID, zorder=0)
    panel.set_axisbelow(True)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(_GRID)


def _draw_key(figure: Any, answered: Sequence[dict[str, Any]]) -> None:
    """Say below the panels what the marks mean, as far as they occur."""
    from matplotlib.lines import Line2D

    coverage = sorted({result["coverage"] for result in answered} - {None})
    share = "/".join(f"{100 * part:.0f}" for part in coverage)
    texts = {
        _COLOUR: f"prediction with {share} % interval" if coverage else "prediction",
        "white": "outside the training domain, no interval",
    }
    used = [_COLOUR] * any(r["in_domain"] for r in answered) + ["white"] * any(
        not r["in_domain"] for r in answered
    )
    marks = [Line2D([], [], markerfacecolor=face, label=texts[face], **_MARK) for face in used]
    figure.legend(handles=marks, loc="outside lower center", ncols=2, frameon=False, fontsize=9)

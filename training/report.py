"""The report of a run: one HTML page with everything in it, and its figures as PNG files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import yaml
from torch import nn

from equizoo.hub.errors import EquizooError
from equizoo.pipelines import require
from equizoo.training.config import ConfigError
from equizoo.training.plots import STEERED, Rows, losses_figure, save_figure, steered, steering_figure
from equizoo.training.report_figures import (
    ERROR,
    equivariance_figure,
    layers_figure,
    projection_figure,
    score_lost,
)
from equizoo.training.report_header import header
from equizoo.training.report_html import folded, heading, page, paragraph, picture, table
from equizoo.training.report_measure import Measured, measure, relative_errors
from equizoo.training.runfolder import RunFolder, write_text
from equizoo.training.tasks import Task

log = logging.getLogger(__name__)
Result = TypeVar("Result")
_MEANING = {
    "gamma": "γ scales the unconstrained term of a layer",
    "dual": "λ is the dual variable of the constraint γ = 0 or |γ| ≤ u",
    "slack": "u is the slack of that constraint",
}


def write_report(
    run: str | Path,
    out: str | Path | None = None,
    data: Mapping[str, Any] | None = None,
    samples: int = 256,
) -> Path:
    """Write the report of a run folder.

    Args:
        run: The folder; it has at least one evaluation behind it and may still be in training.
        out: Folder of ``report.html`` and its PNG files; ``report`` inside the run folder unless given.
        data: Options of the task to change for what is measured anew, such as ``{"root": …}``.
        samples: Validation samples that bounds and symmetry by layer are measured on.

    Returns:
        Path of the page.

    Raises:
        ConfigError: The folder holds no run, or one without an evaluation.
        MissingExtra: matplotlib is not installed.
    """
    require("matplotlib", "plot", "a report")
    folder = RunFolder(run)
    config = folder.read_config()
    rows = folder.read_metrics() if folder.metrics.is_file() else []
    if not rows:
        raise ConfigError(f"{folder.path} has no evaluation yet: train it for at least one")
    page_path = Path(out or folder.path / "report") / "report.html"
    averaged = config.evaluation.ema > 0
    writer = _Writer(page_path.parent)
    parts = [*header(folder, config, rows), *_losses(rows, averaged, writer)]
    if steered(rows):
        measured, why = _measured(folder, data or {}, samples)
        parts += _relaxation(rows, measured, why, averaged, writer)
    else:
        parts += _strict(folder, data or {})
    parts.append(
        folded("Configuration", yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True))
    )
    write_text(page_path, page(f"{config.name} · report", parts))
    return page_path


class _Writer:
    """Puts figures into the page and beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str, figure: Any, caption: str, text: str) -> str:
        save_figure(figure, self.folder / f"{name}.png")
        return picture(figure, caption, text)


def _measured(folder: RunFolder, data: Mapping[str, Any], samples: int) -> tuple[Measured | None, str]:
    """Measure the best partial weights, or say why they cannot be."""
    return _of_best(folder, "partial", data, lambda model, task: measure(model, task, samples))


def _of_best(
    folder: RunFolder, variant: str, data: Mapping[str, Any], what: Callable[[nn.Module, Task], Result]
) -> tuple[Result | None, str]:
    """Measure something on the best weights of a variant, or say why it cannot be."""
    from safetensors import SafetensorError

    from equizoo.training.variants import load_trained

    if not folder.best(variant).is_file():
        return None, f"the run has no {variant} weights yet"
    log.info("measuring %s", folder.best(variant))
    try:
        trained = load_trained(folder.path, data)
        return what(trained.models[variant], trained.task), ""
    except (EquizooError, SafetensorError, OSError, ValueError, RuntimeError) as error:
        return None, " ".join(str(error).split())


def _strict(folder: RunFolder, data: Mapping[str, Any]) -> list[str]:
    parts = [
        heading("Relaxation"),
        paragraph(
            "The model of this run has no relaxed layers: there is no γ to follow and nothing to project."
        ),
        heading("Equivariance error"),
    ]
    errors, why = _of_best(folder, "equivariant", data, relative_errors)
    if errors is None:
        return [*parts, paragraph(f"The error could not be measured: {why}.", quiet=True)]
    what = (
        "Mean of ‖f(gx) − g f(x)‖, relative to the size of f(x), of the best weights in float64, over random "
        "transformations of 64 validation samples. About 1e-15 is round-off."
    )
    lines = [[name, f"{error:.1e}"] for name, error in errors.items()]
    return [*parts, paragraph(what), table(["transformation", "error"], lines)]


def _losses(rows: Rows, averaged: bool, writer: _Writer) -> list[str]:
    weights = "averaged weights" if averaged else "the weights of its epoch"
    caption = f"Each variant is evaluated with {weights}; the equivariant one with every γ set to 0."
    if not steered(rows):
        caption = f"The score is evaluated with {weights}."
    text = "training loss and validation scores over epochs"
    return [heading("Losses"), writer("losses", losses_figure(rows), caption, text)]


def _relaxation(
    rows: Rows, measured: Measured | None, why: str, averaged: bool, writer: _Writer
) -> list[str]:
    quantities = steered(rows)
    symbols = " and ".join(", ".join(STEERED[name] for name in quantities).rsplit(", ", 1))
    caption = "; ".join(_MEANING[name] for name in quantities) + "."
    if averaged:
        caption += (
            " γ is drawn as it is in training (live); scores, errors and the table of layers below belong to "
            "averaged weights, whose γ differs from it."
        )
    parts = [
        heading(f"{symbols} of every layer"),
        writer(
            "steering", steering_figure(rows, quantities), caption, f"{symbols} of each layer over epochs"
        ),
    ]
    if any(isfinite(score_lost(row)) for row in rows):
        caption = (
            "How much the validation score rises when every γ is set to 0: what is lost by shipping the "
            "projected model. Below 0 the projected model is the better one; beyond ±10 % the axis "
            "is logarithmic."
        )
        if averaged:
            caption += " The scores are of averaged weights, |γ| is the live one."
        parts += [
            heading("Projected and partial"),
            writer("projection", projection_figure(rows), caption, "score lost by projecting, and largest γ"),
        ]
    return [
        *parts,
        *_equivariance(rows, measured, why, averaged, writer),
        *_layers(measured, why, averaged, writer),
    ]


def _equivariance(
    rows: Rows, measured: Measured | None, why: str, averaged: bool, writer: _Writer
) -> list[str]:
    parts = [heading("Equivariance error and its bound")]
    if not any(ERROR in row for row in rows):
        parts.append(
            paragraph(
                "The error was not followed over training; evaluation.equivariance switches that on.", True
            )
        )
    if measured is None:
        parts.append(paragraph(f"The bounds could not be measured: {why}.", quiet=True))
        if not any(ERROR in row for row in rows):
            return parts
    caption = (
        "Mean over random rotations of ‖f(gx) − g f(x)‖, relative to the size of f(x), of the partial model."
    )
    if measured is not None:
        caption += (
            f" Theorem 4.2 is drawn with M = {measured.lipschitz:.3g}, B = {measured.growth:.3g}, "
            f"‖x‖ = {measured.norm:.3g} and L = {len(measured.layers)}, the largest values at validation "
            "samples with the best partial weights, times the gain behind the last relaxed layer "
            f"({measured.layers[-1].gain:.3g}); constants of earlier epochs are not known, γ is "
            f"{'the live one' if averaged else 'that'} of the epoch. The dashed line is the sum in the "
            "proof with the constants of each layer, to first order in γ."
        )
        if averaged:
            caption += (
                " The measured errors are those of averaged weights, whose γ is another than the live one: a "
                "bound and an error at the same epoch are not of the same γ."
            )
    text = "equivariance error over epochs and bounds"
    return [*parts, writer("equivariance", equivariance_figure(rows, measured), caption, text)]


def _layers(measured: Measured | None, why: str, averaged: bool, writer: _Writer) -> list[str]:
    title = heading("Symmetry by layer")
    if measured is None:
        return [title, paragraph(f"This could not be measured: {why}.", quiet=True)]
    caption = (
        f"Best partial weights on {measured.samples} validation samples, under rotations. The gap is the "
        "squared energy distance between the law of a layer's input and output and the same law turned at "
        "random: within two standard errors of 0, no asymmetry of the features is seen."
    )
    if averaged:
        caption += " γ is that of the averaged weights, not the live one of the curves above."
    columns = ["layer", "γ", "error", "gap ± standard error", "B", "gain to the output"]
    lines = [
        [
            layer.name,
            f"{layer.gamma:+.4f}",
            "–" if layer.error is None else f"{layer.error:.2e}",
            "–" if layer.gap is None else f"{100 * layer.gap[0]:+.2f} ± {100 * layer.gap[1]:.2f} %",
            f"{layer.growth:.3g}",
            f"{layer.gain:.3g}",
        ]
        for layer in measured.layers
    ]
    text = "size of γ, equivariance error and symmetry gap of each relaxed layer"
    return [title, writer("layers", layers_figure(measured), caption, text), table(columns, lines)]

"""The report of a run: one HTML page with everything in it, and its figures as PNG files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from equizoo.hub.errors import EquizooError
from equizoo.pipelines import require
from equizoo.training.config import ConfigError
from equizoo.training.plots import STEERED, Rows, losses_figure, save_figure, steered, steering_figure
from equizoo.training.report_figures import ERROR, equivariance_figure, layers_figure, projection_figure
from equizoo.training.report_header import header
from equizoo.training.report_html import folded, heading, page, paragraph, picture, table
from equizoo.training.report_measure import Measured, measure
from equizoo.training.runfolder import RunFolder, write_text

log = logging.getLogger(__name__)
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
    measured, why = _measured(folder, data or {}, samples)
    writer = _Writer(page_path.parent)
    parts = [*header(folder, config, rows), *_losses(rows, writer)]
    if steered(rows):
        parts += _relaxation(rows, measured, why, writer)
    else:
        parts += [
            heading("Relaxation"),
            paragraph(
                "The model of this run has no relaxed layers, so it is exactly equivariant throughout: there "
                "is no γ to follow, nothing to project, and no equivariance error beyond round-off."
            ),
        ]
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
    from safetensors import SafetensorError

    from equizoo.training.variants import load_trained

    if not folder.best("partial").is_file():
        return None, "the run has no partial weights yet"
    log.info("measuring %s", folder.best("partial"))
    try:
        trained = load_trained(folder.path, data)
        return measure(trained.models["partial"], trained.task, samples), ""
    except (EquizooError, SafetensorError, OSError, ValueError, RuntimeError) as error:
        return None, " ".join(str(error).split())


def _losses(rows: Rows, writer: _Writer) -> list[str]:
    caption = "Each variant is evaluated with averaged weights; the equivariant one with every γ set to 0."
    if not steered(rows):
        caption = "The score is evaluated with averaged weights."
    text = "training loss and validation scores over epochs"
    return [heading("Losses"), writer("losses", losses_figure(rows), caption, text)]


def _relaxation(rows: Rows, measured: Measured | None, why: str, writer: _Writer) -> list[str]:
    quantities = steered(rows)
    symbols = " and ".join(", ".join(STEERED[name] for name in quantities).rsplit(", ", 1))
    caption = "; ".join(_MEANING[name] for name in quantities) + "."
    parts = [
        heading(f"{symbols} of every layer"),
        writer(
            "steering", steering_figure(rows, quantities), caption, f"{symbols} of each layer over epochs"
        ),
    ]
    if all(f"valid/{v}/score" in rows[0] for v in ("equivariant", "partial")):
        caption = (
            "How much the validation score rises when every γ is set to 0: what is lost by shipping the "
            "exactly equivariant model. Below 0 the projected model is the better one; beyond ±10 % the axis "
            "is logarithmic."
        )
        parts += [
            heading("Projected and partial"),
            writer("projection", projection_figure(rows), caption, "score lost by projecting, and largest γ"),
        ]
    return [*parts, *_equivariance(rows, measured, why, writer), *_layers(measured, why, writer)]


def _equivariance(rows: Rows, measured: Measured | None, why: str, writer: _Writer) -> list[str]:
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
            f"({measured.layers[-1].gain:.3g}); constants of earlier epochs are not known, γ is that of the "
            "epoch. The dashed line is the sum in the proof with the constants of each layer, to first order "
            "in γ."
        )
    text = "equivariance error over epochs and bounds"
    return [*parts, writer("equivariance", equivariance_figure(rows, measured), caption, text)]


def _layers(measured: Measured | None, why: str, writer: _Writer) -> list[str]:
    title = heading("Symmetry by layer")
    if measured is None:
        return [title, paragraph(f"This could not be measured: {why}.", quiet=True)]
    caption = (
        f"Best partial weights on {measured.samples} validation samples, under rotations. The gap is the "
        "squared energy distance between the law of a layer's input and output and the same law turned at "
        "random: within two standard errors of 0, no asymmetry of the features is seen."
    )
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

"""Plots of a run: losses and scores, and γ, λ, u of every layer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from equizoo.training.runfolder import RunFolder

log = logging.getLogger(__name__)
STEERED = {"gamma": "γ", "dual": "λ", "slack": "u"}


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
    losses = {"train/loss": "training loss"}
    losses |= {k: k.split("/")[1] + ", validation score" for k in rows[0] if k.endswith("/score")}
    files = [_draw(folder.plots / "losses.png", rows, losses, "loss", logarithmic=True)]
    for prefix, symbol in STEERED.items():
        lines = {key: key.removeprefix(f"{prefix}/") for key in rows[0] if key.startswith(f"{prefix}/")}
        if lines:
            files.append(_draw(folder.plots / f"{prefix}.png", rows, lines, symbol, logarithmic=False))
    return files


def _draw(
    path: Path, rows: list[dict[str, float]], lines: Mapping[str, str], label: str, *, logarithmic: bool
) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for key, name in lines.items():
        points = [(row["epoch"], row[key]) for row in rows if key in row]
        axes.plot(
            *zip(*points, strict=True), label=name, linewidth=1.2, marker="." if len(points) < 20 else ""
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    if logarithmic:
        axes.set_yscale("log")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary, dpi=130)
    temporary.replace(path)
    return path

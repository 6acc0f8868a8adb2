"""The beginning of a report: what was trained, and how well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equizoo.training.config import RunConfig
from equizoo.training.plots import Rows
from equizoo.training.report_html import facts, heading, paragraph, table
from equizoo.training.runfolder import RunFolder


def header(folder: RunFolder, config: RunConfig, rows: Rows) -> list[str]:
    """Return the title, what was trained and how, the best validation scores, and the test results.

    Args:
        folder: The run folder.
        config: Its configuration.
        rows: Rows of ``metrics.csv``.

    Returns:
        The parts of the page.
    """
    result = _read(folder.result)
    done = f"{rows[-1]['epoch']:,.0f} of {config.budget.epochs:,} epochs, {rows[-1]['step']:,.0f} steps"
    about = {
        "model": _words(config.model, "family"),
        "data": _words(config.data, "task"),
        "method": _words({"name": "none"} | config.method, "name"),
        **({"begins with": _start(config.start_from)} if config.start_from is not None else {}),
        "optimiser": f"{config.optimiser.name}, rate {config.optimiser.lr:g} ({config.schedule.name})",
        "budget": f"{done} of {config.budget.batch_size} samples",
        "seed": config.seed,
        "status": result.get("status", "in training")
        + (f": {result['reason']}" if result.get("reason") else ""),
    }
    if "minutes" in result:
        about["time"] = f"{result['minutes']:.0f} minutes, {result['cpu_hours']:.2f} CPU hours"
    versions = config.provenance.get("versions", {})
    if versions:
        about["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    title = [heading(config.name, 1), paragraph("Report of a training run.", quiet=True), facts(about)]
    return [*title, *_scores(rows), *_test(_read(folder.path / "results.json"))]


def _start(source: str) -> str:
    """Return what a run begins with, without folders of this machine."""
    return f"the equivariant weights of {Path(source).name if Path(source).is_absolute() else source}"


def _scores(rows: Rows) -> list[str]:
    """Return the validation metrics of each variant at its best epoch."""
    variants = [v for v in ("equivariant", "partial") if any(f"valid/{v}/score" in row for row in rows)]
    best = {v: min((row for row in rows if f"valid/{v}/score" in row), key=lambda r: r[f"valid/{v}/score"])
            for v in variants}  # fmt: skip
    keys = dict.fromkeys(key for row in best.values() for key in row if key.startswith("valid/"))
    names = list(dict.fromkeys(key.split("/", 2)[2] for key in keys))
    lines = [["epoch", *(f"{best[v]['epoch']:,.0f}" for v in variants)]]
    lines += [[name, *(_number(best[v].get(f"valid/{v}/{name}")) for v in variants)] for name in names]
    return [heading("Best scores on validation data"), table(["", *variants], lines)]


def _test(results: Mapping[str, Any]) -> list[str]:
    """Return the errors that ``equizoo evaluate`` measured, if it did."""
    title = heading("Test results")
    if not results:
        return [title, paragraph("Not measured yet: equizoo evaluate writes results.json.", quiet=True)]
    variants = results["variants"]
    lines = [
        [f"{target} [{unit}]", *(_number(figures["errors"][target]) for figures in variants.values())]
        for target, unit in results["units"].items()
    ]
    lines += [["score", *(_number(figures["score"]) for figures in variants.values())]]
    for name, value in results.get("baselines", {}).items():
        lines.append([f"without a model: {name}", *[_number(value)] * len(variants)])
    what = f"{results['metric']} on {results['n']:,} samples of the {results['split']} split."
    return [title, paragraph(what), table(["", *variants], lines)]


def _words(section: Mapping[str, Any], first: str) -> str:
    """Return a section of the configuration in one line, without folders of this machine."""
    options = []
    for key, value in section.items():
        if isinstance(value, Mapping):
            value = "(" + ", ".join(f"{name} {one}" for name, one in value.items()) + ")"
        if key not in (first, "root"):
            options.append(f"{key} {value}")
    return f"{section.get(first)}" + (f": {', '.join(options)}" if options else "")


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"

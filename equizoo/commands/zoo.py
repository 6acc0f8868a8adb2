"""``equizoo list`` and ``equizoo info``."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from equizoo.commands.output import OK, format_rows, print_csv, print_json
from equizoo.hub.info import ModelInfo, model_info
from equizoo.hub.locate import HubOptions
from equizoo.hub.registry import bundled, list_models
from equizoo.hub.results import test_errors

_COLUMNS = ["name", "family", "task", "dataset", "method", "summary"]


def add_list(commands: Any) -> None:
    """Declare ``equizoo list``."""
    parser = commands.add_parser("list", help="list the bundled models")
    parser.add_argument("pattern", nargs="?", help="glob pattern for the name, such as '*qm9*'")
    for name in ("family", "task", "dataset", "method"):
        parser.add_argument(f"--{name}", help=f"only this {name}")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV")
    parser.set_defaults(run=run_list)


def run_list(args: argparse.Namespace) -> int:
    """Print the bundled models that match."""
    filters = {key: getattr(args, key) for key in ("family", "task", "dataset", "method")}
    entries = bundled().entries()
    rows = []
    for name in list_models(args.pattern, **filters):
        entry = dataclasses.asdict(entries[name])
        rows.append({"name": name} | {key: entry[key] for key in _COLUMNS[1:]})
    if args.json:
        print_json(rows)
    elif args.csv:
        print_csv(rows, _COLUMNS)
    else:
        print(format_rows(rows, _COLUMNS) if rows else "no bundled model matches")
    return OK


def add_info(commands: Any) -> None:
    """Declare ``equizoo info``."""
    parser = commands.add_parser("info", help="describe a model: targets, errors, domain, files")
    parser.add_argument("model", help="bundled name, local folder or Hub id org/name")
    parser.add_argument("--revision", help="Hub only: branch, tag or commit")
    parser.add_argument("--local-files-only", action="store_true", help="Hub only: never use the network")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_info)


def run_info(args: argparse.Namespace) -> int:
    """Print what the folder of a model says."""
    info = model_info(args.model, HubOptions(revision=args.revision, local_files_only=args.local_files_only))
    if args.json:
        print_json(dataclasses.asdict(info) | {"folder": str(info.folder)})
    else:
        print(_describe(info))
    return OK


def _describe(info: ModelInfo) -> str:
    card = info.config
    lines = [
        f"{card.name}: {card.family} for {card.task}, {card.dataset}, method {card.method}",
        f"folder    {info.folder}",
        f"config    {', '.join(f'{key}={value}' for key, value in card.config.items())}",
        f"domain    {card.domain}",
    ]
    if card.training.command:
        lines.append(f"training  {card.training.command}")
    variants = [
        {
            "variant": name,
            "numbers": f"{info.numbers[name]:,}" if name in info.numbers else "",
            "MB": f"{info.size[name] / 1e6:.2f}" if name in info.size else "",
            "relaxed layers": len(entry.gamma or {}),
            "sha256": f"{entry.sha256[:16]}…",
        }
        for name, entry in card.variants.items()
    ]
    errors = _errors(info)
    targets = [
        {"target": target.name, "unit": target.unit}
        | {label: f"{e[target.name]:.4g}" if target.name in e else "" for label, e in errors.items()}
        | {"description": target.description}
        for target in card.targets
    ]
    tables = [format_rows(rows, list(rows[0])) for rows in (variants, targets) if rows]
    return "\n\n".join(["\n".join(lines), *tables])


def _errors(info: ModelInfo) -> dict[str, dict[str, float]]:
    """Return the test errors by target: for each kind of geometry, or else for each variant."""
    if info.config.calibration:
        return {f"MAE {geometry}": measured.mae for geometry, measured in info.config.calibration.items()}
    if "variants" not in info.results:
        return {}
    metric, square = info.results["metric"], " [unit²]" * (info.results["metric"] == "MSE")
    return {f"{metric} {name}{square}": test_errors(info.results, name) for name in info.config.variants}

"""The folder of a run: configuration, metrics, resumable state, best weights, result."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from equizoo.hub.files import sha256
from equizoo.training.config import ConfigError, RunConfig, from_dict, parse_yaml

VARIANTS = ("equivariant", "partial")
PACKAGES = (
    "equizoo", "torch", "numpy", "e3nn", "torch-geometric", "safetensors",
    "rdkit", "ase", "tblite", "posebusters",
)  # fmt: skip
"""Packages whose versions are kept with a run; the last four make and judge geometries of molecules."""
FREE = {
    "name", "device", "threads", "precision", "provenance", "schedule",
    "budget.epochs", "budget.max_minutes", "budget.max_loss_ratio",
    "evaluation.every", "evaluation.batch_size", "evaluation.limit", "evaluation.half",
    "evaluation.state_minutes", "evaluation.equivariance", "data.root",
    "optimiser.lr", "optimiser.muon_lr", "optimiser.clip",
}  # fmt: skip
"""Keys that may differ when a run is resumed."""


class RunFolder:
    """Paths and files of one run.

    Args:
        path: The folder; made when something is written.

    Example:
        >>> RunFolder("runs/x").state.as_posix()
        'runs/x/last/state.pt'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.metrics = self.path / "metrics.csv"
        self.state = self.path / "last" / "state.pt"
        self.result = self.path / "result.json"
        self.plots = self.path / "plots"

    def best(self, variant: str) -> Path:
        """Return the path of the best weights of a variant."""
        return self.path / "best" / f"{variant}.safetensors"

    def read_config(self) -> RunConfig:
        """Return the configuration of the run.

        Raises:
            ConfigError: The folder holds no run.
        """
        if not self.config.is_file():
            raise ConfigError(f"{self.path} holds no run: there is no {self.config.name} in it")
        return from_dict(parse_yaml(self.config.read_text(encoding="utf-8")))

    def write_config(self, config: RunConfig) -> None:
        """Write the resolved configuration."""
        text = yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
        write_text(self.config, text)

    def write_metrics(self, rows: list[dict[str, float]]) -> None:
        """Write one line an evaluation; the columns are those of all rows, in order of appearance."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.metrics, text.getvalue())

    def read_metrics(self) -> list[dict[str, float]]:
        """Return the rows of ``metrics.csv``; an empty cell is left out."""
        with open(self.metrics, newline="", encoding="utf-8") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]

    def write_best(self, variant: str, weights: Mapping[str, Tensor], metrics: Mapping[str, Any]) -> None:
        """Write weights as safetensors, with their metrics as JSON in the metadata."""
        from safetensors.torch import save_file

        path = self.best(variant)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        tensors = {key: value.detach().cpu().contiguous().clone() for key, value in weights.items()}
        save_file(tensors, temporary, {"metrics": json.dumps(metrics)})
        os.replace(temporary, path)

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of the best weights of each variant that there is."""
        paths = {variant: self.best(variant) for variant in VARIANTS}
        return {variant: sha256(path.read_bytes()) for variant, path in paths.items() if path.is_file()}

    def write_measured(self, name: str, report: Mapping[str, Any]) -> None:
        """Write what was measured on the best weights, and of which weights it tells."""
        write_json(self.path / name, {**report, "weights": self.digests()})

    def read_measured(self, name: str) -> dict[str, Any]:
        """Return what was measured on the best weights, {} if nothing was.

        Raises:
            ConfigError: Other weights were measured: the run has gone on since.
        """
        path = self.path / name
        if not path.is_file():
            return {}
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if report.pop("weights", None) != self.digests():
            raise ConfigError(f"{path} tells of other weights than {self.path / 'best'} holds: measure again")
        return report

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write ``result.json``."""
        write_json(self.result, result)


def check_resumable(old: RunConfig, new: RunConfig) -> list[str]:
    """Compare the configuration of a run with the one it is to be resumed with.

    Args:
        old: Configuration in the run folder.
        new: Configuration given now.

    Returns:
        The keys that differ and may.

    Raises:
        ConfigError: A key differs that may not, because the saved state would not fit.
    """
    before, after = flatten(old.to_dict()), flatten(new.to_dict())
    changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    free = sorted(k for k in changed if k in FREE or k.split(".")[0] in FREE)
    fixed = sorted(set(changed) - set(free))
    if fixed:
        pairs = ", ".join(f"{key} was {before.get(key)!r}, now {after.get(key)!r}" for key in fixed)
        raise ConfigError(
            f"cannot resume with another configuration: {pairs}; use a new --out or the old values"
        )
    return [key for key in free if not key.startswith("provenance")]


def provenance(data_hash: str) -> dict[str, Any]:
    """Return versions, of the packages that are installed, and the hash of the training data."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"versions": {"python": platform.python_version(), **versions}, "data_sha256": data_hash}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text so that a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)

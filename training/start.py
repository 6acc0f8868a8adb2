"""Weights to begin a run with, those of another run or of a checkpoint, and what all parts of it took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from equizoo.relaxation.project import project_state
from equizoo.training.config import RECIPES, ConfigError, RunConfig
from equizoo.training.runfolder import RunFolder


def start_from(model: nn.Module, source: str) -> None:
    """Load the best equivariant weights of a run or a checkpoint into a model.

    Unconstrained terms of the model begin with fresh weights.

    Args:
        model: The model, with or without unconstrained terms.
        source: A run folder, or what :func:`equizoo.from_pretrained` takes.

    Raises:
        ConfigError: The run has no best weights, or they do not fit: a weight is missing, is too many, or has
            another shape; the message names the first.
        EquizooError: It is neither a run nor a checkpoint.

    Example:
        >>> from equizoo.models import build_model
        >>> from equizoo.hub.config import read_config
        >>> from equizoo.hub.locate import locate
        >>> config = read_config(locate("segnn-nbody-strict"))
        >>> start_from(build_model(config.family, config.config, relaxed=True), "segnn-nbody-strict")
    """
    weights = _weights(source)
    own = project_state(model.state_dict())
    for name in sorted(own.keys() | weights.keys()):
        if name not in weights or name not in own or own[name].shape != weights[name].shape:
            here, there = (tuple(x[name].shape) if name in x else "no such weight" for x in (own, weights))
            raise ConfigError(
                f"start_from: the weights of {source!r} do not fit: {name} is {here} here and {there} there; "
                "the model section has to be that of the other run"
            )
    model.load_state_dict(weights, strict=False)


def stages(config: RunConfig) -> list[RunConfig]:
    """Return the runs that a run stands on, the first one first, and itself.

    A run that starts from another run folder is a further part of the same training. What a checkpoint was
    made by is told by its card.

    Example:
        >>> from equizoo.training.config import load_recipe
        >>> [part.name for part in stages(load_recipe("segnn-nbody-strict"))]
        ['segnn-nbody-strict']
    """
    found = [config]
    while (source := found[0].start_from) is not None and RunFolder(source).config.is_file():
        found.insert(0, RunFolder(source).read_config())
    return found


def method_name(config: RunConfig) -> str:
    """Return the method of the last relaxed stage of a training, or ``none``."""
    names = [part.method.get("name", "none") for part in stages(config)]
    return next((name for name in reversed(names) if name != "none"), "none")


def cost(run: Path, config: RunConfig) -> dict[str, Any]:
    """Return how far a run came, with epochs, steps and times of all parts; {} if one was cut off.

    With several parts, ``stages`` tells of each: its epochs and steps, and the smallest and largest |γ| at
    its end where it had relaxed layers.
    """
    starts = [RunFolder(part.start_from) for part in stages(config)[1:] if part.start_from]
    folders = [*starts, RunFolder(run)]
    if not all(folder.result.is_file() for folder in folders):
        return {}
    results = [json.loads(folder.result.read_text(encoding="utf-8")) for folder in folders]
    total = {key: sum(result[key] for result in results) for key in ("epoch", "step", "minutes", "cpu_hours")}
    found = {"status": results[-1]["status"], "parts": len(results), **total}
    parts = [_part(folder, result) for folder, result in zip(folders, results, strict=True)]
    return found | ({"stages": parts} if len(parts) > 1 else {})


def _part(folder: RunFolder, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the length of one part of a training, and the range of |γ| in the last row of its metrics."""
    rows = folder.read_metrics() if folder.metrics.is_file() else []
    gammas = [abs(value) for key, value in (rows[-1] if rows else {}).items() if key.startswith("gamma/")]
    length = {key: result[key] for key in ("epoch", "step")}
    return length | ({"gamma": [min(gammas), max(gammas)]} if gammas else {})


def _check_made(source: str) -> None:
    """Raise if a run that a bundled recipe makes is not there: its name may look like one on the Hub."""
    name = Path(source).name
    if not Path(source).exists() and (RECIPES / f"{name}.yaml").is_file() and source != name:
        raise ConfigError(
            f"start_from: there is no run in {source} yet; make it with `python -m equizoo.training {name}`"
        )


def _weights(source: str) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    from equizoo.hub.files import WEIGHTS
    from equizoo.hub.locate import locate

    folder = RunFolder(source)
    if not folder.config.is_file():
        _check_made(source)
        return load_file(locate(source, ("equivariant",)) / "equivariant" / WEIGHTS)
    path = folder.best("equivariant")
    if not path.is_file():
        raise ConfigError(
            f"start_from: {source} has no best weights yet: train it for at least one evaluation"
        )
    return load_file(path)

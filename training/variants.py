"""The trained variants of a run folder or a checkpoint, with the task they were trained for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from equizoo.training.building import is_relaxed, prepare_torch
from equizoo.training.config import ConfigError, RunConfig, load_recipe
from equizoo.training.runfolder import VARIANTS, RunFolder
from equizoo.training.tasks import Task, build_task, task_class


@dataclass
class Trained:
    """What was trained.

    Attributes:
        name: Name of the run or of the checkpoint.
        task: The task with its data.
        models: The model of each variant, in evaluation mode, without gradients.
        config: The run's configuration, or what a checkpoint tells of it.
        best: Of a run: epoch, step and validation metrics of each variant's weights.
    """

    name: str
    task: Task
    models: dict[str, nn.Module]
    config: RunConfig
    best: dict[str, dict[str, float]] = field(default_factory=dict)


def load_trained(name: str | Path, data: Mapping[str, Any] | None = None) -> Trained:
    """Load the variants of a run or of a checkpoint.

    Args:
        name: A run folder with best weights, or what :func:`equizoo.from_pretrained` takes.
        data: Options of the task to change, such as ``root``.

    Returns:
        The models and their task.

    Raises:
        ConfigError: The run has no best weights yet.
        EquizooError: It is neither a run nor a checkpoint.
    """
    from equizoo.hub.locate import locate

    if Path(name).is_dir() and not (Path(name) / "config.json").is_file():
        return _from_run(RunFolder(Path(name)), data or {})
    return _from_checkpoint(locate(name, VARIANTS), data or {})


def _from_run(folder: RunFolder, data: Mapping[str, Any]) -> Trained:
    from safetensors import safe_open
    from safetensors.torch import load_file

    config = folder.read_config()
    device = prepare_torch(config)
    task = build_task({**config.data, **data}, config.seed, device)
    models, best = {}, {}
    for variant in VARIANTS:
        path = folder.best(variant)
        if not path.is_file():
            continue
        model = task.build_model(config.model, relaxed=variant == "partial" and is_relaxed(config))
        model.load_state_dict(load_file(path, device=device))
        models[variant] = model.eval().requires_grad_(False)
        with safe_open(path, "pt") as file:
            best[variant] = json.loads(file.metadata()["metrics"])
    if not models:
        raise ConfigError(f"{folder.path} has no best weights yet: train it for at least one evaluation")
    return Trained(config.name, task, models, config, best)


def _from_checkpoint(folder: Path, data: Mapping[str, Any]) -> Trained:
    from equizoo.hub import load_checkpoint
    from equizoo.hub.config import read_config

    card = read_config(folder)
    try:
        recipe = load_recipe(card.training.recipe)
    except ConfigError:
        recipe = RunConfig(card.name, {"task": card.dataset}, {})
    config = recipe.replace(
        name=card.name,
        model={"family": card.family, **card.config},
        method={"name": card.method},
        data={**recipe.data, **task_class(card.dataset).checkpoint_options(card), **data},
    )
    device = prepare_torch(config)
    task = build_task(config.data, config.seed, device)
    models = {
        variant: load_checkpoint(folder, variant, device).requires_grad_(False) for variant in card.variants
    }
    return Trained(card.name, task, models, config)

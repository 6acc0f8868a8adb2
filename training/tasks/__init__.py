"""Tasks: a dataset with its loss and its metric."""

from __future__ import annotations

import importlib
from typing import Any

from equizoo.training.config import ConfigError, nearest
from equizoo.training.tasks.base import Target, Task

TASKS = {
    "qm9": "equizoo.training.tasks.qm9:Qm9Task",
    "nbody": "equizoo.training.tasks.nbody:NBodyTask",
    "conformers": "equizoo.training.tasks.conformers:ConformersTask",
    "mocap": "equizoo.training.tasks.mocap:MocapTask",
    "modelnet40": "equizoo.training.tasks.modelnet40:ModelNet40Task",
}

__all__ = ["TASKS", "Target", "Task", "build_task", "task_class"]


def task_class(name: str | None) -> Any:
    """Return the class of a task.

    Raises:
        ConfigError: There is no such task; the message names the nearest.
    """
    if name not in TASKS:
        raise ConfigError(f"unknown task {name!r} in data.task; {nearest(str(name), TASKS)}")
    module, _, attribute = TASKS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def build_task(data: dict[str, Any], seed: int, device: str = "cpu") -> Task:
    """Build the task of a recipe's ``data`` section and load its data.

    Args:
        data: ``task`` and its options.
        seed: Seed of the run.
        device: Where batches are put.

    Raises:
        ConfigError: Unknown task or option.
    """
    options = dict(data)
    task = task_class(options.pop("task", None))(device)
    task.setup(options, seed)
    return task

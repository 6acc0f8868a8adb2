"""From a configuration to the objects of a run."""

from __future__ import annotations

import os

import torch
from torch import nn

from equizoo.relaxation.layer import relaxations
from equizoo.relaxation.method import Method, build_method
from equizoo.symmetry.features import FeatureType
from equizoo.training.config import ConfigError, RunConfig


def prepare_torch(config: RunConfig) -> str:
    """Set threads and flush denormals; return the device that ``config.device`` stands for.

    Raises:
        ConfigError: The device is not there.
    """
    torch.set_flush_denormal(True)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda, got {config.device!r}")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, but torch sees no GPU; use device=cpu")
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return device


def make_method(config: RunConfig, model: nn.Module, target_type: FeatureType | None = None) -> Method:
    """Build the method of a recipe on the relaxed layers of ``model``.

    Args:
        config: The run.
        model: The model, with relaxed layers where the method needs them.
        target_type: How the task's targets for methods transform; None: as the model's output does.

    Returns:
        The method.

    Raises:
        ConfigError: Unknown method or option, or a bad value.
    """
    options = {key: value for key, value in config.method.items() if key not in ("name", "relaxed")}
    name = config.method.get("name", "none")
    if name == "recm":  # the one method that looks at labels
        options["target_type"] = target_type or getattr(model, "output_type", None)
    try:
        return build_method(name, relaxations(model), **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"method: {error}") from None


def is_relaxed(config: RunConfig) -> bool:
    """Whether the model gets unconstrained terms: with any method but ``none``, or if the recipe says so."""
    return bool(config.method.get("relaxed", config.method.get("name", "none") != "none"))

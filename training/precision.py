"""Number formats of training: which one a run asks for, and what the processor computes fast."""

from __future__ import annotations

import logging

import torch
from torch import nn

from equizoo.training.config import ConfigError, RunConfig, nearest

PRECISIONS = ("float32", "bfloat16")
log = logging.getLogger(__name__)


def fast_bfloat16(device: str) -> bool:
    """Say whether matrix products in bfloat16 are done in hardware, not number by number.

    A processor without vector instructions for them takes many times as long as in float32.

    Example:
        >>> isinstance(fast_bfloat16("cpu"), bool)
        True
    """
    return torch.device(device).type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def on_device(config: RunConfig, device: str) -> RunConfig:
    """Return a configuration with float32 in place of a bfloat16 that the processor does not compute fast.

    What is used is then what the run folder and the command of a published checkpoint say.

    Example:
        >>> from equizoo.training.config import load_recipe
        >>> on_device(load_recipe("vn-dgcnn-modelnet40-paper-ace"), "cpu").precision
        'float32'
    """
    if config.precision != "bfloat16" or fast_bfloat16(device):
        return config
    log.warning("this processor has no fast bfloat16: matrix products are in float32")
    return config.replace(precision="float32")


def mixed_precision(config: RunConfig, model: nn.Module) -> bool:
    """Say whether the matrix products of training are in bfloat16.

    Raises:
        ConfigError: Unknown precision, or one that the model was not made for.
    """
    if config.precision not in PRECISIONS:
        raise ConfigError(f"unknown precision {config.precision!r}; {nearest(config.precision, PRECISIONS)}")
    if config.precision == "float32":
        return False
    if not getattr(model, "mixed_precision", False):
        raise ConfigError(f"{type(model).__name__} is trained with precision=float32 only")
    return True

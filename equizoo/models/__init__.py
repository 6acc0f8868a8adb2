"""The model families and the way to build one from a configuration."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from equizoo.relaxation.method import nearest

if TYPE_CHECKING:
    from torch import nn

FAMILIES = {
    "schnet": ("equizoo.models.schnet", "SchNet", "SchNetConfig"),
    "segnn-particles": ("equizoo.models.segnn_particles", "ParticleSEGNN", "ParticleSEGNNConfig"),
    "segnn-molecules": ("equizoo.models.segnn_molecules", "MoleculeSEGNN", "MoleculeSEGNNConfig"),
    "egno": ("equizoo.models.egno", "EGNO", "EGNOConfig"),
    "conformer-flow": ("equizoo.models.conformer_flow", "ConformerFlow", "ConformerFlowConfig"),
    "vn-dgcnn": ("equizoo.models.vn_dgcnn", "VNDGCNN", "VNDGCNNConfig"),
}
"""Family name: module, model class, configuration class."""


def build_model(family: str, config: Mapping[str, Any], *, relaxed: bool) -> nn.Module:
    """Build a model with fresh weights.

    Args:
        family: One of :data:`FAMILIES`.
        config: Fields of the family's configuration, without ``relaxed``.
        relaxed: Build the unconstrained branches too.

    Returns:
        The model; its ``config`` is the whole configuration.

    Raises:
        ValueError: No such family, or a bad value.
        TypeError: The configuration has no such field.

    Example:
        >>> build_model("schnet", {"hidden": 32}, relaxed=False).config.hidden
        32
    """
    if family not in FAMILIES:
        raise ValueError(nearest("family", family, FAMILIES))
    module_name, model_name, config_name = FAMILIES[family]
    module = importlib.import_module(module_name)
    config_class = getattr(module, config_name)
    fields = [field.name for field in dataclasses.fields(config_class) if field.name != "relaxed"]
    for key in config:
        if key not in fields:
            raise TypeError(nearest(f"field of {config_name}", key, fields))
    return getattr(module, model_name)(config_class(**config, relaxed=relaxed))

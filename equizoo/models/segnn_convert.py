"""Weights of the released SEGNN under our names.

Tensor products keep e3nn's flat weights as they are. The unconstrained branches of the released ACE see
features in e3nn's layout (``mul_ir``), ours in ``ir_mul``: their first and last matrices are permuted.

References:
    github.com/RobDHess/Steerable-E3-GNN (SEGNN) and the folder of that name in github.com/andreimano/ACE.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from equizoo.nn.steerable import block_shapes, from_mul_ir

NAMES = {
    "embedding_layer": "embedding",
    "message_layer_1": "message_1",
    "message_layer_2": "message_2",
    "update_layer_1": "update_1",
    "update_layer_2": "update_2",
    "feature_norm": "norm",
    "lin_noneq1": "update_1.relaxation.branch",
    "lin_noneq2": "update_2.relaxation.branch",
    "gammas.0": "update_1.relaxation.gamma",
    "gammas.1": "update_2.relaxation.gamma",
    "pre_pool1": "readout_1",
    "pre_pool2": "readout_2",
    "post_pool1": "readout.hidden",
    "post_pool2": "readout.out",
    "tp.weight": "weight",
    "biases": "bias",
}
"""Parts of the released names, and ours."""

CONSTANTS = (".output_mask", ".gate.mul.weight", "._compiled_")
"""Parts of the names of entries of a released state dict that hold no parameters."""


def from_released(state: Mapping[str, Tensor], irreps: Any) -> dict[str, Tensor]:
    """Return a released state dict under our names, in our layout.

    Args:
        state: State dict of the released SEGNN, with or without branches.
        irreps: Hidden irreps of the network, such as ``model.irreps``.

    Returns:
        A state dict of the plain model, or of the relaxed one if there are branches; for molecules without
        the statistics of the readout, which a fresh model has.

    Raises:
        ValueError: A branch does not fit the irreps.

    Example:
        >>> list(from_released({"layers.0.update_layer_2.tp.weight": torch.ones(4)}, "1x0e+1x1o"))
        ['layers.0.update_2.weight']
    """
    order = _channel_order(irreps)
    found = {}
    for name, value in state.items():
        if any(constant in name for constant in CONSTANTS):
            continue
        if ".lin_noneq" in name:
            value = _branch(name, value, order)
        elif name.startswith("post_pool") and name.endswith("weight"):
            outputs = state[name.replace("tp.weight", "biases")].shape[0]
            value = value.view(-1, outputs).mT
        found[_our_name(name)] = value
    return found


def _our_name(name: str) -> str:
    for released, ours in NAMES.items():
        name = f".{name}.".replace(f".{released}.", f".{ours}.").strip(".")
    return name


def _channel_order(irreps: Any) -> Tensor:
    """Return which of e3nn's channels each of ours is."""
    dim = sum(size * channels for size, channels in block_shapes(irreps))
    return from_mul_ir(torch.arange(dim).unsqueeze(0), irreps).squeeze(0)


def _branch(name: str, value: Tensor, order: Tensor) -> Tensor:
    *_, layer, kind = name.split(".")
    if layer == "0" and kind == "weight":
        copies, rest = divmod(value.shape[1], len(order))
        if rest:
            raise ValueError(f"{name} takes {value.shape[1]} features, the irreps have {len(order)}")
        return value[:, torch.cat([order + k * len(order) for k in range(copies)])]
    if layer == "4":
        if len(value) != len(order):
            raise ValueError(f"{name} gives {len(value)} features, the irreps have {len(order)}")
        return value[order]
    return value

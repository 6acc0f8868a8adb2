"""The released VN-DGCNN with our weights, on a CPU."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from equizoo.models.vn_dgcnn import VNDGCNN


class _TorchOnCpu:
    """``torch`` for a module that asks for a CUDA device by name."""

    def __getattr__(self, name: str) -> Any:
        return (lambda _: torch.device("cpu")) if name == "device" else getattr(torch, name)


def released(folder: Path, ours: VNDGCNN) -> nn.Module:
    """Build the released model with branches and give it our weights."""
    sys.path.insert(0, str(folder))
    importlib.import_module("models.utils.vn_dgcnn_util").torch = _TorchOnCpu()
    module = importlib.import_module("models.vn_dgcnn_cls")
    options = SimpleNamespace(
        n_knn=20, disable_equivariance=1, full_nonequi=1, gamma_init_val=1.0, pooling="mean"
    )
    model = module.get_model(options)
    ours_of = {f"conv{k + 1}": layer for k, layer in enumerate(ours.layers)}
    ours_of |= {"conv5": ours.embed, "std_feature.vn1": ours.frame_1, "std_feature.vn2": ours.frame_2}
    with torch.no_grad():
        for name, layer in ours_of.items():
            _copy_layer(model.get_submodule(name), layer)
        model.std_feature.vn_lin.weight.copy_(ours.frame.weight)
        for k in (1, 2, 3):
            theirs, mine = getattr(model, f"linear{k}"), getattr(ours, f"linear_{k}")
            order = _pooled_order(ours.config.embedding) if k == 1 else torch.arange(mine.in_features)
            theirs.weight.copy_(mine.weight[:, order])
            theirs.bias.copy_(mine.bias)
    return model


def _copy_layer(theirs: nn.Module, ours: nn.Module) -> None:
    theirs.map_to_feat.weight.copy_(ours.feature.weight)
    theirs.map_to_dir.weight.copy_(ours.direction.weight)
    for target, linear in (
        (theirs.map_to_feat_nonequiv, ours.feature),
        (theirs.map_to_dir_nonequiv, ours.direction),
    ):
        source = linear.relaxation.branch.first
        rows = _interleaved(1, linear.channels_out)
        columns = _interleaved(linear.inputs, linear.channels_in)
        target.weight.copy_(source.weight[rows][:, columns])
        target.bias.copy_(source.bias[rows])


def _interleaved(inputs: int, channels: int) -> Tensor:
    """Return where ``[input, component, channel]`` holds what is at ``[input, channel, component]``."""
    places = torch.arange(inputs * 3 * channels).view(inputs, 3, channels)
    return places.transpose(1, 2).flatten()


def _pooled_order(width: int) -> Tensor:
    """The same for the pooled features: ours are (x or mean, max or mean, frame vector, channel)."""
    places = torch.arange(12 * width).view(2, 2, 3, width)
    return places.permute(1, 0, 3, 2).flatten()


def use_right_layout(model: nn.Module) -> None:
    """Give the branches on points the layout of points: as released they mix points and channels."""
    kind = type(model.conv5)
    before = kind.apply_skip_connection

    def add(self: nn.Module, x: Tensor, source: Tensor, linear: nn.Linear, gamma: Tensor) -> Tensor:
        if source.ndim == 5:
            return before(self, x, source, linear, gamma)
        dense = linear(source.movedim(-1, 1).flatten(2))
        return x + gamma * dense.unflatten(-1, (-1, 3)).movedim(1, -1)

    kind.apply_skip_connection = add

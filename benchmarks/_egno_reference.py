"""The released EGNO of ACE, loaded from a checkout that the user made; none of its code is here.

``github.com/andreimano/ACE`` (commit 8d6d2ad), folder ``EGNO``. What its training script does to a batch
before the network sees it is written anew here: it cannot be imported without running.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from equizoo.models.egno import EGNO

NAMES = (
    (r"^layers\.(\d+)\.edge_message_net\.scalar_net\.mlp\.0", r"layers.\1.message_1"),
    (r"^layers\.(\d+)\.edge_message_net\.scalar_net\.mlp\.2", r"layers.\1.message_2"),
    (r"^layers\.(\d+)\.coord_net\.mlp\.0", r"layers.\1.positions.edge_1"),
    (r"^layers\.(\d+)\.coord_net\.mlp\.2", r"layers.\1.positions.edge_2"),
    (r"^layers\.(\d+)\.node_v_net\.mlp\.0", r"layers.\1.positions.velocity_1"),
    (r"^layers\.(\d+)\.node_v_net\.mlp\.2", r"layers.\1.positions.velocity_2"),
    (r"^layers\.(\d+)\.node_net\.mlp\.0", r"layers.\1.features.linear_1"),
    (r"^layers\.(\d+)\.node_net\.mlp\.2", r"layers.\1.features.linear_2"),
    (r"^time_conv_modules\.(\d+)\.t_conv\.weights1", r"feature_times.\1.weight"),
    (r"^time_conv_x_modules\.(\d+)\.t_conv\.weights1", r"vector_times.\1.weight"),
    (r"^pos_interactions_h\.(\d+)", r"layers.\1.features.relaxation.branch"),
    (r"^pos_interactions_x\.(\d+)", r"layers.\1.positions.relaxation.branch"),
    (r"^gammas_h\.(\d+)", r"layers.\1.features.relaxation.gamma"),
    (r"^gammas_x\.(\d+)", r"layers.\1.positions.relaxation.gamma"),
    (r"^pos_linear_h", "relaxation.features"),
    (r"^pos_linear_x", "relaxation.positions"),
)
"""Patterns of released parameter names, and ours."""


def our_name(name: str) -> str:
    """Return our name of a released parameter.

    Example:
        >>> our_name("layers.2.node_v_net.mlp.0.bias")
        'layers.2.positions.velocity_1.bias'
    """
    for pattern, ours in NAMES:
        name = re.sub(pattern, ours, name)
    return name


def our_state(released: nn.Module) -> dict[str, Tensor]:
    """Return the released weights under our names, in our order of axes and columns."""
    state = {}
    for released_name, parameter in released.state_dict().items():
        name, value = our_name(released_name), parameter.detach().clone()
        if "_times." in name:
            value = value.permute(2, 3, 0, 1).contiguous()
        elif name.endswith("message_1.weight"):
            width = value.shape[0]
            value = torch.cat([value[:, 1 : 1 + 2 * width], value[:, :1], value[:, 1 + 2 * width :]], 1)
        state[name] = value
    return state


class Released:
    """The released network with what its training script does to a batch.

    Args:
        folder: The ``EGNO`` folder of the checkout.
        ours: The network whose shape it gets; it gets the weights of the released one.

    Raises:
        SystemExit: The folder has no EGNO.
    """

    def __init__(self, folder: Path, ours: EGNO) -> None:
        if not (folder / "model" / "egno.py").is_file():
            raise SystemExit(f"{folder} has no model/egno.py; give the EGNO folder of ACE")
        sys.path.append(str(folder))
        config = ours.config
        self.model = importlib.import_module("model.egno").EGNO(
            n_layers=config.layers,
            in_node_nf=2,
            in_edge_nf=2,
            hidden_nf=config.hidden,
            with_v=True,
            num_modes=config.modes,
            num_timesteps=config.frames,
            time_emb_dim=32,
        )
        ours.load_state_dict(our_state(self.model))
        graph = ours.graph
        self.edges = torch.stack([graph.receivers, graph.senders])
        self.hops, self.joints = graph.hops, graph.joints
        self.gammas = list(self.model.get_gammas())

    def __call__(self, pos: Tensor, vel: Tensor, *, branches: bool) -> Tensor:
        """Return positions ``(N, T, 3)`` from positions and velocities ``(N, 3)`` of bodies of J joints."""
        bodies = len(pos) // self.joints
        offset = (torch.arange(bodies) * self.joints).unsqueeze(-1).unsqueeze(-1)
        rows, columns = edges = torch.cat(list(self.edges + offset), dim=-1)
        hops = torch.cat([self.hops] * bodies)
        mean = pos.view(bodies, -1, 3).mean(1, keepdim=True).repeat(1, self.joints, 1).view(-1, 3)
        height = pos[:, 1:2] / 10
        speed = torch.sqrt(torch.sum(vel**2, dim=1)).unsqueeze(1)
        nodes = torch.cat((speed, height / height.max()), dim=-1)
        square = torch.sum((pos[rows] - pos[columns]) ** 2, 1).unsqueeze(1)
        out, _, _ = self.model(
            pos,
            nodes,
            edges,
            torch.cat([hops, square], 1),
            v=vel,
            loc_mean=mean,
            disable_equivariance=branches,
        )
        return out.view(-1, len(pos), 3).transpose(0, 1)

"""The released SEGNN of ACE, loaded from a checkout that the user made; none of its code is here.

``github.com/andreimano/ACE`` (commit 8d6d2ad), folder ``Steerable-E3-GNN``. Its training script imports
packages that a step of the N-body model does not need or that have no wheels; they get stand-ins:

- ``torch_scatter.scatter``: the function of the same name and arguments in PyTorch Geometric;
- ``wandb`` and ``pytorch3d`` (logging and random rotations): empty, never called.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from torch import Tensor, nn

from equizoo.nn.steerable import block_shapes, from_mul_ir

NAMES = {
    "embedding_layer": "embedding",
    "message_layer_1": "message_1",
    "message_layer_2": "message_2",
    "update_layer_1": "update_1",
    "update_layer_2": "update_2",
    "lin_noneq1": "update_1.relaxation.branch",
    "lin_noneq2": "update_2.relaxation.branch",
    "gammas.0": "update_1.relaxation.gamma",
    "gammas.1": "update_2.relaxation.gamma",
    "pre_pool1": "readout_1",
    "pre_pool2": "readout_2",
    "tp.weight": "weight",
    "biases": "bias",
}
"""Segments of the released parameter names, and ours."""


def _stand_in(name: str, **members: object) -> None:
    """Register an importable module, unless the real one is installed."""
    try:
        importlib.import_module(name)
    except ImportError:
        module = ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module


def our_name(name: str) -> str:
    """Return our name of a released parameter.

    Example:
        >>> our_name("layers.2.message_layer_1.tp.weight")
        'layers.2.message_1.weight'
    """
    for released, ours in NAMES.items():
        name = f".{name}.".replace(f".{released}.", f".{ours}.").strip(".")
    return name


def hidden_irreps(hidden: int, lmax: int, lmax_attributes: int) -> str:
    """Return the released "weight-balanced" irreps, without building a tensor product for each guess.

    Args:
        hidden: Width of the linear layer whose number of weights the tensor product has at least.
        lmax: Largest degree of the hidden features.
        lmax_attributes: Largest degree of the attributes.

    Example:
        >>> hidden_irreps(64, 1, 1)
        '32x0e+32x1o'
    """
    degrees = range(lmax + 1)
    paths = sum(
        abs(a - b) <= c <= a + b and (a + b + c) % 2 == 0
        for a in degrees
        for b in range(lmax_attributes + 1)
        for c in degrees
    )
    count = math.isqrt(math.ceil(hidden**2 / paths) - 1) + 1
    return "+".join(f"{count}x{degree}{'eo'[degree % 2]}" for degree in degrees)


@dataclass(frozen=True)
class Released:
    """The released network with the graph transform of its training script.

    Attributes:
        model: The network; ``set_equivariance(True)`` turns its branches on.
        transform: Adds irreps features and attributes to a graph.
        prepare: The training script's function that makes a graph of a batch.
    """

    model: nn.Module
    transform: Callable
    prepare: Callable

    def graph(self, pos: Tensor, vel: Tensor, charge: Tensor, edges: Tensor, batch: Tensor) -> object:
        """Return the graph of ``pos``, ``vel`` (N, 3), ``charge``, ``batch`` (N,) and ``edges`` (2, E)."""
        return self.prepare(pos, vel, charge.unsqueeze(-1), pos, edges, batch, pos.device, self.transform)

    def __call__(self, pos: Tensor, vel: Tensor, charge: Tensor, edges: Tensor, batch: Tensor) -> Tensor:
        """Return positions ``(N, 3)`` one time unit later."""
        graph = self.graph(pos, vel, charge, edges, batch)
        return graph.pos + self.model(graph)


def our_state(released: Released) -> dict[str, Tensor]:
    """Return the released weights under our names.

    Tensor products keep their weights as they are; branches see the channels in another order (``ir_mul``).
    """
    irreps = str(released.model.layers[0].hidden_irreps)
    order = _channel_order(irreps)
    twice = _channel_order(f"{irreps}+{irreps}")
    state = {}
    for name, parameter in released.model.named_parameters():
        value, last = parameter.detach().clone(), name.split(".")[-2]
        if ".lin_noneq" in name:
            if last == "0" and name.endswith("weight"):
                value = value[:, order if value.shape[1] == len(order) else twice]
            elif last == "4":
                value = value[order]
        state[our_name(name)] = value
    return state


def _channel_order(irreps: str) -> Tensor:
    """Return which of e3nn's channels each of ours is."""
    dim = sum(size * channels for size, channels in block_shapes(irreps))
    return from_mul_ir(torch.arange(dim).unsqueeze(0), irreps).squeeze(0)


def load(folder: Path, *, hidden: int = 64, layers: int = 4, lmax: int = 1) -> Released:
    """Build the released N-body SEGNN with its branches.

    Args:
        folder: The ``Steerable-E3-GNN`` folder of the checkout.
        hidden: Width, as the released option ``--hidden_features``.
        layers: Number of layers.
        lmax: Largest degree of hidden features and attributes.

    Raises:
        SystemExit: The folder has no SEGNN.
    """
    if not (folder / "models" / "segnn" / "segnn.py").is_file():
        raise SystemExit(f"{folder} has no models/segnn/segnn.py; give the Steerable-E3-GNN folder of ACE")
    from torch_geometric.utils import scatter

    _stand_in("torch_scatter", scatter=scatter)
    _stand_in("wandb")
    _stand_in("pytorch3d")
    _stand_in("pytorch3d.transforms", Rotate=None, random_rotations=None)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    network = importlib.import_module("models.segnn.segnn")
    training = importlib.import_module("nbody.train_nbody")
    from e3nn.o3 import Irreps

    attributes = Irreps.spherical_harmonics(lmax)
    model = network.SEGNN(
        Irreps("2x1o + 1x0e"),
        Irreps(hidden_irreps(hidden, lmax, lmax)),
        Irreps("1x1o"),
        attributes,
        attributes,
        num_layers=layers,
        norm="none",
        task="node",
        additional_message_irreps=Irreps("2x0e"),
        args=SimpleNamespace(disable_equivariance=True),
    )
    return Released(model, training.O3Transform(lmax), training.prepare_graph)


def complete_edges(systems: int, particles: int, device: torch.device | None = None) -> Tensor:
    """Return the ``(2, S·n·(n-1))`` directed edges of S complete graphs, in the released order."""
    i, j = torch.meshgrid(torch.arange(particles), torch.arange(particles), indexing="ij")
    edges = torch.stack([i[i != j], j[i != j]])
    offset = particles * torch.arange(systems).view(-1, 1, 1)
    return (offset + edges).transpose(0, 1).reshape(2, -1).to(device)

"""The released SEGNN of ACE, loaded from a checkout that the user made; none of its code is here.

``github.com/andreimano/ACE`` (commit 8d6d2ad), folder ``Steerable-E3-GNN``. Its training script imports
packages that a step of the N-body model does not need or that have no wheels; they get stand-ins:

- ``torch_scatter.scatter``: the function of the same name and arguments in PyTorch Geometric;
- ``wandb`` and ``pytorch3d`` (logging and random rotations): empty, never called.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from torch import Tensor, nn

from equizoo.models.segnn import balanced_irreps
from equizoo.models.segnn_convert import from_released


def _stand_in(name: str, **members: object) -> None:
    """Register an importable module, unless the real one is installed."""
    try:
        importlib.import_module(name)
    except ImportError:
        module = ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module


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
    """Return the released weights under our names."""
    irreps = str(released.model.layers[0].hidden_irreps)
    return {name: value.clone() for name, value in from_released(released.model.state_dict(), irreps).items()}


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
        Irreps(balanced_irreps(hidden, lmax, lmax)),
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

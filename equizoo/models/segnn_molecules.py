"""SEGNN for properties of molecules, plain and relaxed.

Brandstetter et al., "Geometric and Physical Quantities Improve E(3) Equivariant Message Passing" (SEGNN),
ICLR 2022, Section 5.2; relaxed as in Manolache et al. (ACE), Appendix A.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equizoo.models.property_model import PropertyModel
from equizoo.models.segnn import BRANCHES, GatedProduct, SteerableLayer, balanced_irreps
from equizoo.nn.coupling import CouplingTable
from equizoo.nn.edges import Edges
from equizoo.nn.harmonics import spherical_harmonics
from equizoo.nn.pairs import Pairs, pairs_within
from equizoo.nn.radial import GaussianBasis, cosine_envelope
from equizoo.nn.readout import AGGREGATIONS, PropertyReadout, sum_nodes
from equizoo.nn.steerable import block_shapes
from equizoo.nn.tensor_product import TensorProduct

READOUTS = ("published", "properties")


@dataclass(frozen=True)
class MoleculeSEGNNConfig:
    """Shape of a SEGNN on molecules. The defaults are the published configuration (1,033,525 parameters).

    Attributes:
        elements: Atomic numbers that the network knows.
        hidden: Width of the linear map that has as many weights as a hidden tensor product.
        layers: Number of message-passing layers.
        lmax_hidden: Largest degree of the features.
        lmax_attributes: Largest degree of the attributes.
        radius: Interaction radius [Å].
        gaussians: Number of radial basis functions. 0: a message sees the squared distance and ends abruptly
            at the radius, as published; otherwise it sees the basis and fades to 0 there.
        norm: Normalise features over each molecule after each layer.
        readout: ``"published"``: the mean over atoms, then two layers; ``"properties"``: a readout a target
            with its own aggregation, see :class:`equizoo.nn.readout.PropertyReadout`.
        readout_width: Width of each target's readout with ``"properties"``.
        aggregations: One entry a target: how atomic outputs become a molecular value. The published readout
            knows ``"mean"`` only.
        relaxed: Build the unconstrained branches and their γ.
        branch: Kind of branch, see :func:`equizoo.models.segnn.make_branch` (9,869,667 parameters with
            ``"mlp"``).
    """

    elements: tuple[int, ...] = (1, 6, 7, 8, 9)
    hidden: int = 128
    layers: int = 7
    lmax_hidden: int = 2
    lmax_attributes: int = 3
    radius: float = 2.0
    gaussians: int = 0
    norm: bool = True
    readout: str = "published"
    readout_width: int = 32
    aggregations: tuple[str, ...] = ("mean",)
    relaxed: bool = False
    branch: str = "mlp"

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(self.elements))
        object.__setattr__(self, "aggregations", tuple(self.aggregations))
        for name in ("hidden", "layers", "lmax_hidden", "lmax_attributes", "readout_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.radius <= 0:
            raise ValueError(f"radius must be positive, got {self.radius}")
        if self.gaussians < 0 or self.gaussians == 1:
            raise ValueError(f"gaussians must be 0 or at least 2, got {self.gaussians}")
        if not self.elements or not all(0 < z < 100 for z in self.elements):
            raise ValueError(f"elements must be atomic numbers from 1 to 99, got {list(self.elements)}")
        if len(set(self.elements)) < len(self.elements):
            raise ValueError(f"elements must differ from each other, got {list(self.elements)}")
        if self.readout not in READOUTS:
            raise ValueError(f"readout is one of {READOUTS}, got {self.readout!r}")
        known = {"mean"} if self.readout == "published" else set(AGGREGATIONS)
        if not self.aggregations or set(self.aggregations) - known:
            raise ValueError(
                f"aggregations of readout {self.readout!r} must be among {sorted(known)}, "
                f"got {list(self.aggregations)}"
            )
        if self.branch not in BRANCHES:
            raise ValueError(f"branch is one of {BRANCHES}, got {self.branch!r}")


@dataclass(frozen=True)
class FadingEdges(Edges):
    """Edges with a weight, so that a neighbour that leaves the radius fades out.

    Attributes:
        weight: ``(E, 1)`` factor of each message.
    """

    weight: Tensor | None = None

    def sum(self, messages: Tensor) -> Tensor:
        """Return the ``(N, ...)`` weighted sum of the messages ``(E, ...)`` that each node receives."""
        return super().sum(messages * self.weight.unflatten(1, (1,) * (messages.ndim - 1)))

    def mean(self, messages: Tensor) -> Tensor:
        """Return the weighted sum over 1 + the sum of the weights: it goes to 0 with the last neighbour."""
        total = Edges.sum(self, self.weight)
        return self.sum(messages) / (1 + total).unflatten(1, (1,) * (messages.ndim - 1))


class MeanReadout(nn.Module):
    """Two layers on the mean of the atoms' scalars.

    Args:
        width: Width C of the node features and of the hidden layer.
        targets: T.

    References:
        Brandstetter et al. (2022), Appendix C; the released code's ``post_pool``.
    """

    def __init__(self, width: int, targets: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(width, width), nn.Linear(width, targets)
        self.register_buffer("scale", torch.ones(targets))
        self.register_buffer("shift", torch.zeros(targets))
        self.register_buffer("reference", torch.zeros(100, targets))

    set_statistics = PropertyReadout.set_statistics

    def baseline(self, z: Tensor, pos: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
        """Return the ``(B, T)`` part that is known beforehand: 0."""
        return pos.new_zeros(num_graphs, len(self.shift))

    def forward(self, h: Tensor, z: Tensor, pos: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
        """Predict the targets ``(B, T)``; arguments as in :class:`equizoo.nn.readout.PropertyReadout`."""
        mean = sum_nodes(h, batch, num_graphs) / sum_nodes(torch.ones_like(h[:, :1]), batch, num_graphs)
        out = self.out(nn.functional.silu(self.hidden(mean)))
        return out * self.scale + self.shift + sum_nodes(self.reference[z], batch, num_graphs)


class MoleculeSEGNN(PropertyModel):
    """Predicts molecular properties by steerable message passing between neighbouring atoms.

    Args:
        config: The shape of the network.

    Attributes:
        elements: ``(K,)`` atomic numbers that the network knows.
        input_types, output_type: How the Euclidean group acts on the arguments and on the result.

    Example:
        >>> model = MoleculeSEGNN(MoleculeSEGNNConfig(hidden=8, layers=1))
        >>> z, pos = torch.tensor([8, 1, 1]), torch.tensor([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
        >>> model(z, pos).shape
        torch.Size([1, 1])

    References:
        SEGNN, Section 5.2 and Appendix C; parameter counts of ACE, Table 4.
    """

    def __init__(self, config: MoleculeSEGNNConfig | None = None) -> None:
        config = config or MoleculeSEGNNConfig()
        super().__init__(len(config.aggregations))
        self.config = config
        self.irreps = irreps = balanced_irreps(config.hidden, config.lmax_hidden, config.lmax_attributes)
        width, targets = sum(channels for _, channels in block_shapes(irreps)), len(config.aggregations)
        degrees = range(config.lmax_attributes + 1)
        attributes = "+".join(f"1x{degree}{'eo'[degree % 2]}" for degree in degrees)
        self.coupling = table = CouplingTable(attributes, config.lmax_hidden)
        self.register_buffer("elements", torch.tensor(config.elements), persistent=False)
        self.basis = GaussianBasis(config.gaussians, config.radius) if config.gaussians else None
        self.embedding = TensorProduct(f"{len(config.elements)}x0e", irreps, table)
        extra = config.gaussians or 1
        self.layers = nn.ModuleList(
            SteerableLayer(irreps, extra, table, config.norm) for _ in range(config.layers)
        )
        self.readout_1 = GatedProduct(irreps, irreps, table)
        self.readout_2 = TensorProduct(irreps, f"{width}x0e", table)
        if config.readout == "published":
            self.readout = MeanReadout(width, targets)
        else:
            self.readout = PropertyReadout(width, config.readout_width, config.aggregations)
        if config.relaxed:
            for layer in self.layers:
                layer.relax(config.branch)

    def atom_features(self, z: Tensor, pos: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
        """Return ``(N, C)`` features; see :class:`~equizoo.models.property_model.PropertyModel`."""
        pairs = pairs_within(pos, batch, num_graphs, self.config.radius)
        kind = z.unsqueeze(1) == self.elements
        if not torch.compiler.is_compiling():
            self._check(z, kind, pairs.distance)
        graph, extra = self._edges(pairs, pos.shape[0])
        shift = pos.index_select(0, graph.senders) - pos.index_select(0, graph.receivers)
        edge_attributes = spherical_harmonics(self.config.lmax_attributes, shift, "component")
        node_attributes = graph.mean(edge_attributes)
        node_attributes = torch.cat([torch.ones_like(pos[:, :1]), node_attributes[:, 1:]], dim=-1)
        nodes, edges = self.coupling(node_attributes), self.coupling(edge_attributes)
        x = self.embedding([kind.to(pos.dtype)], nodes)
        for layer in self.layers:
            x = layer(x, nodes, edges, extra, graph, batch)
        return self.readout_2([self.readout_1([x], nodes)], nodes)

    def _edges(self, pairs: Pairs, nodes: int) -> tuple[Edges, Tensor]:
        """Return both directions of the pairs and their ``(E, extra)`` invariants."""
        senders, receivers = torch.cat([pairs.second, pairs.first]), torch.cat([pairs.first, pairs.second])
        if self.basis is None:
            return Edges(senders, receivers, nodes), pairs.distance.square().repeat(2).unsqueeze(1)
        weight = cosine_envelope(pairs.distance, self.config.radius).repeat(2).unsqueeze(1)
        graph = FadingEdges(senders, receivers, nodes, weight=weight)
        return graph, self.basis(pairs.distance).repeat(2, 1)

    def _check(self, z: Tensor, kind: Tensor, distance: Tensor) -> None:
        unknown = sorted(set(z[~kind.any(1)].tolist()))
        if unknown:
            raise ValueError(
                f"this network knows the elements {list(self.config.elements)} (atomic numbers), "
                f"got molecules with {unknown}"
            )
        if bool((distance == 0).any()):
            raise ValueError("two atoms of a molecule are in one place: their direction is not defined")

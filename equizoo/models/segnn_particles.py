"""SEGNN for systems of charged particles, plain and relaxed.

Brandstetter et al., "Geometric and Physical Quantities Improve E(3) Equivariant Message Passing" (SEGNN),
ICLR 2022, Section 5.1; relaxed as in Manolache et al. (ACE), Appendix A.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equizoo.models.segnn import BRANCHES, GatedProduct, SteerableLayer, balanced_irreps
from equizoo.nn.checks import check_particles
from equizoo.nn.coupling import CouplingTable
from equizoo.nn.edges import complete_edges
from equizoo.nn.harmonics import spherical_harmonics
from equizoo.nn.pairs import node_counts
from equizoo.nn.tensor_product import TensorProduct
from equizoo.symmetry.features import Labels, Points, Vectors

CENTRES = ("graph", "none", "node")
INVARIANTS = {"distance": 2, "coulomb": 4}
SOFTENING = (0.01, 0.1)
"""Added to the squared distance in the Coulomb potential and in the force of a pair [length²]."""


@dataclass(frozen=True)
class ParticleSEGNNConfig:
    """Shape of a SEGNN on particles. The defaults are the published configuration (147,424 parameters).

    Attributes:
        hidden: Width of the linear map that has as many weights as a hidden tensor product.
        layers: Number of message-passing layers.
        lmax_hidden: Largest degree of the features.
        lmax_attributes: Largest degree of the attributes.
        centre: Origin of the positions that enter the network: ``"graph"``, the centroid of each system
            (E(3)-equivariant); ``"none"``, the origin, as in the released ACE (not translation-equivariant);
            ``"node"``, the mean of each particle's three coordinates, as in the released SEGNN and CR (not
            rotation-equivariant). The last two are for comparison.
        invariants: Scalars of an edge that enter its message: ``"distance"``, the distance and the product of
            the charges, as published; ``"coulomb"``, also the softened Coulomb potential and force of the
            pair (148,192 parameters).
        relaxed: Build the unconstrained branches and their γ.
        branch: Kind of branch, see :func:`equizoo.models.segnn.make_branch` (937,960 parameters with
            ``"mlp"``).
    """

    hidden: int = 64
    layers: int = 4
    lmax_hidden: int = 1
    lmax_attributes: int = 1
    centre: str = "graph"
    invariants: str = "distance"
    relaxed: bool = False
    branch: str = "mlp"

    def __post_init__(self) -> None:
        for name in ("hidden", "layers", "lmax_hidden", "lmax_attributes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.centre not in CENTRES:
            raise ValueError(f"centre is one of {CENTRES}, got {self.centre!r}")
        if self.invariants not in INVARIANTS:
            raise ValueError(f"invariants is one of {sorted(INVARIANTS)}, got {self.invariants!r}")
        if self.branch not in BRANCHES:
            raise ValueError(f"branch is one of {BRANCHES}, got {self.branch!r}")


class ParticleSEGNN(nn.Module):
    """Predicts where charged particles are one time unit later.

    Args:
        config: The shape of the network.

    Attributes:
        input_types, output_type: How the Euclidean group acts on the arguments and on the result.

    Example:
        >>> model = ParticleSEGNN(ParticleSEGNNConfig(hidden=8, layers=1))
        >>> model(torch.randn(5, 3), torch.randn(5, 3), torch.ones(5)).shape
        torch.Size([5, 3])

    References:
        SEGNN, Section 5.1 and Appendix C; parameter counts of ACE, Table 4.
    """

    def __init__(self, config: ParticleSEGNNConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ParticleSEGNNConfig()
        self.irreps = irreps = balanced_irreps(config.hidden, config.lmax_hidden, config.lmax_attributes)
        degrees = range(config.lmax_attributes + 1)
        attributes = "+".join(f"1x{degree}{'eo'[degree % 2]}" for degree in degrees)
        self.coupling = table = CouplingTable(attributes, max(config.lmax_hidden, 1))
        self.embedding = TensorProduct("2x1o+1x0e", irreps, table)
        extra = INVARIANTS[config.invariants]
        self.layers = nn.ModuleList(SteerableLayer(irreps, extra, table) for _ in range(config.layers))
        self.readout_1 = GatedProduct(irreps, irreps, table)
        self.readout_2 = TensorProduct(irreps, "1x1o", table)
        if config.relaxed:
            for layer in self.layers:
                layer.relax(config.branch)
        self.input_types = {"pos": Points(), "vel": Vectors(1), "charge": Labels(), "batch": None}
        self.output_type = Points()

    def forward(
        self,
        pos: Tensor,
        vel: Tensor,
        charge: Tensor,
        batch: Tensor | None = None,
        num_graphs: int | None = None,
    ) -> Tensor:
        """Predict the positions one time unit later.

        Args:
            pos: ``(N, 3)`` positions [length].
            vel: ``(N, 3)`` velocities [length / time].
            charge: ``(N,)`` or ``(N, 1)`` charges.
            batch: ``(N,)`` system of each particle, ascending from 0; None for one system.
            num_graphs: B, if it is known; saves looking it up in ``batch``.

        Returns:
            ``(N, 3)`` positions [length].

        Raises:
            ValueError: Shapes that do not fit, an unsorted ``batch``, values that are not finite, or two
                particles of a system in one place.
        """
        charge = charge.reshape(-1, 1)
        if batch is None:
            batch, num_graphs = torch.zeros(pos.shape[0], dtype=torch.long, device=pos.device), 1
        if not torch.compiler.is_compiling():
            check_particles(pos, vel, charge, batch)
        counts = node_counts(batch, int(batch[-1]) + 1 if num_graphs is None else num_graphs)
        graph = complete_edges(batch, counts)
        shift = pos.index_select(0, graph.senders) - pos.index_select(0, graph.receivers)
        distance = torch.linalg.vector_norm(shift, dim=-1, keepdim=True)
        if not torch.compiler.is_compiling() and bool((distance == 0).any()):
            raise ValueError("two particles of a system are in one place: their direction is not defined")
        product = charge.index_select(0, graph.senders) * charge.index_select(0, graph.receivers)
        edge_attributes = spherical_harmonics(self.config.lmax_attributes, shift)
        node_attributes = graph.mean(edge_attributes) + spherical_harmonics(self.config.lmax_attributes, vel)
        node_attributes = torch.cat([torch.ones_like(charge), node_attributes[:, 1:]], dim=-1)
        nodes, edges = self.coupling(node_attributes), self.coupling(edge_attributes)
        x = self._embed(pos, vel, nodes, batch, counts)
        extra = self._invariants(distance, product)
        for layer in self.layers:
            x = layer(x, nodes, edges, extra, graph, batch)
        return pos + self.readout_2([self.readout_1([x], nodes)], nodes)

    def _invariants(self, distance: Tensor, product: Tensor) -> Tensor:
        if self.config.invariants == "distance":
            return torch.cat([distance, product], dim=-1)
        square = distance.square()
        potential, force = (square + SOFTENING[0]).rsqrt(), (square + SOFTENING[1]).reciprocal()
        return torch.cat([distance, product, product * potential, product * force], dim=-1)

    def _embed(self, pos: Tensor, vel: Tensor, nodes: Tensor, batch: Tensor, counts: Tensor) -> Tensor:
        if self.config.centre == "graph":
            total = pos.new_zeros(counts.shape[0], 3).index_add(0, batch, pos)
            pos = pos - (total / counts.unsqueeze(1)).index_select(0, batch)
        elif self.config.centre == "node":
            pos = pos - pos.mean(1, keepdim=True)
        vectors = torch.stack([pos, vel], dim=-1).flatten(1)
        speed = torch.linalg.vector_norm(vel, dim=-1, keepdim=True)
        return self.embedding([torch.cat([vectors, speed], dim=-1)], nodes)

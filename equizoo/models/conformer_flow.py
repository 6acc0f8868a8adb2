"""A vector field that carries atoms to the conformers of their molecule, plain and relaxed.

Hassan, Shenoy, Lee, Stärk, Thaler, Beaini, "ET-Flow: Equivariant Flow-Matching for Molecular Conformer
Generation", NeurIPS 2024; on the equivariant transformer of Thölke and De Fabritiis (TorchMD-NET), ICLR 2022.
Relaxed as in Manolache et al. (ACE): a γ for the scalars and one for the vectors of each layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equizoo.models.flow_matching import centred
from equizoo.nn.checks import check_molecules
from equizoo.nn.chirality import ChiralityFeatures
from equizoo.nn.radial import ExponentialBasis, cosine_envelope
from equizoo.nn.vector_attention import GatedVectors, VectorAttention
from equizoo.nn.vector_messages import VectorEdges
from equizoo.symmetry.features import Labels, Points, Scalars, Vectors

PRIORS = ("harmonic", "etkdg", "mmff")
KINDS = 9
"""Kinds of pairs of atoms, see :class:`equizoo.models.molecule_batch.MoleculeBatch`."""
_BONDS = (1, 2, 3, 4)
_SHORT = 0.1
"""Below this distance the direction of an edge fades, so that the field is smooth everywhere [Å]."""


@dataclass(frozen=True)
class ConformerFlowConfig:
    """Shape of the vector field. The defaults are the published O(3) network (8,337,329 parameters).

    Attributes:
        hidden: Number of scalars and of vectors of an atom.
        layers: Number of attention layers.
        heads: Number of attention heads.
        basis: Number of radial functions.
        cutoff: Largest distance between atoms that see each other [Å].
        attributes: Number of attributes of an atom.
        pairs: What edges know of a pair of atoms. ``"bonded"``: whether there is a bond, as published;
            ``"kinds"``: the order of the bond, whether two or three bonds lie between, and cis or trans.
        chirality: Tell each stereo centre which of its two shapes is asked for, see
            :class:`equizoo.nn.chirality.ChiralityFeatures`.
        cross: Vector products in the messages: the published SO(3) network (9,063,729 parameters).
        output_norm: Normalise the hidden scalars of the output, as published for GEOM-QM9 (480 parameters).
        prior: What the flow starts from: ``"harmonic"``; ``"etkdg"``, a distance-geometry embedding; or
            ``"mmff"``, one that MMFF94 has relaxed.
        relaxed: Build the unconstrained branches and their γ.
        rank: Width of the branches between their two maps.
    """

    hidden: int = 160
    layers: int = 20
    heads: int = 8
    basis: int = 64
    cutoff: float = 10.0
    attributes: int = 10
    pairs: str = "bonded"
    chirality: bool = False
    cross: bool = False
    output_norm: bool = False
    prior: str = "harmonic"
    relaxed: bool = False
    rank: int = 64

    def __post_init__(self) -> None:
        for name in ("hidden", "layers", "heads", "cutoff", "attributes", "rank"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.hidden % self.heads or self.hidden % 2:
            raise ValueError(
                f"hidden must be even and a multiple of heads, got {self.hidden} and {self.heads}"
            )
        if self.basis < 2:
            raise ValueError(f"basis must be at least 2, got {self.basis}")
        if self.pairs not in ("bonded", "kinds"):
            raise ValueError(f"pairs is 'bonded' or 'kinds', got {self.pairs!r}")
        if self.prior not in PRIORS:
            raise ValueError(f"prior is one of {PRIORS}, got {self.prior!r}")


class ConformerFlow(nn.Module):
    """Velocity of each atom at a time between the prior (0) and a conformer (1).

    Args:
        config: The shape of the network.

    Attributes:
        input_types, output_type: How the Euclidean group acts on the arguments and on the result. With
            ``chirality`` a reflection turns a molecule into its mirror image, another molecule: the order of
            neighbours in ``centres`` then has to change too.

    Example:
        >>> from equizoo.models.molecule_batch import MoleculeBatch
        >>> model = ConformerFlow(ConformerFlowConfig(hidden=8, layers=1, heads=2, basis=4))
        >>> water = MoleculeBatch.single([8, 1, 1], [(0, 1), (0, 2)])
        >>> model(torch.randn(3, 3), torch.zeros(1), *water).shape
        torch.Size([3, 3])

    References:
        ET-Flow, Section 3 and Appendix A; parameter counts of its Table 1.
    """

    def __init__(self, config: ConformerFlowConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ConformerFlowConfig()
        width = config.hidden
        features = config.basis + (1 if config.pairs == "bonded" else KINDS - 1)
        self.embedding, self.neighbour_embedding = nn.Embedding(100, width), nn.Embedding(100, width)
        self.basis = ExponentialBasis(config.basis, config.cutoff)
        self.neighbour_filter = nn.Linear(features, width)
        self.combine = nn.Linear(2 * width, width)
        self.attributes = nn.Sequential(
            nn.Linear(config.attributes, width), nn.SiLU(), nn.LayerNorm(width), nn.Linear(width, width)
        )
        self.chirality = ChiralityFeatures(width) if config.chirality else None
        self.layers = nn.ModuleList(
            VectorAttention(width, config.heads, features, config.cross) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.gate_1 = GatedVectors(width, width // 2, width // 2, config.output_norm)
        self.gate_2 = GatedVectors(width // 2, width, 1, config.output_norm)
        kinds = torch.eye(KINDS)[:, 1:]
        if config.pairs == "bonded":
            kinds = kinds[:, [kind - 1 for kind in _BONDS]].sum(1, keepdim=True)
        self.register_buffer("kinds", kinds, persistent=False)
        if config.relaxed:
            for layer in self.layers:
                layer.relax(config.rank)
        same = dict.fromkeys(("batch", "receivers", "senders", "centres"))
        labels = {"z": Labels(), "attributes": Scalars(config.attributes), "kinds": None}
        self.input_types = {"pos": Points(), "t": None, **labels, **same}
        self.output_type = Vectors(1)

    def forward(
        self,
        pos: Tensor,
        t: Tensor,
        z: Tensor,
        attributes: Tensor,
        batch: Tensor,
        receivers: Tensor,
        senders: Tensor,
        kinds: Tensor,
        centres: Tensor,
    ) -> Tensor:
        """Return the velocities of the atoms.

        Args:
            pos: ``(N, 3)`` positions [Å].
            t: ``(B,)`` times in 0 to 1.
            z: ``(N,)`` atomic numbers.
            attributes: ``(N, K)`` attributes of the atoms.
            batch: ``(N,)`` molecule of each atom, ascending.
            receivers: ``(E,)`` first atoms of all ordered pairs of different atoms of the same molecule,
                ascending.
            senders: ``(E,)`` second atoms.
            kinds: ``(E,)`` kind of each pair.
            centres: ``(S, 5)`` stereo centres and their neighbours in order.

        Returns:
            ``(N, 3)`` velocities [Å per unit of time], 0 on average in each molecule.

        Raises:
            ValueError: Shapes that do not fit, or values that are not finite.
        """
        if not torch.compiler.is_compiling():
            check_molecules(z, pos, batch)
        count = t.shape[0]
        r = pos.index_select(0, receivers) - pos.index_select(0, senders)
        square = r.square().sum(1)
        near = (square.detach() < self.config.cutoff**2).nonzero().squeeze(1)
        if near.shape[0] < receivers.shape[0]:
            receivers, senders, kinds = (y.index_select(0, near) for y in (receivers, senders, kinds))
            r, square = r.index_select(0, near), square.index_select(0, near)
        distance = (square + _SHORT**2).sqrt()
        envelope = cosine_envelope(square.clamp(min=1e-12).sqrt(), self.config.cutoff)
        edges = VectorEdges(receivers, senders, r / distance.unsqueeze(1), envelope)
        features = torch.cat([self.basis(distance), self.kinds.index_select(0, kinds)], 1)
        x, vec = self._start(pos, z, centres, features, edges)
        atoms = torch.cat([t.index_select(0, batch).unsqueeze(1), self.attributes(attributes)], 1)
        for layer in self.layers:
            dx, dvec = layer(x, vec, atoms, features, edges)
            x, vec = x + dx, vec + dvec
        velocity = self.gate_2(*self.gate_1(self.norm(x), vec))[1].squeeze(2)
        return centred(velocity, batch, count)

    def _start(
        self, pos: Tensor, z: Tensor, centres: Tensor, features: Tensor, edges: VectorEdges
    ) -> tuple[Tensor, Tensor]:
        """Return scalars and vectors before the first layer."""
        filters = self.neighbour_filter(features) * edges.envelope.unsqueeze(1)
        sent = self.neighbour_embedding(z).index_select(0, edges.senders) * filters
        x = self.embedding(z)
        x = self.combine(torch.cat([x, torch.zeros_like(x).index_add(0, edges.receivers, sent)], 1))
        if self.chirality is not None:
            return self.chirality(x, pos, centres)
        return x, x.new_zeros(x.shape[0], 3, x.shape[1])

"""Attention between atoms that moves scalars and vectors, as in the equivariant transformer of TorchMD-NET.

Thölke, De Fabritiis, "TorchMD-NET: Equivariant Transformers for Neural Network based Molecular Potentials",
ICLR 2022, Section 2.2; with the changes of Hassan et al., "ET-Flow: Equivariant Flow-Matching for Molecular
Conformer Generation", NeurIPS 2024. A vector feature has the layout ``(N, 3, C)``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from equizoo.nn.vector_messages import VectorEdges, vector_messages
from equizoo.relaxation.layer import Relaxation
from equizoo.relaxation.spectral import spectral_normalise
from equizoo.symmetry.features import DirectSum, Irreps, Scalars


class Change(nn.Module):
    """Holds the unconstrained term of one of the two changes of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.relaxation: Relaxation | None = None


class VectorAttention(nn.Module):
    """One layer: mixes time and atom attributes into the scalars, then sends messages.

    Unlike in the released code, distances are distances and not their squares, and the messages to vectors
    vanish smoothly at the cutoff too.

    Args:
        width: Number of scalars and of vectors of an atom C.
        heads: Number of attention heads, a divisor of C.
        edge_features: Number of features of an edge K.
        cross: Send vector products too, which makes the layer SO(3)- and no longer O(3)-equivariant.

    References:
        Thölke and De Fabritiis, Equations 3 to 10; ET-Flow, Appendix A.
    """

    def __init__(self, width: int, heads: int, edge_features: int, cross: bool = False) -> None:
        super().__init__()
        self.heads, self.parts = heads, 4 if cross else 3
        self.mix = nn.Sequential(nn.Linear(2 * width + 1, width), nn.SiLU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)
        self.query = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.key = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.value = nn.Linear(width, self.parts * width)
        self.vectors = nn.Linear(width, 3 * width, bias=False)
        self.edge_key = nn.Linear(edge_features, width)
        self.edge_value = nn.Linear(edge_features, self.parts * width)
        self.output = nn.Linear(width, 3 * width)
        self.scalar_change, self.vector_change = Change(), Change()
        linear_maps = (self.query[0], self.key[0], self.value, self.vectors, self.output)
        for layer in (*linear_maps, self.edge_key, self.edge_value):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(
        self, x: Tensor, vec: Tensor, atoms: Tensor, features: Tensor, edges: VectorEdges
    ) -> tuple[Tensor, Tensor]:
        """Return the changes of scalars ``(N, C)`` and vectors ``(N, 3, C)``.

        Args:
            x: ``(N, C)`` scalars.
            vec: ``(N, 3, C)`` vectors.
            atoms: ``(N, C + 1)`` time and attributes of the atoms.
            features: ``(E, K)`` features of the edges.
            edges: The edges.
        """
        width, inputs = x.shape[1], (x, vec)
        x = self.norm(self.mix(torch.cat([x, atoms], 1)))
        first, second, third = self.vectors(vec).split(width, -1)
        weights = silu(self.edge_key(features)), silu(self.edge_value(features))
        received, moved = vector_messages(
            self.query(x), self.key(x), self.value(x), vec, *weights, edges, self.heads
        )
        o1, o2, o3 = self.output(received).split(width, 1)
        dx, dvec = (first * second).sum(1) * o2 + o3, third * o1.unsqueeze(1) + moved
        terms = self.scalar_change.relaxation, self.vector_change.relaxation
        if terms == (None, None):
            return dx, dvec
        whole = torch.cat([inputs[0], inputs[1].flatten(1)], 1)
        if terms[0] is not None:
            dx = terms[0](dx, whole)
        if terms[1] is not None:
            dvec = terms[1](dvec.flatten(1), whole).view_as(dvec)
        return dx, dvec

    def relax(self, rank: int) -> None:
        """Add unconstrained terms of low rank to both changes, with ``‖f_neq(x)‖ <= ‖x‖``.

        Each is two linear maps of spectral norm 1 with a SiLU between, on all scalars and vectors of an atom.
        """
        width = self.norm.normalized_shape[0]
        scalars, vectors = Scalars(width), Irreps(f"{width}x1o", layout="ir_mul")
        kind = DirectSum(scalars, vectors)
        for change, out in ((self.scalar_change, scalars), (self.vector_change, vectors)):
            first, second = nn.Linear(kind.dim, rank, bias=False), nn.Linear(rank, out.dim, bias=False)
            branch = spectral_normalise(nn.Sequential(first, nn.SiLU(), second), power_iterations=1)
            change.relaxation = Relaxation(branch, kind, out)


class GatedVectors(nn.Module):
    """A gated block on scalars and vectors, as in PaiNN.

    Args:
        width: Number of scalars and of vectors that come in.
        scalars: Number of scalars that go out.
        vectors: Number of vectors that go out.
        norm: Normalise the hidden scalars.

    References:
        Schütt, Unke, Gastegger, "Equivariant message passing for the prediction of tensorial properties and
        molecular spectra", ICML 2021, Figure 3.
    """

    def __init__(self, width: int, scalars: int, vectors: int, norm: bool = False) -> None:
        super().__init__()
        self.scalars = scalars
        self.lengths = nn.Linear(width, width, bias=False)
        self.vectors = nn.Linear(width, vectors, bias=False)
        self.hidden = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width) if norm else None
        self.output = nn.Linear(width, scalars + vectors)
        for layer in (self.lengths, self.vectors, self.hidden, self.output):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.hidden.bias)

    def forward(self, x: Tensor, vec: Tensor) -> tuple[Tensor, Tensor]:
        """Return scalars ``(N, scalars)`` and vectors ``(N, 3, vectors)``."""
        length = (self.lengths(vec).square().sum(1) + 1e-12).sqrt()
        hidden = self.hidden(torch.cat([x, length], 1))
        hidden = silu(hidden if self.norm is None else self.norm(hidden))
        y, gate = self.output(hidden).split([self.scalars, self.vectors.out_features], 1)
        return y, gate.unsqueeze(1) * self.vectors(vec)

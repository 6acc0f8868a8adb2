"""Unconstrained branches of EGNO, on the features and on the positions of each layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from equizoo.nn.body_layer import BodyLayer
from equizoo.relaxation.layer import Relaxation
from equizoo.relaxation.spectral import spectral_normalise
from equizoo.symmetry.features import DirectSum, Scalars, Vectors

BRANCHES = ("bounded", "published")


def add_bounded_branches(layers: Sequence[BodyLayer], width: int) -> None:
    """Relax the layers by branches with ``‖f_neq(x)‖ <= ‖x‖``.

    They act on features, centred positions and velocities ``(T, N, C + 6)``. Nothing reads the features of
    the last layer, which get no branch.

    Args:
        layers: Layers of the network.
        width: Width C of the features.

    References:
        ACE, Section 3.3, Assumption B: a bound on every ``f_neq``.
    """
    kind = DirectSum(Scalars(width), Vectors(2))

    def branch(out: int) -> nn.Module:
        first, second = nn.Linear(kind.dim, width, bias=False), nn.Linear(width, out, bias=False)
        return spectral_normalise(nn.Sequential(first, nn.SiLU(), second), power_iterations=1)

    for layer in layers:
        layer.positions.relaxation = Relaxation(branch(3), kind, Vectors(1))
    for layer in layers[:-1]:
        layer.features.relaxation = Relaxation(branch(width), kind, Scalars(width))


class PublishedBranches(nn.Module):
    """Relaxes the layers as released, and holds the input maps that they share.

    The term on the features is a chain: the branch of each layer takes the output of the one before. The term
    on the positions takes a linear map of the positions, not centred. Batch norm and input maps have no
    bound.

    Args:
        layers: Layers of the network.
        inputs: Width of the network's input.
        width: Width C of the features.

    References:
        ACE, Appendix A.4 and the released code.
    """

    def __init__(self, layers: Sequence[BodyLayer], inputs: int, width: int) -> None:
        super().__init__()
        self.features, self.positions = nn.Linear(inputs, width), nn.Linear(3, 3)
        for layer in layers:
            chain = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, width))
            layer.features.relaxation = Relaxation(spectral_normalise(chain), chained=True)
            first, second = nn.Linear(3, width), nn.Linear(width, 3)
            norm = nn.BatchNorm1d(3), nn.BatchNorm1d(width)
            branch = nn.Sequential(norm[0], first, nn.SiLU(), norm[1], second)
            layer.positions.relaxation = Relaxation(spectral_normalise(branch), None, Vectors(1))

    def move(self, layer: BodyLayer, x: Tensor, before: Tensor) -> Tensor:
        """Add the term to positions ``x`` (T, N, 3), from those ``before`` the layer, not centred."""
        term = layer.positions.relaxation
        if term is None or not term.enabled:
            return x
        return term.add(x, term.branch(self.positions(before).flatten(0, 1)).view_as(x))

    def change(self, layer: BodyLayer, h: Tensor, chain: Tensor) -> tuple[Tensor, Tensor]:
        """Add the term to features ``h`` (T, N, C); return them and the chain ``(T·N, C)`` behind it."""
        term = layer.features.relaxation
        if not term.enabled:
            return h, chain
        chain = term.branch(chain)
        return term.add(h, chain.view_as(h)), chain


def add_bounded_terms(
    layer: BodyLayer, x: Tensor, h: Tensor | None, before: Sequence[Tensor]
) -> tuple[Tensor, Tensor | None]:
    """Add the terms of bounded branches.

    Args:
        layer: The layer.
        x: ``(T, N, 3)`` positions after it.
        h: ``(T, N, C)`` features after it, or None.
        before: Features, centred positions and velocities before it.

    Returns:
        The positions and the features.
    """
    terms = layer.positions.relaxation, layer.features.relaxation
    if all(term is None for term in terms):
        return x, h
    inputs = torch.cat(list(before), -1)
    if terms[0] is not None:
        x = terms[0](x, inputs)
    if terms[1] is not None and h is not None:
        h = terms[1](h, inputs)
    return x, h

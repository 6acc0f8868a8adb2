"""How far a batch is from its symmetrisation, as seen by a Lipschitz witness."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from equizoo.relaxation.spectral import spectral_normalise
from equizoo.symmetry.features import FeatureType
from equizoo.symmetry.groups import Group

GELU_SLOPE = 1.129
"""Largest slope of the GELU."""


class Witness(nn.Sequential):
    """Lipschitz map ``u`` from inputs and targets to a state: an MLP with GELUs and normalised weights.

    Args:
        in_dim: Size of an input and its target side by side.
        out_dim: Size k of the state.
        width: Size of the hidden layers.
        depth: Number of hidden layers.
    """

    def __init__(self, in_dim: int, out_dim: int, width: int = 64, depth: int = 2) -> None:
        sizes = [in_dim, *[width] * depth]
        hidden = [(nn.Linear(a, b), nn.GELU()) for a, b in itertools.pairwise(sizes)]
        super().__init__(*[m for pair in hidden for m in pair], nn.Linear(sizes[-1], out_dim, bias=False))
        spectral_normalise(self, power_iterations=1)

    def lipschitz(self) -> float:
        """Return the bound on the Lipschitz constant: slopes of the GELUs times norms of the weights."""
        maps = [module for module in self if isinstance(module, nn.Linear)]
        norms = [float(torch.linalg.matrix_norm(module.weight.detach(), 2)) for module in maps]
        return GELU_SLOPE ** (len(maps) - 1) * math.prod(norms)


def pair_rows(
    x: Tensor, y: Tensor, in_type: FeatureType, out_type: FeatureType, index: Tensor | None
) -> Tensor:
    """Put each feature vector and its target side by side, ``(..., in_dim + out_dim)``.

    Args:
        x: Features; rows are samples, or nodes when ``index`` is given.
        y: Targets, one for each sample, graph or node.
        in_type: Feature type of ``x``.
        out_type: Feature type of ``y``; ``per="graph"`` targets are repeated for the nodes.
        index: Graph of each node ``(N,)``, or None.

    Raises:
        ValueError: The numbers of features and targets do not fit together.
    """
    x, y = x.flatten(-in_type.feature_axes), y.flatten(-out_type.feature_axes)
    if index is not None and (in_type.per, out_type.per) == ("node", "graph"):
        y = y[index]
    if len(x) != len(y):
        hint = "" if index is not None else "; pass index= if x has one row a node"
        raise ValueError(f"{len(x)} rows of features do not match {len(y)} targets{hint}")
    middle = x.ndim - y.ndim
    y = y.reshape(len(y), *[1] * middle, *y.shape[1:]).expand(*x.shape[:-1], -1)
    return torch.cat([x, y.to(x.dtype)], dim=-1)


def innovation(
    witness: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    in_type: FeatureType,
    out_type: FeatureType,
    group: Group,
    *,
    index: Tensor | None = None,
    samples: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Estimate ``E_p u - E_{p^G} u``, the mean of a witness on a law minus that on its symmetrisation.

    The estimate is unbiased for every number of samples: each row is compared with itself moved by
    fresh elements of the Haar measure, one element for each graph.

    Args:
        witness: Map u from ``(..., in_dim + out_dim)`` to ``(..., k)``.
        x: Features ``(B, ..., in_dim)``, or ``(N, in_dim)`` with ``index``.
        y: Targets, one for each sample, graph or node.
        in_type: Feature type of ``x``.
        out_type: Feature type of ``y``.
        group: Compact group.
        index: Graph of each node ``(N,)``, or None when each row is a sample.
        samples: Number S of group elements for each row.
        generator: Source of randomness.

    Returns:
        ``(k,)``.

    Example:
        >>> from equizoo.symmetry import SO3, Scalars, Vectors
        >>> up = torch.tensor([[0.0, 0.0, 1.0]]).repeat(4096, 1)
        >>> height = lambda rows: rows[..., 2:3]
        >>> d = innovation(height, up, torch.zeros(4096, 1), Vectors(1), Scalars(1), SO3())
        >>> bool((d - 1).abs() < 0.1)
        True

    References:
        Kantorovich-Rubinstein: for a witness with Lipschitz constant M, the limit is at most M·W1(p, p^G).
    """
    graphs = 0 if index is None else int(index.max()) + 1
    if index is not None and out_type.per == "graph":  # the last ones may have no row
        graphs = max(graphs, len(y))
    count = len(x) if index is None else graphs
    rows = [pair_rows(x, y, in_type, out_type, index)]
    for _ in range(samples):
        g = group.sample(count, generator=generator, dtype=x.dtype, device=x.device)
        moved = in_type.act(g, x, index), out_type.act(g, y, index)
        rows.append(pair_rows(*moved, in_type, out_type, index))
    means = witness(torch.stack(rows)).flatten(1, -2).mean(1)  # one call: the same weights for both sides
    return means[0] - means[1:].mean(0)

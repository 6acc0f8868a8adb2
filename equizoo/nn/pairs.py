"""Atom pairs within a cutoff, each unordered pair once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """Unordered pairs of nodes of the same graph, sorted by the first node.

    Attributes:
        first: ``(P,)`` node index i.
        second: ``(P,)`` node index j > i.
        distance: ``(P,)`` distances [unit of the positions], differentiable in the positions.
        counts: ``(B,)`` number of nodes of each graph.
    """

    first: Tensor
    second: Tensor
    distance: Tensor
    counts: Tensor


def node_counts(batch: Tensor, num_graphs: int) -> Tensor:
    """Return the ``(B,)`` number of nodes of each graph of a batch vector ``(N,)``."""
    return torch.zeros(num_graphs, dtype=torch.long, device=batch.device).index_add_(
        0, batch, torch.ones_like(batch)
    )


def _candidates(counts: Tensor) -> tuple[Tensor, Tensor]:
    nodes = int(counts.sum())
    index = torch.arange(nodes, device=counts.device)
    ends = counts.cumsum(0).repeat_interleave(counts, output_size=nodes)
    partners = ends - index - 1  # nodes of the same graph that come after this one
    total = int(partners.sum())
    first = index.repeat_interleave(partners, output_size=total)
    starts = partners.cumsum(0) - partners
    second = first + 1 + torch.arange(total, device=counts.device) - starts[first]
    return first, second


def pairs_within(pos: Tensor, batch: Tensor, num_graphs: int, cutoff: float) -> Pairs:
    """List the pairs closer than ``cutoff`` within each graph.

    Args:
        pos: ``(N, 3)`` positions.
        batch: ``(N,)`` graph of each node, in ascending order.
        num_graphs: B.
        cutoff: Largest distance, in the unit of ``pos``.

    Returns:
        The pairs. Work and memory grow with the pairs inside graphs, never with N².

    Example:
        >>> pos = torch.tensor([[0.0, 0, 0], [1, 0, 0], [9, 0, 0]])
        >>> pairs_within(pos, torch.zeros(3, dtype=torch.long), 1, 5.0).second.tolist()
        [1]
    """
    counts = node_counts(batch, num_graphs)
    if torch.compiler.is_exporting():
        mask = (batch.unsqueeze(0) == batch.unsqueeze(1)).triu(1)
        first, second = torch.nonzero(mask).unbind(1)
    else:
        first, second = _candidates(counts)
    distance = torch.linalg.vector_norm(pos.index_select(0, first) - pos.index_select(0, second), dim=-1)
    keep = (distance.detach() <= cutoff).nonzero().squeeze(1)
    return Pairs(*(x.index_select(0, keep) for x in (first, second, distance)), counts)

"""Directed edges of a batch of graphs, and sums over the incoming ones."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from equizoo.nn.pairs import Pairs


@dataclass(frozen=True)
class Edges:
    """Directed edges.

    Attributes:
        senders: ``(E,)`` node j that sends.
        receivers: ``(E,)`` node i that receives.
        nodes: N.
        degree: Number of incoming edges, if it is the same for every node and edges are sorted by receiver.
    """

    senders: Tensor
    receivers: Tensor
    nodes: int
    degree: int | None = None

    def sum(self, messages: Tensor) -> Tensor:
        """Return the ``(N, ...)`` sum of the messages ``(E, ...)`` that each node receives."""
        if self.degree is not None:
            return messages.unflatten(0, (self.nodes, self.degree)).sum(1)
        return messages.new_zeros(self.nodes, *messages.shape[1:]).index_add(0, self.receivers, messages)

    def mean(self, messages: Tensor) -> Tensor:
        """Return the ``(N, ...)`` mean; 0 where there is no incoming edge."""
        if self.degree is not None:
            return self.sum(messages) / max(self.degree, 1)
        ones = messages.new_ones(messages.shape[0])
        count = messages.new_zeros(self.nodes).index_add(0, self.receivers, ones)
        return self.sum(messages) / count.clamp(min=1).reshape(-1, *[1] * (messages.ndim - 1))


def complete_edges(batch: Tensor, counts: Tensor) -> Edges:
    """Return every ordered pair of different nodes of each graph, sorted by receiver.

    Args:
        batch: ``(N,)`` graph of each node, ascending.
        counts: ``(B,)`` number of nodes of each graph.

    Example:
        >>> complete_edges(torch.tensor([0, 0, 0]), torch.tensor([3])).senders.tolist()
        [1, 2, 0, 2, 0, 1]
    """
    nodes = batch.shape[0]
    if torch.compiler.is_exporting():
        index = torch.arange(nodes, device=batch.device)
        same = (batch.unsqueeze(0) == batch.unsqueeze(1)) & (index.unsqueeze(0) != index.unsqueeze(1))
        receivers, senders = torch.nonzero(same).unbind(1)
        return Edges(senders, receivers, nodes)
    size, remainder = divmod(nodes, len(counts))
    if remainder == 0 and bool((counts == size).all()):
        return _uniform(len(counts), size, batch.device)
    degrees = (counts - 1).repeat_interleave(counts, output_size=nodes)
    starts = (counts.cumsum(0) - counts).index_select(0, batch)
    receivers = torch.arange(nodes, device=batch.device).repeat_interleave(degrees)
    rank = torch.arange(len(receivers), device=batch.device) - (degrees.cumsum(0) - degrees)[receivers]
    senders = starts[receivers] + rank
    return Edges(senders + (senders >= receivers), receivers, nodes)


@functools.lru_cache(maxsize=64)
def _uniform(graphs: int, size: int, device: torch.device) -> Edges:
    with torch.inference_mode(False):
        nodes = torch.arange(graphs * size, device=device)
        rank = torch.arange(size - 1, device=device)
        own = (nodes % size)[:, None]
        senders = (nodes - nodes % size)[:, None] + rank + (rank >= own)
        return Edges(senders.flatten(), nodes.repeat_interleave(size - 1), graphs * size, size - 1)


def edges_of(pairs: Pairs) -> Edges:
    """Return both directions of undirected pairs."""
    senders, receivers = torch.cat([pairs.second, pairs.first]), torch.cat([pairs.first, pairs.second])
    return Edges(senders, receivers, int(pairs.counts.sum()))

"""Edges of complete graphs and sums over them, edge by edge."""

from __future__ import annotations

import pytest
import torch

from equizoo.nn.edges import Edges, complete_edges, edges_of
from equizoo.nn.pairs import Pairs


def complete(counts):
    counts = torch.tensor(counts)
    return complete_edges(torch.arange(len(counts)).repeat_interleave(counts), counts)


def by_hand(counts):
    edges, start = [], 0
    for n in counts:
        edges += [(start + i, start + j) for i in range(n) for j in range(n) if i != j]
        start += n
    return edges


@pytest.mark.parametrize("counts", [(3,), (1,), (4, 4, 4), (1, 1), (3, 1, 4), (2, 5, 1)])
def test_complete_graphs(counts):
    edges = complete(counts)
    pairs = list(zip(edges.receivers.tolist(), edges.senders.tolist(), strict=True))
    assert pairs == by_hand(counts)
    assert edges.nodes == sum(counts)
    assert edges.degree == (counts[0] - 1 if len(set(counts)) == 1 else None)


@pytest.mark.parametrize("counts", [(3, 3), (3, 1, 4), (1,)])
def test_sum_and_mean_over_incoming_edges(counts):
    edges = complete(counts)
    messages = torch.randn(len(edges.senders), 3, 2, dtype=torch.float64)
    for i in range(edges.nodes):
        mine = messages[edges.receivers == i]
        torch.testing.assert_close(edges.sum(messages)[i], mine.sum(0))
        expected = mine.mean(0) if len(mine) else torch.zeros(3, 2, dtype=torch.float64)
        torch.testing.assert_close(edges.mean(messages)[i], expected)


def test_a_graph_made_in_inference_mode_can_be_trained_on():
    with torch.inference_mode():
        complete([7, 7])
    messages = torch.randn(84, 2, requires_grad=True)
    edges = complete([7, 7])
    edges.sum(messages.index_select(0, edges.senders)).sum().backward()
    assert messages.grad is not None


def test_both_directions_of_pairs():
    pairs = Pairs(torch.tensor([0, 0]), torch.tensor([1, 2]), torch.ones(2), torch.tensor([3, 1]))
    edges = edges_of(pairs)
    assert edges == Edges(edges.senders, edges.receivers, 4)
    assert edges.senders.tolist() == [1, 2, 0, 0] and edges.receivers.tolist() == [0, 0, 1, 2]
    assert edges.sum(torch.ones(4, 1)).squeeze(1).tolist() == [2, 1, 1, 0]

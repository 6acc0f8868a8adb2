"""Pair lists against brute force."""

from __future__ import annotations

import pytest
import torch

from equizoo.nn.pairs import node_counts, pairs_within


def cloud(sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pos = 2 * torch.randn(sum(sizes), 3, generator=generator, dtype=torch.float64)
    return pos, torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


def brute_force(pos, batch, cutoff):
    return [
        (i, j)
        for i in range(len(pos))
        for j in range(i + 1, len(pos))
        if batch[i] == batch[j] and float((pos[i] - pos[j]).norm()) <= cutoff
    ]


@pytest.mark.parametrize("sizes", [(6,), (4, 1, 7, 1, 1, 3), (1,), (1, 1)])
@pytest.mark.parametrize("cutoff", [0.01, 3.0, 100.0])
def test_pairs_are_those_of_brute_force_in_order(sizes, cutoff):
    pos, batch = cloud(sizes)
    first, second, distance, counts = pairs_within(pos, batch, len(sizes), cutoff)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == brute_force(pos, batch, cutoff)
    torch.testing.assert_close(distance, (pos[first] - pos[second]).norm(dim=1))
    assert counts.tolist() == list(sizes)


def test_a_pair_at_the_cutoff_is_kept():
    pos = torch.tensor([[0.0, 0, 0], [0, 3, 4]])
    assert len(pairs_within(pos, torch.zeros(2, dtype=torch.long), 1, 5.0).first) == 1
    assert len(pairs_within(pos, torch.zeros(2, dtype=torch.long), 1, 4.99).first) == 0


def test_graphs_without_nodes_count_zero():
    assert node_counts(torch.tensor([0, 0, 2]), 4).tolist() == [2, 0, 1, 0]


def test_distances_are_differentiable():
    pos, batch = cloud((3, 2))
    pos.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pairs_within(x, batch, 2, 50.0).distance, pos)


def test_the_exported_search_lists_the_same_pairs():
    class Search(torch.nn.Module):
        def forward(self, pos, batch):
            return tuple(pairs_within(pos, batch, 3, 3.0)[:3])

    pos, batch = cloud((4, 1, 5))
    nodes = torch.export.Dim("nodes", min=2)
    program = torch.export.export(
        Search(), (pos, batch), dynamic_shapes=({0: nodes}, {0: nodes}), strict=False
    ).module()
    for sizes in ((4, 1, 5), (2, 6, 3)):
        pos, batch = cloud(sizes, seed=1)
        for ours, theirs in zip(program(pos, batch), Search()(pos, batch), strict=True):
            torch.testing.assert_close(ours, theirs)

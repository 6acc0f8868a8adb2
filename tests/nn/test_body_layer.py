"""The graph of a body, and a layer on it against the formulas edge by edge."""

import pytest
import torch
from torch.nn.functional import silu

from equizoo.nn import edge_messages as edge_messages_module
from equizoo.nn.body_graph import BodyGraph, count_joints
from equizoo.nn.body_layer import BodyLayer
from equizoo.nn.edge_messages import MessageWeights, edge_messages, plain_messages

CHAIN = ((1, 0), (2, 1), (3, 2), (4, 1))


def inputs(frames=3, bodies=2, width=6, scale=1.0):
    torch.manual_seed(0)
    graph, layer = BodyGraph(CHAIN), BodyLayer(width).double()
    x, v = (scale * torch.randn(frames, 5 * bodies, 3, dtype=torch.float64) for _ in range(2))
    h = torch.randn(frames, 5 * bodies, width, dtype=torch.float64)
    square = torch.rand(bodies, len(graph.senders), 1, dtype=torch.float64)
    return graph, layer, x, v, h, square


def test_edges_are_one_or_two_bones_long():
    graph = BodyGraph(CHAIN)
    edges = dict(
        zip(
            zip(graph.receivers.tolist(), graph.senders.tolist(), strict=True),
            graph.hops.flatten().tolist(),
            strict=True,
        )
    )
    one = {(1, 0), (2, 1), (3, 2), (4, 1)}
    two = {(0, 2), (0, 4), (1, 3), (2, 4)}
    assert edges == {
        (i, j): k for k, pairs in ((1, one), (2, two)) for a, b in pairs for i, j in ((a, b), (b, a))
    }
    assert graph.degree.flatten().tolist() == [3, 4, 4, 2, 3]
    assert graph.receivers.tolist() == sorted(graph.receivers.tolist())
    assert not graph.state_dict()


@pytest.mark.parametrize("bones", [(), ((0, 0),), ((1, 3),), ((0, -1),), ((0, 2000),), ((0, 1, 2),)])
def test_bad_bones(bones):
    with pytest.raises(ValueError, match="bone"):
        count_joints(bones)


def test_a_layer_is_the_formulas():
    graph, layer, x, v, h, square = inputs()
    with torch.no_grad():
        moved, own, received = layer(x, v, h, square, graph)
        new = layer.features(own, received)
        pushes, sums = torch.zeros_like(x), torch.zeros_like(h)
        for t in range(3):
            for body in range(2):
                for e, (i, j) in enumerate(
                    zip(graph.receivers.tolist(), graph.senders.tolist(), strict=True)
                ):
                    a, b = 5 * body + i, 5 * body + j
                    r = x[t, a] - x[t, b]
                    edge = torch.stack([r @ r, graph.hops[e, 0].double(), square[body, e, 0]])
                    z = layer.message_1(torch.cat([h[t, a], h[t, b], edge]))
                    message = silu(layer.message_2(silu(z)))
                    positions = layer.positions
                    pushes[t, a] += r * positions.edge_2(silu(positions.edge_1(message))) / graph.degree[i]
                    sums[t, a] += message
        speed = layer.positions.velocity_2(silu(layer.positions.velocity_1(h)))
        expected = layer.features.linear_2(silu(layer.features.linear_1(torch.cat([h, sums], -1))))
    torch.testing.assert_close(moved, x + speed * v + pushes, rtol=0, atol=1e-12)
    torch.testing.assert_close(new, expected, rtol=0, atol=1e-12)


def test_a_step_is_bounded_in_length():
    graph, layer, x, v, h, square = inputs(scale=1e4)
    with torch.no_grad():
        moved, _, _ = layer(x, 0 * v, h, square, graph)
    steps = (moved - x).norm(dim=-1)
    assert steps.max() == pytest.approx(100, abs=1e-6)


def test_gradients():
    graph, layer, x, v, h, square = inputs(frames=1, bodies=1, width=3)

    def function(x, v, h, square):
        moved, own, received = layer(x, v, h, square, graph)
        return moved, layer.features(own, received)

    arguments = tuple(y.requires_grad_() for y in (x, v, h, square))
    assert torch.autograd.gradcheck(function, arguments)


def message_inputs(frames=3, bodies=2, width=6, dtype=torch.float64):
    torch.manual_seed(1)
    graph = BodyGraph(CHAIN)
    shapes = [(frames, bodies, 5, width)] * 2 + [(frames, bodies, len(graph.senders), 3)]
    shapes += [(width, 3), (width, width), (width,), (width, width), (width,), (1, width), (1,)]
    return graph, [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def call(function, graph, tensors):
    return function(*tensors[:3], MessageWeights(*tensors[3:]), graph)


@pytest.mark.parametrize("rows", [1, 40, 10_000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_messages_in_pieces_are_the_messages(rows, dtype, monkeypatch):
    monkeypatch.setattr(edge_messages_module, "ROWS", rows)
    graph, tensors = message_inputs(dtype=dtype)
    tolerance = {"rtol": 1e-12, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-4}
    results = []
    for function in (plain_messages, edge_messages):
        push, received = call(function, graph, tensors)
        loss = push.sin().sum() + (received * received.detach().cos()).sum()
        results.append((push, received, *torch.autograd.grad(loss, tensors)))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, **tolerance)
    with torch.no_grad():
        assert all(map(torch.equal, call(edge_messages, graph, tensors), results[1][:2]))


def test_message_gradients():
    graph, tensors = message_inputs(frames=1, bodies=1, width=3)
    assert torch.autograd.gradcheck(lambda *x: call(edge_messages, graph, x), tensors)


def test_messages_can_be_transformed():
    graph, tensors = message_inputs()
    tangents = [torch.ones_like(x) for x in tensors]
    found, expected = (
        torch.func.jvp(lambda *x, f=f: call(f, graph, x), tuple(tensors), tuple(tangents))[1]
        for f in (edge_messages, plain_messages)
    )
    assert all(map(torch.equal, found, expected))

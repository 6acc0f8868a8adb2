"""The compiled messages against the plain ones."""

from __future__ import annotations

import pytest
import torch

from equizoo.nn.vector_messages import VectorEdges, plain_messages, vector_messages

pytest.importorskip("numba")


def case(dtype: torch.dtype, parts: int = 3) -> tuple[list[torch.Tensor], VectorEdges]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    receivers = torch.randint(20, (90,), generator=generator).sort().values
    senders = torch.randint(20, (90,), generator=generator)
    shapes = [(20, 12), (20, 12), (20, parts * 12), (20, 3, 12), (90, 12), (90, parts * 12)]
    direction, envelope = draw(90, 3).detach(), draw(90).detach()
    return [draw(*shape) for shape in shapes], VectorEdges(receivers, senders, direction, envelope)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_compiled_messages_and_gradients_are_those_of_the_plain_ones(
    dtype: torch.dtype, tolerance: float
) -> None:
    tensors, edges = case(dtype)
    results = []
    for send in (plain_messages, vector_messages):
        x, y = send(*tensors, edges, 4)
        loss = (x * torch.linspace(-1, 1, 12, dtype=dtype)).sum() + y.sin().sum()
        results.append([x, y, *torch.autograd.grad(loss, tensors)])
    for plain, compiled in zip(*results, strict=True):
        size = float(plain.detach().abs().max())
        torch.testing.assert_close(compiled, plain, rtol=tolerance, atol=tolerance * size)


def test_no_edges_send_nothing() -> None:
    tensors, edges = case(torch.float32)
    tensors[4:] = [x[:0] for x in tensors[4:]]
    x, y = vector_messages(*tensors, VectorEdges(*(part[:0] for part in edges)), 4)
    assert not x.any()
    assert not y.any()


def test_gradients_by_the_geometry_and_vector_products_come_from_the_plain_version() -> None:
    tensors, edges = case(torch.float64, parts=4)
    edges = edges._replace(direction=edges.direction.requires_grad_())
    x, y = vector_messages(*tensors, edges, 4)
    (gradient,) = torch.autograd.grad(x.sum() + y.sum(), [edges.direction])
    assert gradient.abs().min() > 0

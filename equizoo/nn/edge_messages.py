"""Messages of EGNN on the edges of bodies, a few bodies at a time so that they stay in the cache.

A layer has the widest tensors of the network here. The plain version says what is computed; the other one
computes the same, keeps what comes before each SiLU, and takes the rest up again in the backward pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear, silu

from equizoo.nn.body_graph import BodyGraph

ROWS = 1300
"""Edges that are taken at a time: 128 features of so many take two thirds of a megabyte."""


class MessageWeights(NamedTuple):
    """Weights of a message ``m = silu(W2·silu(z) + b2)`` and of its push ``w4·silu(W3·m + b3) + b4``.

    ``z`` is the sum of a part of the receiver, a part of the sender and ``W1`` times the invariants of the
    edge.

    Attributes:
        w1: ``(C, K)``.
        w2, b2: ``(C, C)``, ``(C,)``.
        w3, b3: ``(C, C)``, ``(C,)``.
        w4, b4: ``(1, C)``, ``(1,)``.
    """

    w1: Tensor
    w2: Tensor
    b2: Tensor
    w3: Tensor
    b3: Tensor
    w4: Tensor
    b4: Tensor


def plain_messages(
    receiver: Tensor, sender: Tensor, invariants: Tensor, weights: MessageWeights, graph: BodyGraph
) -> tuple[Tensor, Tensor]:
    """Return pushes and sums of messages; see :func:`edge_messages`."""
    z = linear(invariants, weights.w1)
    z = z + receiver.index_select(-2, graph.receivers) + sender.index_select(-2, graph.senders)
    messages = silu(linear(silu(z), weights.w2, weights.b2))
    push = linear(silu(linear(messages, weights.w3, weights.b3)), weights.w4, weights.b4)
    return push, graph.sum(messages)


def edge_messages(
    receiver: Tensor, sender: Tensor, invariants: Tensor, weights: MessageWeights, graph: BodyGraph
) -> tuple[Tensor, Tensor]:
    """Compute the messages on all edges.

    The fast version runs on a CPU and has no second derivatives; while tracing, in transforms of functions,
    and on other devices it is the plain one.

    Args:
        receiver: ``(T, B, J, C)`` part of each joint in the messages that it receives.
        sender: ``(T, B, J, C)`` part of each joint in the messages that it sends.
        invariants: ``(T, B, E, K)`` invariants of the edges.
        weights: The weights.
        graph: The edges.

    Returns:
        ``(T, B, E, 1)`` factors of the differences of positions, and ``(T, B, J, C)`` sums of the messages
        that each joint receives.

    Example:
        >>> graph, size = BodyGraph([(1, 0), (2, 1)]), (2, 1, 3, 4)
        >>> square, row = torch.randn(4, 4), torch.randn(4)
        >>> weights = MessageWeights(torch.randn(4, 2), square, row, square, row, row[None], row[:1])
        >>> push, received = edge_messages(*torch.randn(2, *size), torch.randn(2, 1, 6, 2), weights, graph)
        >>> push.shape, received.shape
        (torch.Size([2, 1, 6, 1]), torch.Size([2, 1, 3, 4]))
    """
    if (
        receiver.device.type != "cpu"
        or torch.compiler.is_compiling()
        or torch._C._functorch.maybe_current_level()
    ):
        return plain_messages(receiver, sender, invariants, weights, graph)
    arguments = (x.flatten(0, 1) for x in (receiver, sender, invariants))
    push, received = _EdgeMessages.apply(
        *arguments, *weights, graph.receivers, graph.senders, torch.is_grad_enabled()
    )
    shape = receiver.shape[:2]
    return push.unflatten(0, shape), received.unflatten(0, shape)


class _EdgeMessages(torch.autograd.Function):
    """The same for ``(S, ...)``, S = T·B, and weights one by one."""

    @staticmethod
    def forward(ctx: Any, receiver: Tensor, sender: Tensor, invariants: Tensor, *rest: Any) -> Any:
        w1, w2, b2, w3, b3, w4, b4, receivers, senders, keep = rest
        (slices, edges), width = invariants.shape[:2], w2.shape[0]
        step = max(1, ROWS // edges)
        z = receiver.new_empty(3, slices if keep else min(step, slices), edges, width)
        push, received = receiver.new_empty(slices, edges, 1), torch.zeros_like(receiver)
        spare = receiver.new_empty(min(step, slices), edges, width)
        for start in range(0, slices, step):
            here = slice(start, min(start + step, slices))
            count = here.stop - start
            z1, z2, z3 = z[:, here] if keep else z[:, :count]
            y = spare[:count]
            torch.mm(_rows(invariants[here]), w1.T, out=_rows(z1))
            z1.add_(torch.index_select(receiver[here], 1, receivers, out=y))
            z1.add_(torch.index_select(sender[here], 1, senders, out=y))
            torch.sigmoid(z1, out=y).mul_(z1)
            torch.addmm(b2, _rows(y), w2.T, out=_rows(z2))
            torch.sigmoid(z2, out=y).mul_(z2)
            received[here].index_add_(1, receivers, y)
            torch.addmm(b3, _rows(y), w3.T, out=_rows(z3))
            torch.sigmoid(z3, out=y).mul_(z3)
            torch.addmm(b4, _rows(y), w4.T, out=_rows(push[here]))
        if keep:
            ctx.save_for_backward(z, invariants, w1, w2, w3, w4, receivers, senders)
        return push, received

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_push: Tensor, grad_received: Tensor) -> Any:
        z, invariants, w1, w2, w3, w4, receivers, senders = ctx.saved_tensors
        slices, edges, width = z.shape[1:]
        step = min(slices, max(1, ROWS // edges))
        thin = w1.T.contiguous()  # products with few rows are several times faster than with few columns
        grads = [torch.zeros_like(w) for w in (thin, w2, w2[0], w3, w3[0], w4, w4[:, 0])]
        d1, d2, e2, d3, e3, d4, e4 = grads
        of_receiver, of_sender = torch.zeros_like(grad_received), torch.zeros_like(grad_received)
        of_invariants = torch.empty_like(invariants)
        spare = z.new_empty(4, step, edges, width)
        for start in range(0, slices, step):
            here = slice(start, min(start + step, slices))
            z1, z2, z3 = z[:, here]
            g, y, slope, taken = spare[:, : here.stop - start]
            _silu_and_slope(z3, y, slope)
            d4.addmm_(_rows(grad_push[here]).T, _rows(y))
            e4.add_(grad_push[here].sum())
            torch.mul(slope, grad_push[here], out=g).mul_(w4)
            _silu_and_slope(z2, y, slope)
            d3.addmm_(_rows(g).T, _rows(y))
            e3.add_(_rows(g).sum(0))
            torch.mm(_rows(g), w3, out=_rows(taken))
            taken.add_(torch.index_select(grad_received[here], 1, receivers, out=g)).mul_(slope)
            _silu_and_slope(z1, y, slope)
            d2.addmm_(_rows(taken).T, _rows(y))
            e2.add_(_rows(taken).sum(0))
            torch.mm(_rows(taken), w2, out=_rows(g))
            g.mul_(slope)
            of_receiver[here].index_add_(1, receivers, g)
            of_sender[here].index_add_(1, senders, g)
            d1.addmm_(_rows(invariants[here]).T, _rows(g))
            torch.mm(_rows(g), thin.T, out=_rows(of_invariants[here]))
        return of_receiver, of_sender, of_invariants, d1.T, *grads[1:], None, None, None


def _rows(x: Tensor) -> Tensor:
    """Return the ``(rows, C)`` view of ``(S, E, C)``."""
    return x.view(-1, x.shape[-1])


def _silu_and_slope(z: Tensor, y: Tensor, slope: Tensor) -> None:
    """Fill ``y`` with ``z·σ(z)`` and ``slope`` with its derivative, ``σ + y − y·σ``."""
    torch.sigmoid(z, out=slope)
    torch.mul(z, slope, out=y)
    slope.addcmul_(slope, y, value=-1).add_(y)

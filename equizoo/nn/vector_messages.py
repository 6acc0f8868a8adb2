"""Messages of the equivariant transformer: attention on scalars, and vectors along edges.

The plain version says what is computed. The compiled one takes a single pass over the edges; features of an
edge are by far the largest tensors of the network, and it reads and writes them once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import silu

from equizoo.nn.compiled import kernels_apply


class VectorEdges(NamedTuple):
    """Directed edges between atoms, sorted by receiver.

    Attributes:
        receivers: ``(E,)`` atom i that receives, ascending.
        senders: ``(E,)`` atom j that sends.
        direction: ``(E, 3)`` from the sender to the receiver, at most about 1 long.
        envelope: ``(E,)`` factor that falls to 0 at the cutoff.
    """

    receivers: Tensor
    senders: Tensor
    direction: Tensor
    envelope: Tensor


def plain_messages(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    vec: Tensor,
    edge_key: Tensor,
    edge_value: Tensor,
    edges: VectorEdges,
    heads: int,
) -> tuple[Tensor, Tensor]:
    """Return what atoms receive; see :func:`vector_messages`."""
    receivers, senders = edges.receivers, edges.senders
    products = query.index_select(0, receivers) * key.index_select(0, senders) * edge_key
    envelope = edges.envelope.unsqueeze(1)
    attention = silu(products.unflatten(1, (heads, -1)).sum(-1)) * envelope
    values = value.index_select(0, senders) * edge_value
    width = vec.shape[-1]
    scalar, *factors = values.split(width, 1)
    scalar = (scalar.unflatten(1, (heads, -1)) * attention.unsqueeze(2)).flatten(1)
    sent, direction = vec.index_select(0, senders), edges.direction.unsqueeze(2)
    moved = sent * factors[0].unsqueeze(1) + direction * factors[1].unsqueeze(1)
    if len(factors) == 3:
        turned = torch.linalg.cross(direction.expand_as(sent), sent, dim=1)
        moved = moved + turned * factors[2].unsqueeze(1)
    x = torch.zeros_like(query).index_add(0, receivers, scalar)
    return x, torch.zeros_like(vec).index_add(0, receivers, moved * envelope.unsqueeze(2))


def vector_messages(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    vec: Tensor,
    edge_key: Tensor,
    edge_value: Tensor,
    edges: VectorEdges,
    heads: int,
) -> tuple[Tensor, Tensor]:
    """Send messages along edges and add up what each atom receives.

    Attention is ``a = silu(Σ q_i·k_j·w_k)`` in each head, values are ``(s, f, g) = v_j·w_v``; atom i receives
    the scalars ``Σ a·s·C(d)`` and the vectors ``Σ (f·vec_j + g·r_ij/d)·C(d)``. A fourth part of the values
    multiplies the vector products of direction and vectors.

    Compiled on a CPU, without second derivatives and without gradients by the geometry of the edges; plain
    elsewhere.

    Args:
        query: ``(N, C)`` queries of the receivers.
        key: ``(N, C)`` keys of the senders.
        value: ``(N, 3·C)`` values of the senders, or ``(N, 4·C)``.
        vec: ``(N, 3, C)`` vectors of the senders.
        edge_key: ``(E, C)`` weights of the edges in the attention.
        edge_value: ``(E, 3·C)`` weights of the edges on the values, or ``(E, 4·C)``.
        edges: The edges.
        heads: Number of heads, a divisor of C.

    Returns:
        ``(N, C)`` scalars and ``(N, 3, C)`` vectors.

    Example:
        >>> edges = VectorEdges(*torch.tensor([[0, 1], [1, 0]]), torch.randn(2, 3), torch.ones(2))
        >>> x, v = torch.randn(2, 8), torch.randn(2, 3, 8)
        >>> weights = torch.randn(2, 8), torch.randn(2, 24)
        >>> y, moved = vector_messages(x, x, torch.randn(2, 24), v, *weights, edges, heads=2)
        >>> y.shape, moved.shape
        (torch.Size([2, 8]), torch.Size([2, 3, 8]))
    """
    tensors = query, key, value, vec, edge_key, edge_value
    geometry = edges.direction, edges.envelope
    if (
        value.shape[1] != 3 * query.shape[1]
        or any(x.requires_grad for x in geometry)
        or not kernels_apply(*tensors, *geometry)
    ):
        return plain_messages(*tensors, edges, heads)
    return _Messages.apply(*tensors, edges, heads)


class _Messages(torch.autograd.Function):
    """The compiled messages."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Any:
        from equizoo.nn._message_kernels import send

        *tensors, edges, heads = arguments
        tensors = [x.contiguous() for x in tensors]
        query, vec = tensors[0], tensors[3]
        x, y = torch.zeros_like(query), torch.zeros_like(vec)
        ctx.save_for_backward(*tensors)
        ctx.rest = (*(part.contiguous().numpy() for part in edges), np.array([query.shape[1], heads]))
        send(*map(_flat, tensors), *ctx.rest, _flat(x), _flat(y))
        return x, y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gx: Tensor, gy: Tensor) -> Any:
        from equizoo.nn._message_kernels import send_back

        tensors = ctx.saved_tensors
        atoms, edges = tensors[:4], tensors[4:]
        grads = [torch.zeros_like(x) for x in atoms] + [torch.empty_like(x) for x in edges]
        received = _flat(gx.contiguous()), _flat(gy.contiguous())
        send_back(*map(_flat, tensors), *ctx.rest, *received, *map(_flat, grads))
        return *grads, None, None


def _flat(x: Tensor) -> np.ndarray:
    return x.detach().view(-1).numpy()

"""Message passing of EGNN between the joints of bodies, at several times at once.

Satorras, Hoogeboom, Welling, "E(n) Equivariant Graph Neural Networks" (EGNN), ICML 2021, with the velocities
of their Section 3.2. The first linear map of a message acts on two joints: it is applied to joints, before
their features meet on edges, together with all other maps of the same features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from equizoo.nn.body_graph import BodyGraph
from equizoo.nn.edge_messages import MessageWeights, edge_messages
from equizoo.relaxation.layer import Relaxation

LARGEST_STEP = 100.0
"""Longest mean of the pushes that a joint receives in a layer of the published network [length]."""


class PositionUpdate(nn.Module):
    """Weights of the scalar factors of differences and of velocities.

    Args:
        hidden: Width C.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.edge_1, self.edge_2 = nn.Linear(hidden, hidden), nn.Linear(hidden, 1)
        self.velocity_1, self.velocity_2 = nn.Linear(hidden, hidden), nn.Linear(hidden, 1)
        self.relaxation: Relaxation | None = None


class FeatureUpdate(nn.Module):
    """Weights of the map from features and received messages to new features.

    Args:
        hidden: Width C.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(2 * hidden, hidden), nn.Linear(hidden, hidden)
        self.relaxation: Relaxation | None = None

    def forward(self, own: Tensor, received: Tensor) -> Tensor:
        """Return new features.

        Args:
            own: ``(..., C)`` first linear map of a joint's own features, with its bias.
            received: ``(..., C)`` sum of the messages that the joint received.
        """
        weight = self.linear_1.weight[:, own.shape[-1] :]
        return self.linear_2(silu(own + linear(received, weight)))


class BodyLayer(nn.Module):
    """One layer: messages on edges and a step of each joint; :class:`FeatureUpdate` completes it.

    Args:
        hidden: Width C.
        largest_step: Longest mean of the pushes that a joint receives [length].

    Example:
        >>> graph, layer = BodyGraph([(1, 0), (2, 1)]), BodyLayer(8)
        >>> x, v, h = torch.randn(5, 3, 3), torch.randn(5, 3, 3), torch.randn(5, 3, 8)
        >>> square = graph.differences(x[:1]).square().sum(-1, keepdim=True)
        >>> y, own, received = layer(x, v, h, square, graph)
        >>> y.shape, layer.features(own, received).shape
        (torch.Size([5, 3, 3]), torch.Size([5, 3, 8]))

    References:
        EGNN, Equations 3 to 7; the released EGNO for the mean over neighbours, the limit of a step (here of
        its length, there of its coordinates) and the missing residual.
    """

    def __init__(self, hidden: int, largest_step: float = LARGEST_STEP) -> None:
        super().__init__()
        self.largest_step = largest_step
        self.message_1, self.message_2 = nn.Linear(2 * hidden + 3, hidden), nn.Linear(hidden, hidden)
        self.positions, self.features = PositionUpdate(hidden), FeatureUpdate(hidden)

    def forward(
        self, x: Tensor, v: Tensor, h: Tensor, square: Tensor, graph: BodyGraph
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Move the joints of B bodies of J joints at T times.

        Args:
            x: ``(T, B·J, 3)`` positions [length].
            v: ``(T, B·J, 3)`` velocities [length / time].
            h: ``(T, B·J, C)`` features.
            square: ``(B, E, 1)`` squared distances that edges start with [length²].
            graph: The edges of a body.

        Returns:
            ``(T, B·J, 3)`` positions, and the two arguments of ``self.features``, ``(T, B·J, C)`` each.
        """
        width, joints = h.shape[-1], (-1, graph.joints)
        edge, update = self.message_1.weight, self.features.linear_1
        velocity = self.positions.velocity_1
        weight = torch.cat(
            [edge[:, :width], edge[:, width : 2 * width], velocity.weight, update.weight[:, :width]]
        )
        zero = torch.zeros_like(velocity.bias)
        bias = torch.cat([self.message_1.bias, zero, velocity.bias, update.bias])
        receiver, sender, speed, own = linear(h, weight, bias).chunk(4, -1)
        r = graph.differences(x.unflatten(1, joints))
        invariants = torch.cat([r.square().sum(-1, keepdim=True), *_constant(r, square, graph)], -1)
        first, second, push = self.message_2, self.positions.edge_1, self.positions.edge_2
        weights = MessageWeights(
            edge[:, 2 * width :], first.weight, first.bias, second.weight, second.bias, push.weight, push.bias
        )
        parts = receiver.unflatten(1, joints), sender.unflatten(1, joints)
        factor, received = edge_messages(*parts, invariants, weights, graph)
        step = graph.mean(r * factor).flatten(1, 2)
        limit = self.largest_step
        step = step * (limit * step.square().sum(-1, keepdim=True).clamp(min=limit**2).rsqrt())
        moved = x + self.positions.velocity_2(silu(speed)) * v + step
        return moved, own, received.flatten(1, 2)


def _constant(r: Tensor, square: Tensor, graph: BodyGraph) -> tuple[Tensor, Tensor]:
    """Return hops and squared distances at the start in the shape ``(T, B, E, 1)``."""
    shape = (*r.shape[:3], 1)
    return graph.hops.expand(shape), square.expand(shape)

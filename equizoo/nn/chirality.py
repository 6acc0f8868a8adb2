"""What a vector field needs to know to give each stereo centre the shape that is asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def signed_volumes(pos: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Return the signed volume of the four neighbours of each stereo centre, and its gradient.

    Args:
        pos: ``(N, 3)`` positions [Å].
        centres: ``(S, 5)`` centre and its neighbours n1 … n4, in an order that makes the volume positive
            when the shape is the one asked for; a centre with three neighbours stands in for the fourth.

    Returns:
        ``(S,)`` volumes ``(x1 − x4)·((x2 − x4) × (x3 − x4))`` [Å³] and ``(S, 4, 3)`` gradients [Å²].

    Example:
        >>> corners = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0.2, 0.2, 0.2]])
        >>> float(signed_volumes(corners, torch.tensor([[4, 0, 1, 2, 3]]))[0])
        1.0
    """
    x1, x2, x3, x4 = pos[centres[:, 1:]].unbind(1)
    a, b, c = x1 - x4, x2 - x4, x3 - x4
    first, second = torch.linalg.cross(b, c), torch.linalg.cross(c, a)
    third = torch.linalg.cross(a, b)
    gradient = torch.stack([first, second, third, -(first + second + third)], 1)
    return (a * first).sum(1), gradient


class ChiralityFeatures(nn.Module):
    """Scalars and vectors to start with: is the shape right, and which way is it made right.

    The order of the neighbours is a pseudoscalar, so is the volume; their product is invariant under
    rotations and, if the order goes along, under reflections. Atoms of a molecule without stereo centres get
    the scalars that they had, and vectors that are 0.

    Args:
        width: Number of scalars and of vectors C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scalars = nn.Linear(2, width, bias=False)
        self.vectors = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, pos: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
        """Return scalars ``(N, C)`` and vectors ``(N, 3, C)``.

        Args:
            x: ``(N, C)`` scalars.
            pos: ``(N, 3)`` positions [Å].
            centres: ``(S, 5)`` stereo centres.
        """
        volume, gradient = signed_volumes(pos, centres)
        shape = torch.stack([volume * (1 + volume.square()).rsqrt(), torch.ones_like(volume)], 1)
        x = x.index_add(0, centres[:, 0], self.scalars(shape))
        gradient = gradient * (1 + gradient.square().sum(-1, keepdim=True)).rsqrt()
        push = torch.zeros_like(pos).index_add(0, centres[:, 1:].flatten(), gradient.flatten(0, 1))
        return x, push.unsqueeze(2) * self.vectors

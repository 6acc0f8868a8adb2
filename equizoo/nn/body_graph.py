"""The edges of a body: pairs of joints one or two bones apart, the same for every body of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MOST_JOINTS = 1024
"""A skeleton of more joints is taken for a mistake."""


def count_joints(bones: Sequence[tuple[int, int]]) -> int:
    """Return the number J of joints that ``bones`` connect.

    Raises:
        ValueError: A bone does not connect two different joints, or joints are not numbered from 0 on.

    Example:
        >>> count_joints([(1, 0), (2, 1)])
        3
    """
    for bone in bones:
        if len(bone) != 2 or bone[0] == bone[1] or not all(0 <= joint < MOST_JOINTS for joint in bone):
            raise ValueError(f"a bone is two different joints from 0 to {MOST_JOINTS - 1}, got {list(bone)}")
    joints = {joint for bone in bones for joint in bone}
    if joints != set(range(len(joints))) or not joints:
        raise ValueError(f"bones must connect joints 0, 1, … without a gap, got joints {sorted(joints)}")
    return len(joints)


class BodyGraph(nn.Module):
    """Directed edges between the joints of a body, sorted by receiver.

    Args:
        bones: Pairs of joints that a bone connects, in any direction.

    Attributes:
        joints: J.
        senders: ``(E,)`` joint j that sends.
        receivers: ``(E,)`` joint i that receives, ascending.
        hops: ``(E, 1)`` number of bones between them, 1 or 2.
        degree: ``(J, 1)`` number of incoming edges.

    Example:
        >>> graph = BodyGraph([(1, 0), (2, 1)])
        >>> graph.hops.flatten().tolist()
        [1.0, 2.0, 1.0, 1.0, 2.0, 1.0]

    References:
        Huang et al., "Equivariant Graph Mechanics Networks with Constraints", ICLR 2022, Appendix: edges of
        the motion-capture experiment.
    """

    def __init__(self, bones: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.joints = count_joints(bones)
        one = torch.zeros(self.joints, self.joints)
        first, second = torch.tensor([tuple(bone) for bone in bones]).T
        one[first, second] = one[second, first] = 1.0
        two = (one @ one > 0) & (one == 0)
        hops = (one + 2 * two).fill_diagonal_(0.0)
        receivers, senders = hops.nonzero(as_tuple=True)
        for name, value in (
            ("senders", senders),
            ("receivers", receivers),
            ("hops", hops[receivers, senders].unsqueeze(1)),
            ("degree", (hops > 0).sum(1, keepdim=True).to(hops.dtype)),
        ):
            self.register_buffer(name, value, persistent=False)

    def sum(self, messages: Tensor) -> Tensor:
        """Return the ``(..., J, C)`` sum of the messages ``(..., E, C)`` that each joint receives."""
        received = messages.new_zeros(*messages.shape[:-2], self.joints, messages.shape[-1])
        return received.index_add(-2, self.receivers, messages)

    def mean(self, messages: Tensor) -> Tensor:
        """Return the ``(..., J, C)`` mean of the messages that each joint receives."""
        return self.sum(messages) / self.degree

    def differences(self, x: Tensor) -> Tensor:
        """Return ``x_i − x_j`` ``(..., E, C)`` for joints ``(..., J, C)``."""
        return x.index_select(-2, self.receivers) - x.index_select(-2, self.senders)

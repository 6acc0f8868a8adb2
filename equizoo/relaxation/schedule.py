"""CR: a scheduled, global relaxation with a Lie-derivative regulariser.

Pertigkiozoglou et al., "Improving equivariant model training via constraint relaxation", NeurIPS 2024.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from equizoo.relaxation.layer import Relaxation
from equizoo.relaxation.linear_lie import LinearLie
from equizoo.relaxation.method import Method, _require_layers, declared_types, recorded_inputs
from equizoo.symmetry.derivative import lie_derivative
from equizoo.symmetry.groups import Group
from equizoo.symmetry.groups import group as group_by_name

SCHEDULES: dict[str, Callable[[float], float]] = {
    "triangular": lambda p: 2 * p if p <= 0.5 else 2 * (1 - p),
    "cosine": lambda p: 0.5 * (1 - math.cos(2 * math.pi * p)),
    "constant": lambda p: 1.0,
}
"""Relaxation θ over the fraction p of the training that is done, with peak 1."""


class ScheduledRelaxation(Method):
    """CR: every γ is one scheduled value θ, and the branches are kept small and nearly equivariant.

    The method ``cr``. Nothing about γ is learned: ``γ_i = θ(p)`` at progress p. The task loss gains
    ``weight·(√Σ‖LD f_neq(x)‖² + √Σ‖f_neq(x)‖²)``, summed over layers, generators and the whole batch, with
    the inputs x detached, so that it trains the branches only.

    LD is the textbook Lie derivative ``J_f(x)[dρ_in(A) x] - dρ_out(A) f(x)``, which is 0 for an equivariant
    map. The released code computes another quantity, which does not vanish on equivariant maps.

    Args:
        layers: The relaxed layers; each needs an ``in_type`` and an ``out_type``, unless ``weight`` is 0.
            A type is that of the branch's first input; its further inputs are held fixed.
        schedule: ``"triangular"`` (published: 0 → theta → 0), ``"cosine"`` (a smooth bump between the same
            ends), or ``"constant"`` (published with ``theta=0.1``).
        theta: Peak of the schedule.
        weight: Weight of the regulariser; published 0.01 for most experiments.
        group: Lie group of the derivative, by name or as an object.

    Raises:
        ValueError: An option has a bad value, the group is discrete, a feature type is missing, or there
            is no relaxed layer.

    Example:
        >>> from equizoo.relaxation import relax, relaxations
        >>> net = relax(nn.Sequential(nn.Linear(3, 1)), {"0": nn.Linear(3, 1)})
        >>> method = ScheduledRelaxation(relaxations(net), weight=0.0)
        >>> method.set_progress(0.25)
        >>> method.log()
        {'gamma/0': 0.5}

    References:
        Pertigkiozoglou et al. (2024), schedule and regulariser; Gruver et al., ICLR 2023, the Lie derivative.
    """

    def __init__(
        self,
        layers: Mapping[str, Relaxation],
        schedule: str = "triangular",
        theta: float = 1.0,
        weight: float = 0.01,
        group: str | Group = "SO3",
    ) -> None:
        _require_layers(layers, type(self).__name__)
        super().__init__(layers)
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule is one of {sorted(SCHEDULES)}, got {schedule!r}")
        if weight < 0:
            raise ValueError(f"weight must not be negative, got {weight}")
        self.schedule, self.theta, self.weight = schedule, theta, weight
        self.group = group_by_name(group) if isinstance(group, str) else group
        if weight:
            if not len(self.group.lie_algebra()):
                raise ValueError(f"{self.group} is discrete and has no Lie derivative; use weight=0")
            for name, term in self.layers.items():
                declared_types(name, term, "in_type", "out_type")
            self.linear = [LinearLie.of(term, self.group) for term in self.layers.values()]
        self.set_progress(0.0)

    def owned(self) -> set[nn.Parameter]:
        """Return every γ."""
        return {term.gamma for term in self.layers.values()}

    @torch.no_grad()
    def set_progress(self, fraction: float) -> None:
        """Set every γ to the schedule's value.

        Args:
            fraction: 0 at the start, 1 at the end.

        Raises:
            ValueError: ``fraction`` is outside [0, 1].
        """
        super().set_progress(fraction)
        for term in self.layers.values():
            term.gamma.fill_(self.theta * SCHEDULES[self.schedule](fraction))

    def before_forward(self, targets: Tensor | None = None, index: Tensor | None = None) -> None:
        """Let the layers record the inputs of their branches.

        Args:
            targets: Not used.
            index: Not used.
        """
        for term in self.layers.values():
            term.record = self.weight > 0

    def penalty(self) -> Tensor:
        """Return the regulariser on the inputs of the present forward pass.

        Raises:
            RuntimeError: A layer did not run since :meth:`before_forward`.
        """
        if not self.weight:
            return super().penalty()
        pairs = [
            self._squares(linear, term, *recorded_inputs(name, term))
            for linear, (name, term) in zip(self.linear, self.layers.items(), strict=True)
        ]
        derivatives, sizes = (torch.stack(squares).sum() for squares in zip(*pairs, strict=True))
        return self.weight * (_root(derivatives) + _root(sizes))

    def _squares(
        self, linear: LinearLie | None, term: Relaxation, x: Tensor, *rest: object
    ) -> tuple[Tensor, Tensor]:
        if linear is not None and not rest:
            return linear(term.branch, x)

        def branch(value: Tensor) -> Tensor:
            return term.branch(value, *rest)

        derivative = lie_derivative(branch, x, term.in_type, term.out_type, self.group)
        return derivative.square().sum(), branch(x).square().sum()

    def after_backward(self) -> None:
        """Forget the recorded inputs and the gradients of γ."""
        for term in self.layers.values():
            term.record, term.last_inputs, term.gamma.grad = False, None, None


def _root(square: Tensor) -> Tensor:
    """Return the root, with a gradient of 0 at 0."""
    positive = square > 0
    return torch.where(positive, square, 1).sqrt() * positive

"""Muon for processors without fast bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor


def orthogonalise(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Bring the singular values of a matrix near 1 by Newton-Schulz steps, in the data type of the matrix.

    Source: K. Jordan et al., Muon (2024), https://kellerjordan.github.io/posts/muon/.

    Args:
        matrix: ``(m, n)``.
        coefficients: a, b, c of a step X → aX + (bA + cA²)X with A = XXᵀ.
        steps: How many.
        eps: Smallest norm that the matrix is divided by.

    Example:
        >>> orthogonalise(torch.eye(2), (1.5, -0.5, 0.0), 20, 1e-7)
        tensor([[1., 0.],
                [0., 1.]])
    """
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Float32Muon(torch.optim.Muon):
    """torch's Muon, orthogonalising in the data type of the parameters where torch's does in bfloat16.

    Arguments, defaults and state are those of :class:`torch.optim.Muon`, so that a run may go on with either.

    Example:
        >>> weight = torch.nn.Parameter(torch.eye(16))
        >>> weight.grad = torch.eye(16)
        >>> Float32Muon([weight], lr=0.1).step()
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Take one step."""
        for group in self.param_groups:
            if group["adjust_lr_fn"] not in (None, "original"):
                raise ValueError("Float32Muon adjusts rates as the original does")
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)

    def _move(self, weight: Tensor, gradient: Tensor, group: dict) -> None:
        momentum, lr = group["momentum"], group["lr"]
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        update = gradient.lerp(mean, momentum) if group["nesterov"] else mean
        update = orthogonalise(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        weight.mul_(1 - lr * group["weight_decay"])
        weight.add_(update, alpha=-lr * max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5)

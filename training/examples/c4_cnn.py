"""Relax your own network: a C4-equivariant CNN that has to break its symmetry, or not.

The input is a square, which quarter turns leave as it is; so does every C4-equivariant network with its
output. Three targets ask for different things: a larger square (nothing needs to be broken), a rectangle
(only half turns are left) and a shape without symmetry. ACE should find out by itself: γ vanishes for the
first target and stays for the others.

Run it with ``python -m equizoo.training.examples.c4_cnn``.

References:
    Manolache et al., "Learning (Approximately) Equivariant Networks via Constrained Optimization" (ACE),
    Appendix A.4; Cohen and Welling, "Group equivariant convolutional networks" (2016), for the layers.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from equizoo.relaxation import Method, build_method, projected, relax, relaxations, spectral_normalise

SIZE = 12
TARGETS = ("square", "rectangle", "asymmetric")


class LiftingConv(nn.Module):
    """Convolution from an image ``(B, I, H, W)`` to functions on C4 ``(B, O·4, H, W)``.

    The four copies of an output channel are convolutions with the four turned kernels.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3) -> None:
        super().__init__()
        scale = (in_channels * kernel**2) ** -0.5
        self.weight = nn.Parameter(scale * torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the kernels turned by 0, 1, 2 and 3 quarter turns."""
        turned = torch.stack([self.weight.rot90(r, (-2, -1)) for r in range(4)], dim=1)
        return nn.functional.conv2d(x, turned.flatten(0, 1), self.bias.repeat_interleave(4), padding="same")


class GroupConv(nn.Module):
    """Convolution between functions on C4, ``(B, I·4, H, W)`` to ``(B, O·4, H, W)``."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3) -> None:
        super().__init__()
        scale = (in_channels * 4 * kernel**2) ** -0.5
        self.weight = nn.Parameter(scale * torch.randn(out_channels, in_channels, 4, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the kernels turned in the plane and shifted along the group axis."""
        turned = [self.weight.rot90(r, (-2, -1)).roll(r, dims=2) for r in range(4)]
        kernel = torch.stack(turned, dim=1).flatten(0, 1).flatten(1, 2)
        return nn.functional.conv2d(x, kernel, self.bias.repeat_interleave(4), padding="same")


class C4Net(nn.Module):
    """Image to image ``(B, 1, H, W)``, exactly equivariant under quarter turns.

    Example:
        >>> net, x = C4Net(), torch.randn(1, 1, 8, 8)
        >>> torch.allclose(net(x.rot90(1, (2, 3))), net(x).rot90(1, (2, 3)), atol=1e-5)
        True
    """

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.lift = LiftingConv(1, channels)
        self.hidden = GroupConv(channels, channels)
        self.out = GroupConv(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Lift, convolve, and average over the group."""
        x = torch.tanh(self.lift(x))
        x = torch.tanh(self.hidden(x))
        return self.out(x).mean(dim=1, keepdim=True)


def image(shape: str) -> Tensor:
    """Draw a shape on a grid ``(1, 1, SIZE, SIZE)``, centred so that quarter turns act exactly.

    Args:
        shape: ``"input"`` (the small square), or one of ``TARGETS``.

    Raises:
        ValueError: There is no such shape.
    """
    rows, columns = {
        "input": (slice(4, 8), slice(4, 8)),
        "square": (slice(3, 9), slice(3, 9)),
        "rectangle": (slice(4, 8), slice(2, 10)),
        "asymmetric": (slice(2, 7), slice(4, 10)),
    }.get(shape, (None, None))
    if rows is None:
        raise ValueError(f"no shape {shape!r}; there are 'input' and {TARGETS}")
    picture = torch.zeros(1, 1, SIZE, SIZE)
    picture[..., rows, columns] = 1.0
    if shape == "asymmetric":
        picture[..., 7:10, 4:6] = 1.0
    return picture


def relaxed_net(channels: int = 4) -> nn.Module:
    """Build the network and give each layer an unconstrained convolution: this is all it takes."""
    wide = 4 * channels
    maps = {"lift": (1, wide), "hidden": (wide, wide), "out": (wide, 4)}
    branches = {name: spectral_normalise(nn.Conv2d(a, b, 3, padding="same")) for name, (a, b) in maps.items()}
    return relax(C4Net(channels), branches)


@dataclass(frozen=True)
class Outcome:
    """What came out of one training.

    Attributes:
        gammas: γ of each layer.
        relaxed: Mean squared error of the relaxed network.
        projected: Mean squared error with every γ = 0.
    """

    gammas: dict[str, float]
    relaxed: float
    projected: float


def fit(target: str, method: str, *, steps: int = 400, seed: int = 0, **options: Any) -> Outcome:
    """Train the relaxed network to turn the small square into ``target``.

    Args:
        target: One of ``TARGETS``.
        method: Name of the method, see :func:`equizoo.relaxation.build_method`.
        steps: Number of training steps.
        seed: Seed of the initial weights.
        **options: Options of the method.
    """
    torch.manual_seed(seed)
    net = relaxed_net()
    steering = build_method(method, relaxations(net), **options)
    x, y = image("input"), image(target)
    free = [p for p in net.parameters() if p not in steering.owned()]
    optimiser = torch.optim.Adam([*free, *steering.parameters()], lr=5e-3)
    for step in range(steps):
        steering.set_progress(step / steps)
        _step(net, steering, optimiser, x, y)
    with torch.no_grad():
        relaxed = nn.functional.mse_loss(net(x), y).item()
        with projected(net):
            exact = nn.functional.mse_loss(net(x), y).item()
    return Outcome({name: term.gamma.item() for name, term in relaxations(net).items()}, relaxed, exact)


def _step(net: nn.Module, steering: Method, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    steering.before_forward(y)
    loss = nn.functional.mse_loss(net(x), y) + steering.penalty()
    optimiser.zero_grad()
    loss.backward()
    steering.after_backward()
    optimiser.step()
    steering.after_step()


DAMPED = {"dual_optimizer": "sgd", "dual_lr": 0.02, "gamma_lr": 0.02}
RUNS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("square", "ace-equality", {**DAMPED, "augmented": 1.0}),
    ("square", "ace-resilient", {**DAMPED, "rho": 0.1}),
    ("rectangle", "ace-resilient", {**DAMPED, "rho": 0.1}),
    ("asymmetric", "ace-resilient", {**DAMPED, "rho": 0.1}),
)
"""Target, method and options of each row of the table."""


def main() -> None:
    """Print γ of each layer for each target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(
        f"{'target':<12}{'method':<16}{'γ lift':>9}{'γ hidden':>10}{'γ out':>9}{'MSE':>10}{'projected':>11}"
    )
    for target, method, options in RUNS:
        result = fit(target, method, steps=args.steps, seed=args.seed, **options)
        lift, hidden, out = result.gammas.values()
        print(
            f"{target:<12}{method:<16}{lift:>9.4f}{hidden:>10.4f}{out:>9.4f}"
            f"{result.relaxed:>10.5f}{result.projected:>11.5f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

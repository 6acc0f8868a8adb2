"""Exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Averages every parameter of a model, γ included; buffers are those of the model.

    A buffer can be a direction, such as the singular vectors of spectral normalisation, and the average of
    two opposite directions is none. The decay rises as ``(1 + t) / (10 + t)`` at first so that the initial
    weights are soon forgotten.

    Args:
        model: The model whose weights are followed.
        decay: Final decay; 0 follows the weights exactly.

    Raises:
        ValueError: ``decay`` is outside [0, 1).

    Example:
        >>> net = nn.Linear(1, 1)
        >>> average = WeightAverage(net, decay=0.0)
        >>> _ = nn.init.zeros_(net.weight)
        >>> average.update()
        >>> float(average.state_dict()["weight"])
        0.0
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of the weight average must be in [0, 1), got {decay}")
        self.model, self.decay, self.updates = model, decay, 0
        self.average = {key: value.detach().clone() for key, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present weights."""
        self.updates += 1
        decay = min(self.decay, self.updates / (9 + self.updates))
        live, weights = self.model.state_dict(), list(dict(self.model.named_parameters()))
        torch._foreach_lerp_([self.average[k] for k in weights], [live[k] for k in weights], 1 - decay)
        for key in live.keys() - set(weights):
            self.average[key].copy_(live[key])

    @contextmanager
    def swapped(self) -> Iterator[nn.Module]:
        """Put the averaged weights into the model; on leaving, its own weights are back, bit for bit."""
        kept = {key: value.detach().clone() for key, value in self.model.state_dict().items()}
        self._write(self.average)
        try:
            yield self.model
        finally:
            self._write(kept)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averaged weights under the model's own names."""
        return self.average

    def load_state_dict(self, state: dict[str, Tensor], updates: int) -> None:
        """Continue from saved averages after ``updates`` updates."""
        self.updates = updates
        for key, value in self.average.items():
            value.copy_(state[key])

    @torch.no_grad()
    def _write(self, state: dict[str, Tensor]) -> None:
        for key, value in self.model.state_dict().items():
            value.copy_(state[key])

"""Primal optimisers."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import torch
from torch import nn

from equizoo.nn.tensor_product import TensorProduct
from equizoo.training.config import ConfigError, OptimiserConfig, nearest
from equizoo.training.muon import Float32Muon
from equizoo.training.precision import fast_bfloat16

NAMES = ("adam", "adamw", "sgd", "muon")
SMALLEST_MATRIX = 16


class Optimisers:
    """One or two torch optimisers stepped together.

    Args:
        config: Names and rates.
        model: Its parameters are optimised.
        extra: Further parameters, such as those of a method.
        owned: Parameters to leave out, stepped by somebody else.

    Raises:
        ConfigError: Unknown optimiser.

    Example:
        >>> opt = Optimisers(OptimiserConfig("adam", lr=0.1), nn.Linear(2, 2))
        >>> len(opt.parameters)
        2
    """

    def __init__(
        self,
        config: OptimiserConfig,
        model: nn.Module,
        extra: Iterable[nn.Parameter] = (),
        owned: Collection[nn.Parameter] = (),
    ) -> None:
        if config.name not in NAMES:
            raise ConfigError(f"unknown optimiser {config.name!r}; {nearest(config.name, NAMES)}")
        left_out = {id(p) for p in owned}
        parameters = [p for p in [*model.parameters(), *extra] if p.requires_grad and id(p) not in left_out]
        self.parameters = list({id(p): p for p in parameters}.values())
        skip = set(config.muon_skip)
        skipped = {id(p) for name, p in model.named_parameters() if skip.intersection(name.split("."))}
        matrices = [
            p
            for p in self.parameters
            if config.name == "muon"
            and p.ndim == 2
            and min(p.shape) >= SMALLEST_MATRIX
            and id(p) not in skipped
        ]
        taken = {id(p) for p in matrices}
        rest = [p for p in self.parameters if id(p) not in taken]
        flat = {id(m.weight) for m in model.modules() if isinstance(m, TensorProduct)}
        decayed = [p for p in rest if p.ndim >= 2 or id(p) in flat]
        kept = [p for p in rest if p.ndim < 2 and id(p) not in flat]
        groups = [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": kept, "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        self.optimisers: list[torch.optim.Optimizer] = [_elementwise(config, groups)] if groups else []
        if matrices:
            decay, momentum = config.weight_decay, config.momentum
            kind = torch.optim.Muon if fast_bfloat16(matrices[0].device.type) else Float32Muon
            muon = kind(matrices, lr=config.muon_lr, weight_decay=decay, momentum=momentum)
            self.optimisers.append(muon)
        self.rates = [[group["lr"] for group in opt.param_groups] for opt in self.optimisers]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)

    def step(self, factor: float = 1.0) -> None:
        """Step once with every learning rate multiplied by ``factor``."""
        for optimiser, rates in zip(self.optimisers, self.rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimiser.step()

    def state_dict(self) -> list[dict]:
        """Return the states of all optimisers."""
        return [optimiser.state_dict() for optimiser in self.optimisers]

    def load_state_dict(self, states: list[dict]) -> None:
        """Continue from the states of the same optimisers."""
        for optimiser, state in zip(self.optimisers, states, strict=True):
            optimiser.load_state_dict(state)


def _elementwise(config: OptimiserConfig, groups: list[dict]) -> torch.optim.Optimizer:
    betas = (config.betas[0], config.betas[1])
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)
    if config.name == "adam":
        return torch.optim.Adam(groups, lr=config.lr, betas=betas, fused=True)
    return torch.optim.AdamW(groups, lr=config.lr, betas=betas, fused=True)

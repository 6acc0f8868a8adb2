"""A recipe so small that a run takes a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from equizoo.training.config import RunConfig, load_recipe

TINY = {
    "data.synthetic": 64,
    "data.targets": ["alpha", "gap"],
    "model.aggregations": "sum",
    "model.hidden": 8,
    "model.interactions": 2,
    "model.gaussians": 8,
    "model.readout": 4,
    "budget.epochs": 3,
    "budget.batch_size": 16,
    "schedule.warmup_steps": 2,
    "evaluation.every": 1,
    "evaluation.ema": 0.9,
}
TINY_PARTICLES = {
    "data.synthetic": 64,
    "model.hidden": 8,
    "model.layers": 1,
    "budget.epochs": 3,
    "budget.batch_size": 16,
    "schedule.warmup_steps": 2,
    "evaluation.every": 1,
    "evaluation.ema": 0.9,
    "evaluation.equivariance": 4,
}


@pytest.fixture
def tiny() -> Callable[..., RunConfig]:
    """Return a function that makes the tiny ACE recipe for molecules with dotted keys changed."""
    return _maker("schnet-qm9-ace", TINY)


@pytest.fixture
def tiny_particles() -> Callable[..., RunConfig]:
    """Return a function that makes the tiny ACE recipe for particles with dotted keys changed."""
    return _maker("segnn-nbody-ace", TINY_PARTICLES)


def _maker(default: str, tiny: dict[str, Any]) -> Callable[..., RunConfig]:
    def make(recipe: str = default, **changes: Any) -> RunConfig:
        dotted = {key.replace("__", "."): value for key, value in changes.items()}
        return load_recipe(recipe).replace(**{**tiny, **dotted})

    return make

"""Which numbers of a recipe make sense, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AT_LEAST_ONE = (
    "budget.epochs", "budget.batch_size", "evaluation.every", "evaluation.batch_size", "evaluation.limit",
    "threads",
)  # fmt: skip
NOT_NEGATIVE = (
    "optimiser.lr", "optimiser.muon_lr", "optimiser.weight_decay", "schedule.warmup_steps",
    "budget.max_minutes", "evaluation.equivariance", "evaluation.state_minutes",
)  # fmt: skip
FRACTIONS = ("evaluation.ema", "optimiser.momentum")
FACTORS = ("schedule.final", "schedule.decay")


def out_of_range(values: Mapping[str, Any]) -> str:
    """Say what is wrong with the numbers of a configuration.

    Args:
        values: Values by dotted key; None and keys that are not there are fine.

    Returns:
        A message about the first that is out of its range, else nothing.

    Example:
        >>> out_of_range({"budget.epochs": 0})
        "'budget.epochs' must be at least 1, got 0"
    """
    bounds = {**dict.fromkeys(AT_LEAST_ONE, 1), **dict.fromkeys(NOT_NEGATIVE, 0)}
    for key, least in bounds.items():
        if (value := values.get(key)) is not None and not value >= least:
            return f"{key!r} must be at least {least}, got {value}"
    for key in FRACTIONS:
        if (value := values.get(key)) is not None and not 0 <= value < 1:
            return f"{key!r} must be in [0, 1), got {value}"
    for key in FACTORS:
        if (value := values.get(key)) is not None and not 0 <= value <= 1:
            return f"{key!r} must be in [0, 1], got {value}"
    if (clip := values.get("optimiser.clip")) is not None and not clip > 0:
        return f"'optimiser.clip' must be above 0, got {clip}; null does not clip"
    betas = values.get("optimiser.betas", [0.9, 0.999])
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        return f"'optimiser.betas' must be two numbers in [0, 1), got {betas}"
    return ""

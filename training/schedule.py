"""Learning-rate schedules as pure functions of the step, so that they hold no state to resume."""

from __future__ import annotations

import math

from equizoo.training.config import ConfigError, ScheduleConfig, nearest


def _constant(config: ScheduleConfig, fraction: float) -> float:
    return 1.0


def _multistep(config: ScheduleConfig, fraction: float) -> float:
    return config.decay ** sum(fraction >= milestone for milestone in config.milestones)


def _cosine(config: ScheduleConfig, fraction: float) -> float:
    return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0)))


SCHEDULES = {"constant": _constant, "multistep": _multistep, "cosine": _cosine}


def lr_factor(config: ScheduleConfig, step: int, total: int) -> float:
    """Return the factor on the learning rates at ``step``.

    Args:
        config: The schedule.
        step: Steps done so far.
        total: Steps of the whole budget.

    Returns:
        A factor in [0, 1].

    Raises:
        ConfigError: Unknown schedule.

    Example:
        >>> lr_factor(ScheduleConfig("cosine", warmup_steps=10), 4, 100)
        0.5
    """
    if config.name not in SCHEDULES:
        raise ConfigError(f"unknown schedule {config.name!r}; {nearest(config.name, SCHEDULES)}")
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    rest = max(total - config.warmup_steps, 1)
    return SCHEDULES[config.name](config, (step - config.warmup_steps) / rest)

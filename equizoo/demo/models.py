"""Which models the demo offers, loaded once each, and the key figures of their results.

Only bundled checkpoints are offered: a visitor can name no folder and no repository.
"""

from __future__ import annotations

import functools
import html
import threading
from typing import Any

import torch
from torch import nn

from equizoo.demo.answering import Declined
from equizoo.hub.info import ModelInfo, model_info
from equizoo.hub.loading import from_pretrained
from equizoo.hub.registry import list_models
from equizoo.pipelines import TASKS, pipeline

_LOADING = threading.Lock()


def names(task: str) -> list[str]:
    """Return the bundled models of a task, its default first.

    Example:
        >>> names("molecule-properties")[0]
        'schnet-qm9-ace'
    """
    default = TASKS[task][1] if task in TASKS else None
    return sorted(list_models(task=task), key=lambda name: (name != default, name))


def variants(name: str) -> list[str]:
    """Return the variants that are bundled of a model, the equivariant one first.

    Example:
        >>> variants("segnn-nbody-cr")
        ['equivariant', 'partial']
    """
    return sorted(info(name).config.variants)


@functools.cache
def info(name: str) -> ModelInfo:
    """Describe a bundled model.

    Raises:
        Declined: There is none of that name.
    """
    if name not in list_models():
        raise Declined(f"no model {name!r} is offered here; there are {', '.join(list_models())}")
    return model_info(name)


def check(task: str, name: str, variant: str = "equivariant") -> None:
    """Check that a model is offered for a task.

    Raises:
        Declined: It is not, or has no such variant; the message lists what there is.
    """
    if name not in names(task):
        raise Declined(f"no model {name!r} for this; choose one of {', '.join(names(task))}")
    if variant not in variants(name):
        raise Declined(f"{name} has no variant {variant!r}, only {', '.join(variants(name))}")


def device() -> str:
    """Return where models run: ``"cuda"`` if there is one, or else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def predictor(task: str, name: str, variant: str = "equivariant") -> Any:
    """Return the pipeline of a bundled model, ready on :func:`device`; the same object for everyone.

    Raises:
        Declined: The model or the variant is not offered for the task.
    """
    check(task, name, variant)
    with _LOADING:
        return _predictor(task, name, variant)


@functools.cache
def _predictor(task: str, name: str, variant: str) -> Any:
    return pipeline(task, name, device=device(), variant=variant)


def network(name: str, variant: str, dtype: str) -> nn.Module:
    """Return the network of a bundled model on the CPU; the same object for everyone.

    Args:
        name: Name of a bundled model.
        variant: ``"equivariant"`` or ``"partial"``.
        dtype: ``"float32"`` or ``"float64"``.
    """
    with _LOADING:
        return _network(name, variant, dtype)


@functools.lru_cache(maxsize=24)
def _network(name: str, variant: str, dtype: str) -> nn.Module:
    return from_pretrained(name, variant, dtype=dtype)


def round_off(name: str, dtype: str, kind: str) -> float | None:
    """Return the largest relative equivariance error that was measured on the equivariant variant.

    Args:
        name: Name of a bundled model.
        dtype: ``"float32"`` or ``"float64"``.
        kind: ``"rotation"``, ``"reflection"`` or ``"translation"``.
    """
    measured = info(name).results.get("variants", {}).get("equivariant", {}).get("equivariance", {})
    found = measured.get(dtype, {}).get(kind, {}).get("rel_max")
    return None if found is None else float(found)


def key_figures(name: str, variant: str = "equivariant") -> str:
    """Return one line of HTML on a model: what its results say, all from ``results.json``."""
    described = info(name)
    results, measured = described.results, described.results.get("variants", {}).get(variant, {})
    facts = [
        ("method", described.config.method),
        ("parameters", f"{measured['parameters']:,}" if "parameters" in measured else None),
        (_metric(results), _errors(results, measured)),
        ("training", _training(results)),
        ("licence", "MIT"),
    ]
    parts = [f"<span>{html.escape(key)} <b>{html.escape(value)}</b></span>" for key, value in facts if value]
    return f'<div class="ez-facts">{"".join(parts)}</div>'


def _metric(results: dict[str, Any]) -> str:
    return f"test {results.get('metric', 'error')}"


def _errors(results: dict[str, Any], measured: dict[str, Any]) -> str | None:
    """Return the errors of at most two targets: those people ask for first."""
    errors, units = measured.get("errors", {}), results.get("units", {})
    shown = [key for key in ("gap", "mu") if key in errors] or list(errors)[:2]
    if not shown:
        return None
    one = len(errors) == 1
    return " · ".join(
        f"{'' if one else key + ' '}{errors[key]:.3g} {units.get(key, '')}".strip() for key in shown
    )


def _training(results: dict[str, Any]) -> str | None:
    count, cost = results.get("counts", {}).get("train"), results.get("cost", {})
    if count is None:
        return None
    hours = f", {cost['cpu_hours']:.2g} CPU-hours" if "cpu_hours" in cost else ""
    return f"{results.get('dataset')}, {count:,} samples{hours}"

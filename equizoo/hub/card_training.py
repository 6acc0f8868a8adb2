"""The section of a model card on how the weights were made, and the methods that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from equizoo.hub.card_facts import Dataset, Facts, find
from equizoo.hub.card_models import METHODS
from equizoo.hub.card_recipe import Stage, kept_weights, stages
from equizoo.hub.card_tables import count, number
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.results import method_key

_BUMPS = ("triangular", "cosine")
_GEOMETRY_PACKAGES = ("rdkit", "ase", "tblite", "posebusters")


def method_facts(results: Mapping[str, Any]) -> Facts:
    """Return what is said about the method of a checkpoint.

    Raises:
        ConfigError: Nothing is.
    """
    return find(METHODS, method_key(results), "method", "card_models")


def method_text(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return how a checkpoint was trained, with the part of the training that had relaxed layers.

    Raises:
        ConfigError: Nothing is said about its method.
    """
    text, parts = method_facts(results).text, stages(config)
    if len(parts) < 2:
        return text
    relaxed, last = [part for part in parts if part.method != "none"], parts[-1]
    if not relaxed or last.method != "none" or None in (lengths := [part.epochs for part in parts]):
        return f"{text}, in {len(parts)} stages"
    first = sum(part.epochs or 0 for part in relaxed)
    every = sum(length or 0 for length in lengths)
    return (
        f"{text}, in the first {first} of {every} epochs; then the branches were cut off, and the strictly "
        f"equivariant network was trained for the other {every - first}"
    )


def training(config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset) -> str:
    """Return the section on training: commands, stages, length, which weights were kept, versions."""
    commands = "\n".join(filter(None, (facts.preparation(config), config.training.command)))
    others = [str(run["seed"]) for run in results.get("seeds", []) if run["seed"] != results["seed"]]
    runs = f"the same recipe was run with {', '.join(others)} too" if others else "one run"
    cost, parts = results.get("cost"), stages(config)
    lines = [f"Seed: {results['seed']} ({runs})"]
    if cost:
        several = f" in {cost['parts']} stages" if cost.get("parts", 1) > 1 else ""
        lines.append(
            f"Length: {count(cost['epoch'], 'epoch')}, {cost['step']:,} steps{several} ({cost['status']}); "
            f"{number(cost['cpu_hours'])} CPU-hours"
        )
    if len(parts) > 1:
        lines += _stages(parts, (cost or {}).get("stages", []), facts)
    lines += [f"`{variant}`: {kept_weights(config, results, variant)}" for variant in config.variants]
    lines += [*_damped(parts), *_scheduled(parts)]
    if results.get("half"):
        lines.append("Large parameters are stored in half precision; every figure was measured with them")
    versions = results["provenance"]["versions"].items()
    shown = [f"{k} {v}" for k, v in versions if k not in _GEOMETRY_PACKAGES or k in facts.packages]
    lines.append(f"Measured with {', '.join(shown)}")
    return f"## Training\n\n```bash\n{commands}\n```\n\n" + "\n".join(f"- {line}" for line in lines)


def _stages(parts: Sequence[Stage], measured: Sequence[Mapping[str, Any]], facts: Dataset) -> list[str]:
    """Return a line a stage; ``measured`` is ``stages`` of the ``cost`` of ``results.json``, if known."""
    lines, before = [], "none"
    known = [*measured] if len(measured) == len(parts) else [{}] * len(parts)
    for i, (part, found) in enumerate(zip(parts, known, strict=True), 1):
        epochs = found.get("epoch", part.epochs)
        words = [count(epochs, "epoch")] if epochs else []
        words += filter(None, [facts.stage(part.settings)])
        relaxed = part.method != "none"
        words.append(f"relaxed layers (`{part.method}`)" if relaxed else "strictly equivariant")
        if not relaxed and before != "none":
            words[-1] += f", from the projected network of stage {i - 1}"
        if "gamma" in found:
            low, high = (number(value, 2) for value in found["gamma"])
            words.append(f"at its end |γ| was {low} to {high}")
        lines.append(f"Stage {i}, `{part.recipe}`: {', '.join(words)}")
        before = part.method
    return lines


def _damped(parts: Sequence[Stage]) -> list[str]:
    """Say that γ falls by itself where the constants of the recipe see to it."""
    rates = list(dict.fromkeys(part.damped_rate for part in parts if part.damped_rate))
    if not rates:
        return []
    return [
        "γ: this recipe moves γ and its dual variable by plain gradient steps of one rate, "
        f"η = {rates[0]:g}, with the augmented term c = 1. Wherever the task does not push on γ, it follows "
        "(1 − ηt)·exp(−ηt) over the steps t, data or no data, and the task hardly moves it: that γ falls is "
        "the recipe's doing, and no finding about the data"
    ]


def _scheduled(parts: Sequence[Stage]) -> list[str]:
    """Say that a γ on a schedule is back at 0 at the end of the run only."""
    bumps = [part for part in parts if part.method == "cr" and part.settings.get("method.schedule") in _BUMPS]
    if not bumps:
        return []
    return [
        "γ: one value for all layers, which rises from 0 and is back at 0 with the last step alone: weights "
        "of an earlier epoch, and averages over steps, have a larger one"
    ]

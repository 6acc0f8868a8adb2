"""The recipes behind a checkpoint: the stages of its training, from the commands in its ``config.json``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from typing import Any

import yaml

from equizoo.hub.config import CheckpointConfig

_OPTIMISERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "muon": "Muon"}
_SCHEDULES = {
    "constant": "a constant learning rate",
    "multistep": "a learning rate that falls in steps",
    "cosine": "a cosine schedule",
}


@dataclass(frozen=True)
class Stage:
    """One run of a training.

    Attributes:
        recipe: Name of the bundled recipe.
        settings: What the recipe says, with the values that the command changes, by dotted key.
    """

    recipe: str
    settings: Mapping[str, Any]

    @property
    def method(self) -> str:
        """What steered γ; ``none`` for a strict network."""
        return str(self.settings.get("method.name", "none"))

    @property
    def epochs(self) -> int | None:
        """Passes over the training set; None if the recipe does not say."""
        epochs = self.settings.get("budget.epochs")
        return epochs if isinstance(epochs, int) else None

    @property
    def damped_rate(self) -> float | None:
        """The rate η of γ and λ if they are critically damped, else None.

        With plain gradient steps of one rate on both and the augmented term c = 1 (see
        :class:`equizoo.relaxation.ace.AceEquality`), γ is (1 − ηt)·exp(−ηt) after t steps on a task that does
        not push on it.
        """
        rate, other = self._number("method.dual_lr"), self._number("method.gamma_lr")
        plain = self.settings.get("method.dual_optimizer") == "sgd" and not self.settings.get("method.decay")
        critical = plain and rate == other and self._number("method.augmented") == 1
        return rate if critical and self.method == "ace-equality" else None

    @property
    def averages(self) -> bool:
        """Whether averages of the weights over steps were judged and kept."""
        return bool(self._number("evaluation.ema"))

    def _number(self, key: str) -> float | None:
        value = self.settings.get(key)  # YAML 1.1 reads 1e-3 as text
        return None if value is None else float(value)


def stages(config: CheckpointConfig) -> list[Stage]:
    """Return the runs that a checkpoint was made by, the first one first.

    Args:
        config: Its ``config.json``. A command with ``--resume`` goes on with the run before it.

    Returns:
        The stages; none if a command is not about a bundled recipe.
    """
    found: list[Stage] = []
    for line in config.training.command.replace(" && ", "\n").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # no command: an open quotation
            return []
        stage = _stage(words)
        if stage is None:
            return []
        found = [*(found[:-1] if "--resume" in words else found), stage]
    return found


def kept_weights(config: CheckpointConfig, results: Mapping[str, Any], variant: str) -> str:
    """Return which weights of its training a variant holds, such as "the averaged weights of epoch 6"."""
    parts, epoch = stages(config), results["variants"][variant].get("best", {}).get("epoch")
    weights = "the averaged weights" if parts and parts[-1].averages else "the weights"
    if epoch is None:
        return f"{weights} that were best in validation"
    several = results.get("cost", {}).get("parts", 1)
    where = f" of stage {several}" if several > 1 else ""
    return f"{weights} of epoch {epoch:g}{where}, which was best in validation"


def optimisation(parts: Sequence[Stage]) -> list[str]:
    """Say by what the weights were moved, and whether averages of them were kept."""
    optimisers = _named(parts, "optimiser.name", _OPTIMISERS)
    schedules = _named(parts, "schedule.name", _SCHEDULES)
    averaged = ["averaged weights"] if parts and all(part.averages for part in parts) else []
    return [*([f"{optimisers} with {schedules}"] if optimisers and schedules else []), *averaged]


def _named(parts: Sequence[Stage], key: str, names: Mapping[str, str]) -> str:
    found = [names.get(str(part.settings.get(key)), "") for part in parts]
    return " and ".join(dict.fromkeys(found)) if all(found) else ""


def _stage(words: Sequence[str]) -> Stage | None:
    """Return what a command trains, or None if it names no bundled recipe."""
    folder = resources.files("equizoo.training.recipes")
    names = (word for word in words if re.fullmatch(r"[a-z0-9-]+", word) and word[0] != "-")
    path = next((folder / f"{name}.yaml" for name in names if (folder / f"{name}.yaml").is_file()), None)
    if path is None:
        return None
    settings = _flat(yaml.safe_load(path.read_text(encoding="utf-8")))
    changes = [word.removeprefix("--set=") for word in words if word.startswith("--set=")]
    changes += [after for word, after in pairwise(words) if word == "--set"]
    for change in changes:
        key, _, value = change.partition("=")
        parsed = yaml.safe_load(value)
        settings |= _flat(parsed, f"{key}.") if isinstance(parsed, dict) else {key: parsed}
    return Stage(path.name.removesuffix(".yaml"), settings)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat

"""A run is one YAML file, checked against the dataclasses below before anything is loaded."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from equizoo._nearest import did_you_mean
from equizoo.training.config_ranges import out_of_range

RECIPES = Path(__file__).parent / "recipes"


class ConfigError(ValueError):
    """A recipe or an override that cannot be used; the message says where and what to write instead."""


@dataclass
class OptimiserConfig:
    """The primal optimiser.

    Attributes:
        name: ``adam``, ``adamw``, ``sgd``, or ``muon`` (matrices of hidden layers; AdamW for the rest).
        lr: Learning rate.
        weight_decay: Decay of matrices and of the weights of tensor products; biases and γ are not decayed.
        betas: Adam's averaging factors.
        momentum: Momentum of SGD and Muon.
        muon_lr: Learning rate of the matrices under ``muon``.
        muon_skip: Names of modules whose matrices stay with AdamW under ``muon``.
        clip: Largest norm of the whole gradient, or None.
    """

    name: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.0
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    momentum: float = 0.9
    muon_lr: float = 0.02
    muon_skip: list[str] = field(default_factory=lambda: ["embedding", "readout", "relaxation"])
    clip: float | None = None


@dataclass
class ScheduleConfig:
    """Factor on every learning rate as a function of the step, stretched over the budget.

    Attributes:
        name: ``constant``, ``multistep`` or ``cosine``.
        warmup_steps: Steps over which the factor rises linearly from 0.
        milestones: Fractions of the budget at which ``multistep`` multiplies by ``decay``.
        decay: Factor of one milestone.
        final: Factor at the end of ``cosine``.
    """

    name: str = "constant"
    warmup_steps: int = 0
    milestones: list[float] = field(default_factory=lambda: [0.8, 0.9])
    decay: float = 0.1
    final: float = 0.0


@dataclass
class BudgetConfig:
    """How long, and in which pieces.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Samples a step, over all processes together.
        max_minutes: Stop cleanly, resumable, after so many minutes of this call; None: no limit.
        max_loss_ratio: A loss so many times that of the first step counts as divergence.
    """

    epochs: int = 100
    batch_size: int = 128
    max_minutes: float | None = None
    max_loss_ratio: float = 1e4


@dataclass
class EvaluationConfig:
    """When and on what the model is judged, and how often the state is written.

    Attributes:
        every: Epochs between two evaluations; the last epoch is always evaluated.
        ema: Decay of the averaged weights that are evaluated and kept as best; 0: the weights themselves.
        batch_size: Samples a forward pass.
        limit: Use so many validation samples only; None: all.
        equivariance: Validation samples on which the equivariance error is measured too; 0: not at all.
        half: Round large parameters of the best weights to half precision, in which checkpoints store them.
        state_minutes: Minutes between two writes of the resumable state.
    """

    every: int = 1
    ema: float = 0.999
    batch_size: int = 512
    limit: int | None = None
    equivariance: int = 0
    half: bool = False
    state_minutes: float = 5.0


@dataclass
class RunConfig:
    """Everything a run depends on.

    Attributes:
        name: Name of the run and of its folder.
        data: ``task`` and its options (see :mod:`equizoo.training.tasks`).
        model: ``family`` and its configuration.
        method: ``name`` and options of what steers γ; ``none`` trains the plain model.
        optimiser: The primal optimiser.
        schedule: Learning-rate schedule.
        budget: Epochs and batch size.
        evaluation: Evaluation and state saving.
        start_from: Run folder or checkpoint whose equivariant weights the run begins with; None: fresh ones.
        seed: Seeds initial weights and the order of samples.
        threads: CPU threads of torch; None: the environment decides.
        device: ``cpu``, ``cuda``, or ``auto``.
        precision: ``float32``, or ``bfloat16`` for the matrix products of training (autocast, VN-DGCNN only);
            weights and evaluations stay in float32.
        provenance: Written into the run folder (versions, data hash); not read.
    """

    name: str
    data: dict[str, Any]
    model: dict[str, Any]
    method: dict[str, Any] = field(default_factory=lambda: {"name": "none"})
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    start_from: str | None = None
    seed: int = 0
    threads: int | None = 1
    device: str = "auto"
    precision: str = "float32"
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain nested dicts."""
        return dataclasses.asdict(self)

    def replace(self, **changes: Any) -> RunConfig:
        """Return a copy with dotted keys changed, as ``--set`` does; ``__`` can stand for the dot.

        Example:
            >>> config = RunConfig("x", {"task": "qm9"}, {"family": "schnet"}).replace(budget__epochs=3)
            >>> config.budget.epochs
            3
        """
        tree = self.to_dict()
        for key, value in changes.items():
            _assign(tree, key.replace("__", "."), value)
        return from_dict(tree)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 floats: ``1e-3`` is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$"),
    list("-+0123456789."),
)


def parse_yaml(text: str) -> Any:
    """Parse one YAML value; ``1e-3`` is a float.

    Raises:
        ConfigError: Not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {error}") from None


def nearest(word: str, words: typing.Iterable[str]) -> str:
    """Return a hint naming the one of ``words`` that is nearest to ``word``."""
    words = [str(w) for w in words]
    hint = did_you_mean(word, words, cutoff=0.0).removeprefix("; ")
    return f"{hint} Known: {', '.join(sorted(words))}" if hint else "there are none"


def recipe_path(recipe: str | Path) -> Path:
    """Return the file of a recipe given by path or by the name of a bundled one.

    Raises:
        ConfigError: There is no such file and no such bundled recipe.
    """
    path = Path(recipe)
    if path.is_file():
        return path
    bundled = {p.stem: p for p in RECIPES.glob("*.yaml")}
    if str(recipe) in bundled:
        return bundled[str(recipe)]
    raise ConfigError(
        f"no recipe {str(recipe)!r}: neither a file nor a bundled one; {nearest(path.stem, bundled)}"
    )


def load_recipe(recipe: str | Path, overrides: typing.Iterable[str] = ()) -> RunConfig:
    """Read a recipe and apply overrides.

    Args:
        recipe: Path of a YAML file, or the name of a bundled recipe.
        overrides: Strings ``a.b=c``; ``c`` is read as YAML.

    Returns:
        The checked configuration.

    Raises:
        ConfigError: Unknown key (the nearest one is named), wrong type, or no such recipe.

    Example:
        >>> load_recipe("schnet-qm9-ace", ["budget.epochs=2"]).budget.epochs
        2
    """
    path = recipe_path(recipe)
    tree = parse_yaml(path.read_text(encoding="utf-8"))
    if not isinstance(tree, dict):
        raise ConfigError(f"{path.name} must hold a mapping, got {type(tree).__name__}")
    tree.setdefault("name", path.stem)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"override {override!r} must look like section.key=value")
        _assign(tree, key.strip(), parse_yaml(value))
    return from_dict(tree)


def from_dict(tree: dict[str, Any], cls: type = RunConfig, where: str = "") -> Any:
    """Build a configuration dataclass from nested dicts.

    Args:
        tree: The values.
        cls: The dataclass.
        where: Dotted prefix used in messages.

    Raises:
        ConfigError: Unknown or missing key, or a value of the wrong type or out of its range.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in tree:
        if key not in fields:
            raise ConfigError(f"unknown key {where + str(key)!r}; {nearest(key, fields)}")
    for name, spec in fields.items():
        required = spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        if required and name not in tree:
            raise ConfigError(f"missing key {where + name!r}")
    built = cls(**{key: _convert(value, hints[key], where + key) for key, value in tree.items()})
    if problem := out_of_range({where + name: getattr(built, name) for name in fields}):
        raise ConfigError(problem)
    return built


def _convert(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{where!r} must be a mapping, got {value!r}")
        return from_dict(value, typing.cast(type, hint), where + ".")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        for option in arguments:
            if option is not type(None):
                try:
                    return _convert(value, option, where)
                except ConfigError:
                    continue
    elif origin is list and isinstance(value, list):
        return [_convert(v, arguments[0], where) for v in value]
    elif origin is dict and isinstance(value, dict):
        return dict(value)
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif hint in (int, str, bool) and type(value) is hint:
        return value
    expected = getattr(hint, "__name__", None) if origin is None else None
    raise ConfigError(f"{where!r} must be {expected or hint}, got {value!r}")


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    node = tree
    for part in path:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise ConfigError(f"cannot set {key!r}: {part!r} is not a section")
    node[last] = value

"""From what a user has to what the user wants: one pipeline a task.

Example:
    >>> pipeline("molecule-property")
    Traceback (most recent call last):
    equizoo.pipelines.UnknownTask: no task named 'molecule-property'; did you mean 'molecule-properties'?
"""

from __future__ import annotations

import importlib
import importlib.util
import numbers
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from equizoo._nearest import did_you_mean
from equizoo.hub.errors import EquizooError

if TYPE_CHECKING:
    from torch import nn

    from equizoo.pipelines.conformers import ConformerPipeline
    from equizoo.pipelines.motion import MotionForecastingPipeline
    from equizoo.pipelines.particles import ParticleForecastingPipeline
    from equizoo.pipelines.point_clouds import PointCloudClassificationPipeline
    from equizoo.pipelines.properties import MoleculePropertyPipeline

    _Checkpoint: TypeAlias = str | os.PathLike[str] | nn.Module | None

#: Where the class of each task lives, and the bundled checkpoint that it uses unless told.
TASKS: dict[str, tuple[str, str]] = {
    "molecule-properties": ("equizoo.pipelines.properties:MoleculePropertyPipeline", "schnet-qm9-ace"),
    "particle-forecasting": ("equizoo.pipelines.particles:ParticleForecastingPipeline", "segnn-nbody-ace"),
    "point-cloud-classification": (
        "equizoo.pipelines.point_clouds:PointCloudClassificationPipeline",
        "vn-dgcnn-modelnet40-ace",
    ),
    "motion-forecasting": ("equizoo.pipelines.motion:MotionForecastingPipeline", "egno-mocap-run-ace"),
    "conformers": ("equizoo.pipelines.conformers:ConformerPipeline", "conformer-qm9-ace"),
}

#: Most inputs, and most reasons, that a warning names.
_NAMED = 3
#: Largest seed: RDKit reads it as a 32-bit integer, and a negative one as none.
LARGEST_SEED = 2**31 - 1


class UnknownTask(EquizooError, ValueError):
    """There is no pipeline of that name."""


class DomainWarning(UserWarning):
    """An input is unlike the training set, and the answer has no room to say so."""


class MissingExtra(EquizooError, ImportError):
    """A pipeline or an option needs a package that is not installed."""


def require(module: str, extra: str, use: str) -> None:
    """Check that an optional package is installed.

    Args:
        module: Name it is imported by.
        extra: The extra of equizoo that installs it.
        use: What it is needed for.

    Raises:
        MissingExtra: It is not installed; the message says how to install it.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingExtra(f"{use} needs {module}: pip install 'equizoo[{extra}]'")


def checked_seed(seed: Any) -> int:
    """Return a seed that every source of randomness takes.

    Args:
        seed: The seed of a user.

    Raises:
        ValueError: It is no whole number from 0 to :data:`LARGEST_SEED`.

    Example:
        >>> checked_seed(-1)
        Traceback (most recent call last):
        ValueError: seed must be a whole number from 0 to 2147483647, got -1
    """
    if not is_whole(seed) or not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed must be a whole number from 0 to {LARGEST_SEED}, got {seed!r}")
    return int(seed)


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number; True and False are none.

    Example:
        >>> is_whole(3), is_whole(3.0), is_whole(True)
        (True, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def checked_card(model: nn.Module, task: str | None = None) -> Any:
    """Return the card of a checkpoint.

    Args:
        model: What :func:`equizoo.from_pretrained` returned.
        task: The task that it has to be for; any unless given.

    Raises:
        ValueError: The model has no card, or is one for another task.
    """
    card: Any = getattr(model, "card", None)
    if card is None:
        raise ValueError("the model has no card; load it with equizoo.from_pretrained")
    if task is not None and card.task != task:
        raise ValueError(f"the checkpoint is one for {card.task}, not for {task}")
    return card


def caution(what: str, results: Mapping[str, Any] | None) -> str:
    """Return what to know about a partial variant.

    Args:
        what: Which inputs it may be trusted for.
        results: ``results.json``, which tells whether the projected network is of use; None: not known.
    """
    from equizoo.hub.results import needs_its_terms

    use = results is None or "variants" not in results or not needs_its_terms(results)
    return what + (", and use the equivariant variant for any other" if use else "")


def warn_outside(what: str, names: Sequence[str], reasons: Sequence[str | None]) -> None:
    """Warn once of all inputs outside the training domain, at the line that called the pipeline.

    Args:
        what: What an input is, in the plural.
        names: What to call each input.
        reasons: What is unlike the training set in each, or None.
    """
    odd: dict[str, list[str]] = {}
    for name, reason in zip(names, reasons, strict=True):
        if reason is not None:
            odd.setdefault(reason, []).append(name)
    if not odd:
        return
    parts = [f"{_first(found, ', ')}: {reason}" for reason, found in odd.items()]
    warnings.warn(
        f"{sum(map(len, odd.values()))} of {len(reasons)} {what} outside the training domain, where the test "
        f"error was not measured: {_first(parts, '; ')}",
        DomainWarning,
        stacklevel=3,
    )


def _first(parts: Sequence[str], between: str) -> str:
    """Return the first parts as one text, and whether there are more."""
    return between.join([*parts[:_NAMED], *(["…"] if len(parts) > _NAMED else [])])


@overload
def pipeline(
    task: Literal["molecule-properties"],
    model: _Checkpoint = None,
    device: Any = None,
    variant: str | None = None,
    **options: Any,
) -> MoleculePropertyPipeline: ...


@overload
def pipeline(
    task: Literal["particle-forecasting"],
    model: _Checkpoint = None,
    device: Any = None,
    variant: str | None = None,
    **options: Any,
) -> ParticleForecastingPipeline: ...


@overload
def pipeline(
    task: Literal["point-cloud-classification"],
    model: _Checkpoint = None,
    device: Any = None,
    variant: str | None = None,
    **options: Any,
) -> PointCloudClassificationPipeline: ...


@overload
def pipeline(
    task: Literal["motion-forecasting"],
    model: _Checkpoint = None,
    device: Any = None,
    variant: str | None = None,
    **options: Any,
) -> MotionForecastingPipeline: ...


@overload
def pipeline(
    task: Literal["conformers"],
    model: _Checkpoint = None,
    device: Any = None,
    variant: str | None = None,
    **options: Any,
) -> ConformerPipeline: ...


@overload
def pipeline(
    task: str, model: _Checkpoint = None, device: Any = None, variant: str | None = None, **options: Any
) -> Any: ...


def pipeline(
    task: str,
    model: _Checkpoint = None,
    device: Any = None,
    variant: str | None = None,
    **options: Any,
) -> Any:
    """Return the pipeline of a task, ready to be called with inputs.

    Args:
        task: ``"molecule-properties"``, ``"particle-forecasting"``, ``"point-cloud-classification"``,
            ``"motion-forecasting"`` or ``"conformers"``.
        model: Name, local folder or Hub id of a checkpoint, or a model that
            :func:`equizoo.from_pretrained` returned; the task's default unless given.
        device: Where the model runs; the CPU unless given.
        variant: ``"equivariant"`` (unless given) or ``"partial"``, of a checkpoint that is loaded here.
        **options: Options of the task's class, see
            :class:`equizoo.pipelines.properties.MoleculePropertyPipeline`,
            :class:`equizoo.pipelines.particles.ParticleForecastingPipeline`,
            :class:`equizoo.pipelines.point_clouds.PointCloudClassificationPipeline`,
            :class:`equizoo.pipelines.motion.MotionForecastingPipeline` and
            :class:`equizoo.pipelines.conformers.ConformerPipeline`.

    Returns:
        A callable; what it takes and returns is said in the task's class.

    Raises:
        UnknownTask: There is no such task; the message names the nearest.
        TypeError: There is no such option (the message names the nearest), or a variant is asked for of a
            model that is loaded already.
    """
    if task not in TASKS:
        raise UnknownTask(
            f"no task named {task!r}{did_you_mean(task, TASKS) or f'; there are {sorted(TASKS)}'}"
        )
    path, default = TASKS[task]
    module, _, name = path.partition(":")
    cls = getattr(importlib.import_module(module), name)
    for option in options.keys() - cls.OPTIONS:
        hint = did_you_mean(option, cls.OPTIONS) or f"; its options are {', '.join(cls.OPTIONS)}"
        raise TypeError(f"{task!r} has no option {option!r}{hint}")
    if model is None or isinstance(model, (str, os.PathLike)):
        from equizoo.hub.info import model_info
        from equizoo.hub.loading import from_pretrained

        name = model or default
        model = from_pretrained(name, variant or "equivariant")
        if "results" in cls.OPTIONS:
            options.setdefault("results", model_info(name).results)
    elif variant is not None:
        raise TypeError(f"the model is loaded already; ask from_pretrained for variant {variant!r}")
    return cls(model, device=device, **options)

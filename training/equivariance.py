"""How far a trained model is from its symmetry, on samples of its own data."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from equizoo.symmetry.element import Element
from equizoo.symmetry.groups import SO2, SO3, Group, Translations
from equizoo.symmetry.measure import equivariance_error

if TYPE_CHECKING:
    from equizoo.training.tasks import Task

TRANSLATION = 10.0
"""Width of the translations that equivariance is measured with [unit of the positions]."""


@dataclass(frozen=True)
class Reflections(Group):
    """The improper part of O(3): a random rotation times the inversion."""

    def sample(
        self, n: int | None = None, generator: Any = None, dtype: Any = None, device: Any = None
    ) -> Element:
        """Draw from the Haar measure; see :meth:`equizoo.symmetry.groups.Group.sample`."""
        proper = SO3().sample(n, generator, dtype, device)
        return Element(-proper.rotation, proper.translation)


@dataclass(frozen=True)
class VerticalReflections(Group):
    """The improper part of the rotations and reflections that keep the vertical, y: vertical mirrors."""

    def sample(
        self, n: int | None = None, generator: Any = None, dtype: Any = None, device: Any = None
    ) -> Element:
        """Draw from the Haar measure; see :meth:`equizoo.symmetry.groups.Group.sample`."""
        turn = SO2("y").sample(n, generator, dtype, device)
        return Element(turn.rotation * turn.rotation.new_tensor([-1.0, 1.0, 1.0]), turn.translation)


@dataclass(frozen=True)
class HorizontalTranslations(Translations):
    """Translations at right angles to the vertical, y.

    Args:
        scale: Standard deviation of each coordinate, in the unit of the coordinates.
    """

    scale: float = TRANSLATION

    def sample(
        self, n: int | None = None, generator: Any = None, dtype: Any = None, device: Any = None
    ) -> Element:
        """Draw shifts; see :meth:`equizoo.symmetry.groups.Group.sample`."""
        shift = super().sample(n, generator, dtype, device)
        return Element(shift.rotation, shift.translation * shift.translation.new_tensor([1.0, 0.0, 1.0]))


GROUPS: dict[str, Group] = {
    "rotation": SO3(),
    "reflection": Reflections(),
    "translation": Translations(TRANSLATION),
}
"""The Euclidean group in parts: what is measured on a task whose models are to keep all of it."""


class _Standardised(nn.Module):
    """A model with outputs in standard deviations, so that targets of different units can be averaged."""

    def __init__(self, model: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.model, self.input_types, self.output_type = model, model.input_types, model.output_type
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, **inputs: Tensor) -> Tensor:
        return (self.model(**inputs) - self.mean) / self.std


def equivariance(model: nn.Module, task: Task, split: str, n: int = 64) -> dict[str, Any]:
    """Return the equivariance error on random samples of a split, by data type and transformation.

    Args:
        model: The model.
        task: Its task.
        split: Where the samples come from.
        n: Number of samples.

    Returns:
        ``{"float32" | "float64": {transformation: {"abs_mean", …}}}`` for the task's ``groups``;
        ``abs_…`` in standard deviations of the targets.
    """
    inputs = sample_inputs(task, split, n)
    centre, spread = task.output_centre(split), task.output_spread(split)
    errors: dict[str, Any] = {}
    for dtype in (torch.float32, torch.float64):
        whole = copy.deepcopy(model).cpu().to(dtype)
        if spread.ndim:  # one for each target
            whole = _Standardised(whole, centre.cpu().to(dtype), spread.cpu().to(dtype))
        typed = {k: x.cpu().to(dtype) if x.is_floating_point() else x.cpu() for k, x in inputs.items()}
        unit = 1.0 if spread.ndim else float(spread)
        errors[str(dtype).removeprefix("torch.")] = {
            name: _measure(whole, typed, group, unit) for name, group in task.groups.items()
        }
    return errors


def rotation_error(model: nn.Module, task: Task, n: int, elements: int = 3) -> float:
    """Return the mean error under rotations relative to the size of the output, on validation samples.

    The rotations are those of the first of the task's ``groups``. The samples and the rotations are the same
    in every call, and no global generator is used.

    Args:
        model: The model as it is trained.
        task: Its task.
        n: Number of samples.
        elements: Number of rotations.

    References:
        ACE, Figure 4: this quantity over the course of training.
    """
    inputs, generator = sample_inputs(task, "valid", n), torch.Generator().manual_seed(0)
    group = next(iter(task.groups.values()))
    return equivariance_error(model, inputs, group, elements, generator=generator).rel_mean


def sample_inputs(task: Task, split: str, n: int) -> dict[str, Tensor]:
    """Return what a model takes for ``n`` samples of a split, the same in every call."""
    return task.model_inputs(sample_batch(task, split, n))


def sample_batch(task: Task, split: str, n: int) -> dict[str, Tensor]:
    """Return ``n`` samples of a split as one batch, the same in every call."""
    samples = task.split(split)
    chosen = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))[:n]
    return task.batch(samples, chosen)


def _measure(model: nn.Module, inputs: dict[str, Tensor], group: Group, unit: float) -> dict[str, float]:
    error = asdict(equivariance_error(model, inputs, group, generator=torch.Generator().manual_seed(0)))
    return {key: value / unit if key.startswith("abs") else value for key, value in error.items()}

"""What the engine asks of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import LongTensor, Tensor, nn

from equizoo.symmetry.measure import evaluating
from equizoo.training.config import ConfigError

if TYPE_CHECKING:
    from equizoo.hub.config import CheckpointConfig
    from equizoo.symmetry.features import FeatureType
    from equizoo.symmetry.groups import Group


@dataclass(frozen=True)
class Target:
    """A predicted quantity.

    Attributes:
        name: Short name, as in the published tables.
        unit: Unit of the predictions; a mean squared error has its square.
        description: What it is, in words.
    """

    name: str
    unit: str
    description: str


class Task(Protocol):
    """A dataset with its loss and its metric.

    Attributes:
        task_name: Task of :func:`equizoo.pipeline` that a trained model answers.
        metric: ``MAE``, ``MSE`` or ``error rate``.
        n_train: Number of training samples.
        targets: What the model predicts, in order.
        method_target_type: How :meth:`method_targets` transform; None: as the model's output does.
        groups: Transformations by name under which the equivariance of a model is measured; the first are the
            rotations that its error is followed under over a run.
    """

    task_name: str
    metric: str
    n_train: int
    targets: list[Target]
    method_target_type: FeatureType | None
    groups: Mapping[str, Group]

    def setup(self, data_cfg: dict[str, Any], seed: int) -> None:
        """Load the data.

        Args:
            data_cfg: The recipe's ``data`` section without ``task``.
            seed: Seed of the run.
        """

    @staticmethod
    def checkpoint_options(card: CheckpointConfig) -> dict[str, Any]:
        """Return the options of the recipe's ``data`` section that a checkpoint tells of."""

    def data_hash(self) -> str:
        """Return the sha256 of the training data."""

    def train_batch(self, indices: LongTensor) -> dict[str, Tensor]:
        """Return the training samples at ``indices`` as one batch."""

    def build_model(self, model_cfg: dict[str, Any], relaxed: bool) -> nn.Module:
        """Build the model of the recipe's ``model`` section, with the statistics of the training set."""

    def model_inputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the part of a batch that the model takes, by the names in its ``input_types``."""

    def forward(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Return the model's output for a batch."""

    def loss(self, model_output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean loss over the batch, a scalar."""

    def method_targets(self, batch: dict[str, Tensor]) -> Tensor | None:
        """Return targets for methods that look at them, one row a graph ``(B, T)`` or a node ``(N, T)``."""

    def split(self, name: str) -> Any:
        """Return the samples of ``train``, ``valid`` or ``test``."""

    def batch(self, samples: Any, indices: Tensor) -> dict[str, Tensor]:
        """Return samples of a split as one batch."""

    def evaluate(
        self, model: nn.Module, split: str, *, batch_size: int = 512, limit: int | None = None
    ) -> dict[str, float]:
        """Return ``<metric>/<target>`` on a split and ``score``, the one to choose on, lower is better."""

    def baselines(self, split: str) -> dict[str, float]:
        """Return the metric of predictions that need no model, by name; empty if there are none."""

    def output_centre(self, split: str) -> Tensor:
        """Return the mean of the outputs on a split ``(T,)``, or 0 ``()`` if outputs turn with the input."""

    def output_spread(self, split: str = "train") -> Tensor:
        """Return what an error is divided by to be in standard deviations: ``(T,)``, or ``()`` for all."""

    def domain(self) -> dict[str, Any]:
        """Return what a checkpoint says that it was trained on, ready for JSON."""

    def check_publishable(self, name: str) -> None:
        """Refuse to publish a model that users of a checkpoint would misread.

        Args:
            name: Name of the run, for the message.

        Raises:
            ConfigError: The model predicts something else than a checkpoint promises.
        """


def error_units(task: Task) -> dict[str, str]:
    """Return the unit of each target's error: that of the target, squared under ``MSE``."""
    square = "²" if task.metric == "MSE" else ""
    return {target.name: target.unit + square for target in task.targets}


def build_network(model_cfg: Mapping[str, Any], relaxed: bool, device: str) -> nn.Module:
    """Build the model of a recipe's ``model`` section.

    Raises:
        ConfigError: The family or one of its configuration keys is unknown, or a value cannot be used.
    """
    from equizoo.models import build_model

    config = dict(model_cfg)
    try:
        return build_model(config.pop("family", None), config, relaxed=relaxed).to(device)
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigError(f"model: {error.args[0]}") from None


@torch.no_grad()
def outputs_in_parts(task: Task, model: nn.Module, samples: Any, batch_size: int) -> Tensor:
    """Return the float64 outputs of a model, in evaluation mode, for all samples in order."""
    with evaluating(model):
        parts = [
            task.forward(model, task.batch(samples, indices)).double().cpu()
            for indices in torch.arange(len(samples)).split(batch_size)
        ]
    return torch.cat(parts)

"""What the engine asks of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import LongTensor, Tensor, nn


@dataclass(frozen=True)
class Target:
    """A predicted quantity.

    Attributes:
        name: Short name, as in the published tables.
        unit: Unit of the predictions and of their errors.
        description: What it is, in words.
    """

    name: str
    unit: str
    description: str


class Task(Protocol):
    """A dataset with its loss and its metric.

    Attributes:
        n_train: Number of training samples.
        targets: What the model predicts, in order.
    """

    n_train: int
    targets: list[Target]

    def setup(self, data_cfg: dict[str, Any], seed: int) -> None:
        """Load the data.

        Args:
            data_cfg: The recipe's ``data`` section without ``task``.
            seed: Seed of the run.
        """

    def data_hash(self) -> str:
        """Return the sha256 of the training data."""

    def train_batch(self, indices: LongTensor) -> dict[str, Tensor]:
        """Return the training samples at ``indices`` as one batch."""

    def build_model(self, model_cfg: dict[str, Any], relaxed: bool) -> nn.Module:
        """Build the model of the recipe's ``model`` section, with the statistics of the training set."""

    def forward(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Return the model's output for a batch."""

    def loss(self, model_output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean loss over the batch, a scalar."""

    def method_targets(self, batch: dict[str, Tensor]) -> Tensor | None:
        """Return the ``(B, T)`` targets in the model's own scale, for methods that look at them."""

    def split(self, name: str) -> Any:
        """Return the samples of ``train``, ``valid`` or ``test``."""

    def batch(self, samples: Any, indices: Tensor) -> dict[str, Tensor]:
        """Return samples of a split as one batch."""

    def evaluate(
        self, model: nn.Module, split: str, *, batch_size: int = 512, limit: int | None = None
    ) -> dict[str, float]:
        """Return the metrics on a split; ``score`` is the one to choose on, lower is better."""

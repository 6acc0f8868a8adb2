from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equizoo.data.qm9 import TARGETS
from equizoo.pipelines import pipeline
from equizoo.pipelines.properties import MoleculePropertyPipeline

NAMES = [target.name for target in TARGETS]


def calibration(half_width: float) -> SimpleNamespace:
    return SimpleNamespace(
        coverage=0.9,
        n=1000,
        half_width={name: half_width * (k + 1) for k, name in enumerate(NAMES)},
        mae={name: half_width / 4 * (k + 1) for k, name in enumerate(NAMES)},
    )


class PairModel(nn.Module):
    """Twelve invariant functions of the distances between the atoms of each molecule."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 12))
        self.card = SimpleNamespace(
            targets=TARGETS,
            domain=SimpleNamespace(elements=("H", "C", "N", "O", "F"), max_heavy_atoms=9),
            calibration={"given": calibration(0.01), "mmff": calibration(0.02)},
        )
        self.sizes: list[int] = []

    def forward(self, z: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        """Return ``(B, 12)`` values."""
        graphs = int(batch.max()) + 1
        self.sizes.append(graphs)
        together = batch[:, None] == batch[None]
        close = torch.exp(-(pos[:, None] - pos[None]).norm(dim=-1)) * together * z[:, None] * z[None]
        total = torch.zeros(graphs, dtype=pos.dtype).index_add(0, batch, close.sum(1))
        return total[:, None] * self.weight * 0.01


@pytest.fixture
def model() -> PairModel:
    return PairModel()


@pytest.fixture
def predict(model: PairModel) -> MoleculePropertyPipeline:
    return pipeline("molecule-properties", model)


def values(result: dict[str, Any]) -> Tensor:
    """Return the twelve values of an answered result."""
    assert result["ok"], result["error"]
    return torch.tensor(
        [quantity["value"] for quantity in result["properties"].values()], dtype=torch.float64
    )

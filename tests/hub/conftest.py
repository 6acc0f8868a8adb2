"""A family small enough to build, save and break many times a second."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equizoo.hub import registry
from equizoo.hub.checkpoint import save_checkpoint
from equizoo.models import FAMILIES
from equizoo.relaxation.layer import Relaxation
from tests.hub_server import Hub, running


@dataclass(frozen=True)
class TinyConfig:
    width: int = 4
    relaxed: bool = False

    def __post_init__(self) -> None:
        if self.width <= 0:
            raise ValueError(f"width must be positive, got {self.width}")


class TinyLayer(nn.Module):
    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.lin = nn.Linear(config.width, config.width)
        branch = nn.Linear(config.width, config.width)
        self.relaxation = Relaxation(branch, gamma=0.5) if config.relaxed else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.lin(x)
        return y if self.relaxation is None else self.relaxation(y, x)


class Tiny(nn.Module):
    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(TinyLayer(config) for _ in range(2))
        self.norm = nn.BatchNorm1d(config.width)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


CARD: dict[str, Any] = {
    "name": "tiny-qm9",
    "family": "tiny",
    "task": "molecule-properties",
    "dataset": "qm9",
    "method": "ace-equality",
    "targets": [{"name": "gap", "unit": "eV", "description": "HOMO-LUMO gap"}],
    "domain": {"elements": ["H", "C"], "max_heavy_atoms": 9},
    "calibration": {"given": {"coverage": 0.9, "n": 100, "half_width": {"gap": 0.2}, "mae": {"gap": 0.1}}},
    "training": {"command": "equizoo train tiny.yaml", "recipe": "tiny.yaml"},
}


@pytest.fixture(autouse=True)
def tiny_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "tiny", (__name__, "Tiny", "TinyConfig"))


@pytest.fixture
def models() -> dict[str, nn.Module]:
    from equizoo.relaxation.project import drop, project

    torch.manual_seed(0)
    relaxed = Tiny(TinyConfig(relaxed=True))
    relaxed(torch.randn(8, 4))  # moves the running statistics
    return {"equivariant": project(relaxed), "partial": drop(relaxed, ["layers.0"])}


@pytest.fixture
def folder(tmp_path: Path, models: dict[str, nn.Module]) -> Path:
    save_checkpoint(tmp_path / "tiny-qm9", CARD, models)
    return tmp_path / "tiny-qm9"


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> registry.Registry:
    """An empty zoo in the place of the bundled one."""
    empty = registry.Registry(tmp_path / "bundled")
    for module in ("hub.registry", "hub.locate", "commands.zoo", "commands.hub"):
        monkeypatch.setattr(f"equizoo.{module}.bundled", lambda: empty)
    return empty


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub on loopback that the real client talks to, with the token that may write and an empty cache."""
    from huggingface_hub import constants, file_download

    with running() as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HF_TOKEN", server.token)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(file_download.time, "sleep", lambda _: None)
        yield server


def edit(folder: Path, change: Any) -> None:
    """Rewrite config.json of ``folder`` after ``change`` was applied to it."""
    path = folder / "config.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))

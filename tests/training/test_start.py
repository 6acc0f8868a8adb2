"""Runs that begin with the weights of another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from equizoo.hub.config import read_config
from equizoo.relaxation.layer import relaxations
from equizoo.training.config import ConfigError, RunConfig
from equizoo.training.loop import train
from equizoo.training.publish import publish
from equizoo.training.runfolder import RunFolder
from equizoo.training.start import method_name, stages
from equizoo.training.trainer import Trainer

Tiny = Callable[..., RunConfig]


@pytest.fixture
def first(tiny: Tiny, tmp_path: Path) -> Path:
    """Return the folder of a short run."""
    train(tiny(), tmp_path / "first", progress=False)
    return tmp_path / "first"


@pytest.mark.parametrize("method", ["none", "ace-equality"])
def test_a_run_begins_with_the_best_equivariant_weights(
    tiny: Tiny, first: Path, tmp_path: Path, method: str
) -> None:
    config = tiny(start_from=str(first), method={"name": method})
    model = Trainer(config, RunFolder(tmp_path / "second")).model
    weights, own = load_file(RunFolder(first).best("equivariant")), model.state_dict()
    assert all(torch.equal(own[name], x) for name, x in weights.items())
    assert len(weights) == len([name for name in own if "relaxation" not in name.split(".")])
    assert bool(relaxations(model)) == (method != "none")


def test_a_run_that_starts_from_another_tells_of_both(tiny: Tiny, first: Path, tmp_path: Path) -> None:
    config = tiny("schnet-qm9-strict", start_from=str(first), budget__epochs=2)
    train(config, tmp_path / "second", progress=False)
    assert [part.name for part in stages(config)] == ["schnet-qm9-ace", "schnet-qm9-strict"]
    publish(tmp_path / "second", tmp_path / "checkpoint", recipe="schnet-qm9-strict")
    results = json.loads((tmp_path / "checkpoint" / "results.json").read_text())
    card = read_config(tmp_path / "checkpoint")
    assert card.method == results["method"] == method_name(config) == "ace-equality"
    assert results["epochs"] == results["cost"]["epoch"] == 3 + 2
    assert results["cost"]["parts"] == 2
    one, two = card.training.command.split(" && ")
    assert one.split()[:4] == ["python", "-m", "equizoo.training", "schnet-qm9-ace"]
    assert two.split()[:4] == ["python", "-m", "equizoo.training", "schnet-qm9-strict"]
    assert f'start_from="{first}"' in two and one.endswith(f"--out={first}") and "--out" not in two


def test_a_stage_that_goes_on_with_its_own_recipe_is_given_another_folder(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train(tiny("schnet-qm9-strict", budget__epochs=1), progress=False)
    longer = tiny("schnet-qm9-strict", budget__epochs=1, start_from="runs/schnet-qm9-strict")
    train(longer, "runs/longer", progress=False)
    publish("runs/longer", "checkpoint", recipe="schnet-qm9-strict")
    first, second = read_config(Path("checkpoint")).training.command.split(" && ")
    assert "--out" not in first and second.endswith("--out=runs/longer")


def test_a_resumed_run_keeps_its_own_weights(tiny: Tiny, first: Path, tmp_path: Path) -> None:
    config = tiny(start_from=str(first), budget__epochs=1)
    train(config, tmp_path / "second", progress=False)
    trainer = Trainer(config.replace(start_from="nowhere"), RunFolder(tmp_path / "second"))
    trainer.load()
    assert trainer.epoch == 1


def test_another_shape_is_refused(tiny: Tiny, first: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"do not fit: .* is .* here and .* there; the model section"):
        Trainer(tiny(start_from=str(first), model__hidden=12), RunFolder(tmp_path / "second"))


def test_a_run_without_weights_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    RunFolder(tmp_path / "empty").write_config(tiny())
    with pytest.raises(ConfigError, match="no best weights yet"):
        Trainer(tiny(start_from=str(tmp_path / "empty")), RunFolder(tmp_path / "second"))


def test_the_first_part_of_a_recipe_has_to_be_made_first(tiny: Tiny, tmp_path: Path) -> None:
    missing = str(tmp_path / "schnet-qm9-ace")
    with pytest.raises(ConfigError, match=r"no run in .*; make it with `python -m equizoo.training schnet"):
        Trainer(tiny(start_from=missing), RunFolder(tmp_path / "second"))

"""From an N-body run to measured figures and a checkpoint that loads."""

from __future__ import annotations

import json

import pytest
import torch

from equizoo.hub import load_checkpoint
from equizoo.relaxation.layer import relaxations
from equizoo.training.calibrate import main as calibrate_main
from equizoo.training.config import ConfigError, load_recipe
from equizoo.training.equivariance import sample_inputs
from equizoo.training.evaluate import evaluate
from equizoo.training.loop import train
from equizoo.training.publish import _partial, publish
from equizoo.training.variants import load_trained
from tests.training.conftest import TINY_PARTICLES

WORLD = {"data.world": {"particles": 4, "field": 0.5}, "data.start": 20}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(load_recipe("segnn-nbody-ace").replace(**TINY_PARTICLES, **WORLD), folder, progress=False)
    return folder


def test_the_report_is_in_squared_lengths_beside_the_baselines(run):
    report = evaluate(run)
    assert (report["metric"], report["n"], report["dataset"]) == ("MSE", 64, "nbody")
    assert report["units"] == {"position": "length²"}
    task = load_trained(run).task
    assert report["baselines"] == task.baselines("test")
    assert set(report["baselines"]) == {"no motion", "constant velocity"}
    strict, partial = report["variants"]["equivariant"], report["variants"]["partial"]
    assert strict["errors"] == {"position": strict["score"]}
    assert list(partial["gamma"]) == ["layers.0.update_1", "layers.0.update_2"]
    for name in ("rotation", "reflection", "translation"):
        assert strict["equivariance"]["float64"][name]["abs_max"] < 1e-9
    assert strict["equivariance"]["float32"]["rotation"]["abs_max"] < 1e-4
    rotation = partial["equivariance"]["float64"]["rotation"]
    assert rotation["abs_mean"] > 1e-6
    inputs = sample_inputs(task, "test", 64)
    inputs |= {name: inputs[name].double() for name in ("pos", "vel", "charge")}
    size = load_trained(run).models["partial"].double()(**inputs).norm(dim=-1).square().mean().sqrt().item()
    spread = float(task.output_spread("test"))
    assert rotation["abs_mean"] * spread == pytest.approx(rotation["rel_mean"] * size, rel=1e-6)


def test_a_run_becomes_a_checkpoint(run, tmp_path):
    folder = publish(run, tmp_path / "tiny", name="tiny", recipe="segnn-nbody-ace")
    trained = load_trained(run)
    batch = trained.task.train_batch(torch.arange(5))
    for variant, model in trained.models.items():
        loaded = load_checkpoint(folder, variant)
        assert torch.equal(trained.task.forward(loaded, batch), trained.task.forward(model, batch))
    card = loaded.card
    assert (card.task, card.dataset, card.calibration) == ("particle-forecasting", "nbody", {})
    assert dict(card.domain) == trained.task.domain()
    assert card.domain["world"] == {"particles": 4, "field": 0.5}
    results = json.loads((folder / "results.json").read_text())
    again = evaluate(folder, data={"synthetic": 64})
    assert again["data"]["start"] == 20
    assert again["data"]["world"] == {"particles": 4, "field": 0.5}
    for variant in ("equivariant", "partial"):
        assert again["variants"][variant]["errors"] == results["variants"][variant]["errors"]


def test_intervals_are_for_molecules(run, capsys):
    assert calibrate_main([str(run), "--sources", "given"]) == 2
    assert "molecule-properties only, not for particle-forecasting" in capsys.readouterr().err


def test_seeds_of_one_experiment_stand_together(run, tmp_path):
    config = load_recipe("segnn-nbody-ace").replace(**TINY_PARTICLES, **WORLD)
    train(config.replace(seed=7), tmp_path / "seed", progress=False)
    train(config.replace(seed=7, **{"optimiser.lr": 1e-4}), tmp_path / "rate", progress=False)
    options = {"name": "tiny", "recipe": "segnn-nbody-ace"}
    folder = publish(run, tmp_path / "tiny", others=[tmp_path / "seed"], **options)
    results = json.loads((folder / "results.json").read_text())
    assert [entry["seed"] for entry in results["seeds"]] == [config.seed, 7]
    assert results["seeds"][0]["errors"]["partial"] == results["variants"]["partial"]["errors"]
    assert results["seeds"][1]["errors"] != results["seeds"][0]["errors"]
    with pytest.raises(ConfigError, match=r"differs in optimiser\.lr"):
        publish(run, tmp_path / "bad", others=[tmp_path / "rate"], **options)
    with pytest.raises(ConfigError, match="not even its seed"):
        publish(run, tmp_path / "bad", others=[run], **options)


def test_small_branches_are_left_out_only_if_nothing_changes(run):
    trained = load_trained(run)
    terms = relaxations(trained.models["partial"])
    for term in terms.values():
        term.gamma.fill_(1e-7)
    assert _partial(trained, 1e-2) == {}
    first = next(iter(terms.values()))
    first.gamma.fill_(0.5)
    assert list(relaxations(_partial(trained, 1e-2)["partial"])) == list(terms)[:1]
    first.gamma.fill_(1e3)
    assert _partial(trained, 2e3)["partial"] is trained.models["partial"]

"""What a card says about training: stages, constants that move γ, versions."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from equizoo.hub.card_datasets import dataset_of
from equizoo.hub.card_published import read_published
from equizoo.hub.card_recipe import kept_weights, optimisation, stages
from equizoo.hub.card_text import render_card
from equizoo.hub.card_training import training
from equizoo.hub.config import Training, read_config
from equizoo.hub.registry import bundled
from equizoo.hub.strict import read_json
from tests.hub.card_samples import PUBLISHED, trained_checkpoint

STRICT = (
    "python -m equizoo.training vn-dgcnn-modelnet40-strict-128 --set=evaluation.every=2 && "
    "python -m equizoo.training vn-dgcnn-modelnet40-strict && python -m equizoo.training "
    "vn-dgcnn-modelnet40-strict --set=budget.epochs=7 '--set=precision=\"float32\"' "
    "'--set=start_from=\"runs/vn-dgcnn-modelnet40-strict\"'"
)
RESUMED = (
    "python -m equizoo.training vn-dgcnn-modelnet40-ace-128 --set=budget.epochs=18  # stopped at step 2,593\n"
    "python -m equizoo.training vn-dgcnn-modelnet40-ace-128 --set=budget.epochs=14 --resume\n"
    "python -m equizoo.training vn-dgcnn-modelnet40-ace\n"
    "python -m equizoo.training vn-dgcnn-modelnet40-ace --out=runs/longer --set=budget.epochs=7 "
    "--set=start_from=runs/vn-dgcnn-modelnet40-ace"
)
PARTS = [{"epoch": 14, "step": 3794}, {"epoch": 6, "step": 1626}, {"epoch": 7, "step": 1897}]


def checkpoint(name):
    folder = bundled().zoo / name
    return read_config(folder), read_json(folder / "results.json")


def with_command(config, command):
    return replace(config, training=Training(command, config.training.recipe))


def render(config, results):
    return render_card(config, results, read_published(PUBLISHED))


@functools.cache
def staged_checkpoint(temporary: Path) -> Path:
    """Return a checkpoint whose network was relaxed in the first of two runs and strict in the second."""
    from equizoo.training.config import load_recipe
    from equizoo.training.loop import train
    from equizoo.training.publish import publish
    from tests.training.conftest import TINY

    first, second = temporary / "stage-1", temporary / "stage-2"
    train(load_recipe("schnet-qm9-ace").replace(**{**TINY, "budget.epochs": 2}), first, progress=False)
    changes = {**TINY, "start_from": str(first), "budget.epochs": 1}
    train(load_recipe("schnet-qm9-strict").replace(**changes), second, progress=False)
    return publish(second, temporary / "staged", name="staged", recipe="schnet-qm9-strict")


@pytest.fixture
def staged(tmp_path_factory):
    folder = staged_checkpoint(tmp_path_factory.getbasetemp())
    results = read_json(folder / "results.json")
    del results["data"]["synthetic"]
    return read_config(folder), results


def test_a_resumed_command_goes_on_with_the_stage_before():
    parts = stages(with_command(checkpoint("vn-dgcnn-modelnet40-ace")[0], RESUMED))
    assert [part.recipe for part in parts] == [
        "vn-dgcnn-modelnet40-ace-128",
        *["vn-dgcnn-modelnet40-ace"] * 2,
    ]
    assert [part.epochs for part in parts] == [14, 6, 7]
    assert [part.method for part in parts] == ["ace-equality", "none", "none"]
    assert parts[2].settings["start_from"] == "runs/vn-dgcnn-modelnet40-ace"
    assert optimisation(parts) == ["Muon with a cosine schedule", "averaged weights"]


@pytest.mark.parametrize("command", ["equizoo train mine.yaml", "python train.py 'open", "no command"])
def test_a_command_about_no_bundled_recipe_has_no_stages(command):
    config, results = checkpoint("schnet-qm9-strict")
    config = with_command(config, command)
    assert stages(config) == [] == optimisation([])
    assert kept_weights(config, results, "equivariant").startswith("the weights of epoch 40")
    assert command in render(config, results)


@pytest.mark.parametrize(
    ("words", "damped"),
    [
        ("", True),
        ("--set method.gamma_lr=2e-3", False),
        ("--set=method.dual_optimizer=adam", False),
        ("--set=method.augmented=0.5", False),
        ("--set=method.decay=cosine", False),
        ("--set 'method={name: none}'", False),
    ],
)
def test_constants_that_damp_gamma_critically_are_said(words, damped):
    config, results = checkpoint("schnet-qm9-ace")
    config = with_command(config, f"python -m equizoo.training schnet-qm9-ace {words}")
    assert [part.damped_rate for part in stages(config)] == [1e-3 if damped else None]
    text = training(config, results, dataset_of(config))
    assert ("one rate, η = 0.001, with the augmented term c = 1" in text) == damped
    assert ("it follows (1 − ηt)·exp(−ηt) over the steps t" in text) == damped


def test_published_constants_of_ace_are_not_called_damped():
    config, results = checkpoint("segnn-nbody-ace")
    paper = with_command(config, "python -m equizoo.training segnn-nbody-paper-ace")
    assert "exp(−ηt)" in training(config, results, dataset_of(config))
    assert "exp(−ηt)" not in training(paper, results, dataset_of(paper))


def test_gamma_of_cr_is_back_at_0_at_the_end_only():
    assert "back at 0 with the last step alone" in training(
        *checkpoint("segnn-nbody-cr"), dataset_of(checkpoint("segnn-nbody-cr")[0])
    )


def test_the_relaxed_part_of_a_training_is_told_from_the_strict_one():
    config, results = checkpoint("vn-dgcnn-modelnet40-ace")
    text = render(config, results)
    assert (
        "(ACE, Algorithm 1), in the first 44 of 58 epochs; then the branches were cut off, and the strictly "
        "equivariant network was trained for the other 14" in text
    )
    assert (
        "- Stage 1, `vn-dgcnn-modelnet40-ace-128`: 44 epochs, 128 points a cloud and 9 neighbours, relaxed "
        "layers (`ace-equality`), at its end |γ| was 1.2e-5 to 0.0012\n" in text
    )
    assert "strictly equivariant, from the projected network of stage 1\n- Stage 3" in text
    assert "300 points a cloud (128 in stage 1 of the training), in training drawn anew" in text
    assert "the averaged weights of epoch 8 of stage 3" in text
    here = text.split("Here: ")[1].split("\n")[0]
    for part in (
        "44 epochs on 128 points a cloud and 9 neighbours, then 14 epochs on 300 points a cloud and 20",
        "1,382,634 parameters (published: 2,899,830)",
        "Muon with a cosine schedule; averaged weights",
        "training clouds 0.8 to 1.25 times as large",
        "label smoothing 0.1 (published: 0.2)",
        "0.5 times the log of a class's share added to its logit in training",
        "matrix products of training in bfloat16 in stage 1 and 2",
        "dropout 0.3 in the classifier (published: 0.5)",
    ):
        assert part in here


def test_a_strict_training_in_stages_has_no_gamma():
    config, results = checkpoint("vn-dgcnn-modelnet40-ace")
    config = replace(with_command(config, STRICT), name="strict", method="none")
    results = {**results, "name": "strict", "method": "none"}
    results["cost"] = {**results["cost"], "stages": PARTS}
    results["variants"]["equivariant"]["errors"] = {"instance": 17.5, "class": 23.5}
    text = render(config, results)
    assert "trained strictly equivariant, without relaxed layers, in 3 stages. It predicts" in text
    assert "the order of the points; there are no relaxed layers." in text
    assert "14 epochs, 128 points a cloud and 9 neighbours, strictly equivariant\n" in text
    assert "then 13 epochs on 300 points a cloud and 20 neighbours" in text
    assert "matrix products of training in bfloat16 in stage 1 and 2;" in text
    mine = text.split("# strict\n")[1].split("## Accuracy")[0]
    assert "γ" not in mine and "projected" not in mine
    assert "is above the mean of VN-DGCNN on 1 of 2 targets" in text


def test_stages_are_measured_when_a_run_is_published(staged):
    config, results = staged
    first, second = results["cost"]["stages"]
    assert (first["epoch"], second["epoch"]) == (2, 1)
    assert first["step"] + second["step"] == results["cost"]["step"]
    low, high = first["gamma"]
    assert 0 < low <= high < 1 and "gamma" not in second
    text = render(config, results)
    assert f"relaxed layers (`ace-equality`), at its end |γ| was {low:.2g} to {high:.2g}" in text
    assert "in the first 2 of 3 epochs" in text
    assert "3 epochs, 12 steps in 2 stages (finished)" in text


def test_a_training_of_one_stage_has_no_lines_of_stages(tmp_path_factory):
    folder = trained_checkpoint(tmp_path_factory.getbasetemp())
    config, results = read_config(folder), json.loads((folder / "results.json").read_text())
    assert "stages" not in results["cost"]
    assert "tage" not in training(config, results, dataset_of(config))


def test_versions_of_packages_that_make_geometries_are_shown_with_molecules():
    config, results = checkpoint("conformer-qm9-strict")
    assert "rdkit 2026.9.1, ase 3.29.0, tblite 0.8.0, posebusters 0.6.5" in render(config, results)
    molecules = dict(results["provenance"]["versions"])
    config, results = checkpoint("schnet-qm9-strict")
    results["provenance"]["versions"] = molecules
    assert "ase 3.29.0, tblite 0.8.0" in training(config, results, dataset_of(config))
    config, results = checkpoint("segnn-nbody-strict")
    results["provenance"]["versions"] = molecules
    text = training(config, results, dataset_of(config))
    assert "torch 2.13.0" in text and "rdkit" not in text


def test_versions_are_found_without_importing_the_packages():
    pytest.importorskip("rdkit")
    code = (
        "import sys; from equizoo.training.runfolder import provenance; "
        "found = provenance('x')['versions']; "
        "assert found['rdkit'] and not {'rdkit', 'ase', 'tblite', 'posebusters'} & set(sys.modules), found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_recm_is_cited():
    text = render(*checkpoint("egno-mocap-run-recm"))
    assert "Recurrent Equivariant Constraint Modulation: Learning Per-Layer" in text.split("```bibtex")[1]
    assert "arXiv:2602.02853" in text

"""What the card of a classifier of point clouds says, against the files that it is made from."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from equizoo.hub.card_published import read_published
from equizoo.hub.card_text import render_card
from equizoo.hub.config import read_config
from equizoo.hub.paper_protocol import protocol_table
from equizoo.hub.readme import MARKERS, fill_readme
from tests.hub.card_samples import PUBLISHED, row

EQUIVARIANT, PARTIAL = "`equivariant`", "`partial`"
EMPTY = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in MARKERS)


@functools.cache
def point_checkpoint(temporary: Path) -> Path:
    """Return a checkpoint on point clouds as ``publish`` writes it, but for saying that they were made up."""
    from equizoo.training import robustness
    from equizoo.training.loop import train
    from equizoo.training.publish import publish
    from equizoo.training.runfolder import write_json
    from tests.training.test_modelnet40 import tiny

    run = temporary / "point-checkpoint"
    train(tiny(data__synthetic=8, budget__epochs=1, evaluation__equivariance=0), run, progress=False)
    assert robustness.main([str(run), "--limit", "4"]) == 0
    folder = publish(run, run / "vn-tiny", name="vn-tiny", recipe="vn-dgcnn-modelnet40-ace")
    results = json.loads((folder / "results.json").read_text())
    del results["data"]["synthetic"]
    write_json(folder / "results.json", results)
    return folder


@pytest.fixture
def shipped(tmp_path_factory):
    return point_checkpoint(tmp_path_factory.getbasetemp())


@pytest.fixture
def read(shipped):
    config, results = read_config(shipped), json.loads((shipped / "results.json").read_text())
    results["variants"]["equivariant"]["errors"] = {"instance": 15.21, "class": 19.87}
    results["variants"]["partial"]["errors"] = {"instance": 15.33, "class": 20.4}
    return config, results


def render(config, results):
    return render_card(config, results, read_published(PUBLISHED))


def test_accuracies_stand_beside_the_published_ones(read):
    text = render(*read)
    assert "## Accuracy" in text and "## Errors" not in text
    instance, accuracy = row(text, "instance, over all objects"), row(text, "class, mean over the classes")
    assert instance == ["%", "84.8", "84.7", "82.23 ± 0.74", "83.92 ± 1.15", "84.00 ± 1.23"]
    assert accuracy == ["%", "80.1", "79.6", "77.07 ± 2.23", "79.19 ± 1.56", "79.85 ± 2.32"]
    assert "is above the mean of VN-DGCNN + ACE, γ = 0 on 2 of 2 targets" in text
    assert "best epoch on the test set" in text
    assert "one model for" not in text
    assert "predicts the class of objects of ModelNet40." in text
    assert "academic research" in text
    metrics = yaml.safe_load(text.split("---\n")[1])["model-index"][0]["results"][0]["metrics"]
    assert {"name": "accuracy of instance [%], equivariant", "type": "accuracy", "value": 84.79} in metrics
    assert (
        "84.8 % of the test clouds get the right one of 40 names; as a mean of the classes, 80.1 %." in text
    )
    read[1]["variants"]["equivariant"]["errors"] = {"instance": 16.5, "class": 19.0}
    assert "on 1 of 2 targets" in render(*read)
    read[1]["variants"]["equivariant"]["errors"] = {"instance": 30.0, "class": 40.0}
    assert "is not above the mean of VN-DGCNN + ACE, γ = 0 on any of 2 targets" in render(*read)


def test_worse_clouds_and_probabilities_are_stated(read):
    config, results = read
    measured = results["robustness"]
    text = render(config, results)
    for variant, name in (("equivariant", EQUIVARIANT), ("partial", PARTIAL)):
        conditions = {(c["change"], c["level"]): c for c in measured["variants"][variant]["conditions"]}
        conditions["replaced", 0.87]["errors"].update({"instance": 40.0, "class": 45.6})
        conditions["replaced", 0.87]["answers"].update({"instance": 30.0, "class": 35.6})
        measured["variants"][variant]["calibration"].update({"ece": 0.1234, "ece_scaled": 0.0123})
        assert f"- {name}: " in text
    text = render(config, results)
    whole, changed = measured["n"]["whole"], measured["n"]["changed"]
    assert (whole, changed) == (8, 4)
    assert f"all {whole} test clouds. Others: instance accuracy on {changed} of them" in text
    assert " / " in row(text, "all 8 as they are")[0]
    assert [" / " in cell for cell in row(text, "as they are")] == [False] * 4
    assert [" / " in cell for cell in row(text, "1,024 points, of which the pipeline makes 3 clouds")] == [
        False,
        True,
        False,
        True,
    ]
    assert row(text, "87 % of the points replaced by the first one") == ["60.0", "70.0"] * 2
    assert len(row(text, "noise of 0.02 radii on each coordinate")) == 4
    assert len(row(text, "1.25 times as large")) == 4
    assert "12.34 % before, 1.23 % after" in text
    assert f"divided by {config.domain.temperature:.3g}" in text
    del results["robustness"]
    assert "## Worse clouds\n\nNot measured." in render(config, results)


def test_data_and_symmetry_are_those_of_point_clouds(read):
    config, results = read
    text = render(config, results)
    assert "32 points a cloud, in training drawn anew in every epoch; training clouds are turned" in text
    assert "10 % of the training objects of each class, chosen with seed 0, are for validation" in text
    assert "| variant | data type | rotation | reflection | translation | permutation |" in text
    assert "over the logits of a cloud" in text
    assert "airplane, bathtub" in text and "xbox" in text
    assert "centre clouds" not in text
    lacking = next(line for line in text.splitlines() if "published training objects" in line)
    assert "stretched" not in text
    results["data"]["stretch"] = 1.5
    assert "each axis of a training cloud stretched by its own factor, 0.67 to 1.5" in render(config, results)
    results["data"]["valid_draws"] = 4
    results["counts"]["valid"] *= 4
    drawn = render(config, results)
    assert "are for validation, each with 4 draws of its points" in drawn and lacking in drawn
    assert "exactly invariant under rotations, mirrors, translations and the order of the points" in text
    uncentred = render(replace(config, config=config.config | {"centre": False}), results)
    assert "does not centre clouds" in uncentred
    assert "exactly invariant under rotations, mirrors and the order of the points" in uncentred


def test_the_code_on_the_card_runs(read, zoo, shipped, capsys):
    zoo.register(shipped)
    scopes = []
    for block in re.findall(r"```python\n(.*?)```", render(*read), re.DOTALL):
        scopes.append({})
        exec(block, scopes[-1])  # noqa: S102
    assert scopes[1]["logits"].shape == (1, 40)
    assert capsys.readouterr().out.count("'label'") == 2


def test_the_readme_has_a_row_a_checkpoint(read):
    config, results = read
    results |= {"seeds": [], "cost": {"epoch": 60, "cpu_hours": 12.0}}
    text = fill_readme(EMPTY, [(config, results)], read_published(PUBLISHED))
    assert "accuracy on test [%], instance / class" in text
    cells = row(text, "[vn-tiny](model_cards/vn-tiny.md)")
    assert cells[:2] == ["84.8 / 80.1", "84.7 / 79.6"]
    assert cells[2:4] == ["84.00 ± 1.23 / 79.85 ± 2.32", "83.92 ± 1.15 / 79.19 ± 1.56"]
    assert cells[-2:] == ["60", "12.0 h"]


def test_runs_of_the_published_protocol_show_accuracies(read, tmp_path):
    named = {"name": "vn-dgcnn-modelnet40-paper-ace", "epochs": 20, "cost": {"cpu_hours": 12.0}}
    report = read[1] | named
    (tmp_path / "a.json").write_text(json.dumps(report))
    text = protocol_table(tmp_path, read_published(PUBLISHED))
    found = row(text, "instance accuracy", "%", "ace-equality")
    assert found[:-1] == ["42", "20", "12.0 h", "84.8", "84.7", "84.00 ± 1.23", "83.92 ± 1.15", "250"]

"""What the card of a model of particles says, against the files that it is made from."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml

from equizoo.commands.zoo import run_info
from equizoo.hub import errors
from equizoo.hub.card_published import read_published
from equizoo.hub.card_text import render_card
from equizoo.hub.config import read_config
from tests.hub.card_samples import PUBLISHED, particle_checkpoint, row

EQUIVARIANT, PARTIAL = "`equivariant` (γ = 0)", "`partial` (γ kept)"


@pytest.fixture
def shipped(tmp_path_factory):
    return particle_checkpoint(tmp_path_factory.getbasetemp())


@pytest.fixture
def read(shipped):
    return read_config(shipped), json.loads((shipped / "results.json").read_text())


def render(config, results):
    return render_card(config, results, read_published(PUBLISHED))


def in_world(config, **fields):
    return replace(config, domain=replace(config.domain, world=fields))


def test_both_variants_stand_beside_published_figures_and_baselines(read):
    config, results = read
    results["variants"]["equivariant"]["errors"] = {"position": 0.004123}
    results["variants"]["partial"]["errors"] = {"position": 0.003987}
    results["baselines"] = {"no motion": 0.098, "constant velocity": 0.0134}
    text = render(config, results)
    assert "MSE of position [10⁻³ length²]" in text
    assert row(text, EQUIVARIANT) == ["this checkpoint, seed 42", "4.12"]
    assert row(text, PARTIAL) == ["this checkpoint, seed 42", "3.99"]
    assert row(text, "SEGNN") == ["published", "5.60 ± 0.25"]
    assert row(text, "SEGNN + CR") == ["published", "4.90 ± 0.18"]
    assert row(text, "SEGNN + ACE, branch on") == ["published", "3.80 ± 0.16"]
    assert row(text, "SEGNN + ACE, γ = 0") == ["published", "3.80 ± 0.17"]
    assert row(text, "no motion") == ["without a model", "98.0"]
    assert row(text, "constant velocity") == ["without a model", "13.4"]
    assert "1 time unit later: 0.064 length; without a model, no motion 0.31, constant velocity 0.12." in text
    assert "is not below the mean of SEGNN + ACE, γ = 0." in text
    assert "inputs are not centred alike" in text
    assert "One seed: the spread" in text
    (result,) = yaml.safe_load(text.split("---\n")[1])["model-index"][0]["results"]
    metric = {"name": "MSE of position [length²], partial", "type": "mse", "value": 0.003987}
    assert metric in result["metrics"]


def test_several_seeds_give_mean_and_deviation(read):
    config, results = read
    results["seeds"] = [
        {"seed": seed, "errors": {"equivariant": {"position": error}}}
        for seed, error in ((42, 0.0036), (43, 0.0037), (44, 0.0038))
    ]
    text = render(config, results)
    assert row(text, EQUIVARIANT, "mean ± deviation of 3 seeds") == ["3.70 ± 0.10"]
    assert "is below the mean of SEGNN + ACE, γ = 0." in text
    assert "the same recipe was run with 43, 44 too" in text
    assert "One seed" not in text
    results["seeds"].append(results["seeds"][0])
    with pytest.raises(errors.CheckpointError, match="must differ, got 42, 43, 44, 42"):
        render(config, results)


def test_gamma_symmetry_and_trust_are_stated(read):
    config, results = read
    text = render(config, results)
    for layer, gamma in config.variants["partial"].gamma.items():
        assert row(text, f"`{layer}`") == ["kept", f"{gamma:.3f}"]
    for dtype in ("float32", "float64"):
        assert len(row(text, "`equivariant`", dtype)) == len(row(text, "`partial`", dtype)) == 3
    assert "so it knows no orientation better than another" in text
    still = results | {"data": results["data"] | {"rotate": False}}
    assert "trust ends outside their distribution" in render(config, still)
    assert "exactly equivariant under rotations, mirrors and translations, as cheap" in text
    uncentred = replace(config, config=config.config | {"centre": "none"})
    assert "exactly equivariant under rotations and mirrors, as cheap" in render(uncentred, results)
    assert "World: charged, 5 particles; its symmetry: E(3)" in text
    assert "ms a system" in text
    assert "olecule" not in text.replace("segnn-molecules", "")
    del config.variants["partial"]
    assert "no orientation better" not in render(config, results)


def test_a_broken_world_has_its_own_symmetry_and_no_published_figures(read):
    config, results = read
    text = render(in_world(config, field=0.5), results)
    assert "It predicts one target of N-body (field 0.5): position after 1 time unit." in text
    assert "World: field 0.5, 5 particles; its symmetry: O(2) about z, translations" in text
    assert "cannot represent what breaks it" in text
    assert "published" not in text
    assert "neither variant knows where the floor is" in render(in_world(config, wall=0.0), results)
    with pytest.raises(errors.ConfigError, match="did you mean 'field'"):
        render(in_world(config, feild=0.5), results)
    with pytest.raises(errors.ConfigError, match=r"domain\.world: drag"):
        render(in_world(config, drag=[0.0, 0.0, -1.0]), results)


def test_a_free_gamma_is_not_called_strict(read):
    config, results = read
    results |= {"method": "none", "data": {**results["data"], "rotate": True}}
    text = render(replace(config, method="none"), results)
    assert "whose γ is a weight like any other" in text
    assert "Training systems are rotated at random" in text
    del results["variants"]["partial"], config.variants["partial"]
    assert "trained strictly equivariant" in render(replace(config, method="none"), results)


def test_errors_in_another_unit_are_refused(read):
    config, results = read
    results["units"]["position"] = "length"
    with pytest.raises(errors.CheckpointError, match="MSE of position in 'length', by config"):
        render(config, results)


def test_the_code_on_the_card_runs(read, zoo, shipped, capsys):
    zoo.register(shipped)
    scopes = []
    for block in re.findall(r"```python\n(.*?)```", render(*read), re.DOTALL):
        scopes.append({})
        exec(block, scopes[-1])  # noqa: S102
    assert scopes[1]["y"].shape == (5, 3)
    assert capsys.readouterr().out.count("[") == 6


def test_info_shows_world_and_errors(shipped, capsys):
    class Arguments:
        model, revision, local_files_only, json = str(shipped), None, True, False

    assert run_info(Arguments) == 0
    shown = capsys.readouterr().out
    assert "domain    5 particles, frame 30 to 40, world: charged" in shown
    assert "MSE partial [unit²]" in shown

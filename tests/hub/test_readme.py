"""The blocks of the README: checkpoints by data set, and runs in broken worlds."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from equizoo.hub import errors
from equizoo.hub.assignments import assignments_table
from equizoo.hub.card_published import read_published
from equizoo.hub.config import read_config
from equizoo.hub.readme import MARKERS, fill_readme
from equizoo.hub.samples import samples_table
from equizoo.hub.worlds import worlds_table
from tests.hub.card_samples import PUBLISHED, particle_checkpoint, row, trained_checkpoint

EMPTY = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in MARKERS)


def read(folder):
    return read_config(folder), json.loads((folder / "results.json").read_text())


@pytest.fixture
def particles(tmp_path_factory):
    return read(particle_checkpoint(tmp_path_factory.getbasetemp()))


def fill(checkpoints, folder):
    return fill_readme(EMPTY, checkpoints, read_published(PUBLISHED), folder)


def as_method(checkpoint, name, method, **errors_by_variant):
    config, results = checkpoint[0], copy.deepcopy(checkpoint[1])
    results |= {"name": name, "method": method}
    for variant in list(results["variants"]):
        if variant in errors_by_variant:
            results["variants"][variant]["errors"]["position"] = errors_by_variant[variant]
        else:
            del results["variants"][variant]
    return replace(config, name=name, method=method), results


def report(method, field, partial=None, gamma=0.3, seed=42, epochs=200, **equivariant):
    variants = {"equivariant": {"errors": {"position": equivariant.get("strict", 0.02)}}}
    if partial is not None:
        variants["partial"] = {"errors": {"position": partial}, "gamma": {"a": -gamma, "b": 0.0}}
    return {
        "name": f"{method}-{field}",
        "dataset": "nbody",
        "metric": "MSE",
        "units": {"position": "length²"},
        "method": method,
        "seed": seed,
        "epochs": epochs,
        "counts": {"train": 3000},
        "data": {"world": {"field": field}},
        "variants": variants,
    }


def write(folder, *reports):
    folder.mkdir(parents=True, exist_ok=True)
    for k, content in enumerate(reports):
        (folder / f"{k}.json").write_text(json.dumps(content))


def test_nothing_to_show_leaves_the_readme(tmp_path):
    assert fill([], tmp_path) == EMPTY


def test_each_data_set_has_its_block(particles, tmp_path, tmp_path_factory):
    molecules = read(trained_checkpoint(tmp_path_factory.getbasetemp()))
    text = fill([molecules, particles], tmp_path)
    qm9, nbody = text.split("<!-- results:nbody:begin -->")
    assert "### QM9" in qm9 and "segnn-tiny" not in qm9
    assert "### N-body" in nbody and "schnet-tiny" not in nbody
    assert row(qm9, "parameters", "")[1:] == ["127,553", "127,553"]
    parameters = molecules[1]["variants"]["equivariant"]["parameters"]
    assert row(qm9, "parameters", "")[0] == f"{parameters:,}"


def test_every_method_stands_beside_its_published_figures(particles, tmp_path):
    strict = as_method(particles, "segnn-strict", "none", equivariant=0.0045)
    free = as_method(particles, "segnn-augment", "none", equivariant=0.5, partial=0.004)
    ace = as_method(particles, "segnn-ace", "ace-equality", equivariant=0.0038, partial=0.0037)
    ace[1]["seeds"] = [
        {"seed": seed, "errors": {"equivariant": {"position": 0.0036 + 1e-4 * seed}}} for seed in (1, 2, 3)
    ]
    text = fill([ace, free, strict], tmp_path)
    link = "[{0}](model_cards/{0}.md)".format
    assert text.index("segnn-strict") < text.index("segnn-augment") < text.index("segnn-ace")
    assert row(text, link("segnn-strict"))[:6] == ["none", "4.50", "–", "5.60 ± 0.25", "–", "1"]
    assert row(text, link("segnn-augment"))[:5] == ["augment", "500", "4.00", "–", "–"]
    found = row(text, link("segnn-ace"))
    assert found[:6] == ["ace-equality", "3.80 ± 0.10", "3.70", "3.80 ± 0.17", "3.80 ± 0.16", "3"]
    assert len(row(text, "no motion")) == len(found)
    assert "mean ± deviation where there are several seeds" in text


def test_another_world_has_a_table_of_its_own(particles, tmp_path):
    config, results = particles
    field = replace(config, name="segnn-field", domain=replace(config.domain, world={"field": 1.0}))
    text = fill([particles, (field, results)], tmp_path)
    assert "N-body, field 1:" in text
    assert text.count("MSE on test") == 2
    assert text.count("published, γ = 0") == 1


def test_broken_worlds_are_compared_with_the_strict_model_of_the_same_budget(tmp_path):
    early = report("ace-resilient", 1.0, partial=0.004)
    early = early | {"name": "early", "data": early["data"] | {"start": 0, "end": 10}}
    write(
        tmp_path,
        report("ace-resilient", 1.0, partial=0.004),
        report("none", 1.0),
        report("none", 0.0, strict=0.005),
        report("ace-equality", 0.0, partial=0.005, gamma=0.004),
        report("ace-equality", 1.0, partial=0.005, epochs=100),
        early,
    )
    text = worlds_table(tmp_path)
    left = "O(2) about z, translations"
    frames = "30 → 40"
    assert row(text, "field 1", left, frames, "none") == ["42", "200", "20.0", "–", "–", "–"]
    found = row(text, "field 1", left, frames, "ace-resilient")
    assert found == ["42", "200", "20.0", "4.00", "5.0 ×", "0.30"]
    assert row(text, "field 1", left, frames, "ace-equality")[-2] == "–"
    assert row(text, "field 1", left, "0 → 10", "ace-resilient")[-2] == "–"  # another task
    assert row(text, "charged", "E(3)", frames, "ace-equality")[-2:] == ["1.0 ×", "0.0040"]
    assert text.index("| charged |") < text.index("| field 1 |")


def test_the_block_of_broken_worlds(tmp_path):
    write(tmp_path / "worlds", report("none", 1.0))
    assert "### Broken worlds" in fill([], tmp_path)
    write(tmp_path / "worlds", report("none", 1.0) | {"data": {"world": {"feild": 1.0}}})
    with pytest.raises(errors.ConfigError, match=r"none-1\.0: data\.world.*did you mean 'field'"):
        fill([], tmp_path)


def test_particles_follow_their_own_protocol(tmp_path):
    run = report("cr", 0.0, partial=0.006) | {"name": "segnn-nbody-paper-cr"}
    write(tmp_path / "paper_protocol", run)
    found = row(fill([], tmp_path), "position", "10⁻³ length²", "cr")
    assert found == ["42", "200", "–", "20.0", "6.00", "4.90 ± 0.18", "–", "2,000"]
    write(tmp_path / "paper_protocol", run | {"name": "egno-nbody"})
    with pytest.raises(errors.ConfigError, match="no table of 'nbody' for the run 'egno-nbody'"):
        fill([], tmp_path)


def test_assignments_have_a_column_each_and_their_spread(tmp_path):
    assert assignments_table(tmp_path) == ""
    for method, assignment, error, partial in (
        ("none", 0, 0.06, None),
        ("none", 2, 0.08, None),
        ("ace-resilient", 2, 5.0, 0.05),
    ):
        content = report(method, 0.0, strict=error, partial=partial)
        content |= {"dataset": "mocap", "data": {"motion": "walk", "assignment": assignment}}
        (tmp_path / f"{method}-{assignment}.json").write_text(json.dumps(content))
    lines = assignments_table(tmp_path).splitlines()
    assert lines[0].startswith("| MSE on test [10⁻² length²] | assignment 0 | assignment 2 |")
    assert lines[2] == "| none, γ = 0 | 6.00 | 8.00 | 7.00 ± 1.4 |"
    assert lines[3] == "| ace-resilient, γ = 0 | – | 500 | – |"
    assert lines[4] == "| ace-resilient, branch on | – | 5.00 | – |"


def test_sample_efficiency_has_a_row_a_number_of_samples(tmp_path):
    assert samples_table(tmp_path) == ""
    for method, count, error in (
        ("none", 1000, 0.004),
        ("none", 3000, 0.003),
        ("ace-equality", 3000, 0.0025),
    ):
        content = report(method, 0.0, strict=error, epochs=96 if count == 1000 else 32)
        content["counts"] = {"train": count}
        (tmp_path / f"{method}-{count}.json").write_text(json.dumps(content))
    lines = samples_table(tmp_path).splitlines()
    assert "none" in lines[0] and lines[0].index("none") < lines[0].index("ace-equality")
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == ["1,000", "3,000"]
    assert lines[2].endswith("| 96 | 4.00 | – |") and lines[3].endswith("| 32 | 3.00 | 2.50 |")

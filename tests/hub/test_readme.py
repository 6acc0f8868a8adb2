"""The blocks of the README: checkpoints by data set."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from equizoo.hub.card_published import read_published
from equizoo.hub.config import read_config
from equizoo.hub.readme import MARKERS, fill_readme
from equizoo.hub.readme_tables import duration
from equizoo.hub.results import rotation_error
from tests.hub.card_samples import PUBLISHED, particle_checkpoint, row, trained_checkpoint

EMPTY = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in MARKERS)


def read(folder):
    return read_config(folder), json.loads((folder / "results.json").read_text())


@pytest.fixture
def particles(tmp_path_factory):
    return read(particle_checkpoint(tmp_path_factory.getbasetemp()))


def fill(checkpoints):
    return fill_readme(EMPTY, checkpoints, read_published(PUBLISHED))


def as_method(checkpoint, name, method, **errors_by_variant):
    config, results = checkpoint[0], copy.deepcopy(checkpoint[1])
    results |= {"name": name, "method": method}
    for variant in list(results["variants"]):
        if variant in errors_by_variant:
            results["variants"][variant]["errors"]["position"] = errors_by_variant[variant]
        else:
            del results["variants"][variant]
    return replace(config, name=name, method=method), results


def test_nothing_to_show_leaves_the_readme():
    assert fill([]) == EMPTY


def test_each_data_set_has_its_block(particles, tmp_path_factory):
    molecules = read(trained_checkpoint(tmp_path_factory.getbasetemp()))
    text = fill([molecules, particles])
    qm9, nbody = text.split("<!-- results:nbody:begin -->")
    assert "### QM9" in qm9 and "segnn-tiny" not in qm9
    assert "### N-body" in nbody and "schnet-tiny" not in nbody
    assert row(qm9, "parameters", "")[1:] == ["127,553", "127,553"]
    parameters = molecules[1]["variants"]["equivariant"]["parameters"]
    assert row(qm9, "parameters", "")[0] == f"{parameters:,}"


def test_every_method_stands_beside_its_published_figures(particles):
    strict = as_method(particles, "segnn-strict", "none", equivariant=0.0045)
    free = as_method(particles, "segnn-augment", "none", equivariant=0.5, partial=0.004)
    ace = as_method(particles, "segnn-ace", "ace-equality", equivariant=0.0038, partial=0.0037)
    ace[1]["seeds"] = [
        {"seed": seed, "errors": {"equivariant": {"position": 0.0036 + 1e-4 * seed}}} for seed in (1, 2, 3)
    ]
    text = fill([ace, free, strict])
    link = "[{0}](model_cards/{0}.md)".format
    assert text.index("segnn-strict") < text.index("segnn-augment") < text.index("segnn-ace")
    assert row(text, link("segnn-strict"))[:6] == ["4.50", "–", "5.60 ± 0.25", "–", "–", "1"]
    assert row(text, link("segnn-augment"))[:4] == ["500", "4.00", "–", "–"]
    found = row(text, link("segnn-ace"))
    assert found[:4] == ["3.80 ± 0.10", "3.70", "3.80 ± 0.17", "3.80 ± 0.16"]
    assert float(found[4]) == pytest.approx(rotation_error(ace[1]), rel=0.05) and found[5] == "3"
    assert len(row(text, "no motion, no model")) == len(found)
    assert "mean ± deviation where there are several seeds" in text


def test_another_world_has_a_table_of_its_own(particles):
    config, results = particles
    field = replace(config, name="segnn-field", domain=replace(config.domain, world={"field": 1.0}))
    text = fill([particles, (field, results)])
    assert "N-body, field 1:" in text
    assert text.count("MSE on test") == 2
    assert text.count("published, γ = 0") == 1


def test_times_are_in_a_unit_that_reads_well():
    assert [duration(hours) for hours in (None, 0.0175, 0.0355, 1.0, 1.52)] == [
        "–", "63 s", "2.1 min", "60 min", "1.52 h",
    ]  # fmt: skip

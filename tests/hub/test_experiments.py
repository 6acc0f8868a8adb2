"""The tables of runs that are not checkpoints, and the page that holds them."""

from __future__ import annotations

import json

import pytest

from equizoo.hub import errors
from equizoo.hub.assignments import assignments_table
from equizoo.hub.card_published import read_published
from equizoo.hub.dropped_points import dropped_points_table
from equizoo.hub.experiments import MARKERS, fill_experiments
from equizoo.hub.paper_protocol import protocol_table
from equizoo.hub.samples import samples_table
from equizoo.hub.worlds import worlds_table
from tests.hub.card_samples import PUBLISHED, row


def report(method, field, partial=None, gamma=0.3, seed=42, epochs=200, **equivariant):
    variants = {"equivariant": {"errors": {"position": equivariant.get("strict", 0.02)}}}
    if partial is not None:
        variants["partial"] = {"errors": {"position": partial}, "gamma": {"a": -gamma, "b": 0.0}}
        symmetry = {"rotation": {"rel_mean": 0.02}, "translation": {"rel_mean": 0.5}}
        variants["partial"]["equivariance"] = {"float32": symmetry, "float64": {}}
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
    assert row(text, "field 1", left, frames, "none") == ["42", "200", "20.0", "–", "–", "–", "–"]
    found = row(text, "field 1", left, frames, "ace-resilient")
    assert found == ["42", "200", "20.0", "4.00", "5.0 ×", "0.30", "0.020"]
    assert row(text, "field 1", left, frames, "ace-equality")[-3] == "–"
    assert row(text, "field 1", left, "0 → 10", "ace-resilient")[-3] == "–"  # another task
    assert row(text, "charged", "E(3)", frames, "ace-equality")[-3:-1] == ["1.0 ×", "0.0040"]
    assert text.index("| charged |") < text.index("| field 1 |")


def test_a_world_that_is_misspelt_is_named(tmp_path):
    write(tmp_path, report("none", 1.0) | {"data": {"world": {"feild": 1.0}}})
    with pytest.raises(errors.ConfigError, match=r"none-1\.0: data\.world.*did you mean 'field'"):
        worlds_table(tmp_path)


def test_the_page_has_every_table_between_its_markers(tmp_path):
    page = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in MARKERS)
    published = read_published(PUBLISHED)
    assert fill_experiments(page, published, tmp_path) == page
    write(tmp_path / "worlds", report("none", 1.0))
    block = f"<!-- worlds:begin -->\n{worlds_table(tmp_path / 'worlds')}\n<!-- worlds:end -->"
    assert block in fill_experiments(page, published, tmp_path)
    with pytest.raises(errors.EquizooError, match=r"model_cards/README\.md must have <!-- samples:begin"):
        fill_experiments(page.replace("samples:begin", "sample:begin"), published, tmp_path)


def test_particles_follow_their_own_protocol(tmp_path):
    published = read_published(PUBLISHED)
    for method, length in (("cr", "–"), ("ace-equality", "2,000"), ("ace-resilient", "–")):
        write(tmp_path / method, report(method, 0.0, partial=0.006) | {"name": "segnn-nbody-paper"})
        found = row(protocol_table(tmp_path / method, published), "position", "10⁻³ length²", method)
        assert found[:5] == ["42", "200", "–", "20.0", "6.00"]
        assert found[-2:] == [length, "0.020"]
    assert found[5:7] == ["–", "–"]
    write(tmp_path, report("cr", 0.0) | {"name": "egno-nbody"})
    with pytest.raises(errors.ConfigError, match="no table of 'nbody' for the run 'egno-nbody'"):
        protocol_table(tmp_path, published)


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
        content["variants"]["equivariant"]["best"] = {"epoch": 8, "step": 8 * count // 100}
        (tmp_path / f"{method}-{count}.json").write_text(json.dumps(content))
    lines = samples_table(tmp_path).splitlines()
    assert "none" in lines[0] and lines[0].index("none") < lines[0].index("ace-equality")
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == ["1,000", "3,000"]
    assert lines[2].endswith("| 96 | 960 | 4.00 | – |") and lines[3].endswith("| 32 | 960 | 3.00 | 2.50 |")


def test_dropped_points_have_a_column_an_epoch(tmp_path):
    assert dropped_points_table(tmp_path) == ""
    columns = ["epoch", *(f"valid/{variant}/error rate/instance" for variant in ("equivariant", "partial"))]
    for method, partial, lines in (
        ("none", None, [(1, 80.0, ""), (2, 60.0, "")]),
        ("ace-equality", 30.0, [(2, 50.0, 40.0), (3, 35.0, 30.0)]),
    ):
        content = report(method, 0.0, strict=25.0, partial=partial) | {"dataset": "modelnet40"}
        for measured in content["variants"].values():
            error = measured["errors"]["position"]
            measured["errors"] = {"instance": error, "class": error + 5}
        (tmp_path / f"{method}.json").write_text(json.dumps(content))
        text = "\n".join(",".join(map(str, cells)) for cells in (columns, *lines))
        (tmp_path / f"{method}.csv").write_text(text + "\n")
    header, _, *rows = dropped_points_table(tmp_path).splitlines()
    assert header == "| accuracy [%] | epoch 1 | epoch 2 | epoch 3 | test, instance / class |"
    assert rows == [
        "| none, γ = 0 | 20.0 | 40.0 | – | 75.0 / 70.0 |",
        "| ace-equality, γ = 0 | – | 50.0 | 65.0 | 75.0 / 70.0 |",
        "| ace-equality, branch on | – | 60.0 | 70.0 | 70.0 / 65.0 |",
    ]

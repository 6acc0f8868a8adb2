"""What a card says, against the files that it is made from."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCardData

from equizoo.hub import cards, errors
from equizoo.hub.card_published import read_published
from equizoo.hub.card_tables import number
from equizoo.hub.config import Training, read_config
from tests.hub.card_samples import PUBLISHED, row, trained_checkpoint


@pytest.fixture
def shipped(tmp_path_factory):
    return trained_checkpoint(tmp_path_factory.getbasetemp())


@pytest.fixture
def read(shipped):
    return read_config(shipped), json.loads((shipped / "results.json").read_text())


def render(config, results):
    return cards.render_card(config, results, read_published(PUBLISHED))


def test_front_matter_is_what_the_hub_reads(read):
    config, results = read
    data = yaml.safe_load(render(config, results).split("---\n")[1])
    assert (data["license"], data["library_name"], data["datasets"]) == ("mit", "equizoo", ["qm9"])
    assert {"schnet", "ace-equality"} <= set(data["tags"])
    (index,) = data["model-index"]
    (result,) = index["results"]
    assert index["name"] == "schnet-tiny"
    assert result["dataset"] == {"name": "QM9", "type": "qm9", "split": "test"}
    metrics = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert len(metrics) == 4
    for variant in ("equivariant", "partial"):
        mae = results["variants"][variant]["errors"]["U0"]
        assert metrics[f"MAE of U0 [eV], {variant}"] == pytest.approx(mae, rel=1e-3)
    again = ModelCardData(**data)
    assert [e.metric_value for e in again.eval_results] == list(metrics.values())
    assert again.to_dict() == data


def test_errors_stand_beside_the_published_ones(read):
    config, results = read
    for variant in results["variants"].values():
        variant["errors"] = {"gap": 0.06123, "U0": 5.0}
    text = render(config, results)
    assert row(text, "gap, HOMO–LUMO gap", "eV") == ["0.0612"] * 2 + ["0.0758 ± 0.0008", "0.0686 ± 0.0011"]
    assert (
        "The columns compare recipes, not methods.** U0: the published models had to learn an offset" in text
    )
    assert "of 2 targets" not in text
    assert "5 seeds" in text
    assert "one seed (0); one model for 2 targets" in text
    parameters = results["variants"]["equivariant"]["parameters"]
    assert f"{parameters:,} parameters (published: 127,553); Muon with a cosine schedule; averaged" in text
    assert "8 features (published: 64); 2 interaction blocks (published: 6)" in text


def test_heads_that_know_physics_are_named_beside_published_figures(read):
    config, results = read
    assert "a head for each kind of target" not in render(config, results)
    r2 = replace(config.targets[0], name="r2", unit="a0²")
    config = replace(config, targets=(r2, config.targets[1]))
    config = replace(config, config=config.config | {"aggregations": ["extent", "sum"]})
    results = json.loads(json.dumps(results).replace('"gap"', '"r2"'))
    results["units"]["r2"] = "a0²"
    text = render(config, results)
    assert "a head for each kind of target (r2: extent; the others: sum)" in text
    assert "r2: its head starts from electrons that sit at the nuclei" in text


def test_how_wrong_it_is_stands_at_the_head(read):
    config, results = read
    results["variants"]["equivariant"]["errors"] = {"gap": 0.06123, "U0": 0.01672}
    results["calibration"]["equivariant"]["mmff"]["mae"] = {"gap": 0.204, "U0": 0.134}
    head = render(config, results).split("# schnet-tiny")[1].split("SchNet, message passing")[0]
    assert "at their DFT geometries: gap 0.061 eV, U0 0.017 eV." in head
    assert "made with MMFF94: gap 0.20 eV, U0 0.13 eV." in head
    assert "**Do not trust it** for other elements than" in head
    del results["calibration"]
    assert "MMFF94: gap" not in render(config, results)


def test_every_measured_figure_is_there(read):
    config, results = read
    results["cost"] |= {"epoch": 64, "cpu_hours": 12.345}
    results["calibration"]["equivariant"]["mmff"]["refused"] = 4
    results["variants"]["equivariant"]["seconds_per_sample"] = {"1": 0.00209, "256": 0.000315}
    text = render(config, results)
    given, mmff = (results["calibration"]["equivariant"][source] for source in ("given", "mmff"))
    mae, width = given["mae"]["gap"], given["half_width"]["gap"]
    measured = row(text, "gap", "eV", number(mae))
    assert measured == [f"{number(2.5 * mae)} (× 2.5)"]
    coverage = f"{100 * given['test_coverage']['gap']:.1f} %"
    assert row(text, "gap", "eV", f"± {number(width)} ({coverage})")
    assert "MMFF94: calibrated on 61, tested on 60 molecules, refused 4" in text
    errors = results["variants"]["equivariant"]["equivariance"]["float32"]
    cell = "{} ({})".format(*(number(errors["rotation"][key], 2) for key in ("abs_mean", "abs_max")))
    assert row(text, "`equivariant`", "float32")[0] == cell
    assert row(text, "`equivariant`", "float64")
    for layer, gamma in config.variants["partial"].gamma.items():
        assert row(text, f"`{layer}`") == ["kept", number(gamma)]
    parameters = results["variants"]["equivariant"]["parameters"]
    assert row(text, "`equivariant`", f"{parameters:,}") == ["2.09", "0.315"]
    kind = results["instructions"]
    assert f"Median CPU time of a forward pass with 1 thread and {kind} instructions.\n" in text
    older = {key: value for key, value in results.items() if key != "instructions"}
    assert "with 1 thread.\n" in render(config, older)
    assert "with 2 threads, the time of all threads added up." in render(config, older | {"threads": 2})
    assert "64 epochs" in text
    assert re.search(r"- `partial`: the averaged weights of epoch \d+, which was best in validation", text)
    results["cost"]["parts"] = 2
    assert re.search(r"epoch \d+ of stage 2, which was best in validation", render(config, results))
    assert "12.3 CPU-hours" in text
    assert config.training.command in text
    assert "64 validation, 64 test" in text
    assert mmff["n"] == 61


def test_counts_are_said_and_what_was_not_measured(read):
    config, results = read
    assert "tested on 60 molecules, refused 4" in render(config, results)
    results["counts"] = {"train": 99000, "valid": 17748, "test": 13083}
    assert "99,000 training, 17,748 validation, 13,083 test" in render(config, results)
    del results["calibration"], results["cost"]
    text = render(config, results)
    assert "there are no intervals" in text
    assert "CPU-hours" not in text


def test_half_precision_is_said(read):
    config, results = read
    assert "half precision" not in render(config, results)
    assert "stored in half precision" in render(config, results | {"half": True})


def test_a_variant_that_was_not_shipped_has_no_column(read):
    config, results = read
    del config.variants["partial"]
    text = render(config, results)
    assert "`partial` (γ kept)" not in text
    assert re.search(r"No \|γ\| is above [0-9.]+ in the averaged weights of epoch \d+, .* no `partial`", text)


def test_a_network_without_branches_has_no_gamma(read):
    config, results = read
    assert "- `equivariant`: without branches (γ = 0): exactly invariant under rotations" in render(*read)
    assert "- `partial`: with its branches, at the γ of the averaged weights of epoch" in render(*read)
    del config.variants["partial"], results["variants"]["partial"]
    config = replace(config, method="none", training=Training("python -m equizoo.training schnet-qm9-strict"))
    text = render(config, results | {"method": "none"})
    assert "exactly invariant under rotations, mirrors and translations; there are no relaxed layers." in text
    assert "γ" not in text


def test_what_to_install_and_what_the_pipeline_takes_and_gives_is_said(read):
    text = render(*read)
    assert '```bash\npip install "equizoo[molecules]"' in text
    assert "The pipeline takes a SMILES string" in text
    assert "It gives a dict a molecule. `properties` has for each target `value`, `unit`" in text


def test_folded_layers_are_named(read):
    config, results = read
    partial = config.variants["partial"]
    first, *rest = sorted(partial.gamma)
    gamma = {name: partial.gamma[name] for name in rest}
    config.variants["partial"] = replace(partial, gamma=gamma, folded=(first,))
    text = render(config, results)
    assert row(text, f"`{first}`") == ["term dropped", number(partial.gamma[first])]
    assert "before the negligible terms" in text


def break_name(config, results):
    results["name"] = "other"


def break_split(config, results):
    results["split"] = "valid"


def break_synthetic(config, results):
    results["data"]["synthetic"] = 64


def break_target(config, results):
    del results["variants"]["partial"]["errors"]["U0"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (break_name, "is of 'other'"),
        (break_split, "'valid'"),
        (break_synthetic, "made-up"),
        (break_target, "no error of U0 for 'partial'"),
    ],
)
def test_results_that_do_not_belong_raise(read, change, message):
    config, results = read
    change(config, results)
    with pytest.raises(errors.CheckpointError, match=message):
        render(config, results)


def test_other_units_or_families_raise(read):
    config, results = read
    kelvin = replace(config, targets=(replace(config.targets[0], unit="K"), config.targets[1]))
    with pytest.raises(errors.CheckpointError, match=r"of gap in 'eV', by config\.json it is 'K'"):
        render(kelvin, results)
    results["units"]["gap"] = "K"
    with pytest.raises(errors.ConfigError, match="gap is in K, the published one in eV"):
        render(kelvin, results)
    results["units"]["gap"] = "eV"
    with pytest.raises(errors.ConfigError, match="did you mean 'schnet'"):
        render(replace(config, family="schnett"), results)


def test_an_unpaired_published_figure_raises(tmp_path):
    path = tmp_path / "published.json"
    path.write_text(re.sub(r"\[0\.0758, 0\.0008\]", "[0.0758]", PUBLISHED.read_text()))
    with pytest.raises(errors.ConfigError, match="a mean and a deviation"):
        read_published(path)


def test_the_code_on_the_card_runs(read, zoo, shipped, capsys):
    pytest.importorskip("rdkit")
    zoo.register(shipped)
    blocks = re.findall(r"```python\n(.*?)```", render(*read), re.DOTALL)
    assert [block.count("\n") for block in blocks] == [3, 3]
    scopes = [{}, {}]
    for block, scope in zip(blocks, scopes, strict=True):
        exec(block, scope)  # noqa: S102
    assert "gap" in capsys.readouterr().out
    assert scopes[1]["y"].shape == (1, 2)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.068641, "0.0686"),
        (0.9999, "1.00"),
        (1234.5, "1,234"),
        (3.25e-9, "3.25e-9"),
        (-0.5, "-0.500"),
        (0.0, "0"),
    ],
)
def test_sensible_digits(value, shown):
    assert number(value) == shown

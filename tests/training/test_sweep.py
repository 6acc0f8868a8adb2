"""Many seeds, the smoke run, and the command line."""

from __future__ import annotations

import json
import statistics

import pytest
import yaml

from equizoo.training.__main__ import exit_code, main
from equizoo.training.building import is_relaxed
from equizoo.training.config import RECIPES, ConfigError, load_recipe
from equizoo.training.loop import train
from equizoo.training.sweep import parse_seeds, smoke, sweep
from equizoo.training.trainer import Diverged


def test_seeds_are_summarised(tiny, tmp_path):
    config = tiny(budget__epochs=1)
    summary = sweep(config, [0, 1, 2], tmp_path, progress=False)
    assert json.loads((tmp_path / "summary.json").read_text()) == json.loads(json.dumps(summary))
    for variant in ("equivariant", "partial"):
        score = summary["variants"][variant]["score"]
        each = [summary["runs"][str(seed)]["best"][variant]["score"] for seed in range(3)]
        assert score["values"] == each
        assert len(set(each)) == 3
        assert score["mean"] == pytest.approx(statistics.fmean(each))
        assert score["std"] == pytest.approx(statistics.stdev(each))
        assert score["n"] == 3


def test_a_finished_sweep_is_resumed_at_once(tiny, tmp_path):
    config = tiny(budget__epochs=1)
    first = sweep(config, [3], tmp_path, progress=False)
    again = sweep(config, [3], tmp_path, resume=True, progress=False)
    assert again["variants"] == first["variants"]
    assert first["variants"]["partial"]["score"]["std"] == 0.0


def test_a_stop_ends_the_sweep_and_stays_out_of_the_means(tiny, tmp_path):
    config = tiny(budget__epochs=1)
    sweep(config, [0], tmp_path, progress=False)
    late = config.replace(budget__max_minutes=0.0, budget__epochs=2)
    summary = sweep(late, [1, 2], tmp_path, progress=False)
    assert {seed: run["status"] for seed, run in summary["runs"].items()} == {"1": "stopped"}
    assert summary["variants"] == {}
    done = sweep(config.replace(budget__epochs=2), [1, 2], tmp_path, resume=True, progress=False)
    assert done["variants"]["partial"]["score"]["n"] == 2


def diverging(seeds: set[int]):
    """Return ``train`` with runs of some seeds whose loss is too large at once."""

    def run(config, *args, **options):
        ratio = 1e-9 if config.seed in seeds else 1e4
        return train(config.replace(budget__max_loss_ratio=ratio), *args, **options)

    return run


def test_a_diverged_seed_does_not_end_the_sweep(tiny, tmp_path, monkeypatch):
    config = tiny(budget__epochs=1)
    monkeypatch.setattr("equizoo.training.sweep.train", diverging({0}))
    for resume in (False, True):
        with pytest.raises(Diverged, match=r"seed 0: the loss is .*\(1 of 3 runs diverged\)"):
            sweep(config, [0, 1, 2], tmp_path, resume=resume, progress=False)
        summary = json.loads((tmp_path / "summary.json").read_text())
        states = {seed: run["status"] for seed, run in summary["runs"].items()}
        assert states == {"0": "diverged", "1": "finished", "2": "finished"}
        assert "the loss is" in summary["runs"]["0"]["reason"]
        assert summary["variants"]["partial"]["score"]["n"] == 2


def test_a_stop_ends_a_sweep_with_a_diverged_seed(tiny, tmp_path, monkeypatch):
    broken = diverging({0})

    def run(config, *args, **options):
        return broken(
            config if config.seed == 0 else config.replace(budget__max_minutes=0.0), *args, **options
        )

    monkeypatch.setattr("equizoo.training.sweep.train", run)
    with pytest.raises(Diverged):
        sweep(tiny(budget__epochs=1), [0, 1, 2], tmp_path, progress=False)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert {seed: run["status"] for seed, run in summary["runs"].items()} == {"0": "diverged", "1": "stopped"}


def test_a_diverged_seed_is_an_exit_code(tiny, tmp_path, monkeypatch, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(tiny(budget__epochs=1).to_dict()))
    monkeypatch.setattr("equizoo.training.sweep.train", diverging({0}))
    assert main([str(recipe), "--seeds", "0,1", "--quiet", "--out", str(tmp_path / "sweep")]) == 1
    assert "error: seed 0: the loss is" in capsys.readouterr().err
    assert (tmp_path / "sweep" / "seed-1" / "best").is_dir()


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "0,,2", "0,4-2", "4-2"])
def test_seeds_that_are_none(text):
    with pytest.raises(
        ConfigError, match="the range 4-2 runs backwards" if "4-2" in text else "takes numbers"
    ):
        parse_seeds(text)
    assert parse_seeds("0, 2-4,3") == [0, 2, 3, 4]


SMALLER = {
    "vn-dgcnn": ["model.widths=[4,4]", "model.embedding=8", "model.head=[16,8]", "data.points=32"],
    "egno": ["model.hidden=16", "model.layers=2"],
    "conformer": ["model.hidden=16", "model.layers=1", "data.steps=2", "data.synthetic=8"],
}
"""What makes the large networks fast enough to be tested."""


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_every_recipe_smokes(recipe, tmp_path):
    changes = [
        "data.synthetic=24",
        *(x for name, xs in SMALLER.items() if recipe.startswith(name) for x in xs),
    ]
    options = [word for change in changes for word in ("--set", change)]
    code = main([recipe, "--smoke", "--quiet", *options, "--out", str(tmp_path / "run")])
    assert code == 0
    files = {str(p.relative_to(tmp_path / "run")) for p in (tmp_path / "run").rglob("*") if p.is_file()}
    relaxed = is_relaxed(load_recipe(recipe))
    expected = {"config.yaml", "metrics.csv", "result.json", "last/state.pt", "best/equivariant.safetensors"}
    expected |= {"plots/losses.png"} | ({"best/partial.safetensors", "plots/gamma.png"} if relaxed else set())
    assert expected <= files
    assert not any(name.endswith(".tmp") for name in files)
    resolved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert resolved["name"] == f"{recipe}-smoke"
    assert len(resolved["provenance"]["data_sha256"]) == 64
    assert resolved["provenance"]["versions"]["torch"]


def test_smoke_keeps_model_and_method():
    config = load_recipe("schnet-qm9-ace")
    small = smoke(config)
    assert (small.model, small.method) == (config.model, config.method)


def test_the_command_line_reports_errors_without_tracebacks(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("EQUIZOO_DATA", raising=False)
    assert main(["schnet-qm9-aec"]) == 2
    assert "error: no recipe 'schnet-qm9-aec'" in capsys.readouterr().err
    assert main(["schnet-qm9-ace", "--out", str(tmp_path / "a")]) == 2
    assert "EQUIZOO_DATA" in capsys.readouterr().err
    options = [
        "--smoke",
        "--set",
        "optimiser.name=sgd",
        "--set",
        "optimiser.lr=1e30",
        "--set",
        "optimiser.clip=null",
    ]
    assert main(["schnet-qm9-ace", *options, "--quiet", "--out", str(tmp_path / "b")]) == 1
    assert "error: the loss is" in capsys.readouterr().err


def test_seeds_on_the_command_line(tiny, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(tiny(budget__epochs=1).to_dict()))
    out = tmp_path / "sweep"
    assert main([str(recipe), "--seeds", "0-1", "--max-minutes", "5", "--quiet", "--out", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == {"seed-0", "seed-1", "summary.json"}


@pytest.mark.parametrize("options", [[], ["--seeds", "0-1"]], ids=["one run", "a sweep"])
def test_a_stopped_run_does_not_pass_for_a_whole_one(tiny, tmp_path, options):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(tiny(budget__epochs=1).to_dict()))
    command = [str(recipe), *options, "--quiet", "--out", str(tmp_path / "run")]
    assert main([*command, "--max-minutes", "0"]) == 3
    assert main([*command, "--resume"]) == 0


def test_torchrun_sees_the_exit_code_of_its_first_process_only(monkeypatch):
    codes = {}
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        codes[rank] = exit_code("stopped", "SIGTERM")
    assert codes == {"0": 143, "1": 0}

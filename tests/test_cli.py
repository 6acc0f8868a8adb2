import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import equizoo
from equizoo import cli
from equizoo.data.qm9 import TARGETS
from equizoo.hub.checkpoint import save_checkpoint
from equizoo.hub.registry import Registry
from equizoo.models.schnet import SchNet, SchNetConfig
from equizoo.models.segnn_particles import ParticleSEGNN, ParticleSEGNNConfig
from equizoo.relaxation.project import project


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    model = SchNet(SchNetConfig(hidden=8, interactions=1, gaussians=4, aggregations=("sum",) * len(TARGETS)))
    half_width = {target.name: 0.2 for target in TARGETS}
    card = {
        "name": "small-qm9",
        "family": "schnet",
        "task": "molecule-properties",
        "dataset": "qm9",
        "method": "none",
        "targets": [target._asdict() for target in TARGETS],
        "domain": {"elements": ["H", "C", "N", "O", "F"], "max_heavy_atoms": 9},
        "calibration": {"mmff": {"coverage": 0.9, "n": 10, "half_width": half_width, "mae": {"gap": 0.1234}}},
        "training": {"command": "equizoo train small.yaml", "recipe": "small.yaml"},
    }
    folder = tmp_path_factory.mktemp("cli") / "small-qm9"
    save_checkpoint(folder, card, {"equivariant": model})
    return folder


@pytest.fixture(scope="module")
def particles(tmp_path_factory):
    """Return a folder with a checkpoint, a file of two systems, and one that is not answered."""
    torch.manual_seed(0)
    model = ParticleSEGNN(ParticleSEGNNConfig(hidden=8, layers=1, relaxed=True))
    card = {
        "name": "small-nbody",
        "family": "segnn-particles",
        "task": "particle-forecasting",
        "dataset": "nbody",
        "method": "ace-equality",
        "targets": [{"name": "position", "unit": "length", "description": "position 1 time unit later"}],
        "domain": {"particles": 5, "start_frame": 30, "end_frame": 40, "world": {}},
    }
    folder = tmp_path_factory.mktemp("particles")
    save_checkpoint(folder / "model", card, {"equivariant": project(model), "partial": model})
    results = {"variants": {"equivariant": {"errors": {"position": 0.0049}}}}
    (folder / "model" / "results.json").write_text(json.dumps(results))
    rng = np.random.default_rng(0)
    pos, vel = rng.normal(size=(2, 2, 5, 3))
    np.savez(folder / "good.npz", pos=pos, vel=vel, charge=np.ones((2, 5)))
    np.savez(folder / "bad.npz", pos=0 * pos, vel=vel, charge=np.ones((2, 5)))
    return folder


@pytest.fixture
def zoo(checkpoint, tmp_path, monkeypatch):
    small = Registry(tmp_path / "zoo")
    small.register(checkpoint)
    for module in ("equizoo.hub.registry", "equizoo.hub.locate", "equizoo.commands.zoo"):
        monkeypatch.setattr(f"{module}.bundled", lambda: small)


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def shell(*arguments, text=None, **environment):
    """Run the command line as a user does."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "equizoo", *map(str, arguments)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, **environment},
        input=text,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
    )


def test_list(zoo, capsys):
    assert run("list") == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "family", "task", "dataset", "method", "summary"]
    assert row.startswith("small-qm9  schnet")


def test_list_json_and_csv(zoo, capsys):
    assert run("list", "*qm9*", "--method", "none", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "small-qm9"
    assert run("list", "--csv") == 0
    assert next(csv.DictReader(io.StringIO(capsys.readouterr().out)))["family"] == "schnet"


def test_list_without_a_match(zoo, capsys):
    assert run("list", "*zinc*", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run("list", "--family", "segnn") == 0
    assert capsys.readouterr().out == "no bundled model matches\n"


def test_info(zoo, capsys):
    assert run("info", "small-qm9") == 0
    out = capsys.readouterr().out
    for part in (
        "small-qm9: schnet",
        "H C N O F",
        "at most 9",
        "equizoo train small.yaml",
        "0.1234",
        "MAE mmff",
    ):
        assert part in out


def test_info_json(checkpoint, capsys):
    assert run("info", checkpoint, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["config"]["targets"][4]["name"] == "gap"
    assert data["numbers"]["equivariant"] > 0


@pytest.mark.parametrize(
    ("inputs", "code", "refused"),
    [(["CCO", "c1ccccc1"], 0, 0), (["CCO", "C1CC"], 3, 1), (["C1CC", "[Xx]", ""], 1, 3)],
)
def test_predict_exit_codes(checkpoint, capsys, inputs, code, refused):
    assert run("predict", *inputs, "--model", checkpoint) == code
    captured = capsys.readouterr()
    assert ("HOMO" in captured.out) == (code != 1)
    message = f"equizoo: {refused} of {len(inputs)} inputs have no answer"
    assert (message in captured.err) == (refused > 0)


def test_predict_json_csv_and_plot(checkpoint, capsys, tmp_path):
    files = tmp_path / "a.csv", tmp_path / "a.png"
    assert run("predict", "CCO", "--model", checkpoint, "--json", "--csv", files[0], "--plot", files[1]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["properties"]["gap"]["unit"] == "eV"
    assert answer["properties"]["gap"]["test_mae"] == 0.1234
    (row,) = csv.DictReader(io.StringIO(files[0].read_text()))
    assert row["input"] == "CCO"
    assert files[1].read_bytes()[:4] == b"\x89PNG"


def test_predict_reads_a_file_and_is_reproducible(checkpoint, capsys, tmp_path):
    path = tmp_path / "two.smi"
    path.write_text("CCO ethanol\nCC ethane\n")
    outputs = []
    for _ in range(2):
        assert run("predict", path, "--model", checkpoint, "--seed", 7, "--json") == 0
        outputs.append(json.loads(capsys.readouterr().out))
    assert [answer["name"] for answer in outputs[0]] == ["ethanol", "ethane"]
    assert outputs[0] == outputs[1]


def predict_particles(particles, *arguments):
    files = [particles / name if name.endswith(".npz") else name for name in map(str, arguments)]
    return run("predict", "--task", "particle-forecasting", "--model", particles / "model", *files)


def test_predict_particles(particles, capsys, tmp_path):
    files = tmp_path / "a.csv", tmp_path / "a.png"
    assert predict_particles(particles, "good.npz", "--csv", files[0], "--plot", files[1]) == 0
    out = capsys.readouterr().out
    for part in ("good.npz, system 2", "position at time 1", "0.070 length off"):
        assert part in out
    assert len(list(csv.DictReader(io.StringIO(files[0].read_text())))) == 2 * 2 * 5
    assert files[1].read_bytes()[:4] == b"\x89PNG"


def test_predict_particles_json_rolls_out(particles, capsys):
    assert predict_particles(particles, "good.npz", "--json", "--steps", 3, "--variant", "partial") == 0
    first, second = json.loads(capsys.readouterr().out)
    assert np.shape(first["positions"]) == (4, 5, 3)
    assert len(second["energy_drift"]) == 4
    assert "not exactly equivariant" in first["caution"]


def test_predict_particles_exit_codes(particles, capsys):
    assert predict_particles(particles, "good.npz", "bad.npz") == 3
    captured = capsys.readouterr()
    assert "good.npz, system 1" in captured.out
    assert "bad.npz: system 1: particles 1 and 2" in captured.err
    assert predict_particles(particles, "bad.npz", "--json") == 1
    assert json.loads(capsys.readouterr().out)[0]["ok"] is False
    assert predict_particles(particles, "good.npz", "--seed", 1) == 1
    assert "has no option 'seed'" in capsys.readouterr().err


def test_report(tmp_path, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "equizoo.training.report.write_report", lambda *arguments: seen.append(arguments) or "a.html"
    )
    assert run("report", "runs/a", "--data", "d", "--out", "o") == 0
    assert seen == [("runs/a", "o", {"root": "d"})]
    assert capsys.readouterr().out == "a.html\n"
    monkeypatch.undo()
    assert run("report", tmp_path) == 1
    assert "holds no run" in capsys.readouterr().err


def test_predict_reads_standard_input(checkpoint):
    done = shell("predict", "-", "--model", checkpoint, "--json", text="CCO\n\nCC\n")
    assert done.returncode == 0, done.stderr
    assert [answer["input"] for answer in json.loads(done.stdout)] == ["CCO", "CC"]


def test_a_stream_that_is_not_utf8_loses_signs_only(checkpoint, tmp_path):
    done = shell(
        "predict", "CCO", "--model", checkpoint, "--csv", tmp_path / "a.csv", PYTHONIOENCODING="cp1252"
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_files_are_written_before_anything_is_printed(checkpoint, particles, capfd, tmp_path, monkeypatch):
    def closed(*_):
        raise BrokenPipeError

    monkeypatch.setattr("equizoo.pipelines.report.format_table", closed)
    monkeypatch.setattr("equizoo.pipelines.particles_report.format_forecasts", closed)
    monkeypatch.setattr(cli.os, "dup2", lambda *_: None)
    run("predict", "CCO", "--model", checkpoint, "--csv", tmp_path / "a.csv")
    task = ["--task", "particle-forecasting", "--model", particles / "model"]
    run("predict", particles / "good.npz", *task, "--csv", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").is_file() and (tmp_path / "b.csv").is_file()


def test_nothing_on_standard_input_is_no_answer(checkpoint):
    done = shell("predict", "-", "--model", checkpoint, text="\n")
    assert (done.returncode, "standard input has no molecules" in done.stderr) == (1, True)


def test_a_read_only_folder_is_named_before_the_work(checkpoint, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert run("predict", "CCO", "--model", checkpoint, "--csv", tmp_path / "a.csv") == 1
    assert "a.csv: its folder is read-only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "small-qm8"], "did you mean 'small-qm9'"),
        (["predict", "CCO", "--model", "no-such-model"], "no model named 'no-such-model'"),
        (["predict", "CCO", "--model", "small-qm9", "--task", "molecule-property"], "molecule-properties"),
        (["predict", "CCO", "--model", "small-qm9", "--csv", "/no/folder/a.csv"], "no such folder"),
        (["predict", "CCO", "--model", "small-qm9", "--device", "quantum"], "quantum"),
        (["export", "small-qm9", "a.txt"], "must end in .pt2"),
        (["export", "small-qm9", "/no/folder/a.pt2"], "no folder"),
        (["export", "small-qm9", "a.pt2", "--variant", "partial"], "no variant 'partial'"),
    ],
)
def test_errors_are_one_line(zoo, capsys, arguments, message):
    assert run(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("equizoo: error: ")
    assert message in line


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["forecast"],
        ["predict"],
        ["predict", "CCO", "--geometry", "guess"],
        ["predict", "CCO", "--seed", "x"],
        ["list", "--json", "--csv"],
        ["list", "--famly", "schnet"],
        ["info"],
        ["train"],
        ["evaluate"],
        ["report"],
        ["predict", "a.npz", "--task", "particle-forecasting", "--steps", "x"],
        ["export", "small-qm9"],
    ],
)
def test_wrong_usage(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["list", "info", "predict", "train", "evaluate", "report", "export"])
def test_every_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as caught:
        run(command, "--help")
    assert caught.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_version_and_exit_codes_in_help(capsys):
    for option, part in (("--version", equizoo.__version__), ("--help", "some inputs were answered")):
        with pytest.raises(SystemExit) as caught:
            run(option)
        assert caught.value.code == 0
        assert part in capsys.readouterr().out


def test_debug_shows_the_traceback(zoo):
    with pytest.raises(equizoo.hub.EquizooError):
        run("--debug", "info", "no-such-model")


def test_interrupt(zoo, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("equizoo.commands.zoo.list_models", interrupted)
    assert run("list") == 130
    assert capsys.readouterr().err == "equizoo: interrupted\n"


def test_train_passes_options_on_and_returns_the_code(monkeypatch):
    seen = []
    monkeypatch.setattr("equizoo.training.__main__.main", lambda arguments: seen.append(arguments) or 2)
    assert run("train", "a.yaml", "--set", "optimiser.lr=1e-3", "--seeds", "0-4", "--smoke") == 2
    assert seen == [["a.yaml", "--set", "optimiser.lr=1e-3", "--seeds", "0-4", "--smoke"]]


def test_evaluate_passes_options_on(monkeypatch):
    seen = []
    monkeypatch.setattr("equizoo.training.evaluate.main", lambda arguments: seen.append(arguments) or 0)
    assert run("evaluate", "runs/a", "--split", "valid") == 0
    assert seen == [["runs/a", "--split", "valid"]]


def test_export(checkpoint, capsys, tmp_path):
    path = tmp_path / "small.pt2"
    assert run("export", checkpoint, path) == 0
    assert "inputs z, pos, counts" in capsys.readouterr().out
    assert path.is_file()


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("truncated", lambda folder: _cut(folder / "equivariant" / "model.safetensors"), "truncated"),
        ("extra-key", lambda folder: _replace(folder / "config.json", '"name"', '"nme": 1, "name"'), "'nme'"),
        (
            "newer",
            lambda folder: _replace(folder / "config.json", '_version": 1', '_version": 9'),
            "newer equizoo",
        ),
        ("pickle", lambda folder: _pickle(folder / "equivariant" / "model.safetensors"), "pickle"),
    ],
)
def test_damaged_checkpoints_end_without_a_traceback(checkpoint, tmp_path, capsys, name, damage, message):
    folder = shutil.copytree(checkpoint, tmp_path / name)
    damage(folder)
    assert run("predict", "CCO", "--model", folder) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def _cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def _replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _pickle(path):
    torch.save({}, path)


def test_closed_pipe_ends_quietly(checkpoint):
    command = f"{sys.executable} -m equizoo.cli info {checkpoint} --json | head -c 1"
    done = subprocess.run(  # noqa: S602
        command, shell=True, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "{"
    assert done.stderr == ""

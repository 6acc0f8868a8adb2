"""From a run folder to measured figures and a checkpoint that loads."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path

import pytest
import torch

from equizoo.hub import load_checkpoint
from equizoo.training.__main__ import parser
from equizoo.training.calibrate import main as calibrate_main
from equizoo.training.config import ConfigError, load_recipe
from equizoo.training.evaluate import evaluate, seconds_per_sample
from equizoo.training.evaluate import main as evaluate_main
from equizoo.training.loop import train
from equizoo.training.publish import publish, training_command
from equizoo.training.runfolder import RunFolder
from equizoo.training.tasks import geometries
from equizoo.training.tasks.geometries import molecules_with_geometry
from equizoo.training.variants import load_trained


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from tests.training.conftest import TINY

    folder = tmp_path_factory.mktemp("run")
    config = load_recipe("schnet-qm9-ace").replace(**TINY)
    train(config, folder, progress=False)
    return folder


def test_the_report_has_both_variants_and_their_symmetry(run, tmp_path):
    report = evaluate(run, out=tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text()) == json.loads(json.dumps(report))
    assert (report["metric"], report["n"], report["split"]) == ("MAE", 64, "test")
    assert report["units"] == {"alpha": "a0³", "gap": "eV"}
    assert "baselines" not in report
    strict, partial = report["variants"]["equivariant"], report["variants"]["partial"]
    assert strict["gamma"] == {}
    assert len(partial["gamma"]) == 2
    assert partial["parameters"] > strict["parameters"]
    for name in ("rotation", "reflection", "translation"):
        assert strict["equivariance"]["float64"][name]["abs_max"] < 1e-9
        assert strict["equivariance"]["float32"][name]["abs_max"] < 1e-2
    assert partial["equivariance"]["float64"]["rotation"]["abs_mean"] > 1e-6
    assert partial["equivariance"]["float64"]["translation"]["abs_max"] < 1e-9
    assert all(0 < seconds < 10 for seconds in strict["seconds_per_sample"].values())


def test_times_are_those_of_the_process_and_models_take_turns():
    order = []

    class Batches:
        def split(self, name):
            return range(4)

        def batch(self, samples, indices):
            return {"x": indices.double()}

        def forward(self, model, batch):
            order.append((model.name, len(batch["x"])))
            time.sleep(model.idle)
            return model(batch["x"].repeat(model.work))

    def network(name, idle, work):
        model = torch.nn.Tanh()
        model.name, model.idle, model.work = name, idle, work
        return model

    models = {"waits": network("waits", 0.005, 1), "works": network("works", 0.0, 50_000)}
    times = seconds_per_sample(models, Batches(), "test", sizes=(1, 256), repeats=3)
    one = [("waits", 1), ("works", 1)] * 16 + [("waits", 4), ("works", 4)]
    assert order == one * 4
    assert list(times) == ["waits", "works"]
    assert list(times["works"]) == ["1", "256"]
    assert 0 < times["waits"]["1"] < times["works"]["1"]
    assert times["waits"]["1"] < 0.004  # another process may have the machine while it sleeps


def test_the_best_weights_are_those_of_the_best_row(run):
    rows = RunFolder(run).read_metrics()
    trained = load_trained(run)
    for variant, model in trained.models.items():
        scores = [row[f"valid/{variant}/score"] for row in rows]
        assert trained.best[variant]["score"] == min(scores)
        assert trained.task.evaluate(model, "valid")["score"] == pytest.approx(min(scores), rel=1e-6)


def test_a_run_becomes_a_checkpoint(run, tmp_path):
    assert calibrate_main([str(run), "--sources", "given"]) == 0
    assert evaluate_main([str(run)]) == 0
    folder = publish(run, tmp_path / "zoo" / "tiny", name="tiny", recipe="schnet-qm9-ace")
    trained = load_trained(run)
    batch = trained.task.train_batch(torch.arange(5))
    for variant, model in trained.models.items():
        loaded = load_checkpoint(folder, variant)
        assert torch.equal(trained.task.forward(loaded, batch), trained.task.forward(model, batch))
    card = loaded.card
    assert [target.name for target in card.targets] == ["alpha", "gap"]
    assert card.calibration["given"].n == 64
    assert "--set=model.hidden=8" in card.training.command
    results = json.loads((folder / "results.json").read_text())
    assert results["cost"]["epoch"] == 3
    coverage = results["calibration"]["equivariant"]["given"]["test_coverage"]
    assert all(0.5 < value <= 1.0 for value in coverage.values())
    again = evaluate(folder, data={"synthetic": 64})
    for variant in ("equivariant", "partial"):
        assert again["variants"][variant]["errors"] == results["variants"][variant]["errors"]


def test_a_command_that_was_given_is_kept_and_total_energies_are_refused(run, tmp_path):
    folder = publish(run, tmp_path / "tiny", name="tiny", recipe="schnet-qm9-ace", command="a && b")
    assert load_checkpoint(folder).card.training.command == "a && b"
    with pytest.raises(ConfigError, match="predicts total U0"):
        totals = {"targets": ["U0", "gap"], "energies": "total"}
        config = RunFolder(run).read_config().replace(**{f"data.{k}": v for k, v in totals.items()})
        train(config, tmp_path / "totals", progress=False)
        publish(tmp_path / "totals", tmp_path / "refused", name="tiny", recipe="schnet-qm9-ace")
    assert not (tmp_path / "refused").exists()


def test_measurements_of_other_weights_or_of_a_part_are_not_published(tmp_path):
    from tests.training.conftest import TINY

    run, config = tmp_path / "run", load_recipe("schnet-qm9-ace").replace(**TINY)
    train(config.replace(budget__epochs=1), run, progress=False)
    evaluate(run, out=run / "results.json", limit=4)
    RunFolder(run).write_measured("calibration.json", {})
    train(config.replace(budget__epochs=2), run, resume=True, progress=False)
    with pytest.raises(ConfigError, match=r"calibration\.json tells of other weights"):
        publish(run, tmp_path / "checkpoint", name="tiny", recipe="schnet-qm9-ace")
    RunFolder(run).write_measured("calibration.json", {})
    folder = publish(run, tmp_path / "checkpoint", name="tiny", recipe="schnet-qm9-ace")
    results = json.loads((folder / "results.json").read_text())
    assert (results["n"], results["epochs"]) == (64, 2)
    assert "weights" not in results


def test_only_all_test_data_of_a_run_are_written_into_its_folder(run, tmp_path, monkeypatch):
    written, checkpoint = [], publish(run, tmp_path / "tiny", name="tiny", recipe="schnet-qm9-ace")
    monkeypatch.setattr(
        "equizoo.training.evaluate.evaluate", lambda *_, out, **__: written.append(out) or {"variants": {}}
    )
    for words in ([run], [run, "--limit", "4"], [run, "--split", "valid"], [checkpoint]):
        assert evaluate_main([str(word) for word in words]) == 0
    local = [Path(f"{run.name}-test.json"), Path(f"{run.name}-valid.json"), Path("tiny-test.json")]
    assert written == [run / "results.json", *local]


def test_batches_have_the_size_of_training_s_evaluations(run, monkeypatch):
    task, sizes = type(load_trained(run).task), []
    measure = task.evaluate

    def noted(self, *arguments, **options):
        sizes.append(options["batch_size"])
        return measure(self, *arguments, **options)

    monkeypatch.setattr(task, "evaluate", noted)
    evaluate(run, limit=4)
    evaluate(run, limit=4, batch_size=2)
    assert sizes == 2 * [RunFolder(run).read_config().evaluation.batch_size] + 2 * [2]


def test_a_run_tells_its_budget_and_a_checkpoint_does_not(run, tmp_path):
    folder = publish(run, tmp_path / "tiny", name="tiny", recipe="schnet-qm9-ace")
    measured = evaluate(run, limit=8)
    assert measured["epochs"] == measured["cost"]["epoch"] == 3
    assert "epochs" not in evaluate(folder, data={"synthetic": 64}, limit=8)


def test_the_command_repeats_the_run(run):
    config = RunFolder(run).read_config()
    words = shlex.split(training_command(config, "schnet-qm9-ace"))
    assert words[:3] == ["python", "-m", "equizoo.training"]
    arguments = parser().parse_args(words[3:])
    again = load_recipe(arguments.recipe, arguments.overrides)
    assert again == config.replace(provenance={}, name=again.name)


def test_folders_that_are_no_runs(tmp_path, capsys):
    with pytest.raises(ConfigError, match="holds no run"):
        load_trained(tmp_path)
    assert evaluate_main([str(tmp_path)]) == 2
    assert "error:" in capsys.readouterr().err


def test_no_samples_are_no_measurement(run):
    for limit in (0, -3):
        with pytest.raises(ConfigError, match="positive number of samples"):
            evaluate(run, limit=limit)


def test_geometries_are_made_once(run, tmp_path, monkeypatch):
    pytest.importorskip("rdkit")
    task = load_trained(run).task
    with pytest.raises(ConfigError, match="does not have"):
        molecules_with_geometry(task, "test", "mmff", 3)
    monkeypatch.setattr(task, "smiles", lambda split: ["CCO", "[H]C#N", "not a molecule"] * 22)
    first = molecules_with_geometry(task, "test", "mmff", 9, tmp_path)
    sizes = set(first.n_atoms.tolist())
    assert sizes <= {9, 3}
    assert 0 < len(first) < 9
    monkeypatch.setattr(geometries, "_make", None)
    again = molecules_with_geometry(task, "test", "mmff", 9, tmp_path)
    assert torch.equal(again.pos, first.pos)
    assert torch.equal(again.y, task.split("test").y[again.index])


def test_geometries_of_other_molecules_are_not_taken_from_the_cache(run, tmp_path, monkeypatch, caplog):
    pytest.importorskip("rdkit")
    task = load_trained(run).task
    for smiles, size in (("CCO", 9), ("CO", 6)):
        monkeypatch.setattr(task, "smiles", lambda split, smiles=smiles: [smiles] * 66)
        assert molecules_with_geometry(task, "test", "mmff", 2, tmp_path).n_atoms.tolist() == [size] * 2
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == 2
    for file in files:
        file.write_bytes(b"PK\x03\x04 cut")
    assert molecules_with_geometry(task, "test", "mmff", 2, tmp_path).n_atoms.tolist() == [6, 6]
    assert "is damaged and is made again" in caplog.text
    monkeypatch.setattr(task, "smiles", lambda split: ["not a molecule"] * 66)
    with pytest.raises(ConfigError, match="none of the 2 molecules got a geometry from mmff"):
        molecules_with_geometry(task, "test", "mmff", 2, tmp_path)

"""The task on point clouds: batches, rotations, error rates, the methods, robustness, and publishing."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from equizoo import pipeline
from equizoo.data.modelnet40 import CLASSES, PointCloudSet, to_unit_sphere
from equizoo.hub import load_checkpoint
from equizoo.training import robustness as robust
from equizoo.training.building import is_relaxed, make_method
from equizoo.training.confidence import calibration, calibration_error, fit_temperature
from equizoo.training.config import ConfigError, load_recipe
from equizoo.training.evaluate import evaluate
from equizoo.training.loop import train
from equizoo.training.publish import publish
from equizoo.training.tasks import build_task
from equizoo.training.tasks.cloud_augmentation import Augmentation
from equizoo.training.tasks.modelnet40 import SURFACE, ModelNet40Task, error_rates
from equizoo.training.variants import load_trained
from tests.training.test_resume import assert_same, outcome

SYNTHETIC = {"task": "modelnet40", "synthetic": 12, "points": 30}
TINY_CLOUDS = {
    "data.synthetic": 24,
    "data.points": 32,
    "model.neighbours": 6,
    "model.widths": [4, 4],
    "model.embedding": 6,
    "model.head": [12, 8],
    "budget.epochs": 2,
    "budget.batch_size": 8,
    "schedule.warmup_steps": 2,
    "evaluation.every": 1,
    "evaluation.equivariance": 4,
}


def tiny(recipe="vn-dgcnn-modelnet40-ace-128", **changes):
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return load_recipe(recipe).replace(**{**TINY_CLOUDS, **dotted})


@pytest.fixture(scope="module", autouse=True)
def no_plots():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equizoo.training.loop.plot_run", lambda folder: None)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(tiny(), folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def measured(run):
    return evaluate(run, out=run / "results.json")


class Always(torch.nn.Module):
    """Names one class whatever it sees."""

    def forward(self, points):
        return torch.nn.functional.one_hot(torch.zeros(len(points), dtype=torch.long), len(CLASSES)).float()


def distances(points):
    return torch.cdist(points.double(), points.double())


def test_a_batch_has_clouds_and_the_cloud_of_each_point():
    task = build_task(SYNTHETIC, seed=0)
    batch = task.train_batch(torch.tensor([3, 1]))
    shapes = {name: tuple(x.shape) for name, x in batch.items()}
    assert shapes == {"points": (2, 30, 3), "batch": (60,), "y": (2,)}
    assert batch["batch"].tolist() == [0] * 30 + [1] * 30
    assert batch["y"].tolist() == task.train.label[[3, 1]].tolist()
    assert task.method_targets(batch).argmax(1).equal(batch["y"])
    assert [(t.name, t.unit) for t in task.targets] == [("instance", "%"), ("class", "%")]


@pytest.mark.parametrize("rotations", ["so3", "z", "aligned"])
def test_training_clouds_are_turned_anew_and_test_clouds_always_alike(rotations):
    task = build_task({**SYNTHETIC, "rotations": rotations}, seed=0)
    original, indices = task.train.points, torch.arange(12)
    torch.manual_seed(5)
    first, second = (task.train_batch(indices)["points"] for _ in range(2))
    torch.manual_seed(5)
    assert torch.equal(task.train_batch(indices)["points"], first)
    assert torch.equal(first, second) == (rotations == "aligned")
    assert torch.allclose(distances(first), distances(original), atol=1e-5)
    assert torch.allclose(first[..., 2], original[..., 2], atol=1e-6) == (rotations != "so3")
    again = build_task({**SYNTHETIC, "rotations": rotations}, seed=1)
    assert torch.equal(task.split("test").points, again.split("test").points)
    straight = build_task({**SYNTHETIC, "test_rotations": "aligned"}, seed=0).split("test").points
    assert not torch.allclose(task.split("test").points, straight)
    assert torch.allclose(distances(task.split("test").points), distances(straight), atol=1e-5)


def test_points_are_drawn_anew_from_the_surface():
    task = build_task({**SYNTHETIC, "resample": True, "rotations": "aligned"}, seed=0)
    assert task.train.points.shape == (12, SURFACE, 3)
    indices = torch.arange(4)
    one, other = (task.train_batch(indices)["points"] for _ in range(2))
    assert one.shape == other.shape == (4, 30, 3)
    assert not torch.allclose(one, other)
    for points in (one, task.split("train").points):
        assert torch.allclose(points.mean(1), torch.zeros(3), atol=1e-6)
        assert torch.allclose(points.norm(dim=2).amax(1), torch.ones(()), atol=1e-6)


def test_validation_may_draw_the_points_of_an_object_several_times():
    once, thrice = (build_task({**SYNTHETIC, "valid_draws": n}, seed=0) for n in (1, 3))
    one, many = once.split("valid"), thrice.split("valid")
    assert len(many) == 3 * len(one) and torch.equal(many.label, one.label.repeat(3))
    first, second, third = many.points.chunk(3)
    assert first.shape == one.points.shape
    assert not torch.allclose(distances(second), distances(third), atol=1e-2)
    assert torch.equal(many.points, build_task({**SYNTHETIC, "valid_draws": 3}, seed=1).split("valid").points)
    for points in (second, third):
        assert torch.allclose(points.mean(1), torch.zeros(3), atol=1e-6)
        assert torch.allclose(points.norm(dim=2).amax(1), torch.ones(()), atol=1e-6)
    assert torch.equal(thrice.split("test").points, once.split("test").points)


def test_the_first_draw_of_validation_is_that_of_a_single_one(monkeypatch):
    surface, label = torch.randn(5, SURFACE, 3), torch.arange(5)

    def load(self, name, points):
        return PointCloudSet(to_unit_sphere(surface[:, :points]), label)

    monkeypatch.setattr(ModelNet40Task, "_load", load)
    one, many = (build_task({**SYNTHETIC, "valid_draws": n}, seed=0).split("valid").points for n in (1, 2))
    assert torch.allclose(one, many[:5], atol=1e-5)


def test_augmentation_does_what_it_says():
    torch.manual_seed(0)
    points = torch.randn(64, 50, 3)
    assert Augmentation()(points) is points
    factor = (Augmentation(scale=(0.5, 2.0))(points) / points)[:, 0, 0]
    assert 0.5 <= factor.min() < 0.8 and 1.5 < factor.max() <= 2.0
    points = to_unit_sphere(points)
    stretched = Augmentation(stretch=1.5)(points)
    assert torch.allclose(stretched, to_unit_sphere(stretched), atol=1e-6)
    along = stretched.std(1) / points.std(1)
    assert 1.4 < (along.amax(1) / along.amin(1)).max() < 2.2501
    assert (along[:, 0] > along[:, 2]).any() and (along[:, 0] < along[:, 2]).any()
    shift = Augmentation(shift=0.2)(points) - points
    assert torch.allclose(shift, shift[:, :1], atol=1e-6)
    assert 0.1 < shift.abs().max() < 0.2001
    assert (Augmentation(jitter=0.05)(points) - points).std() == pytest.approx(0.05, rel=0.05)
    replaced = (Augmentation(dropout=0.875)(points) == points[:, :1]).all(2)[:, 1:].float().mean(1)
    assert replaced.min() < 0.15 and 0.7 < replaced.max() < 0.95


def test_thinned_clouds_are_thinned_in_every_part():
    task = build_task({**SYNTHETIC, "dropout": 0.875}, seed=0)
    for points in (
        task.train_batch(torch.arange(12))["points"],
        *(task.split(name).points for name in ("valid", "test")),
    ):
        assert (points == points[:, :1]).all(2).sum(1).max() > 10
    test, whole = task.split("test").points, task.whole("test").points
    kept = (test == whole).all(2)
    assert 0.3 < kept.float().mean() < 0.9
    assert torch.equal(whole[:, :1].expand_as(test)[~kept], test[~kept])
    with pytest.raises(ConfigError, match=r"x was trained and measured with data\.dropout=0\.875"):
        task.check_publishable("x")


def test_the_class_error_is_the_mean_over_classes():
    task = build_task({**SYNTHETIC, "synthetic": 10}, seed=0)  # labels 0 1 2 3 0 1 2 3 0 1
    metrics = task.evaluate(Always(), "valid", batch_size=3)
    expected = {"error rate/instance": 70.0, "error rate/class": 75.0, "score": 72.5}
    assert metrics == pytest.approx(expected)
    assert task.evaluate(Always(), "valid", limit=2)["score"] == pytest.approx(50.0)
    assert error_rates(torch.eye(5)[[4, 4]], torch.tensor([4, 2])) == {"instance": 50.0, "class": 50.0}


def test_smoothed_labels_give_the_other_classes_equal_shares():
    task = build_task({**SYNTHETIC, "label_smoothing": 0.2}, seed=0)
    logits = torch.randn(5, len(CLASSES), generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 3, 0])
    target = torch.full_like(logits, 0.2 / 39).scatter(1, y[:, None], 0.8)
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    assert task.loss(logits, {"y": y}).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__rotations": "so2"}, r"unknown data\.rotations 'so2'; did you mean 'so3'"),
        ({"data__test_rotations": "Z"}, r"unknown data\.test_rotations 'Z'"),
        ({"data__label_smoothing": 0.98}, r"data\.label_smoothing must lie in 0 to 0\.975"),
        ({"data__scale": [2.0, 1.0]}, "data: scale needs 0 < low <= high, got 2.0 and 1.0"),
        ({"data__scale": [1.0]}, r"data\.scale holds two numbers"),
        ({"data__stretch": 0.5}, "data: stretch must be a number from 1 on, got 0.5"),
        ({"data__dropout": 1.0}, "data: shift and jitter"),
        ({"data__points": 2000}, r"draw from 1024 points, got data\.points=2000"),
        ({"data__valid_draws": 0}, r"data\.valid_draws must be at least 1, got 0"),
        ({"data__sample": True}, r"unknown key 'data\.sample'; did you mean 'resample'"),
        ({"model__classes": 10}, r"model\.classes must be 40, got 10"),
        ({"model__family": "vn"}, "model: .*vn-dgcnn"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named_before_training(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        train(tiny(**changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("recipe", "parameters"),
    [
        ("paper-strict", 2_899_830),
        ("paper-ace", 8_831_612),
        ("drop-strict", 2_899_830),
        ("strict", 1_382_634),
    ],
)
def test_recipes_have_the_parameters_that_are_stated(recipe, parameters):
    config = load_recipe(f"vn-dgcnn-modelnet40-{recipe}")
    task = build_task({**config.data, "synthetic": 4}, config.seed)
    with torch.device("meta"):
        task.device = "meta"
        model = task.build_model(config.model, is_relaxed(config))
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("strict", "others"), [("strict-128", ("ace-128", "recm-128")), ("drop-strict", ("drop-ace",))]
)
def test_recipes_differ_in_their_method_only(strict, others):
    first = load_recipe(f"vn-dgcnn-modelnet40-{strict}").to_dict()
    for other in others:
        second = load_recipe(f"vn-dgcnn-modelnet40-{other}").to_dict()
        for key in ("branch", "rank"):
            second["model"].pop(key, None)
        assert {key for key in first if first[key] != second[key]} == {"name", "method"}


def test_the_dual_of_the_published_protocol_moves_as_released():
    config = load_recipe("vn-dgcnn-modelnet40-paper-ace")
    assert config.method["dual_lr"] * 14 == pytest.approx(1e-4, rel=1e-6)


@pytest.mark.parametrize("recipe", ["strict-128", "ace-128", "recm-128", "drop-ace"])
def test_every_recipe_trains_and_resumes_bit_for_bit(recipe, tmp_path):
    changes = {"data__synthetic": 16, "schedule__name": "constant", "evaluation__equivariance": 0}
    config = tiny(f"vn-dgcnn-modelnet40-{recipe}", **changes)
    train(config, tmp_path / "whole", progress=False)
    train(config.replace(budget__epochs=1), tmp_path / "halves", progress=False)
    train(config, tmp_path / "halves", resume=True, progress=False)
    assert_same(outcome(tmp_path / "whole"), outcome(tmp_path / "halves"))


def test_adjusted_logits_weigh_classes_by_their_frequency():
    options = {"task": "modelnet40", "synthetic": 60, "points": 20, "label_smoothing": 0.0}
    task = build_task({**options, "logit_adjustment": 0.5}, 0)
    share = task.train.label.bincount(minlength=40).clamp(min=1) / task.n_train
    logits, y = torch.randn(8, 40), torch.arange(8)
    weighted = logits.exp() * share.sqrt()
    expected = -(weighted[y, y] / weighted.sum(1)).log().mean()
    assert float(task.loss(logits, {"y": y})) == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ConfigError, match="logit_adjustment must not be negative"):
        build_task({**options, "logit_adjustment": -1.0}, 0)


def test_recm_sees_points_and_labels():
    config = tiny("vn-dgcnn-modelnet40-recm-128")
    task = build_task(config.data, config.seed)
    model = task.build_model(config.model, relaxed=True)
    method = make_method(config, model, task.method_target_type)
    for _ in range(2):
        batch = task.train_batch(torch.arange(8))
        method.before_forward(task.method_targets(batch), batch["batch"])
        (task.loss(task.forward(model, batch), batch) + method.penalty()).backward()
        method.after_backward()
    assert all(math.isfinite(value) for value in method.log().values())


def test_errors_are_rates_and_every_symmetry_is_measured(measured):
    report = measured
    assert (report["metric"], report["n"]) == ("error rate", 24)
    assert report["units"] == {"instance": "%", "class": "%"}
    strict, partial = (report["variants"][name] for name in ("equivariant", "partial"))
    assert strict["score"] == pytest.approx(sum(strict["errors"].values()) / 2)
    for name in ("rotation", "reflection", "translation", "permutation"):
        assert strict["equivariance"]["float64"][name]["abs_max"] < 1e-9
    assert partial["equivariance"]["float64"]["permutation"]["abs_max"] < 1e-9
    assert partial["equivariance"]["float64"]["rotation"]["abs_mean"] > 1e-9


def test_probabilities_are_scaled_by_what_fits_best():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 5, generator=generator, dtype=torch.float64)
    label = logits.softmax(1).multinomial(1, generator=generator)[:, 0]
    assert calibration_error(logits, label) < 0.03
    assert fit_temperature(3 * logits, label) == pytest.approx(3.0, rel=0.1)
    figures = calibration(3 * logits, label, 3.0)
    assert figures["ece_scaled"] < 0.03 < 0.1 < figures["ece"]
    assert figures["nll_scaled"] < figures["nll"]
    assert fit_temperature(logits, logits.argmax(1)) == pytest.approx(0.01, rel=1e-3)


def test_worse_clouds_are_worse_as_stated():
    points = torch.randn(8, 300, 3, generator=torch.Generator().manual_seed(0))
    seen = {(change, level): x for change, level, x in robust.worsened(points)}
    assert [level for change, level in seen if change == "replaced"] == list(robust.DROPPED)
    assert torch.equal(seen["scale", 2.0], 2 * points)
    assert seen["removed", 0.87].shape == (8, 39, 3)
    same = (seen["replaced", 0.5] == points[:, :1]).all(2).float().mean()
    assert same == pytest.approx(0.5, abs=0.05)
    assert (seen["jitter", 0.02] - points).std() == pytest.approx(0.02, rel=0.05)
    again = {(change, level): x for change, level, x in robust.worsened(points)}
    assert all(torch.equal(again[key], seen[key]) for key in seen)


def test_a_run_with_its_robustness_becomes_a_checkpoint(run, measured, tmp_path):
    assert robust.main([str(run)]) == 0
    report = json.loads((run / robust.FILE).read_text())
    for variant, figures in report["variants"].items():
        assert len(figures["conditions"]) == 2 + 2 * 7 + 3 + 4
        assert [one["change"] for one in figures["conditions"][:3]] == ["none", "none", "replaced"]
        assert figures["conditions"][0]["errors"] == measured["variants"][variant]["errors"]
        assert 0 <= figures["calibration"]["ece_scaled"] <= 1
        assert (figures["surface"]["points"], figures["surface"]["votes"]) == (1024, 3)
        assert all(set(one["answers"]) == {"instance", "class"} for one in figures["conditions"][1:])
    folder = publish(run, tmp_path / "tiny", name="tiny", recipe="vn-dgcnn-modelnet40-ace-128")
    card = load_checkpoint(folder).card
    assert card.domain["temperature"] == pytest.approx(report["temperature"], rel=1e-4)
    assert (card.domain["points"], card.domain["rotations"]) == (32, "so3")
    results = json.loads((folder / "results.json").read_text())
    assert results["robustness"]["variants"] == report["variants"]
    again = robust.robustness(folder, {"synthetic": 24})
    assert again["variants"]["equivariant"] == report["variants"]["equivariant"]


def test_answers_are_those_of_the_pipeline_of_the_checkpoint(run, tmp_path):
    report = robust.robustness(run)["variants"]["equivariant"]
    folder = publish(run, tmp_path / "tiny", name="tiny", recipe="vn-dgcnn-modelnet40-ace-128")
    pipe, task = pipeline(robust.TASK, model=folder, results={}), load_trained(run).task
    changed = {(change, level): x for change, level, x in robust.worsened(task.whole("test").points)}
    measured = {(one["change"], one["level"]): one.get("answers") for one in report["conditions"]}
    for clouds, errors in (
        (task.surface("test").points, report["surface"]["answers"]),
        (changed["removed", 0.25], measured["removed", 0.25]),
        (changed["replaced", 0.125], measured["replaced", 0.125]),
    ):
        answers = [answer.top(1) for answer in pipe.classify(clouds)]
        labels = [CLASSES[label] for label in task.whole("test").label]
        wrong = [not top or top[0]["label"] != label for top, label in zip(answers, labels, strict=True)]
        assert 100 * np.mean(wrong) == pytest.approx(errors["instance"])


def test_the_temperature_is_fitted_on_validation_clouds(run, monkeypatch):
    seen, trained = [], load_trained(run)
    monkeypatch.setattr(robust, "fit_temperature", lambda logits, label: seen.append((logits, label)) or 2.5)
    monkeypatch.setattr(robust, "worsened", lambda points, seed: [("none", 0.0, points)])
    assert robust.robustness(run, limit=4)["temperature"] == 2.5
    clouds = trained.task.whole("valid")
    ((logits, label),) = seen
    assert torch.equal(logits, trained.task.predict(trained.models["equivariant"], clouds))
    assert torch.equal(label, clouds.label)


def test_robustness_is_for_point_clouds(tmp_path, capsys):
    assert robust.main([str(tmp_path)]) == 2
    assert "error:" in capsys.readouterr().err

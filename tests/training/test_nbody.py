"""The N-body task: batches, rotations, metrics, and the methods on its model."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from equizoo.data.nbody import NBodySet, World
from equizoo.relaxation import build_method, relaxations
from equizoo.symmetry import SO3, lie_derivative
from equizoo.training.building import is_relaxed, make_method
from equizoo.training.config import ConfigError, load_recipe
from equizoo.training.equivariance import rotation_error
from equizoo.training.loop import train
from equizoo.training.publish import publish
from equizoo.training.runfolder import RunFolder
from equizoo.training.tasks import build_task
from equizoo.training.tasks import nbody as nbody_task
from tests.training.test_resume import outcome

SYNTHETIC = {"task": "nbody", "synthetic": 12}


def test_a_batch_has_its_particles_on_one_axis():
    task = build_task({**SYNTHETIC, "world": {"particles": 4}}, seed=0)
    batch = task.train_batch(torch.tensor([3, 1]))
    assert {name: tuple(x.shape) for name, x in batch.items()} == {
        "pos": (8, 3), "vel": (8, 3), "charge": (8,), "y": (8, 3), "batch": (8,),
    }  # fmt: skip
    assert batch["batch"].tolist() == [0] * 4 + [1] * 4
    assert torch.equal(batch["y"][4:], task.train.target[1])
    assert torch.equal(task.method_targets(batch), batch["y"] - batch["pos"])
    assert task.method_target_type.dim == 3
    assert [(t.name, t.unit) for t in task.targets] == [("position", "length")]


def test_rotations_turn_each_training_system_as_a_whole():
    plain, turned = (build_task({**SYNTHETIC, "rotate": on}, seed=0) for on in (False, True))
    indices = torch.arange(6)
    before = plain.train_batch(indices)
    torch.manual_seed(5)
    after, again = turned.train_batch(indices), turned.train_batch(indices)
    torch.manual_seed(5)
    assert torch.equal(turned.train_batch(indices)["pos"], after["pos"])
    assert not torch.allclose(again["pos"], after["pos"])
    for one, other in ((before, after), (before, again)):
        for name in ("charge", "batch"):
            assert torch.equal(one[name], other[name])
        rows = [torch.cat([b["pos"], b["vel"], b["y"]]).unflatten(0, (3, 6, 5)) for b in (one, other)]
        first, second = (r.transpose(0, 1).flatten(1, 2) for r in rows)
        assert torch.allclose(first @ first.mT, second @ second.mT, atol=1e-5)  # one rotation for a system
        matrices = torch.linalg.lstsq(first, second).solution
        assert torch.allclose(torch.linalg.det(matrices), torch.ones(6), atol=1e-4)
        assert (matrices[0] - matrices[1]).abs().max() > 1e-2  # but another for each
    valid = turned.split("valid")
    assert torch.equal(turned.batch(valid, indices)["pos"], valid.pos[:6].flatten(0, 1))


def test_the_metric_is_the_mean_squared_error_of_all_coordinates():
    task = build_task(SYNTHETIC, seed=0)

    class Still(torch.nn.Module):
        def forward(self, pos, vel, charge, batch, num_graphs):
            assert num_graphs == int(batch[-1]) + 1
            return pos + 0.1

    metrics = task.evaluate(Still(), "valid", batch_size=5)
    valid = task.split("valid")
    expected = float((valid.pos + 0.1 - valid.target).double().square().mean())
    assert metrics == {"mse/position": pytest.approx(expected), "score": pytest.approx(expected)}
    first = float((valid.pos + 0.1 - valid.target)[:4].square().mean())
    assert task.evaluate(Still(), "valid", limit=4)["score"] == pytest.approx(first, rel=1e-5)
    batch = task.train_batch(torch.arange(12))
    assert task.loss(batch["y"] + 2.0, batch).item() == pytest.approx(4.0, rel=1e-5)
    baselines = task.baselines("valid")
    assert baselines["no motion"] == pytest.approx(float(task.output_spread("valid")) ** 2, rel=1e-6)
    assert 0 < baselines["constant velocity"] < baselines["no motion"]


def test_the_options_reach_the_simulation(monkeypatch):
    calls = []

    def load(root, **options):
        calls.append({"root": root, **options})
        n = options["samples"] or 2
        return NBodySet(torch.zeros(n, 3, 3), torch.zeros(n, 3, 3), torch.ones(n, 3), torch.ones(n, 3, 3))

    monkeypatch.setattr(nbody_task, "load_nbody", load)
    data = {
        "task": "nbody", "train_samples": 7, "seed": 5, "start": 6, "end": 8, "root": "here",
        "world": {"particles": 3, "drag": [0.0, 0, 1.0], "field": 0.5},
    }  # fmt: skip
    task = build_task(data, seed=1)
    world = World(3, field=0.5, drag=(0.0, 0.0, 1.0))
    common = {"root": "here", "world": world, "seed": 5, "start": 6, "end": 8}
    task.split("test")
    assert calls == [
        {**common, "split": "train", "samples": 7},
        {**common, "split": "test", "samples": None},
    ]
    assert task.n_train == 7
    assert task.duration == 0.2
    assert task.domain() == {
        "particles": 3, "start_frame": 6, "end_frame": 8,
        "world": {"particles": 3, "field": 0.5, "drag": [0.0, 0.0, 1.0]},
    }  # fmt: skip
    assert build_task({"task": "nbody"}, seed=1).domain()["world"] == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__world": {"feild": 1.0}}, "unknown key 'data.world.feild'; did you mean 'field'"),
        ({"data__world": {"particles": 1}}, "data.world: particles=1"),
        ({"data__world": {"wall": "low"}}, "data.world: "),
        ({"data__sample": 3}, "unknown key 'data.sample'"),
        ({"data__synthetic": 0, "data__train_samples": 10**6}, "data: samples=1000000"),
        ({"data__synthetic": 0, "data__end": 60}, "data: frames 30 and 60"),
        ({"model__family": "segnn"}, "model: .*segnn-particles"),
        ({"model__width": 3}, "model: .*ParticleSEGNNConfig"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named_before_training(
    tiny_particles, tmp_path, monkeypatch, changes, message
):
    monkeypatch.setattr("equizoo.data.nbody._frames", lambda *_: None)
    with pytest.raises(ConfigError, match=message):
        train(tiny_particles(**changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("recipe", "parameters"),
    [
        ("paper-strict", 147_424),
        ("paper-ace", 937_960),
        ("paper-resilient", 937_960),
        ("strict", 148_192),
        ("ace", 934_632),
    ],
)
def test_recipes_have_the_parameters_that_are_stated(recipe, parameters):
    config = load_recipe(f"segnn-nbody-{recipe}")
    task = build_task({**config.data, "synthetic": 4}, config.seed)
    model = task.build_model(config.model, is_relaxed(config))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_the_error_under_rotations_is_logged_and_changes_nothing(tiny_particles, tmp_path):
    config = tiny_particles(budget__epochs=2, data__rotate=True)
    train(config, tmp_path / "measured", progress=False)
    train(config.replace(evaluation__equivariance=0), tmp_path / "not", progress=False)
    measured, other = outcome(tmp_path / "measured"), outcome(tmp_path / "not")
    errors = [row.pop("equivariance/rotation") for row in measured[0]]
    assert all(1e-6 < error < 1 for error in errors)
    assert measured[:2] == other[:2]
    assert torch.equal(measured[4], other[4])


def test_the_logged_error_is_that_of_the_model_as_it_is_trained(tiny_particles, tmp_path):
    config = tiny_particles("segnn-nbody-strict", budget__epochs=1)
    train(config, tmp_path, progress=False)
    assert RunFolder(tmp_path).read_metrics()[-1]["equivariance/rotation"] < 1e-5
    task = build_task(SYNTHETIC, seed=0)
    model = task.build_model({**config.model, "branch": "mlp"}, relaxed=True)
    assert rotation_error(model, task, 4) == rotation_error(model, task, 4) > 1e-5
    for term in relaxations(model).values():
        term.gamma.data.zero_()
    assert rotation_error(model, task, 4) < 1e-5
    assert model.training


def test_the_lie_derivative_of_cr_is_zero_for_maps_that_mix_channels(tiny_particles):
    config = tiny_particles("segnn-nbody-cr", model__layers=2)
    task = build_task(config.data, config.seed)
    model = task.build_model(config.model, relaxed=True)
    method = make_method(config, model, task.method_target_type)
    batch = task.train_batch(torch.arange(4))

    def derivatives():
        method.before_forward(task.method_targets(batch), batch["batch"])
        task.forward(model, batch)
        assert method.penalty() > 0
        return [
            lie_derivative(t.branch, t.last_inputs[0], t.in_type, t.out_type, SO3()).norm().item()
            for t in method.layers.values()
        ]

    with torch.no_grad():
        assert min(derivatives()) > 1e-3
        for term in method.layers.values():
            n = term.out_type.dim // 4  # channels of each degree
            mix = [torch.block_diag(torch.randn(n, n), *[torch.randn(n, n)] * 3) for _ in range(2)]
            term.branch.weight.copy_(torch.cat(mix[: term.in_type.dim // (4 * n)], 1))
        assert max(derivatives()) < 1e-4


def test_the_state_of_recm_falls_where_the_data_are_symmetric():
    task = build_task({"task": "nbody", "synthetic": 128, "rotate": True}, seed=0)
    torch.manual_seed(0)
    model = task.build_model({"family": "segnn-particles", "hidden": 8, "layers": 1}, relaxed=True)
    method = build_method(
        "recm", relaxations(model), target_type=task.method_target_type, eta=0.3, state_size=4, width=8
    )
    for _ in range(40):
        batch = task.train_batch(torch.arange(128))
        method.before_forward(task.method_targets(batch), batch["batch"])
        task.loss(task.forward(model, batch), batch).backward()
        method.after_backward()
        method.after_step()
    assert all(abs(gamma) < 0.05 for name, gamma in method.log().items() if name.startswith("gamma"))


def test_best_weights_can_be_rounded_to_half_precision(tiny_particles, tmp_path):
    config = tiny_particles("segnn-nbody-strict", budget__epochs=1, model__hidden=32)
    train(config, tmp_path / "single", progress=False)
    train(config.replace(evaluation__half=True), tmp_path / "half", progress=False)
    single, half = (load_file(RunFolder(tmp_path / name).best("equivariant")) for name in ("single", "half"))
    for key, value in single.items():
        assert torch.equal(half[key], value.half().float() if value.numel() >= 1000 else value)
    assert any(not torch.equal(half[key], value) for key, value in single.items())
    folder = publish(tmp_path / "half", tmp_path / "checkpoint", name="tiny", recipe="segnn-nbody-strict")
    assert json.loads((folder / "results.json").read_text())["half"] is True
    stored = load_file(folder / "equivariant" / "model.safetensors")
    assert {value.dtype for value in stored.values() if value.numel() >= 1000} == {torch.float16}

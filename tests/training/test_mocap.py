"""The motion capture task: batches, augmentation, metrics, gaps, recipes, and from a run to a checkpoint."""

from __future__ import annotations

import json

import pytest
import torch

from equizoo.data.mocap import SKELETON, MotionSet
from equizoo.hub import load_checkpoint
from equizoo.hub.domain import MotionDomain, parse_domain
from equizoo.symmetry import SO2, Vectors, symmetry_gap
from equizoo.training.building import is_relaxed
from equizoo.training.config import RECIPES, ConfigError, load_recipe
from equizoo.training.equivariance import HorizontalTranslations, VerticalReflections, rotation_error
from equizoo.training.evaluate import evaluate
from equizoo.training.loop import train
from equizoo.training.publish import publish
from equizoo.training.runfolder import RunFolder
from equizoo.training.tasks import build_task
from equizoo.training.tasks import mocap as mocap_task
from equizoo.training.tasks.motion_augmentation import along_heading, augmented
from equizoo.training.tasks.motion_gaps import symmetry_gaps
from equizoo.training.tasks.synthetic_motion import synthetic_motion
from equizoo.training.variants import load_trained

SYNTHETIC = {"task": "mocap", "synthetic": 12}
TINY = {
    "data.synthetic": 24,
    "model.hidden": 8,
    "model.layers": 1,
    "budget.epochs": 2,
    "schedule.warmup_steps": 1,
    "evaluation.every": 1,
    "evaluation.ema": 0.5,
    "evaluation.equivariance": 4,
}
NAMES = sorted(path.stem for path in RECIPES.glob("egno-mocap-*.yaml"))
JOINTS = len(SKELETON.joints)


def rows(samples: MotionSet) -> torch.Tensor:
    """Return every position of each sample relative to its centre, then its velocities, (S, K, 3)."""
    centre = samples.pos.mean(1, keepdim=True)
    return torch.cat([samples.pos - centre, samples.target.flatten(1, 2) - centre, samples.vel], 1)


def test_a_batch_has_its_joints_on_one_axis_and_frames_on_the_next():
    task = build_task(SYNTHETIC, seed=0)
    batch = task.train_batch(torch.tensor([3, 1]))
    n = 2 * JOINTS
    assert {name: tuple(x.shape) for name, x in batch.items()} == {
        "pos": (n, 3), "vel": (n, 3), "y": (n, 5, 3), "batch": (n,),
    }  # fmt: skip
    assert batch["batch"].tolist() == [0] * JOINTS + [1] * JOINTS
    assert torch.equal(batch["y"][JOINTS:, 4], task.train.target[1, 4])
    assert torch.equal(batch["y"][JOINTS + 7, 2], task.train.target[1, 2, 7])
    assert torch.equal(task.method_targets(batch), batch["y"][:, -1] - batch["pos"])
    assert [(t.name, t.unit) for t in task.targets] == [("position", "length")]
    assert "30 frames (0.25 s)" in task.targets[0].description


def test_mirrors_keep_the_way_of_a_body_and_vertical_turns_its_height():
    samples = synthetic_motion(6, seed=0)
    assert augmented(samples, "none", 0.0) is samples
    torch.manual_seed(0)
    mirrored = augmented(samples, "none", 1.0)
    way, same = samples.vel.mean(1), mirrored.vel.mean(1)
    assert torch.allclose(way, same, atol=1e-5)
    assert torch.allclose(samples.pos[..., 1], mirrored.pos[..., 1], atol=1e-4)
    assert not torch.allclose(samples.pos, mirrored.pos, atol=1e-2)
    assert torch.allclose(torch.linalg.det(along_heading(samples.vel)), -torch.ones(6))
    torch.manual_seed(5)
    turned = augmented(samples, "vertical", 0.0)
    torch.manual_seed(5)
    assert torch.equal(augmented(samples, "vertical", 0.0).pos, turned.pos)
    assert torch.allclose(samples.target[..., 1], turned.target[..., 1], atol=1e-4)
    for other in (mirrored, turned, augmented(samples, "so3", 0.5)):
        assert torch.allclose(samples.pos.mean(1), other.pos.mean(1), atol=1e-4)  # about the body's centre
        one, two = rows(samples), rows(other)
        assert torch.allclose(one @ one.mT, two @ two.mT, atol=2e-2)  # one rigid motion for a sample
    standing = along_heading(torch.zeros(1, JOINTS, 3))
    assert torch.equal(standing[0], torch.diag(torch.tensor([-1.0, 1.0, 1.0])))


def test_augmentation_is_for_training_samples_only():
    task = build_task({**SYNTHETIC, "rotate": "vertical", "mirror": True}, seed=0)
    valid = task.split("valid")
    indices = torch.arange(4)
    assert torch.equal(task.batch(valid, indices)["pos"], valid.pos[:4].flatten(0, 1))
    assert not torch.equal(task.train_batch(indices)["pos"], task.train_batch(indices)["pos"])


def test_the_metric_is_of_the_last_frame_and_the_loss_of_all():
    task = build_task(SYNTHETIC, seed=0)

    class Still(torch.nn.Module):
        def forward(self, pos, vel, batch, num_graphs):
            assert num_graphs == int(batch[-1]) + 1
            return pos[:, None].repeat(1, 5, 1) + 0.1

    metrics = task.evaluate(Still(), "valid", batch_size=5)
    valid = task.split("valid")
    expected = float((valid.pos + 0.1 - valid.target[:, -1]).double().square().mean())
    assert metrics == {"mse/position": pytest.approx(expected), "score": pytest.approx(expected)}
    first = float((valid.pos + 0.1 - valid.target[:, -1])[:4].square().mean())
    assert task.evaluate(Still(), "valid", limit=4)["score"] == pytest.approx(first, rel=1e-5)
    batch = task.train_batch(torch.arange(12))
    off = batch["y"].clone()
    off[:, 0] += 2.0
    assert task.loss(off, batch).item() == pytest.approx(4.0 / 5, rel=1e-5)
    baselines = task.baselines("valid")
    assert baselines["no motion"] == pytest.approx(float(task.output_spread("valid")) ** 2, rel=1e-6)
    assert 0 < baselines["constant velocity"] < baselines["no motion"]
    unit = build_task({**SYNTHETIC, "standardise": True}, seed=0)
    still = batch["pos"][:, None].expand_as(batch["y"])
    assert unit.loss(still, batch).item() == pytest.approx(1.0, rel=1e-4)


def test_the_options_reach_the_data(monkeypatch):
    calls = []

    def load(root, **options):
        calls.append({"root": root, **options})
        return synthetic_motion(8, seed=0, horizon=options["horizon"], frames=options["frames"])

    monkeypatch.setattr(mocap_task, "load_mocap", load)
    data = {
        "task": "mocap", "motion": "walk", "horizon": 20, "frames": 3, "assignment": 7, "root": "here",
        "starts": "all",
    }  # fmt: skip
    task = build_task(data, seed=1)
    task.split("test")
    common = {"root": "here", "motion": "walk", "horizon": 20, "frames": 3, "assignment": 7}
    assert calls == [
        {**common, "split": "train", "starts": "all"},
        {**common, "split": "test", "starts": "published"},
    ]
    assert task.domain()["motion"] == "walk"
    with pytest.raises(ConfigError, match="random assignment of trials"):
        task.check_publishable("x")
    build_task({"task": "mocap"}, seed=1).check_publishable("x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rotat": "so3"}, "unknown key 'data.rotat'"),
        ({"rotate": "so2"}, "data.rotate is one of"),
        ({"frames": 31}, "1 <= frames <= horizon, got 31 and 30"),
        ({"synthetic": 0, "motion": "jump"}, "data: .*jump"),
    ],
)
def test_what_cannot_be_used_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        build_task({**SYNTHETIC, **changes}, seed=0)


def test_the_domain_says_how_training_bodies_move():
    task = build_task(SYNTHETIC, seed=0)
    domain = parse_domain("motion-forecasting", json.loads(json.dumps(task.domain())), "domain")
    assert isinstance(domain, MotionDomain)
    assert (domain.horizon, domain.frames, domain.frame_rate) == (30, 5, 120)
    assert len(domain.bones) == JOINTS - 1
    assert domain.heading[1] > 0.9
    assert domain.heading_spread < 90
    speed = task.train.vel.mean(1)[:, [0, 2]].norm(dim=1)
    assert domain.speed[0] <= float(speed.min()) <= float(speed.max()) <= domain.speed[1]
    assert build_task({**SYNTHETIC, "rotate": "vertical"}, seed=0).domain()["heading_spread"] == 180.0


def test_the_gaps_tell_what_is_broken():
    samples = synthetic_motion(200, seed=0)
    gaps = symmetry_gaps(samples)
    for name in ("SO(3)", "SO(2) about the vertical"):
        assert gaps[name][0] > 10 * gaps[name][1]
    assert abs(gaps["horizontal translations"][0]) < 4 * gaps["horizontal translations"][1]
    torch.manual_seed(0)
    around = symmetry_gaps(augmented(samples, "vertical", 0.0))
    assert around["SO(3)"][0] > 10 * around["SO(3)"][1]
    assert abs(around["SO(2) about the vertical"][0]) < 4 * around["SO(2) about the vertical"][1]
    far = 60.0 * (torch.arange(200) % 2)[:, None] * torch.tensor([1.0, 0.0, 0.0])
    fast = MotionSet(samples.pos + far[:, None], samples.vel, samples.target + 2 * far[:, None, None])
    broken = symmetry_gaps(fast)["horizontal translations"]
    assert broken[0] > 4 * broken[1]  # whoever is at x = 60 moves on by 60


def moving(place: torch.Tensor, step: torch.Tensor) -> MotionSet:
    """Return bodies of one shape at places (S, 3) that move on by steps (S, 3)."""
    shape = synthetic_motion(1, seed=0).pos
    pos = shape - shape.mean(1, keepdim=True) + place[:, None]
    return MotionSet(pos, step[:, None].expand_as(pos) / 30, (pos + step[:, None])[:, None])


def energy(v: torch.Tensor, w: torch.Tensor) -> float:
    """Return the squared energy distance between the laws of two finite sets of equally likely rows."""
    return float(2 * torch.cdist(v, w).mean() - torch.cdist(v, v).mean() - torch.cdist(w, w).mean())


@pytest.mark.parametrize("seed", range(3))
def test_the_gap_of_places_is_a_squared_energy_distance(seed):
    generator = torch.Generator().manual_seed(seed)
    horizontal = torch.tensor([1.0, 0.0, 1.0])
    far = (torch.arange(40) % 5 == 0)[:, None]  # whoever is far from the origin stays there
    places = 10 * torch.randn(40, 3, generator=generator) * horizontal * far
    steps = 6 * torch.randn(40, 3, generator=generator) * horizontal * ~far
    drawn = torch.randint(40, (1000,), generator=generator)
    value, error = symmetry_gaps(moving(places[drawn], steps[drawn]))["horizontal translations"]
    v = torch.cat([places, steps], 1)
    w = torch.cat([places.repeat(40, 1), steps.repeat_interleave(40, 0)], 1)
    shape = moving(torch.zeros(1, 3), torch.zeros(1, 3)).pos
    size = (shape.square().sum() + JOINTS * steps.square().sum(1)).sqrt().mean()
    assert value == pytest.approx(JOINTS**0.5 * energy(v, w) / float(size), abs=3 * error)
    assert value > 4 * error
    free = torch.randint(40, (1000,), generator=generator)  # the step does not depend on the place
    value, error = symmetry_gaps(moving(places[drawn], steps[free]))["horizontal translations"]
    assert abs(value) < 3 * error


def test_too_few_samples_have_no_gap():
    with pytest.raises(ValueError, match="8 samples"):
        symmetry_gaps(synthetic_motion(7, seed=0))
    assert all(error > 0 for _, error in symmetry_gaps(synthetic_motion(8, seed=0)).values())


def test_the_groups_keep_the_vertical():
    generator = torch.Generator().manual_seed(0)
    mirror = VerticalReflections().sample(5, generator, torch.float64)
    assert torch.allclose(torch.linalg.det(mirror.rotation), -torch.ones(5, dtype=torch.float64))
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    assert torch.allclose(mirror.rotation @ up, up.expand(5, 3))
    shift = HorizontalTranslations().sample(5, generator)
    assert not shift.translation[:, 1].any()
    assert shift.translation[:, [0, 2]].abs().min() > 0
    x = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    gap = symmetry_gap(x, None, Vectors(), None, VerticalReflections(), generator=generator)
    assert abs(gap.z) < 4
    assert next(iter(mocap_task.MocapTask.groups.values())) == SO2("y")


@pytest.mark.parametrize("name", NAMES)
def test_recipes_are_in_order(name):
    config = load_recipe(name)
    assert config.name == name
    task = build_task({**config.data, "synthetic": 12}, config.seed)
    model = task.build_model(config.model, is_relaxed(config))
    counts = {"egno-mocap-paper-strict": 1_192_684, "egno-mocap-paper-ace": 1_304_762}
    parameters = sum(p.numel() for p in model.parameters())
    assert parameters == counts.get(name, parameters)
    assert config.budget.batch_size == 12


@pytest.mark.parametrize("motion", ["run", "walk"])
def test_recipes_of_a_motion_differ_in_their_method_only(motion):
    methods = ("strict", "ace", "resilient", "recm")
    strict, *others = (load_recipe(f"egno-mocap-{motion}-{method}") for method in methods)
    for config in others:
        same = config.replace(name=strict.name, method=strict.method)
        same.model.pop("branch")
        assert same == strict
    assert load_recipe("egno-mocap-paper-ace", ["data.motion=walk"]).data["motion"] == "walk"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(load_recipe("egno-mocap-run-ace").replace(**TINY), folder, progress=False)
    return folder


def test_a_run_becomes_a_checkpoint(run, tmp_path):
    assert RunFolder(run).read_metrics()[-1]["equivariance/rotation"] > 1e-6
    report = evaluate(run, out=run / "results.json")
    assert (report["metric"], report["units"]) == ("MSE", {"position": "length²"})
    assert set(report["baselines"]) == {"no motion", "constant velocity"}
    strict = report["variants"]["equivariant"]["equivariance"]["float64"]
    for name in ("rotation about the vertical", "mirror in a vertical plane", "horizontal translation"):
        assert strict[name]["abs_max"] < 1e-9
    assert strict["rotation"]["abs_max"] > 1e-6  # the height is no invariant
    folder = publish(run, tmp_path / "tiny", name="tiny", recipe="egno-mocap-run-ace")
    trained = load_trained(run)
    batch = trained.task.train_batch(torch.arange(5))
    for variant, model in trained.models.items():
        loaded = load_checkpoint(folder, variant)
        assert torch.equal(trained.task.forward(loaded, batch), trained.task.forward(model, batch))
        assert (rotation_error(loaded, trained.task, 4) < 1e-4) == (variant == "equivariant")
    assert loaded.card.domain.motion == "run"
    again = evaluate(folder, data={"synthetic": 24})
    assert again["variants"]["equivariant"]["errors"] == report["variants"]["equivariant"]["errors"]


def test_the_published_trials_give_the_published_baselines():
    try:
        tasks = {motion: build_task({"task": "mocap", "motion": motion}, 0) for motion in ("run", "walk")}
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert [tasks["run"].n_train, len(tasks["run"].split("test"))] == [200, 240]
    assert [tasks["walk"].n_train, len(tasks["walk"].split("test"))] == [198, 600]
    baselines = tasks["run"].baselines("test")
    assert baselines["no motion"] == pytest.approx(89.80, abs=0.01)
    assert baselines["constant velocity"] == pytest.approx(19.80, abs=0.01)
    assert 0 < baselines["constant velocity"] < baselines["no motion"]

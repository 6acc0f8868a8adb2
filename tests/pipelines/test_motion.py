"""Forecasts of bodies: inputs, roll-outs, flags, files, tables and animations."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equizoo.commands.output import OK, PARTLY
from equizoo.hub.domain import MotionDomain
from equizoo.pipelines import pipeline
from equizoo.pipelines.figure import NothingToDraw
from equizoo.pipelines.motion import MotionForecastingPipeline, between
from equizoo.pipelines.motion_figure import plot_motions
from equizoo.pipelines.motion_files import read_motion
from equizoo.pipelines.motion_report import format_motions, write_motions
from equizoo.pipelines.motion_windows import BadMotion
from equizoo.relaxation import Relaxation

JOINTS = tuple(f"joint{k}" for k in range(31))
DOMAIN = MotionDomain(
    "run", JOINTS, tuple((k, k - 1) for k in range(1, 31)), 120, 30, 5, (0.0, 1.0), 10.0, (0.4, 0.6),
    (27.0, 29.0), (0.0, 1.0), ((-5.0, 5.0), (-20.0, 20.0)),
)  # fmt: skip


class Drift(nn.Module):
    """Every joint keeps the mean velocity of its body."""

    def __init__(self, relaxed: bool = False, branch: str = "bounded") -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.config = SimpleNamespace(branch=branch)
        self.card = SimpleNamespace(task="motion-forecasting", domain=DOMAIN)
        if relaxed:
            self.relaxation = Relaxation(nn.Identity())
        self.sizes: list[int] = []

    def forward(self, pos: Tensor, vel: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
        assert torch.equal(batch, torch.arange(num_graphs).repeat_interleave(31))
        self.sizes.append(num_graphs)
        mean = vel.unflatten(0, (num_graphs, 31)).mean(1).repeat_interleave(31, 0)
        return self.one * torch.stack([pos + k * mean for k in range(26, 31)], 1)


@pytest.fixture
def predict() -> MotionForecastingPipeline:
    return pipeline("motion-forecasting", Drift())


def recording(frames: int = 80, degrees: float = 0.0) -> np.ndarray:
    """Return a body of the training size that drifts along +z, turned about the vertical."""
    rng = np.random.default_rng(0)
    body = rng.uniform(-3, 3, size=(31, 3))
    body[:, 1] = np.linspace(0, 28, 31)
    swing = 0.5 * np.sin(0.1 * np.arange(frames)[:, None, None] + body) * [1, 0, 1]
    angle = math.radians(degrees)
    turn = [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]]
    return (body + swing + 0.5 * np.arange(frames)[:, None, None] * [0, 0, 1]) @ np.transpose(turn)


def test_frames_and_velocities_give_the_same(predict: MotionForecastingPipeline) -> None:
    frames = recording()
    pos, vel = frames[-2], frames[-1] - frames[-2]
    expected = predict(frames)
    assert expected.shape == (5, 31, 3)
    assert expected.dtype == np.float64
    assert predict.frames == (26, 27, 28, 29, 30)
    assert np.allclose(expected[4], pos + 30 * vel.mean(0))
    assert np.array_equal(predict(pos, vel), expected)
    assert np.array_equal(predict(torch.from_numpy(pos), vel.tolist()), expected)
    assert np.array_equal(predict([*torch.from_numpy(frames).requires_grad_()]), expected)
    several = predict(np.stack([frames[:40], frames[40:]]))
    assert several.shape == (2, 5, 31, 3)
    assert np.array_equal(several[1], expected)
    assert np.array_equal(predict(np.stack([pos, pos]), np.stack([vel, vel]))[0], expected)


def test_memory_is_bounded() -> None:
    model = Drift()
    windows = np.stack([recording(2)] * 5)
    answer = pipeline("motion-forecasting", model, batch_size=2)(windows)
    assert model.sizes == [2, 2, 1]
    assert answer.shape == (5, 5, 31, 3)


def test_a_forecast_says_where_each_frame_comes_from(predict: MotionForecastingPipeline) -> None:
    frames = recording()
    answer = predict.forecast(frames, start=10, name="drift")
    assert answer.positions.shape == (31, 31, 3)
    assert answer.made == ("given",) * 2 + ("interpolated",) * 24 + ("predicted",) * 5
    assert answer.predicted.tolist() == [26, 27, 28, 29, 30]
    assert np.array_equal(answer.positions[0], frames[10])
    assert np.allclose(answer.positions[1], frames[11])
    assert np.array_equal(answer.positions[26:], predict(frames[:12]))
    assert np.array_equal(answer.truth, frames[10:41])
    assert answer.errors.shape == (31, 31)
    assert answer.mse == pytest.approx(float(np.square(answer.positions[30] - frames[40]).mean()))
    assert answer.times[-1] == pytest.approx(0.25)
    assert "cubic in time" in answer.caution
    assert answer.in_domain


def test_a_roll_out_starts_from_the_last_two_predictions(predict: MotionForecastingPipeline) -> None:
    frames = recording()
    answer = predict.forecast(frames, start=0, steps=3)
    assert answer.positions.shape == (1 + 30 + 29 + 29, 31, 3)
    assert answer.predicted.tolist() == [*range(26, 31), *range(55, 60), *range(84, 89)]
    again = predict(answer.positions[29:31])
    assert np.allclose(answer.positions[55:60], again)
    assert np.isnan(answer.truth[80:]).all()
    assert not np.isnan(answer.truth[:80]).any()
    assert "steps after the first" in answer.caution
    assert answer.record()["errors"][85] is None
    json.dumps(answer.record(), allow_nan=False)
    with pytest.raises(ValueError, match="at least one step"):
        predict.forecast(frames, steps=0)


def test_truth_is_what_follows_or_what_is_given(predict: MotionForecastingPipeline) -> None:
    frames = recording()
    assert predict.forecast(frames).truth is None
    assert predict.forecast(frames).start == 78
    assert predict.forecast(frames, start=60).mse is None
    pos, vel = frames[10], frames[11] - frames[10]
    given = predict.forecast(pos, vel, truth=frames[10:])
    assert given.mse == pytest.approx(predict.forecast(frames, start=10).mse)
    assert predict.forecast(pos, vel).errors is None


def test_the_cubic_is_exact_for_a_cubic() -> None:
    rng = np.random.default_rng(0)
    a, b, c, d = rng.normal(size=(4, 31, 3))

    def at(t: float) -> np.ndarray:
        return a + b * t + c * t**2 + d * t**3

    found = between(at(0), b, at(26), b + 2 * c * 26 + 3 * d * 26**2, 26)
    assert np.allclose(found, np.stack([at(k) for k in range(26)]))


def test_bodies_unlike_those_of_the_training_set_are_flagged(predict: MotionForecastingPipeline) -> None:
    frames = recording()
    partial = pipeline("motion-forecasting", Drift(relaxed=True))
    released = pipeline("motion-forecasting", Drift(relaxed=True, branch="published"))
    turned = recording(degrees=90)
    assert predict.forecast(turned).in_domain
    assert "moves 90° off" in partial.forecast(turned).domain_reason
    assert partial.forecast(recording(degrees=5)).in_domain
    assert "knows the direction" in partial.forecast(turned).domain_reason
    assert "use the equivariant variant for any other" in partial.forecast(frames).caution
    scores = {"equivariant": {"score": 34.0, "errors": {}}, "partial": {"score": 0.2, "errors": {}}}
    useless = pipeline("motion-forecasting", Drift(relaxed=True), results={"variants": scores})
    assert useless.caution.endswith("trust it for bodies that move the way those of its training set do")
    away = frames + np.array([50.0, 0, 0])
    assert partial.forecast(away).in_domain
    assert "at x = 5" in released.forecast(away).domain_reason
    for wrong, reason in (
        (frames * 0.0564, "ASF units of 0.0564 m"),
        (frames[..., [0, 2, 1]], "y is up"),
        (frames + np.array([0.0, 40, 0]), "the floor is y = 0"),
        (np.stack([frames[0]] * 3), "a speed of 0 a frame"),
    ):
        assert reason in predict.forecast(wrong).domain_reason


def test_errors_of_the_checkpoint_come_along() -> None:
    results = {
        "variants": {
            "equivariant": {"errors": {"position": 0.3}, "score": 0.3},
            "partial": {"errors": {}, "score": 0.3},
        }
    }
    assert pipeline("motion-forecasting", Drift(), results=results).test_mse == 0.3
    assert pipeline("motion-forecasting", Drift(relaxed=True), results=results).test_mse is None


def wrong(name: str) -> tuple:
    frames = recording()
    broken = frames.copy()
    broken[-1, 6, 2] = np.nan
    return {
        "one frame": (frames[0],),
        "joints": (frames[:, :30],),
        "velocity": (frames[0], frames[0][:30]),
        "nan": (broken,),
        "empty": (frames[None][:0],),
        "ragged": ([frames[0].tolist(), frames[0, :3].tolist()],),
        "complex": (frames * 1j,),
        "file and more": ("a.npz", frames[0]),
        "no file": ("a.npz",),
        "suffix": ("a.bvh",),
    }[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("one frame", r"without velocities, positions are frames \(F, 31, 3\)"),
        ("joints", r"got \(80, 30, 3\)"),
        ("velocity", r"got \(31, 3\) and \(30, 3\)"),
        ("nan", "the velocity of joint 7 is not finite"),
        ("empty", "between 1 and 10,000 bodies"),
        ("ragged", "positions are not one array of numbers"),
        ("complex", "positions are not one array of numbers"),
        ("file and more", "give the file alone"),
        ("no file", "a.npz: there is no such file"),
        ("suffix", "only .npz, .amc"),
    ],
)
def test_what_is_not_answered_says_why(predict: MotionForecastingPipeline, name: str, message: str) -> None:
    with pytest.raises(BadMotion, match=message):
        predict(*wrong(name))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 79}, "start frame 79: the recording has 80 frames, so a start is 0 to 78"),
        ({"start": -1}, "start frame -1"),
        ({"skeleton": "a.asf"}, "not to arrays"),
        ({"truth": np.zeros((5, 3))}, "true positions are frames"),
    ],
    ids=str,
)
def test_forecasts_that_cannot_be_made_say_why(
    predict: MotionForecastingPipeline, options: dict, message: str
) -> None:
    with pytest.raises(BadMotion, match=message):
        predict.forecast(recording(), **options)


def test_frames_that_are_not_looked_at_may_be_missing(
    predict: MotionForecastingPipeline, tmp_path: Path
) -> None:
    frames = recording()
    expected = predict.forecast(frames, start=10)
    frames[20, 3], frames[5], frames[25, 0, 0] = np.nan, np.nan, np.inf
    answer = predict.forecast(frames, start=10)
    assert np.array_equal(answer.positions, expected.positions)
    assert answer.mse == expected.mse
    assert np.isnan(answer.errors[[10, 15], [3, 0]]).all() and np.isnan(answer.errors).sum() == 2
    json.dumps(answer.record(), allow_nan=False)
    frames[11, 6, 2] = np.nan
    np.savez(tmp_path / "a.npz", pos=frames)
    for given, place in ((frames, ""), (tmp_path / "a.npz", "a.npz: ")):
        with pytest.raises(BadMotion, match=f"^{place}frame 11: the position of joint 7 is not finite"):
            predict.forecast(given, start=10)


def test_bad_answers_options_and_models() -> None:
    model = Drift()
    model.one.data.fill_(math.nan)
    with pytest.raises(BadMotion, match="body 1: the model's answer is not a finite number"):
        pipeline("motion-forecasting", model)(recording())
    with pytest.raises(TypeError, match="did you mean 'batch_size'"):
        pipeline("motion-forecasting", Drift(), batchsize=3)
    with pytest.raises(ValueError, match="batch_size >= 1"):
        pipeline("motion-forecasting", Drift(), batch_size=0)
    model = Drift()
    model.card.task = "particle-forecasting"
    with pytest.raises(ValueError, match="not for motion-forecasting"):
        pipeline("motion-forecasting", model)
    del model.card
    with pytest.raises(ValueError, match="no card"):
        pipeline("motion-forecasting", model)


def test_npz_files(predict: MotionForecastingPipeline, tmp_path: Path) -> None:
    frames, path = recording(), tmp_path / "a.npz"
    order = np.random.default_rng(0).permutation(31)
    np.savez(path, frames=frames[:, order], joint_names=np.array(JOINTS)[order])
    assert np.array_equal(predict(path), predict(frames))
    assert predict.forecast(path).name == "a.npz"
    np.savez(path, pos=frames[0], vel=frames[1] - frames[0])
    assert np.array_equal(predict(path), predict(frames[:2]))
    for arrays, message in (
        ({"x": frames}, r"a.npz: the file has no array 'pos'; its arrays are \['x'\]"),
        ({"pos": frames, "joints": np.array([*JOINTS[:-1], "tail"])}, "no joint joint30"),
        ({"pos": frames, "joints": np.array(JOINTS[:-1])}, "the 30 joints that are named"),
        ({"pos": np.array(["a"])}, "not numbers"),
        ({"pos": frames[0], "vel": frames[0, :9], "joints": JOINTS}, r"vel \(9, 3\) does not have the 31"),
        ({"pos": frames, "vel": np.array(["a"])}, "vel holds <U1, not numbers"),
        ({"pos": np.array([None])}, "allow_pickle"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(BadMotion, match=message):
            predict(path)
    np.savez_compressed(path, pos=frames)
    whole = path.read_bytes()
    for data in (whole[:50], whole[:57] + b"\xff" * 40 + whole[97:]):
        path.write_bytes(data)
        with pytest.raises(BadMotion, match=r"not a whole \.npz file"):
            predict(path)


def write_asf(path: Path) -> None:
    """Write a skeleton of 31 joints that all hang on the root, one above the other."""
    names = ["root", *JOINTS[1:]]
    bones = "".join(
        f"begin\nid {k}\nname {name}\ndirection 0 1 0\nlength {28 * k / 30}\naxis 0 0 0 XYZ\nend\n"
        for k, name in enumerate(names[1:], 1)
    )
    root = "order TX TY TZ RX RY RZ\naxis XYZ\nposition 0 0 0\norientation 0 0 0\n"
    path.write_text(
        f":version 1.10\n:units\nlength 0.45\nangle deg\n:root\n{root}:bonedata\n{bones}:hierarchy\n"
        f"begin\nroot {' '.join(names[1:])}\nend\n"
    )


def test_amc_files_with_their_skeleton(tmp_path: Path) -> None:
    names = ["root", *JOINTS[1:]]
    write_asf(tmp_path / "9.asf")
    frames = "".join(f"{k}\nroot 0 0 {0.5 * k} 0 0 0\n" for k in range(1, 41))
    (tmp_path / "09_01.amc").write_text(f":FULLY-SPECIFIED\n:DEGREES\n{frames}")
    pos, vel = read_motion(tmp_path / "09_01.amc", names)
    assert (pos.shape, vel) == ((40, 31, 3), None)
    assert np.allclose(pos[3, 30], [0, 28, 2.0])
    assert read_motion(tmp_path / "09_01.amc", names[::-1])[0][0, 0, 1] == pytest.approx(28)
    with pytest.raises(BadMotion, match=r"09_01\.amc: there is no joint lfoot"):
        read_motion(tmp_path / "09_01.amc", ["lfoot"])
    write_asf(tmp_path / "35.asf")
    with pytest.raises(BadMotion, match=r"has 2 \.asf files: name the skeleton"):
        read_motion(tmp_path / "09_01.amc", names)
    assert len(read_motion(tmp_path / "09_01.amc", names, tmp_path / "9.asf")[0]) == 40
    with pytest.raises(BadMotion, match=r"nope\.asf: the file cannot be read: No such file"):
        read_motion(tmp_path / "09_01.amc", names, tmp_path / "nope.asf")
    (tmp_path / "bad.asf").write_text(":root\nwhat\n")
    with pytest.raises(BadMotion, match=r"^09_01\.amc: its skeleton bad\.asf: "):
        read_motion(tmp_path / "09_01.amc", names, tmp_path / "bad.asf")
    (tmp_path / "09_01.amc").write_text("1\nroot 0 0\n")
    with pytest.raises(BadMotion, match=r"09_01\.amc: line 2"):
        read_motion(tmp_path / "09_01.amc", names, tmp_path / "9.asf")


def test_table_and_csv(predict: MotionForecastingPipeline, tmp_path: Path) -> None:
    predict.test_mse = 0.25
    answers = [predict.forecast(recording(), start=0, name="a"), predict.forecast(recording() * 2, name="b")]
    text = format_motions(answers)
    for part in ("a, start frame 0: position 30 frames (0.25 s) later", "joint30", "0.500 length off",
                 "b, start frame 78 †", "b: a body that is 56 high", "Note: the model"):  # fmt: skip
        assert part in text
    write_motions(answers, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 31 * 31
    assert lines[1].startswith("a,0,0.0,given,joint0,")
    assert lines[-1].endswith(",")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_the_page_needs_no_other_file(predict: MotionForecastingPipeline, tmp_path: Path) -> None:
    answers = [
        predict.forecast(recording(), start=0, name="<b>&"),
        predict.forecast(recording(), steps=2, name="alone"),
    ]
    plot_motions(answers, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "http" not in page
    assert "src=" not in page
    assert "&lt;b&gt;&amp;" in page
    found = re.findall(r'<script type="application/json">(.*?)</script>', page)
    first, second = map(json.loads, found)
    assert np.allclose(first["positions"], answers[0].positions, atol=1e-3)
    assert np.allclose(first["truth"], answers[0].truth, atol=1e-3)
    assert second["truth"] is None
    assert len(second["made"]) == 60
    assert page.count("Error of each joint at frame +30") == 1


def test_pictures_and_gif(predict: MotionForecastingPipeline, tmp_path: Path) -> None:
    whole = predict.forecast(recording(), start=0)
    plot_motions([whole, predict.forecast(recording())], tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    parts = {name: getattr(whole, name)[24:28] for name in ("positions", "made", "truth")}
    plot_motions([dataclasses.replace(whole, **parts)], tmp_path / "a.gif")
    assert (tmp_path / "a.gif").read_bytes()[:6] == b"GIF89a"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "a.png"]
    with pytest.raises(NothingToDraw):
        plot_motions([], tmp_path / "b.png")


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from equizoo import cli

    monkeypatch.setattr("equizoo.pipelines.pipeline", lambda *_, **__: MotionForecastingPipeline(Drift()))
    np.savez(tmp_path / "a.npz", pos=recording())
    command = ["predict", "--task", "motion-forecasting", str(tmp_path / "a.npz")]
    files = ["--csv", str(tmp_path / "a.csv"), "--plot", str(tmp_path / "a.html")]
    assert cli.main([*command, "--start", "5", *files]) == OK
    assert "a.npz, start frame 5" in capsys.readouterr().out
    assert (tmp_path / "a.csv").is_file()
    assert (tmp_path / "a.html").is_file()
    assert cli.main([*command, "no.npz", "--json", "--steps", "2"]) == PARTLY
    first, second = json.loads(capsys.readouterr().out)
    assert np.shape(first["positions"]) == (60, 31, 3)
    assert (first["ok"], second["ok"]) == (True, False)

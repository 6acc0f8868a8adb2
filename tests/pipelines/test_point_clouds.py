import csv
import json
import math
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from equizoo import cli
from equizoo.hub.checkpoint import save_checkpoint
from equizoo.pipelines import pipeline
from equizoo.pipelines.figure import NothingToDraw
from equizoo.pipelines.point_clouds import PointCloudClassificationPipeline
from equizoo.pipelines.point_clouds_figure import plot_classes
from equizoo.pipelines.point_clouds_input import BadCloud, farthest_points, prepare, voting_clouds
from equizoo.pipelines.point_clouds_report import format_classes, write_classes
from equizoo.relaxation.project import project
from equizoo.symmetry import SO3
from tests.data.point_samples import off, pcd, ply, rows
from tests.pipelines.cloud_samples import CLASSES, build, cloud, small_model


@pytest.fixture(scope="module")
def classify() -> PointCloudClassificationPipeline:
    return build()


def scores(answer: list[dict]) -> dict[str, float]:
    return {one["label"]: one["score"] for one in answer}


def test_one_cloud_gives_the_most_probable_classes(classify: PointCloudClassificationPipeline) -> None:
    answer = classify(cloud())
    assert len(answer) == 5
    values = [one["score"] for one in answer]
    assert values == sorted(values, reverse=True)
    everything = classify(cloud(), top_k=99)
    assert sorted(scores(everything)) == sorted(CLASSES)
    assert sum(scores(everything).values()) == pytest.approx(1, abs=1e-12)
    assert everything[:5] == answer
    assert classify(cloud(), top_k=1) == answer[:1]
    with pytest.raises(ValueError, match="top_k must be positive, got 0"):
        classify(cloud(), top_k=0)


def test_arrays_tensors_and_lists_give_the_same(classify: PointCloudClassificationPipeline) -> None:
    expected = classify(cloud())
    assert classify(torch.from_numpy(cloud())) == expected
    assert classify(cloud().tolist()) == expected
    assert classify(torch.from_numpy(cloud()).requires_grad_()) == expected
    assert classify([point.requires_grad_() for point in torch.from_numpy(cloud())]) == expected
    half = torch.from_numpy(cloud()).bfloat16()
    assert classify(half) == classify(half.double())
    for several in (cloud()[None], [cloud()], (torch.from_numpy(cloud()),), [cloud().tolist()]):
        assert classify(several) == [expected]
    assert classify([]) == []


def test_clouds_of_many_sizes_keep_their_order(classify: PointCloudClassificationPipeline) -> None:
    clouds = [cloud(size, seed) for seed, size in enumerate((64, 30, 500, 64, 21, 30))]
    together = classify.classify(clouds)
    assert [answer.points for answer in together] == [64, 30, 3 * 64, 64, 21, 30]
    for one, answer in zip(clouds, together, strict=True):
        assert answer.scores == pytest.approx(classify.classify(one)[0].scores, abs=1e-5)
    for answer, other in zip(build(batch_size=1).classify(clouds), together, strict=True):
        assert answer.scores == pytest.approx(other.scores, abs=1e-5)


def test_place_size_orientation_and_order_do_not_matter(classify: PointCloudClassificationPipeline) -> None:
    for size in (40, 64, 1000):
        expected = classify.classify(cloud(size))[0].scores
        turn = SO3().sample(generator=torch.Generator().manual_seed(1), dtype=torch.float64).rotation.numpy()
        order = np.random.default_rng(0).permutation(size)
        moved = 1e4 * (cloud(size) @ turn.T)[order] + 1e6
        assert classify.classify(moved)[0].scores == pytest.approx(expected, abs=1e-4)


def test_the_temperature_divides_the_logits() -> None:
    sharp, soft = (scores(build(temperature=t)(cloud(), top_k=7)) for t in (1.0, 2.0))
    power = {name: value**0.5 for name, value in sharp.items()}
    total = sum(power.values())
    assert soft == pytest.approx({name: value / total for name, value in power.items()}, rel=1e-6)


def test_small_clouds_and_partial_variants_are_flagged(classify: PointCloudClassificationPipeline) -> None:
    full, few = classify.classify([cloud(64), cloud(63)])
    assert full.domain_reason is None
    assert few.domain_reason == "63 points, and the model was trained on 64"
    assert few.record()["in_domain"] is False
    assert classify.caution is None
    assert "not exactly invariant" in build(relaxed=True).caution
    results = {"variants": {"equivariant": {"errors": {"instance": 16.0}}, "partial": {}}}
    assert build(results=results).test_error == {"instance": 16.0}
    assert build(relaxed=True, results=results).test_error == {}


def test_farthest_points_spread_over_the_cloud() -> None:
    dense = np.random.default_rng(0).normal(size=(2000, 3)) * 0.01
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    points = np.concatenate([dense, corners, corners])
    chosen = farthest_points(points, 8)
    assert {tuple(point) for point in points[chosen]} == {tuple(corner) for corner in corners}
    assert len(farthest_points(np.repeat(corners, 5, axis=0), 30)) == 8


def test_large_clouds_are_reduced_fast_and_the_same_every_time() -> None:
    large = cloud(100_000)
    start = time.monotonic()
    first = prepare(large, most=300, fewest=20, seed=0)
    assert time.monotonic() - start < 5
    assert first.shape == (1, 300, 3)
    assert np.linalg.norm(first, axis=2).max() == pytest.approx(1)
    assert np.array_equal(prepare(large, 300, 20, seed=0), first)
    assert not np.array_equal(prepare(large, 300, 20, seed=1), first)


def test_voting_clouds_share_no_point_and_are_all_spread_over_the_cloud() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, size=(1000, 3))
    made = voting_clouds(points, 300, 3)
    assert made.shape == (3, 300, 3)
    assert len(np.unique(made.reshape(-1, 3), axis=0)) == 900
    for one in made:
        octants = np.bincount((one > 0) @ [4, 2, 1], minlength=8)
        assert octants.min() > 20, "even would be 37 or 38"
        assert octants.max() < 60


@pytest.mark.parametrize(("size", "count"), [(299, 1), (300, 1), (599, 1), (600, 2), (5000, 3)])
def test_there_are_as_many_voting_clouds_as_points_allow(size: int, count: int) -> None:
    assert voting_clouds(cloud(size), 300, 3).shape == (count, min(size, 300), 3)


def test_points_given_several_times_do_not_vote() -> None:
    assert voting_clouds(np.repeat(cloud(400), 3, axis=0), 300, 3).shape == (1, 300, 3)


def test_an_answer_is_the_mean_over_the_logits_of_the_voting_clouds() -> None:
    several, one = build(), build(votes=1)
    points = cloud(1000)
    (answer,) = several.classify(points)
    assert answer.points == 3 * several.domain.points
    model = several.model
    with torch.no_grad():
        logits = torch.stack([model(torch.from_numpy(v)[None].float())[0].double() for v in answer.clouds])
    expected = (logits.mean(0) / several.domain.temperature).softmax(0).numpy()
    np.testing.assert_allclose(answer.scores, expected, atol=1e-6)
    np.testing.assert_array_equal(
        one.classify(answer.clouds[0])[0].scores, several.classify(answer.clouds[0])[0].scores
    )
    assert one.classify(points)[0].points == one.domain.points


def test_voting_clouds_turn_with_the_cloud_and_forget_the_order_of_its_points() -> None:
    pipe, points = build(), cloud(1000)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    shuffled = np.random.default_rng(2).permutation(points) @ turn.T
    np.testing.assert_allclose(pipe.classify(points)[0].scores, pipe.classify(shuffled)[0].scores, atol=1e-5)


def test_smaller_clouds_get_fewer_neighbours_in_proportion() -> None:
    pipe, seen = build(), []
    usual = pipe.model.config.neighbours
    pipe.model.register_forward_pre_hook(lambda _, args, options: seen.append(options), with_kwargs=True)
    for size in (64, 48, 32, 20):
        pipe.classify(cloud(size))
    assert [options.get("neighbours", usual) for options in seen] == [8, 6, 4, 4]


def test_no_votes_are_refused() -> None:
    with pytest.raises(ValueError, match="votes must be positive"):
        build(votes=0)


REFUSED = [
    (np.zeros((0, 3)), "has 0 points, and at least 20 are needed"),
    (cloud(19), "has 19 points"),
    (np.repeat(cloud(3), 40, axis=0), "has 3 different points, and at least 20"),
    (np.ones((50, 3)), "all points of the cloud are equal"),
    (np.zeros((50, 3)), "all points of the cloud are equal"),
    (np.full((50, 3), np.nan), r"point 1 is \[nan, nan, nan\]: .* 50 of 50 points"),
    (np.insert(cloud(), 6, np.inf, axis=0), r"point 7 is \[inf, inf, inf\]"),
    (1e200 * cloud(), "at most 1e"),
    (cloud()[:, :2], r"must be \(N, 3\) positions, got \(64, 2\)"),
    (np.ones((50, 6)), r"must be \(N, 3\) positions, got \(50, 6\)"),
    (1j * cloud(), "not one array of numbers"),
    ([[1.0, 2.0, 3.0]] * 30 + [[1.0]], "not one array of numbers"),
    ([["a", "b", "c"]] * 30, r"not one array of numbers|the file|only"),
]


@pytest.mark.parametrize(("bad", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_answered_says_why(
    classify: PointCloudClassificationPipeline, bad: object, message: str
) -> None:
    with pytest.raises(BadCloud, match=message):
        classify(bad)
    good, refused = classify.classify([cloud(), bad])
    assert good.ok
    assert refused.error is not None
    assert refused.place == "cloud 2"
    assert refused.record()["classes"] == []


def test_a_bad_cloud_of_a_list_is_refused_alone(classify: PointCloudClassificationPipeline) -> None:
    good = classify.classify(cloud())[0]
    for bad in (
        np.zeros(3),
        [1.0, 2.0, 3.0],
        cloud()[None],
        cloud().tolist()[:1],
        3,
        None,
        np.zeros((1, 1, 1, 1)),
    ):
        for number, clouds in enumerate(([bad, cloud()], [cloud(), bad], [bad, cloud().tolist()])):
            answers = classify.classify(clouds)
            assert [answer.ok for answer in answers] == ([True, False] if number == 1 else [False, True])
            assert np.allclose(answers[number != 1].scores, good.scores, atol=1e-6)


def test_a_point_counts_once(classify: PointCloudClassificationPipeline) -> None:
    for size, repeats in ((30, 1), (30, 9), (100, 9)):
        (once,) = classify.classify(cloud(size))
        again = np.concatenate([cloud(size), *[cloud(size)[:20]] * repeats])
        (often,) = classify.classify(again)
        assert often.points == once.points
        assert often.domain_reason == once.domain_reason
        assert often.scores == pytest.approx(once.scores, abs=1e-5)


@pytest.mark.parametrize("nothing", [None, 3, 2.5, np.zeros(4), np.zeros((1, 2, 3, 4)), {"a": 1}])
def test_inputs_without_points(classify: PointCloudClassificationPipeline, nothing: object) -> None:
    with pytest.raises(BadCloud, match=r"must be \(N, 3\)|not one array"):
        classify(nothing)


@given(
    arrays(np.float64, st.tuples(st.integers(0, 90), st.just(3)), elements=st.floats(width=64)),
    st.integers(0, 3),
)
@settings(max_examples=100, deadline=2000)
def test_any_array_is_prepared_or_refused(points: np.ndarray, repeat: int) -> None:
    try:
        ready = prepare(np.concatenate([points] * (repeat + 1)), 64, 20, seed=0, votes=1 + repeat)
    except BadCloud:
        return
    assert 20 <= ready.shape[1] <= 64
    assert 1 <= ready.shape[0] <= 1 + repeat
    assert np.isfinite(ready).all()
    assert np.linalg.norm(ready, axis=2).max(1) == pytest.approx(1)


def test_an_answer_that_is_not_finite_is_refused() -> None:
    predict = build()
    predict.model.linear_3.bias.data.fill_(math.nan)
    with pytest.raises(BadCloud, match="cloud 1: the model's answer is not a finite number"):
        predict(cloud())


def test_bad_options_and_models() -> None:
    with pytest.raises(TypeError, match="did you mean 'batch_size'"):
        build(batchsize=3)
    with pytest.raises(ValueError, match="batch_size and votes must be positive, got 0"):
        build(batch_size=0)
    with pytest.raises(ValueError, match="seed must be a whole number from 0 to 2147483647, got -1"):
        build(seed=-1)
    with pytest.raises(ValueError, match="got True"):
        build(seed=True)
    model = small_model()
    with pytest.raises(ValueError, match="no card"):
        pipeline("point-cloud-classification", model)
    model.card = SimpleNamespace(task="molecule-properties")
    with pytest.raises(ValueError, match="is one for molecule-properties"):
        pipeline("point-cloud-classification", model)
    predict = build()
    predict.classes = CLASSES[:3]
    with pytest.raises(ValueError, match="names 3 classes"):
        predict(cloud())


def write_files(folder: Path) -> list[Path]:
    """Write three clouds of different formats, a mesh, and two files that are not answered."""
    pytest.importorskip("trimesh")
    contents = {
        "a.ply": ply("binary_little_endian", cloud(100), np.zeros((0, 3), dtype=int)),
        "b.off": off().encode(),
        "c.xyz": rows(cloud(40)).encode(),
        "d.pcd": pcd("binary", cloud(64)),
        "e.ply": ply("ascii", claim=10**9),
        "f.xyz": b"0 0 0\n1 1 1\n0 1 0\n",
        "notes.txt": b"not a cloud",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def test_files_and_folders(classify: PointCloudClassificationPipeline, tmp_path: Path) -> None:
    a, b, c, d, e, f, _ = write_files(tmp_path)
    alone, again = classify.classify(c)[0], classify.classify(cloud(40))[0]
    assert alone.scores == pytest.approx(again.scores, abs=1e-3)
    assert [len(answer) for answer in classify([a, str(b), cloud(64)])] == [5, 5, 5]
    answers = classify.classify(tmp_path)
    assert [answer.source for answer in answers] == [str(path) for path in (a, b, c, d, e, f)]
    assert [answer.points for answer in answers] == [64, 3 * 64, 40, 64, None, None]
    assert "1000000000 × vertex" in answers[4].error
    assert answers[5].error == "the cloud has 3 points, and at least 20 are needed"
    with pytest.raises(BadCloud, match=r"e\.ply: the header claims"):
        classify(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadCloud, match=r"empty: neither the folder nor one in it has files \.ply"):
        classify(tmp_path / "empty")
    with pytest.raises(BadCloud, match=r"g\.ply: the file cannot be read: No such file"):
        classify(tmp_path / "g.ply")


def test_folders_in_a_folder(classify: PointCloudClassificationPipeline, tmp_path: Path) -> None:
    for path in ("chair/test/b.xyz", "chair/test/a.xyz", "bed/c.xyz", "__MACOSX/bed/._c.xyz", "bed/.d.xyz"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(rows(cloud(40)))
    (tmp_path / "chair" / "back").symlink_to(tmp_path)
    found = [Path(answer.source).relative_to(tmp_path) for answer in classify.classify(tmp_path)]
    assert [path.as_posix() for path in found] == ["bed/c.xyz", "chair/test/a.xyz", "chair/test/b.xyz"]


def test_table_csv_and_figure(
    classify: PointCloudClassificationPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equizoo.pipelines.point_clouds_figure._MOST", 2)
    answers = classify.classify([cloud(64), cloud(30), cloud(3), cloud(64, 1)])
    text = format_classes(answers, 2, {"instance": 15.96, "class": 20.0}, "it is small")
    first = classify(cloud(64), top_k=2)
    for part in (
        f"{first[0]['label']:<5}",
        f"{100 * first[0]['score']:.1f} %",
        f"{first[1]['label']} {100 * first[1]['score']:.1f} %",
        "the right one for 84.0 % of the objects",
        "† is outside the training domain",
        "cloud 2: 30 points, and the model was trained on 64",
        "Note: it is small.",
        "no answer:\n  cloud 3: the cloud has 3 points",
    ):
        assert part in text
    write_classes(answers, tmp_path / "a.csv", top_k=2)
    with open(tmp_path / "a.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert float(table[0]["score_1"]) == pytest.approx(first[0]["score"], abs=1e-5)
    assert [row["ok"] for row in table[:3]] == ["True", "True", "False"]
    plot_classes(answers, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.png"]
    with pytest.raises(NothingToDraw):
        plot_classes(answers[2:3], tmp_path / "b.png")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = small_model(relaxed=True)
    shape = {"classes": 7, "neighbours": 8, "widths": [4], "embedding": 8, "head": [8, 8]}
    card = {
        "name": "small-clouds",
        "family": "vn-dgcnn",
        "task": "point-cloud-classification",
        "dataset": "modelnet40",
        "method": "ace-equality",
        "config": shape,
        "targets": [{"name": "instance", "unit": "%", "description": "wrong objects"}],
        "domain": {"points": 64, "classes": list(CLASSES), "rotations": "so3", "temperature": 1.5},
    }
    folder = tmp_path_factory.mktemp("clouds") / "model"
    save_checkpoint(folder, card, {"equivariant": project(model), "partial": model})
    results = {"variants": {"equivariant": {"errors": {"instance": 16.0, "class": 20.0}}}}
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def run(checkpoint: Path, *arguments: object) -> int:
    command = ["predict", "--task", "point-cloud-classification", "--model", checkpoint, *arguments]
    return cli.main([str(argument) for argument in command])


def test_the_command_answers_three_formats(checkpoint: Path, tmp_path: Path, capsys) -> None:
    files = write_files(tmp_path)[:3]
    out = tmp_path / "out"
    out.mkdir()
    assert run(checkpoint, *files, "--csv", out / "a.csv", "--plot", out / "a.png") == 0
    text = capsys.readouterr().out
    for part in ("a.ply", "b.off", "c.xyz †", "probability", "84.0 % of the objects"):
        assert part in text
    assert len((out / "a.csv").read_text().splitlines()) == 4
    assert (out / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_the_command_answers_a_folder_as_json(checkpoint: Path, tmp_path: Path, capsys) -> None:
    write_files(tmp_path)
    assert run(checkpoint, tmp_path, "--json", "--top-k", 2, "--variant", "partial", "--seed", 3) == 3
    captured = capsys.readouterr()
    records = json.loads(captured.out)
    assert [len(record["classes"]) for record in records] == [2, 2, 2, 2, 0, 0]
    assert "2 of 6 inputs have no answer" in captured.err
    assert "not exactly invariant" in records[0]["caution"]
    assert run(checkpoint, tmp_path / "f.xyz") == 1
    assert "at least 20 are needed" in capsys.readouterr().out
    assert run(checkpoint, tmp_path / "a.ply", "--top-k", 0) == 1
    assert "--top-k must be at least 1" in capsys.readouterr().err


def test_the_command_says_how_many_parts_vote(checkpoint: Path, tmp_path: Path, capsys) -> None:
    np.save(tmp_path / "a.npy", cloud(200))
    for votes, points in ((1, 64), (2, 128)):
        assert run(checkpoint, tmp_path / "a.npy", "--json", "--votes", votes) == 0
        assert json.loads(capsys.readouterr().out)[0]["points"] == points
    assert run(checkpoint, tmp_path / "a.npy", "--votes", 0) == 1
    assert "votes must be positive" in capsys.readouterr().err


def test_names_that_no_file_can_have_do_not_end_the_others(checkpoint: Path, tmp_path: Path, capsys) -> None:
    np.save(tmp_path / "a.npy", cloud(64))
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / os.fsdecode(b"\xff.xyz")).write_text("1 2 3\n")
    table = tmp_path / "a.csv"
    names = ["~no-such-user/a.npy", "a" * 300 + ".npy"]
    assert run(checkpoint, tmp_path / "a.npy", *names, strange, "--csv", table) == 3
    assert "3 of 4 inputs have no answer" in capsys.readouterr().err
    lines = table.read_text().splitlines()
    assert len(lines) == 5
    assert "\\udcff.xyz" in lines[4]


def test_masked_points_are_not_taken_for_points(classify: PointCloudClassificationPipeline) -> None:
    masked = np.ma.masked_array(cloud(64), np.zeros((64, 3)))
    assert classify.classify(masked)[0].ok
    masked[3] = np.ma.masked
    assert not classify.classify(masked)[0].ok

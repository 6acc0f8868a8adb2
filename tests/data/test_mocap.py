"""Motion capture: made-up recordings, and the published parts where the data is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from equizoo.data import mocap_files
from equizoo.data.mocap import SKELETON, TRIALS, MotionSet, _published_starts, load_mocap
from equizoo.data.mocap_files import Trials, read_prepared, write_prepared
from tests.data.test_asf_amc import AMC, ASF

DATA = Path(os.environ.get("EQUIZOO_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.skipif(
    not (DATA / "cmu_run.npz").is_file() or not (DATA / "cmu_walk.npz").is_file(),
    reason="cmu_run.npz and cmu_walk.npz are not on this machine",
)


def made_up(count=11, frames=130):
    """Recordings whose coordinates say trial, frame, joint and axis."""
    trial, frame, joint, axis = np.ogrid[:count, :frames, :31, :3]
    pos = (10_000 * trial + 10 * frame + joint / 4 + axis / 16).astype(np.float32)
    return Trials(tuple(f"run {k}" for k in range(count)), tuple(pos), SKELETON.joints)


@pytest.fixture
def folder(tmp_path):
    write_prepared(made_up(), tmp_path / "cmu_run.npz")
    return tmp_path


def test_the_skeleton():
    assert len(SKELETON.joints) == len(set(SKELETON.joints)) == 31 and len(SKELETON.bones) == 30
    assert all(parent < child for child, parent in SKELETON.bones)


@pytest.mark.parametrize(("split", "size"), [("train", 200), ("valid", 240), ("test", 240)])
def test_published_parts(folder, split, size):
    samples = load_mocap(folder, motion="run", split=split)
    assert len(samples) == size and samples.target.shape == (size, 5, 31, 3)
    trials, frames = samples.pos[:, 0, 0].div(10_000).floor(), samples.pos[:, 0, 0].remainder(10_000) / 10
    assert trials.unique_consecutive().int().tolist() == list(TRIALS["run"][split])
    assert frames.max() < 90
    assert (samples.vel == 10).all()
    assert torch.equal(
        samples.target - samples.pos[:, None],
        torch.arange(260.0, 301, 10).view(1, 5, 1, 1).expand_as(samples.target),
    )


def test_published_starts_without_the_data():
    assert _published_starts("run", "train")[0][:4].tolist() == [57, 61, 26, 29]
    assert _published_starts("walk", "test")[-1][:4].tolist() == [287, 243, 44, 87]


def test_all_starts(folder):
    samples = load_mocap(folder, starts="all", frames=2)
    assert len(samples) == 5 * (130 - 31) and samples.target.shape[1] == 2
    assert len(load_mocap(folder, starts="all", horizon=1, frames=1)) == 5 * 128


def test_assignments_are_seeded_and_disjoint(folder):
    def trials(split, seed):
        return set(load_mocap(folder, split=split, assignment=seed).pos[:, 0, 0].div(10_000).int().tolist())

    parts = [trials(split, 3) for split in ("train", "valid", "test")]
    assert [len(part) for part in parts] == [5, 3, 3] and set.union(*parts) == set(range(11))
    assert parts[0] == trials("train", 3) != trials("train", 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"motion": "swim"}, "no motion 'swim'"),
        ({"split": "val"}, "no split 'val'"),
        ({"starts": "some"}, "no starts 'some'"),
        ({"horizon": 3}, "1 <= frames <= horizon"),
        ({"frames": 0}, "1 <= frames <= horizon"),
        ({"horizon": 60}, "has 130 frames, too few for horizon=60"),
        ({"horizon": 200, "starts": "all"}, "too few for horizon=200"),
    ],
)
def test_bad_options(folder, options, message):
    with pytest.raises(ValueError, match=message):
        load_mocap(folder, **options)


def test_other_recordings_are_refused(tmp_path):
    write_prepared(made_up(count=4), tmp_path / "cmu_run.npz")
    with pytest.raises(ValueError, match="11 runs of 31 known joints are needed, got 4"):
        load_mocap(tmp_path)


def test_sets():
    samples = MotionSet(torch.zeros(4, 31, 3), torch.zeros(4, 31, 3), torch.zeros(4, 5, 31, 3))
    assert len(samples.subset(torch.tensor([2, 0]))) == 2
    for shape in ((4, 5, 30, 3), (3, 5, 31, 3), (4, 31, 3)):
        with pytest.raises(ValueError, match="need one shape"):
            MotionSet(samples.pos, samples.vel, torch.zeros(shape))


def test_missing_data(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no walks in .*35_34\.amc from http"):
        load_mocap(tmp_path, motion="walk")
    monkeypatch.delenv("EQUIZOO_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="EQUIZOO_DATA is not set"):
        load_mocap()


def test_original_files(tmp_path, monkeypatch):
    monkeypatch.setitem(mocap_files.RECORDINGS, "walk", ("35_01", "35_10"))
    monkeypatch.setitem(mocap_files._SKIPPED, "35_10", 1)
    (tmp_path / "35").mkdir()
    (tmp_path / "35" / "35.asf").write_text(ASF)
    (tmp_path / "35" / "35_01.amc").write_text(AMC)
    with pytest.raises(FileNotFoundError, match=r"35_10\.amc missing"):
        mocap_files.read_trials("walk", tmp_path)
    (tmp_path / "35" / "35_10.amc").write_text(AMC)
    trials = mocap_files.read_trials("walk", tmp_path)
    assert trials.joints == ("root", "hip", "thigh", "spine")
    assert [pos.shape for pos in trials.pos] == [(2, 4, 3), (1, 4, 3)]
    np.testing.assert_array_equal(trials.pos[0][1:], trials.pos[1])
    write_prepared(trials, tmp_path / "cmu_walk.npz")
    for again in (mocap_files.read_trials("walk", tmp_path), read_prepared(tmp_path / "cmu_walk.npz")):
        assert again.names == trials.names and again.joints == trials.joints
        for one, other in zip(again.pos, trials.pos, strict=True):
            np.testing.assert_array_equal(one, other)
    write_prepared(mocap_files.read_original(tmp_path / "35", "walk"), tmp_path / "cmu_walk.npz")
    assert [len(pos) for pos in read_prepared(tmp_path / "cmu_walk.npz").pos] == [2, 2]
    assert [len(pos) for pos in mocap_files.read_trials("walk", tmp_path).pos] == [2, 1]
    with np.load(tmp_path / "cmu_walk.npz") as file:  # as files were written before they said it
        arrays = {name: file[name] for name in file.files if name != "skipped"}
    np.savez(tmp_path / "cmu_walk.npz", **arrays)
    assert [len(pos) for pos in mocap_files.read_trials("walk", tmp_path).pos] == [2, 1]
    (tmp_path / "cmu_walk.npz").unlink()
    (tmp_path / "35" / "35_10.amc").write_text(AMC.replace("root 1 2 3", "root 1 2 1e39"))
    with pytest.raises(ValueError, match=r"35_10\.amc: a position is too large"):
        mocap_files.read_trials("walk", tmp_path)
    (tmp_path / "35" / "35_10.amc").write_text(AMC.replace("thigh", "tail"))
    with pytest.raises(ValueError, match=r"35_10\.amc: line 6: .*'tail'"):
        mocap_files.read_trials("walk", tmp_path)


def test_damaged_prepared_files(folder):
    path = folder / "cmu_run.npz"
    arrays = dict(np.load(path))

    def refused(message, **changes):
        np.savez(path, **{key: value for key, value in {**arrays, **changes}.items() if value is not None})
        with pytest.raises(ValueError, match=message):
            read_prepared(path)

    refused("no file of prepared recordings", pos=None)
    refused("not float32", pos=arrays["pos"][:, :5])
    refused("not float32", pos=arrays["pos"].astype(np.float64))
    refused("does not cut", trial_offset=arrays["trial_offset"] + 1)
    refused("not a finite number", pos=np.where(arrays["pos"] == 0, np.nan, arrays["pos"]).astype(np.float32))
    refused("no file of prepared recordings", trial_names=np.array([object()]))
    refused("larger than 64 MB", extra=np.zeros(2**26 + 1, dtype=np.int8))
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ValueError, match="no file of prepared recordings"):
        read_prepared(path)


@needs_data
@pytest.mark.parametrize(
    ("motion", "sizes", "copy", "constant"),
    [("run", (200, 240, 240), 89.80, 19.80), ("walk", (198, 600, 600), 12.90, 2.73)],
)
def test_the_real_data(motion, sizes, copy, constant):
    parts = [load_mocap(DATA, motion=motion, split=split) for split in ("train", "valid", "test")]
    assert tuple(map(len, parts)) == sizes
    test = parts[2]
    assert float((test.target[:, -1] - test.pos).square().mean()) == pytest.approx(copy, abs=0.05)
    error = (test.target[:, -1] - test.pos - 30 * test.vel).square().mean()
    assert float(error) == pytest.approx(constant, abs=0.05)


@needs_data
@pytest.mark.parametrize("motion", ["run", "walk"])
def test_start_frames_are_the_published_ones(motion):
    with np.load(DATA / f"cmu_{motion}.npz") as arrays:
        assert tuple(map(tuple, arrays["edges"].tolist())) == SKELETON.bones
        for split, key in (("train", "train"), ("valid", "val"), ("test", "test")):
            assert tuple(arrays[f"{key}_case"].tolist()) == TRIALS[motion][split]
            for ours, theirs in zip(_published_starts(motion, split), arrays[f"{key}_frame"], strict=True):
                np.testing.assert_array_equal(ours, theirs[: len(ours)])

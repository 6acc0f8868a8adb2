"""The data set of charged particles: its parts, its cache, and the original files."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from equizoo.data import nbody
from equizoo.data.nbody import SOURCES, NBodySet, World, load_nbody, simulate

COUNTS = (6, 4, 3)
SUFFIX = "charged5_initvel1small.npy"


@pytest.fixture(autouse=True)
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EQUIZOO_DATA", raising=False)
    return tmp_path / "cache" / "equizoo"


@pytest.fixture
def no_simulation(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return a switch that turns a further simulation into an error."""

    def refuse(*_: object) -> None:
        raise AssertionError("simulated again")

    monkeypatch.setattr(nbody, "simulate", refuse)
    return monkeypatch


def same(a: NBodySet, b: NBodySet) -> bool:
    return all(torch.equal(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))


def write_released(folder: Path, split: str = "train", systems: int = 6) -> dict[str, np.ndarray]:
    made = simulate(World(), systems, 43)
    arrays = {
        "loc": made.pos.numpy().transpose(0, 1, 3, 2),
        "vel": made.vel.numpy().transpose(0, 1, 3, 2),
        "charges": made.charge.numpy()[..., None],
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}_{split}_{SUFFIX}", array)
    return arrays


def test_the_parts_are_cut_from_one_simulation(tmp_path: Path) -> None:
    made = simulate(World(), sum(COUNTS), 43)
    first = 0
    for split, count in zip(("train", "valid", "test"), COUNTS, strict=True):
        part = load_nbody(tmp_path, split=split, counts=COUNTS)
        rows = slice(first, first + count)
        assert len(part) == count
        assert torch.equal(part.pos, made.pos[rows, 30].float())
        assert torch.equal(part.vel, made.vel[rows, 30].float())
        assert torch.equal(part.charge, made.charge[rows].float())
        assert torch.equal(part.target, made.pos[rows, 40].float())
        first += count


def test_frames_samples_and_worlds(tmp_path: Path) -> None:
    world = World(particles=3, field=1.0)
    made = simulate(world, sum(COUNTS), 5)
    part = load_nbody(tmp_path, world=world, samples=2, seed=5, start=0, end=48, counts=COUNTS)
    assert torch.equal(part.pos, made.pos[:2, 0].float())
    assert torch.equal(part.target, made.pos[:2, 48].float())
    assert part.charge.shape == (2, 3)
    picked = part.subset(torch.tensor([1, 0, 1]))
    assert len(picked) == 3
    assert torch.equal(picked.target[1], part.target[0])


def test_the_second_time_reads_the_file(tmp_path: Path, no_simulation: pytest.MonkeyPatch) -> None:
    with no_simulation.context() as allowed:
        allowed.setattr(nbody, "simulate", simulate)
        first = load_nbody(tmp_path, counts=COUNTS)
    assert same(load_nbody(tmp_path, counts=COUNTS), first)
    (path,) = tmp_path.glob("*.npz")
    assert path.name.startswith("nbody-charged-5-")
    assert [p for p in tmp_path.iterdir() if p.is_file()] == [path]
    for other in ({"seed": 44}, {"world": World(field=1.0)}, {"counts": (6, 4, 2)}):
        with pytest.raises(AssertionError, match="simulated again"):
            load_nbody(tmp_path, **{"counts": COUNTS, **other})


def test_the_environment_variable_and_then_the_user_cache(
    tmp_path: Path, user_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_nbody(counts=COUNTS)
    assert len(list(user_cache.glob("nbody-*.npz"))) == 1
    monkeypatch.setenv("EQUIZOO_DATA", str(tmp_path / "data"))
    load_nbody(seed=1, counts=COUNTS)
    assert len(list((tmp_path / "data").glob("nbody-*.npz"))) == 1


@pytest.mark.parametrize("damage", ["truncated", "not a file of arrays", "changed", "renamed"])
def test_a_damaged_file_is_made_again(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = load_nbody(tmp_path, counts=COUNTS)
    (path,) = tmp_path.glob("*.npz")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "not a file of arrays":
        path.write_bytes(b"something else")
    elif damage == "changed":
        with np.load(path) as arrays:
            changed = dict(arrays)
        changed["pos"][0, 0, 0, 0] += 1
        np.savez(path, **changed)
    else:
        load_nbody(tmp_path, counts=COUNTS, seed=1)
        (other,) = set(tmp_path.glob("*.npz")) - {path}
        other.replace(path)
    with caplog.at_level(logging.WARNING):
        assert same(load_nbody(tmp_path, counts=COUNTS), first)
    assert "simulated again" in caplog.text
    assert str(path) in caplog.text
    caplog.clear()
    assert same(load_nbody(tmp_path, counts=COUNTS), first)
    assert caplog.text == ""


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, user_cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    first = load_nbody(blocked / "data", counts=COUNTS)
    assert len(list(user_cache.glob("nbody-*.npz"))) == 1  # the next best place
    assert caplog.text == ""
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with caplog.at_level(logging.WARNING):
        assert same(load_nbody(blocked / "data", counts=COUNTS), first)
    assert "kept in memory only" in caplog.text


def test_the_original_files_are_read(
    tmp_path: Path, no_simulation: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    arrays = write_released(tmp_path)
    with caplog.at_level(logging.WARNING):
        part = load_nbody(tmp_path, samples=5)
    assert "has 6 of the 10000 systems" in caplog.text
    assert len(part) == 5
    assert part.pos.is_contiguous()
    target = torch.from_numpy(arrays["loc"][:5, 40].transpose(0, 2, 1)).float()
    assert torch.equal(part.target, target)
    with pytest.raises(ValueError, match="samples=7: the train part has 6 systems"):
        load_nbody(tmp_path, samples=7)
    with pytest.raises(AssertionError, match="simulated again"):
        load_nbody(tmp_path, world=World(field=1.0))


def test_damaged_original_files_are_named(tmp_path: Path) -> None:
    arrays = write_released(tmp_path)
    path = tmp_path / f"vel_train_{SUFFIX}"
    for content, message in (
        (arrays["vel"][:-1], r"shape \(5, 49, 3, 5\), not \(6, 49, 3, 5\)"),
        (arrays["vel"] * np.nan, "not a finite number"),
        (np.array([{"a": "pickle"}]), "is not a numpy array"),
    ):
        np.save(path, content)
        with pytest.raises(ValueError, match=f"vel_train_{SUFFIX}.*{message}"):
            load_nbody(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"vel_train_{SUFFIX} is missing"):
        load_nbody(tmp_path)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"split": "tset"}, "no part named 'tset'; the parts are train, valid, test"),
        ({"samples": 7}, "samples=7: the train part has 6 systems"),
        ({"samples": 0}, "samples=0"),
        ({"start": 40, "end": 40}, "they must rise and lie in 0 to 48"),
        ({"start": 30, "end": 49}, "frames 30 and 49"),
        ({"start": -1}, "frames -1 and 40"),
        ({"counts": (5, 5)}, "three numbers of at least 1"),
        ({"counts": (5, 0, 5)}, "three numbers of at least 1"),
    ],
)
def test_what_is_not_there(request_: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        load_nbody(tmp_path, **{"counts": COUNTS, **request_})


def test_a_set_checks_its_shapes() -> None:
    pos = torch.zeros(2, 5, 3)
    with pytest.raises(ValueError, match=r"one shape \(S, n, 3\) and charge \(S, n\)"):
        NBodySet(pos, pos, torch.zeros(2, 4), pos)
    with pytest.raises(ValueError, match=r"\(2, 4, 3\)"):
        NBodySet(pos, pos, torch.zeros(2, 5), pos[:, :4])


def test_the_source_has_an_address_and_a_licence() -> None:
    (source,) = SOURCES.values()
    assert source.url.startswith("https://")
    assert source.licence == "MIT"

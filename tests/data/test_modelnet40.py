import os
from pathlib import Path

import numpy as np
import pytest
import torch

from equizoo.data import modelnet40
from equizoo.data.modelnet40 import (
    CLASSES,
    SOURCES,
    PointCloudSet,
    drop_points,
    load_modelnet40,
    to_unit_sphere,
    validation_part,
)
from equizoo.data.modelnet40_files import SIZES, find_modelnet40, read_modelnet40, write_prepared
from tests.data.point_samples import OBJECTS, surface, write_hdf5, write_meshes, write_resampled

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(params=["text", "hdf5", "prepared"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A data folder with five objects in one of its forms."""
    if request.param == "hdf5":
        pytest.importorskip("h5py")
        write_hdf5(tmp_path)
        return tmp_path
    write_resampled(tmp_path)
    if request.param == "prepared":
        source, prepared = find_modelnet40(tmp_path), tmp_path / "other" / "modelnet40"
        prepared.mkdir(parents=True)
        write_prepared(source, prepared / "modelnet40.npz", points=40)
        assert [path.name for path in prepared.iterdir()] == ["modelnet40.npz"]
        return prepared.parent
    return tmp_path


def unit(points: np.ndarray) -> torch.Tensor:
    return to_unit_sphere(torch.from_numpy(points.astype(np.float32)))


@pytest.mark.parametrize("split", SIZES)
def test_every_form_gives_the_same_clouds(root: Path, split: str) -> None:
    clouds = load_modelnet40(root, split=split, points=12, valid_fraction=0)
    assert clouds.points.dtype == torch.float32
    assert [CLASSES[i] for i in clouds.label] == [name.rpartition("_")[0] for name in OBJECTS[split]]
    for name, cloud in zip(OBJECTS[split], clouds.points, strict=True):
        assert torch.allclose(cloud, unit(surface(name)[:12]), atol=2e-4)  # int16 in the prepared file


def test_the_environment_variable_names_the_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIZOO_DATA", str(root))
    assert len(load_modelnet40(split="test", points=40)) == 1


def test_clouds_are_centred_and_scaled_after_slicing(root: Path) -> None:
    points = load_modelnet40(root, points=7, valid_fraction=0).points
    assert points.mean(1).abs().max() < 1e-6
    assert torch.allclose(points.norm(dim=-1).amax(1), torch.ones(len(points)))


def test_train_and_valid_are_the_published_training_part(root: Path) -> None:
    parts = [load_modelnet40(root, split=split, points=9, valid_fraction=0.5) for split in ("train", "valid")]
    whole = load_modelnet40(root, points=9, valid_fraction=0)
    assert [len(part) for part in parts] == [
        1,
        3,
    ]  # one of each class at least, though few are alone in theirs
    together = torch.cat([part.points for part in parts])
    assert torch.equal(together.sum((1, 2)).sort().values, whole.points.sum((1, 2)).sort().values)


def test_the_validation_part_is_balanced_seeded_and_does_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 40, 4000)
    number = np.arange(4000)
    chosen = validation_part(label, number, 0.1, seed=0)
    for kind in range(40):
        assert chosen[label == kind].sum() == round(0.1 * (label == kind).sum())
    order = rng.permutation(4000)
    assert np.array_equal(validation_part(label[order], number[order], 0.1, seed=0), chosen[order])
    assert not np.array_equal(validation_part(label, number, 0.1, seed=1), chosen)
    assert not validation_part(label, number, 0, seed=0).any()
    kept = rng.random(4000) < 0.98
    fewer = validation_part(label[kept], number[kept], 0.1, seed=0)
    assert (fewer != chosen[kept]).mean() < 0.01


def test_meshes_are_sampled_the_same_every_time(tmp_path: Path) -> None:
    pytest.importorskip("trimesh")
    write_meshes(tmp_path)
    first, again = (load_modelnet40(tmp_path, points=50, valid_fraction=0) for _ in range(2))
    assert torch.equal(first.points, again.points)
    assert torch.equal(load_modelnet40(tmp_path, points=20, split="test").label, torch.tensor([39]))
    assert not torch.equal(first.points[0], first.points[1])
    assert len(first) == 4


def test_missing_data_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"modelnet40_ply_hdf5_2048 from https://") as error:
        load_modelnet40(tmp_path)
    assert str(tmp_path) in str(error.value)
    monkeypatch.delenv("EQUIZOO_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="set EQUIZOO_DATA"):
        load_modelnet40()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "validation"}, "no part named 'validation'"),
        ({"valid_fraction": 1.0}, "0 <= valid_fraction < 1"),
        ({"split": "valid", "valid_fraction": 0}, "leaves no validation part"),
        ({"points": 1}, "points >= 2"),
        ({"points": 41}, r"41 points|and 41 were asked for|\(3, 40, 3\)"),
    ],
)
def test_what_cannot_be_loaded(root: Path, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_modelnet40(root, **options)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    folder = write_resampled(tmp_path)
    path = folder / "xbox" / "xbox_0001.txt"
    path.write_text(path.read_text().replace(",", ";"))
    with pytest.raises(ValueError, match=r"xbox_0001\.txt does not hold points"):
        load_modelnet40(tmp_path, points=20)
    (folder / "modelnet40_train.txt").write_text("zebra_0001\n")
    with pytest.raises(ValueError, match="'zebra_0001' is not the name of an object"):
        load_modelnet40(tmp_path, points=20)
    (folder / "modelnet40_train.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"modelnet40_train\.txt"):
        load_modelnet40(tmp_path, points=20)
    (tmp_path / "modelnet40.npz").write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(ValueError, match="is not a prepared ModelNet40 file"):
        load_modelnet40(tmp_path)


def test_damaged_prepared_files_are_refused(tmp_path: Path) -> None:
    write_resampled(tmp_path)
    path = tmp_path / "prepared" / "modelnet40.npz"
    path.parent.mkdir()
    write_prepared(find_modelnet40(tmp_path), path, points=40)
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    damaged = {
        "other classes": {"class_names": arrays["class_names"][::-1]},
        "a label is not in 0 to 39": {"label": arrays["label"] + 100},
        "not finite, or all equal": {"points": 0 * arrays["points"]},
        "the number of an object": {"object_number": arrays["object_number"] - 5},
        "Object arrays cannot be loaded": {"class_names": arrays["class_names"].astype(object)},
        "has no train objects": {"split": arrays["split"] * 0 + 1},
    }
    for message, change in damaged.items():
        np.savez(path, **(arrays | change))
        with pytest.raises(ValueError, match=message):
            load_modelnet40(path.parent, points=20)


def test_hdf5_files_that_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "modelnet40_ply_hdf5_2048"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "h5py", None)
        with pytest.raises(ImportError, match=r"pip install 'equizoo\[hdf5\]'"):
            load_modelnet40(tmp_path)
    pytest.importorskip("h5py")
    with pytest.raises(FileNotFoundError, match=r"no files ply_data_train\*\.h5"):
        load_modelnet40(tmp_path)
    (folder / "ply_data_train0.h5").write_bytes(b"\x89HDF")
    with pytest.raises(ValueError, match="is not a ModelNet40 HDF5 file"):
        load_modelnet40(tmp_path)


def test_dropped_points_become_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.randn(3, 2000, 3)
    ratio = torch.tensor([0.0, 0.5, 1.0])
    generator = torch.Generator().manual_seed(0)
    dropped = drop_points(points, ratio, generator)
    at_first = (dropped == points[:, :1]).all(-1)
    assert at_first.float().mean(1).tolist() == pytest.approx([1 / 2000, 0.5, 1.0], abs=0.04)
    assert torch.equal(torch.where(at_first[..., None], points, dropped), points)
    assert torch.equal(drop_points(points, ratio, torch.Generator().manual_seed(0)), dropped)
    with pytest.raises(ValueError, match=r"ratio \(B,\)"):
        drop_points(points, ratio[:2])


def test_sets_are_checked_and_cut() -> None:
    clouds = PointCloudSet(torch.randn(4, 5, 3), torch.arange(4))
    assert clouds.subset(torch.tensor([2, 0])).label.tolist() == [2, 0]
    assert len(clouds) == 4
    with pytest.raises(ValueError, match=r"points must be \(S, P, 3\)"):
        PointCloudSet(torch.randn(4, 5, 2), torch.arange(4))
    with pytest.raises(ValueError, match=r"label \(S,\)"):
        PointCloudSet(torch.randn(4, 5, 3), torch.arange(5))


def test_every_source_has_an_address_and_terms() -> None:
    for name, source in SOURCES.items():
        assert source.name == name
        assert source.url.startswith("https://")
        assert "research" in source.licence
    assert len(CLASSES) == len(set(CLASSES)) == 40
    assert list(CLASSES) == sorted(CLASSES)
    assert set(modelnet40.SPLITS) == {"train", "valid", "test"}


def data_folder() -> Path | None:
    """The folder with the data set, if this machine has one."""
    places = [os.environ.get("EQUIZOO_DATA"), Path(__file__).parents[3] / "shared" / "data"]
    return next((Path(place) for place in places if place and find_modelnet40(Path(place))), None)


@pytest.mark.skipif(data_folder() is None, reason="ModelNet40 itself is not on this machine")
def test_the_whole_data_set() -> None:
    raw = read_modelnet40(find_modelnet40(data_folder()), "train", 300)
    assert len(raw.label) in (9_643, 9_843)
    assert np.bincount(raw.label).min() >= 59
    chosen = validation_part(raw.label, raw.number, 0.1, seed=0)
    assert chosen.mean() == pytest.approx(0.1, abs=0.002)
    assert set(raw.label[chosen]) == set(range(40))

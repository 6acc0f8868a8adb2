import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from equizoo.data import qm9_files
from equizoo.data.qm9 import (
    ATOM_REFERENCES,
    QM9,
    TARGET_NAMES,
    atom_reference,
    load_qm9,
    standard_split,
)
from equizoo.data.qm9_files import SOURCES, find_qm9, read_prepared, read_qm9, write_prepared
from tests.data.qm9_samples import (
    UNCHARACTERIZED,
    sdf_and_table,
    write_archive,
    write_uncharacterized,
    xyz,
)

HARTREE = 27.211386245988


def write_folder(root: Path) -> None:
    (root / "dsgdb9nsd.xyz").mkdir()
    for number in (1, 2, 3):
        (root / "dsgdb9nsd.xyz" / f"dsgdb9nsd_{number:06d}.xyz").write_text(xyz(number))


def write_tar(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "dsgdb9nsd.xyz.tar.bz2"
    write_archive(path, "w:bz2", {f"dsgdb9nsd_{number:06d}.xyz": xyz(number) for number in (3, 1, 2)})
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(SOURCES, path.name, SOURCES[path.name]._replace(md5=digest))


def write_sdf(root: Path) -> None:
    for name, text in sdf_and_table().items():
        (root / name).write_text(text)


@pytest.fixture(params=["folder", "tar", "sdf", "sdf tar"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with three molecules in one of the published formats."""
    write_uncharacterized(tmp_path)
    if request.param == "folder":
        write_folder(tmp_path)
    elif request.param == "tar":
        write_tar(tmp_path, monkeypatch)
    elif request.param == "sdf":
        write_sdf(tmp_path)
    else:
        write_archive(tmp_path / "gdb9.tar.gz", "w:gz", sdf_and_table())
    return tmp_path


def check_samples(qm9: QM9) -> None:
    molecules = qm9.molecules
    assert molecules.index.tolist() == [1, 2, 3]
    assert molecules.n_atoms.tolist() == [5, 4, 3]
    assert molecules.z.tolist() == [6, 1, 1, 1, 1, 7, 1, 1, 1, 8, 1, 1]
    torch.testing.assert_close(molecules.pos[5], torch.tensor([-0.0404, 1.0241, 0.0626]), atol=1e-4, rtol=0)
    assert abs(molecules.pos[6, 2].item()) < 1e-4  # written -2.1*^-6
    water = dict(zip(TARGET_NAMES, molecules.y[2].tolist(), strict=True))
    assert water["mu"] == 1.8511
    assert water["r2"] == 19.0002
    assert water["Cv"] == 6.002
    assert water["gap"] == pytest.approx(0.3615 * HARTREE, rel=1e-14)
    assert water["zpve"] == pytest.approx(0.021375 * HARTREE, rel=1e-14)
    assert water["U0"] == pytest.approx(-76.404702 * HARTREE, rel=1e-14)
    assert qm9.part.tolist()[1] == 255  # in the list the test wrote


def test_every_published_format_gives_the_same_molecules(root: Path) -> None:
    check_samples(load_qm9(root))


def test_the_environment_variable_names_the_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIZOO_DATA", str(root))
    check_samples(load_qm9())


def test_a_prepared_file_gives_the_same_molecules(root: Path, tmp_path: Path) -> None:
    raw = read_qm9(find_qm9(root))
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    write_prepared(raw, prepared / "qm9.npz")
    check_samples(load_qm9(prepared))
    assert load_qm9(prepared).smiles == (("C", "N", "O") if raw.smiles else None)
    assert sorted(path.name for path in prepared.iterdir())[0] == "qm9.npz"


def test_smiles_come_from_the_xyz_files(tmp_path: Path) -> None:
    write_uncharacterized(tmp_path)
    write_folder(tmp_path)
    assert load_qm9(tmp_path).smiles == ("C", "N", "O")


def test_a_prepared_file_keeps_both_smiles(tmp_path: Path) -> None:
    write_uncharacterized(tmp_path)
    write_folder(tmp_path)
    path = tmp_path / "dsgdb9nsd.xyz" / "dsgdb9nsd_000003.xyz"
    path.write_text(path.read_text().replace("O\tO\t\n", "O\t[H]O[H]\t\n"))
    raw = read_qm9(find_qm9(tmp_path))
    assert raw.geometry_smiles == {1: "C", 2: "N", 3: "[H]O[H]"}
    write_prepared(raw, tmp_path / "qm9.npz")
    with gzip.open(tmp_path / "qm9_smiles.tsv.gz", "rt") as file:
        rows = file.read().splitlines()
    assert rows == ["index\tsmiles_gdb17\tsmiles_b3lyp", "1\tC\tC", "2\tN\tN", "3\tO\t[H]O[H]"]
    assert load_qm9(tmp_path).smiles == ("C", "N", "O")


def test_a_missing_data_set_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"dsgdb9nsd\.xyz\.tar\.bz2 from https://") as error:
        load_qm9(tmp_path)
    assert str(tmp_path) in str(error.value)
    monkeypatch.delenv("EQUIZOO_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="set EQUIZOO_DATA"):
        load_qm9()


def test_the_list_of_uncharacterised_molecules_is_needed(tmp_path: Path) -> None:
    write_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"uncharacterized\.txt is missing"):
        load_qm9(tmp_path)
    write_uncharacterized(tmp_path, UNCHARACTERIZED[:-1])
    with pytest.raises(ValueError, match="has 3053 numbers, not 3,054"):
        load_qm9(tmp_path)


def test_an_archive_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    write_uncharacterized(tmp_path)
    (tmp_path / "dsgdb9nsd.xyz.tar.bz2").write_bytes(b"something else")
    with pytest.raises(ValueError, match="is not the published file: its md5 is"):
        load_qm9(tmp_path)


@pytest.mark.parametrize("damage", ["atoms", "header", "element", "number"])
def test_a_damaged_xyz_file_is_named(damage: str, tmp_path: Path) -> None:
    write_uncharacterized(tmp_path)
    write_folder(tmp_path)
    path = tmp_path / "dsgdb9nsd.xyz" / "dsgdb9nsd_000002.xyz"
    text = path.read_text()
    changed = {
        "atoms": "9" + text[1:],
        "header": text.replace("9.46\t", ""),
        "element": text.replace("N\t", "Xx\t"),
        "number": text.replace("1.6256", "a lot"),
    }[damage]
    assert changed != text
    path.write_text(changed)
    with pytest.raises(ValueError, match=r"dsgdb9nsd_000002\.xyz is not a GDB-9 XYZ file"):
        load_qm9(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "not gzip", "empty", "another"])
def test_a_damaged_archive_is_named(damage: str, tmp_path: Path) -> None:
    write_uncharacterized(tmp_path)
    path = tmp_path / "gdb9.tar.gz"
    write_archive(path, "w:gz", {"gdb9.sdf": ""} if damage == "another" else sdf_and_table())
    whole = path.read_bytes()
    path.write_bytes(
        {"cut": whole[: len(whole) // 2], "not gzip": b"something else", "empty": b""}.get(damage, whole)
    )
    with pytest.raises(ValueError, match=r"gdb9\.tar\.gz is damaged or something else"):
        load_qm9(tmp_path)


def test_the_sdf_file_and_its_table(tmp_path: Path) -> None:
    write_uncharacterized(tmp_path)
    write_sdf(tmp_path)
    table = tmp_path / "gdb9.sdf.csv"
    text = table.read_text()
    table.write_text(text, encoding="utf-8-sig")  # begins with a byte order mark
    check_samples(load_qm9(tmp_path))
    table.write_text(text.replace("mu,", "mu2,"))
    with pytest.raises(ValueError, match=r"gdb9\.sdf is damaged .* table of targets has no column mu"):
        load_qm9(tmp_path)
    table.write_text(text[: text.rindex(",") - 30])
    with pytest.raises(ValueError, match=r"gdb9\.sdf is damaged .* line 4 of the table"):
        load_qm9(tmp_path)
    table.unlink()
    with pytest.raises(FileNotFoundError, match=r"gdb9\.sdf\.csv is missing"):
        load_qm9(tmp_path)


def test_a_damaged_list_of_uncharacterised_molecules_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_uncharacterized(tmp_path)
    path = tmp_path / "uncharacterized.txt"
    lines = path.read_text().splitlines()
    for row in ("", "many  C#C"):
        path.write_text("\n".join([*lines[:12], row, *lines[13:]]))
        with pytest.raises(ValueError, match=r"uncharacterized\.txt is damaged .* line 13 does not begin"):
            load_qm9(tmp_path)


def test_a_cut_table_of_smiles_is_named(tmp_path: Path) -> None:
    write_uncharacterized(tmp_path)
    write_folder(tmp_path)
    write_prepared(read_qm9(find_qm9(tmp_path)), tmp_path / "qm9.npz")
    path = tmp_path / "qm9_smiles.tsv.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"qm9_smiles\.tsv\.gz is no table of SMILES"):
        load_qm9(tmp_path)


def test_damaged_prepared_files_are_refused(tmp_path: Path) -> None:
    write_uncharacterized(tmp_path)
    write_folder(tmp_path)
    raw = read_qm9(find_qm9(tmp_path))
    path = tmp_path / "qm9.npz"
    write_prepared(raw, path)
    whole = path.read_bytes()
    start = whole.index(b"targets.npy") + 31  # where it begins: zlib.error
    for data in (b"PK\x03\x04 truncated", whole[:start] + b"\xff" * 40 + whole[start + 40 :]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="is not a prepared QM9 file"):
            load_qm9(tmp_path)
    damaged = {
        "atoms are announced": {"z": raw.z[:-1]},
        "rows of targets": {"targets": raw.targets[:-1]},
        "not a finite number": {"targets": raw.targets * np.nan},
        "there twice": {"index": np.array([1, 3, 3])},
    }
    for message, change in damaged.items():
        write_prepared(type(raw)(**(vars(raw) | change)), path)
        with pytest.raises(ValueError, match=message):
            load_qm9(tmp_path)
    write_prepared(raw, path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"targets": arrays["targets"].astype(object)}))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_prepared(path)


def test_every_source_has_an_address_and_a_licence() -> None:
    assert set(SOURCES) == {"dsgdb9nsd.xyz.tar.bz2", "uncharacterized.txt", "gdb9.tar.gz"}
    for source in SOURCES.values():
        assert source.url.startswith("https://")
        assert source.licence == "CC0"
        assert source.md5 is None or len(source.md5) == 32


def test_the_standard_split_has_the_published_sizes() -> None:
    left_out = np.arange(1, 3055)
    part = standard_split(np.arange(1, 133_886), left_out)
    assert np.bincount(part)[[0, 1, 2, 255]].tolist() == [100_000, 17_748, 13_083, 3_054]
    assert (part[:3054] == 255).all()
    assert np.array_equal(standard_split(np.array([7000, 9000]), left_out), part[[6999, 8999]])
    digest = "43bd44796e8b52374090b8359362246dad9d810e8b2390103522f60950e8d00e"
    assert hashlib.sha256(part.tobytes()).hexdigest() == digest


def test_each_seed_shuffles_the_molecules_anew_and_parts_are_disjoint() -> None:
    part = torch.zeros(103, dtype=torch.uint8)
    part[[3, 50, 99]] = 255
    kept = (part != 255).nonzero()[:, 0]
    qm9 = QM9(None, part)
    shuffled = [[qm9.rows(name, seed) for name in ("train", "valid", "test")] for seed in (42, 43)]
    for parts in shuffled:
        assert [len(rows) for rows in parts] == [80, 10, 10]
        assert torch.equal(torch.cat(parts).sort().values, kept)
    assert not any(torch.equal(one, other) for one, other in zip(*shuffled, strict=True))


def test_reference_energies_are_summed_in_float64() -> None:
    z, batch = torch.tensor([8, 1, 1, 6]), torch.tensor([0, 0, 0, 1])
    sums = atom_reference(z, batch, 2)
    assert sums.dtype == torch.float64
    assert sums[0, TARGET_NAMES.index("U0")].item() == pytest.approx(
        (-75.064579 - 2 * 0.500273) * HARTREE, rel=1e-15
    )
    assert sums[1, TARGET_NAMES.index("G")].item() == pytest.approx(-37.861317 * HARTREE, rel=1e-15)
    assert (
        sums[:, [i for i, name in enumerate(TARGET_NAMES) if name not in ("U0", "U", "H", "G")]].eq(0).all()
    )
    assert ATOM_REFERENCES[:, 4].tolist() == [2.981] * 5
    with pytest.raises(ValueError, match=r"no reference energy for atomic numbers \[14\]"):
        atom_reference(torch.tensor([6, 14]), torch.tensor([0, 0]), 1)


def data_folder() -> Path | None:
    """The folder with the whole data set, if this machine has one."""
    places = [os.environ.get("EQUIZOO_DATA"), Path(__file__).parents[3] / "shared" / "data"]
    return next((Path(place) for place in places if place and find_qm9(Path(place))), None)


@pytest.mark.skipif(data_folder() is None, reason="QM9 itself is not on this machine")
def test_the_whole_data_set() -> None:
    qm9 = load_qm9(data_folder())
    raw = read_qm9(find_qm9(data_folder()))
    assert len(qm9.split("valid")) == 17_748
    assert len(qm9.split("test")) == 13_083
    assert len(qm9.split("uncharacterized")) == 3_054
    assert len(qm9.split("train")) in (99_000, 100_000)
    parts = [qm9.rows(part, seed=42) for part in ("train", "valid", "test")]
    kept = int((qm9.part != 255).sum())
    assert [len(part) for part in parts[:2]] == [int(0.8 * kept), int(0.1 * kept)]
    assert torch.equal(torch.cat(parts).sort().values, (qm9.part != 255).nonzero()[:, 0])
    assert torch.equal(qm9.rows("test", seed=42), parts[2])
    assert not torch.equal(qm9.rows("test", seed=43), parts[2])
    with pytest.raises(ValueError, match="no part named 'validation'"):
        qm9.split("validation")
    batch = qm9.molecules.batch(torch.arange(0, kept, 100))
    energies = batch["y"] - atom_reference(batch["z"], batch["batch"], len(batch["y"]))
    column = TARGET_NAMES.index("U0")
    assert energies[:, column].max() < 0  # every molecule is bound
    assert energies[:, column].min() > -120
    assert set(np.unique(raw.z)) == {1, 6, 7, 8, 9}
    assert qm9_files.find_qm9(Path(__file__).parent) is None

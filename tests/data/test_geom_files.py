"""GEOM's original files: small ones in their format."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("msgpack")

import msgpack

from equizoo.data.geom_files import SOURCES, read_geom
from equizoo.data.molecule_graphs import molecule_graph, stereo_kept
from tests.data.conformer_samples import embedded


def record(smiles: str, conformers: int) -> dict:
    """Return a molecule as GEOM stores it, its atoms shuffled and its conformers in no order."""
    mol, pos = embedded(smiles, conformers)
    order = np.random.default_rng(1).permutation(mol.GetNumAtoms())
    z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    energy = np.arange(conformers)[::-1] * 0.3
    weight = np.exp(-energy / 0.593)
    return {
        "charge": 0,
        "totalconfs": conformers,
        "uniqueconfs": conformers,
        "temperature": 298.15,
        "conformers": [
            {
                "geom_id": k,
                "set": 1,
                "degeneracy": 1,
                "totalenergy": -40 + energy[k] / 627.5,
                "relativeenergy": float(energy[k]),
                "boltzmannweight": float(weight[k] / weight.sum()),
                "conformerweights": [float(weight[k])],
                "xyz": np.column_stack([z, pos[k]])[order].tolist(),
            }
            for k in range(conformers)
        ],
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two blocks of molecules; one is announced with another SMILES than its geometry's."""
    blocks = [
        {"C[C@H](N)CO": record("C[C@H](N)CO", 4), "COC": record("CCO", 2)},
        {"not a SMILES": record("C", 1), "C/C=C/C[NH3+]": record("C/C=C/C[NH3+]", 2)},
    ]
    path = tmp_path / "qm9_crude.msgpack"
    path.write_bytes(b"".join(msgpack.packb(block) for block in blocks))
    return path


def test_molecules_in_the_order_of_their_smiles(path: Path) -> None:
    first, other, unreadable, charged = read_geom(path, most=3)
    assert other is None
    assert unreadable is None
    assert first.conformers.shape == (3, 14, 3)
    np.testing.assert_allclose(first.energy, [0, 0.3, 0.6])
    for one in (first, charged):
        assert stereo_kept(molecule_graph(one.mol), one.conformers).all()


def test_an_archive_as_it_is_published(path: Path) -> None:
    archive = path.with_name("qm9_crude.msgpack.tar.gz")
    assert archive.name in SOURCES
    with tarfile.open(archive, "w:gz") as file:
        file.add(path, "qm9_crude.msgpack")
    assert next(read_geom(archive, molecules=1)).smiles == "C[C@H](N)CO"


def test_conformers_of_another_isomer_are_left_out(tmp_path: Path) -> None:
    stored = record("C[C@H](N)CO", 2)
    for row in stored["conformers"][0]["xyz"]:
        row[1] *= -1
    path = tmp_path / "drugs_crude.msgpack"
    path.write_bytes(msgpack.packb({"C[C@H](N)CO": stored}))
    (one,) = read_geom(path)
    assert len(one.conformers) == 1


def test_files_that_are_something_else(path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.msgpack"
    broken.write_bytes(msgpack.packb([1, 2, 3]))
    with pytest.raises(ValueError, match=r"broken\.msgpack is damaged or no file of GEOM"):
        list(read_geom(broken))
    archive = tmp_path / "empty.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(path, "notes.txt")
    with pytest.raises(ValueError, match=r"has no \.msgpack file"):
        list(read_geom(archive))
    with pytest.raises(FileNotFoundError):
        list(read_geom(tmp_path / "none.msgpack"))


def test_a_file_that_ends_early(path: Path) -> None:
    data = path.read_bytes()
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    unpacker.skip()
    size = unpacker.tell()
    for end in (0, 1, size - 1, size + 1, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(ValueError, match=r"is damaged or no file of GEOM: .*ends within a block"):
            list(read_geom(path))
    path.write_bytes(data)
    archive = path.with_name("qm9_crude.msgpack.tar.gz")
    with tarfile.open(archive, "w:gz") as file:
        file.add(path, "qm9_crude.msgpack")
    assert len(list(read_geom(archive))) == len(list(read_geom(path))) == 4
    archive.write_bytes(archive.read_bytes()[:-900])
    with pytest.raises(ValueError, match="damaged"):
        list(read_geom(archive))


def test_a_bad_conformer_of_the_highest_weight_is_left_out(tmp_path: Path) -> None:
    stored = record("C[C@H](N)CO", 3)
    best = max(stored["conformers"], key=lambda one: one["boltzmannweight"])
    for row in best["xyz"]:
        row[1] *= -1
    path = tmp_path / "drugs_crude.msgpack"
    path.write_bytes(msgpack.packb({"C[C@H](N)CO": stored}))
    (one,) = read_geom(path)
    np.testing.assert_allclose(one.energy, [0.3, 0.6])

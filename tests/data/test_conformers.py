"""Sets of conformers: what goes in comes out, molecule by molecule, from memory and from a file."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")

from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformers import ConformerSet
from tests.data.conformer_samples import ensemble


@pytest.fixture(scope="module")
def data() -> ConformerSet:
    return ConformerSet.of([ensemble("C[C@H](N)CO"), ensemble("C/C=C/C", 1, 0), ensemble("CCO", 3, 2)])


def same(one: Ensemble, other: Ensemble) -> bool:
    arrays = ("conformers", "energy", "starts", "match", "permutation")
    graphs = ("z", "node_attr", "bonds", "bond_order", "centres", "double_bonds")
    return (
        one.smiles == other.smiles
        and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and all(np.array_equal(getattr(one.graph, name), getattr(other.graph, name)) for name in graphs)
    )


def test_molecules_come_out_as_they_went_in(data: ConformerSet) -> None:
    assert len(data) == 3
    assert same(data[0], ensemble("C[C@H](N)CO"))
    assert same(data[-1], ensemble("CCO", 3, 2))
    assert data.graph(1).double_bonds[:, 4].tolist() == [-1]
    assert data.starts(1).shape == (0, 12, 3)
    assert [one.smiles for one in data] == data.smiles
    with pytest.raises(IndexError, match="molecule 3 of a set of 3"):
        data[3]


def test_weights_are_those_of_boltzmann(data: ConformerSet) -> None:
    assert data[2].energy.tolist() == [0, 0.5, 1]
    weights = data.weights(2)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(np.exp(-0.5 / 0.59248), rel=1e-4)


def test_pairs_are_label_by_label(data: ConformerSet) -> None:
    starts, references, rmsd = data.pairs(0)
    assert starts.shape == references.shape == (3, 14, 3)
    assert rmsd.shape == (3,)
    np.testing.assert_allclose(references.mean(1), 0, atol=1e-6)


def test_a_subset_keeps_order_and_arrays(data: ConformerSet) -> None:
    part = data.subset([2, 0])
    assert same(part[0], data[2])
    assert same(part[1], data[0])


def test_a_file_holds_everything(data: ConformerSet, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    data.save(path)
    assert os.listdir(tmp_path) == ["set.npz"]
    again = ConformerSet.load(path)
    assert all(same(one, other) for one, other in zip(data, again, strict=True))


def test_files_that_are_something_else(data: ConformerSet, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    data.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"set\.npz is no file of conformers"):
        ConformerSet.load(path)
    np.savez(path, z=np.zeros(3))
    with pytest.raises(ValueError, match="no file of conformers"):
        ConformerSet.load(path)
    data.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"smiles": arrays["smiles"].astype(object)}))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        ConformerSet.load(path)
    with pytest.raises(FileNotFoundError):
        ConformerSet.load(tmp_path / "none.npz")
    broken = dict(data.arrays, pos=data.arrays["pos"] * np.nan)
    ConformerSet(data.smiles, data.counts, broken).save(path)
    with pytest.raises(ValueError, match="not a finite number"):
        ConformerSet.load(path)


def test_arrays_that_do_not_fit(data: ConformerSet) -> None:
    with pytest.raises(ValueError, match="2 SMILES for 3 molecules"):
        ConformerSet(data.smiles[:2], data.counts, data.arrays)
    with pytest.raises(ValueError, match="pos has 5 rows"):
        ConformerSet(data.smiles, data.counts, dict(data.arrays, pos=data.arrays["pos"][:5]))
    with pytest.raises(ValueError, match="at least one molecule"):
        ConformerSet.of([])
    with pytest.raises(ValueError, match=r"CCO: conformers is \(1, 4, 3\), expected \(1, 9, 3\)"):
        Ensemble.of("CCO", data.graph(2), np.zeros((1, 4, 3)))

import pytest
import torch

from equizoo.data.molecules import MoleculeSet


@pytest.fixture
def molecules() -> MoleculeSet:
    generator = torch.Generator().manual_seed(0)
    counts = torch.tensor([3, 1, 5, 2])
    ptr = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    z = torch.tensor([8, 1, 1, 9, 6, 1, 1, 1, 1, 7, 1], dtype=torch.uint8)
    y = torch.randn(4, 12, generator=generator, dtype=torch.float64)
    return MoleculeSet(z, torch.randn(11, 3, generator=generator), ptr, y, torch.tensor([7, 8, 9, 10]))


def test_a_batch_is_its_members_one_after_another(molecules: MoleculeSet) -> None:
    order = torch.tensor([2, 0, 0, 3])
    batch = molecules.batch(order)
    members = [molecules[int(i)] for i in order]
    assert torch.equal(batch["z"], torch.cat([m.z for m in members]))
    assert torch.equal(batch["pos"], torch.cat([m.pos for m in members]))
    assert torch.equal(batch["y"], torch.cat([m.y for m in members]))
    assert batch["batch"].tolist() == [0] * 5 + [1] * 3 + [2] * 3 + [3] * 2
    assert batch["z"].dtype == torch.int64
    assert batch["pos"].dtype == torch.float32
    assert batch["y"].dtype == torch.float64


def test_a_batch_equals_the_batch_of_pyg(molecules: MoleculeSet) -> None:
    from torch_geometric.data import Batch

    ours, theirs = molecules.batch(torch.arange(4)), Batch.from_data_list(list(molecules))
    for key in ("z", "pos", "y", "batch"):
        assert torch.equal(ours[key], theirs[key])
    assert theirs.idx.tolist() == [7, 8, 9, 10]


def test_an_empty_batch_has_no_atoms(molecules: MoleculeSet) -> None:
    batch = molecules.batch(torch.arange(0))
    assert batch["z"].shape == (0,)
    assert batch["y"].shape == (0, 12)


def test_a_subset_keeps_order_and_numbers(molecules: MoleculeSet) -> None:
    subset = molecules.subset(torch.tensor([3, 1]))
    assert subset.index.tolist() == [10, 8]
    assert subset.ptr.tolist() == [0, 2, 3]
    assert torch.equal(subset[0].pos, molecules[3].pos)
    assert torch.equal(subset[-1].z, molecules[1].z)


def test_composition_counts_each_element(molecules: MoleculeSet) -> None:
    counts = molecules.composition()
    assert counts.shape == (4, 10)
    assert counts[2].tolist() == [0, 4, 0, 0, 0, 0, 1, 0, 0, 0]
    assert torch.equal(counts.sum(1), molecules.n_atoms)
    assert torch.equal(molecules.composition(100)[:, :10], counts)
    with pytest.raises(ValueError, match="needs at least 10 columns"):
        molecules.composition(9)


def test_what_does_not_fit_together_is_refused(molecules: MoleculeSet) -> None:
    z, pos, ptr, y, index = molecules.z, molecules.pos, molecules.ptr, molecules.y, molecules.index
    with pytest.raises(ValueError, match="pos has shape"):
        MoleculeSet(z, pos[:-1], ptr, y, index)
    with pytest.raises(ValueError, match="rows of y"):
        MoleculeSet(z, pos, ptr, y[:-1], index)
    with pytest.raises(ValueError, match="must rise from 0"):
        MoleculeSet(z, pos, torch.tensor([0, 3, 3, 9, 11]), y, index)
    with pytest.raises(IndexError):
        molecules[4]

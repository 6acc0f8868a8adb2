"""The QM9 task: statistics, losses, metrics, and the parameter counts of the published protocol."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from equizoo.data.molecules import MoleculeSet
from equizoo.data.qm9 import TARGET_NAMES, atom_reference
from equizoo.training import calibrate as calibration
from equizoo.training.building import is_relaxed
from equizoo.training.calibrate import calibrate, half_widths
from equizoo.training.config import ConfigError, load_recipe
from equizoo.training.tasks import build_task
from equizoo.training.tasks import qm9 as qm9_task
from equizoo.training.tasks.statistics import fit_statistics
from equizoo.training.tasks.synthetic import synthetic_molecules


class TinyQM9:
    """What ``load_qm9`` returns, made from 40 synthetic molecules with energies of free atoms added."""

    smiles = None

    def __init__(self) -> None:
        made = synthetic_molecules(40, seed=0)
        batch = torch.arange(40).repeat_interleave(made.n_atoms)
        self.atomization = made.y
        y = made.y + atom_reference(made.z.long(), batch, 40)
        self.molecules = MoleculeSet(made.z, made.pos, made.ptr, y, made.index)

    def rows(self, part, seed=None):
        order = torch.arange(40) if seed is None else torch.randperm(40, generator=torch.manual_seed(seed))
        return order.tensor_split([30, 35])[("train", "valid", "test").index(part)]

    def split(self, part, seed=None):
        return self.molecules.subset(self.rows(part, seed))


@pytest.fixture
def source(monkeypatch):
    made = TinyQM9()
    monkeypatch.setattr(qm9_task, "load_qm9", lambda root: made)
    return made


def test_references_explain_what_is_linear_in_the_composition():
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(0, 9, (200, 5), generator=generator).double()
    counts[:, 3] = 0  # an element that is absent
    truth = torch.tensor([1.0, -3.0, 2.5, 7.0, 0.5], dtype=torch.float64)
    noise = torch.randn(200, 2, generator=generator, dtype=torch.float64)
    y = torch.stack([counts @ truth + 0.1 * noise[:, 0], 4.0 + 0.3 * noise[:, 1]], dim=1)
    stats = fit_statistics(counts, y, ["sum", "mean"])
    assert stats.reference[:, 0].tolist() == pytest.approx([1.0, -3.0, 2.5, 0.0, 0.5], abs=0.01)
    assert stats.reference[:, 1].abs().max() == 0
    assert stats.shift.tolist() == pytest.approx([0.0, 4.0], abs=0.1)
    assert stats.scale.tolist() == pytest.approx([0.1, 0.3], rel=0.2)


def test_a_fresh_model_with_statistics_is_near_the_targets(source):
    task = build_task({"task": "qm9"}, seed=0)
    config = {"family": "schnet", "hidden": 8, "interactions": 1, "gaussians": 8, "readout": 4}
    model = task.build_model(config, relaxed=False)
    assert model.config.aggregations[:5] == ("mean", "sum", "mean", "mean", "mean")
    assert task.evaluate(model, "train")["score"] < 3.0
    batch = task.train_batch(torch.arange(30))
    # scaled by the spread that the model is given: no target outweighs the others by orders of magnitude
    error = ((task.forward(model, batch) - batch["y"]) / task.scale).abs().mean(0)
    assert error.max() < 30 * error.min()


def test_energies_are_relative_to_free_atoms_or_total(source):
    rows = source.rows("train")
    relative = build_task({"task": "qm9"}, seed=0)
    assert torch.allclose(relative.split("train").y, source.atomization[rows])
    total = build_task({"task": "qm9", "energies": "total", "targets": ["U0", "mu"]}, seed=0)
    columns = [TARGET_NAMES.index("U0"), TARGET_NAMES.index("mu")]
    assert torch.equal(total.split("valid").y, source.molecules.y[source.rows("valid")][:, columns])
    assert [target.name for target in total.targets] == ["U0", "mu"]
    assert total.split("train").y[:, 0].mean() < -1000


def test_paper_protocol_is_l1_on_the_raw_target(source):
    data = load_recipe("schnet-qm9-paper-ace", ["data.targets=[U0]"]).data
    task = build_task(data, seed=3)
    assert torch.equal(task.split("train").index, source.molecules.index[source.rows("train", 3)])
    model = task.build_model({"family": "schnet", "aggregations": ["sum"]}, relaxed=False)
    assert not model.readout.reference.any()
    batch = task.train_batch(torch.arange(8))
    output = task.forward(model, batch)
    expected = (output.double() - task.split("train").y[:8]).abs().mean()
    assert task.loss(output, batch).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(("recipe", "parameters"), [("strict", 127_553), ("ace", 153_543)])
def test_paper_recipes_have_the_published_parameters(source, recipe, parameters):
    config = load_recipe(f"schnet-qm9-paper-{recipe}")
    model = build_task(config.data, config.seed).build_model(config.model, is_relaxed(config))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_metrics_are_in_table_units(source):
    task = build_task({"task": "qm9", "targets": ["gap", "alpha"]}, seed=0)

    class Off(torch.nn.Module):
        def forward(self, z, pos, batch, num_graphs):
            size = torch.zeros(num_graphs).index_add(0, batch, torch.ones(len(batch)))
            row = self.rows[:num_graphs].float()
            self.rows = self.rows[num_graphs:]
            assert size.min() >= 1
            return row + torch.tensor([0.5, -2.0])

    model = Off()
    model.rows = task.split("valid").y
    metrics = task.evaluate(model, "valid", batch_size=2)
    assert metrics["mae/gap"] == pytest.approx(0.5, rel=1e-5)
    assert metrics["mae/alpha"] == pytest.approx(2.0, rel=1e-5)
    scale = task.statistics.scale
    assert metrics["score"] == pytest.approx(float(0.5 / scale[0] + 2.0 / scale[1]) / 2, rel=1e-5)


def test_weights_of_targets_count(source):
    plain = build_task({"task": "qm9", "targets": ["gap", "mu"], "loss": "l1"}, seed=0)
    weighted = build_task(
        {"task": "qm9", "targets": ["gap", "mu"], "loss": "l1", "weights": {"gap": 3.0}}, seed=0
    )
    batch = plain.train_batch(torch.arange(4))
    output = batch["y"] + torch.tensor([2.0, 0.0])
    assert plain.loss(output, batch).item() == pytest.approx(1.0, rel=1e-5)
    assert weighted.loss(output, batch).item() == pytest.approx(1.5, rel=1e-5)
    assert plain.method_targets(batch).std(0, correction=0).max() < 5


def test_the_data_hash_sees_every_target(source):
    before = build_task({"task": "qm9", "train_limit": 20}, seed=0)
    assert before.n_train == 20
    same = build_task({"task": "qm9", "train_limit": 20}, seed=1)
    assert same.data_hash() == before.data_hash()
    source.molecules.y[3, 2] += 1e-9
    assert build_task({"task": "qm9", "train_limit": 20}, seed=0).data_hash() != before.data_hash()


def test_half_widths_hold_what_they_promise():
    generator = torch.Generator().manual_seed(0)
    covered = []
    for _ in range(200):
        errors = torch.randn(400, 1, generator=generator).abs()
        covered.append((errors[200:] <= half_widths(errors[:200], 0.9)).double().mean().item())
    assert sum(covered) / len(covered) == pytest.approx(0.9, abs=0.01)
    with pytest.raises(ConfigError, match="too few"):
        half_widths(torch.ones(8, 1), 0.9)


class Labelled:
    """Molecules of which only the targets are known."""

    def __init__(self, first, count):
        self.y = torch.arange(float(first), first + count)[:, None]

    def __len__(self):
        return len(self.y)


@pytest.fixture
def labelled():
    """Return a task whose model predicts 0, so that a target is its error."""
    return SimpleNamespace(
        task_name="molecule-properties",
        targets=[SimpleNamespace(name="gap")],
        split={"valid": Labelled(1, 99), "test": Labelled(41, 200)}.__getitem__,
        predict=lambda model, molecules: torch.zeros_like(molecules.y),
    )


def test_intervals_are_those_of_valid_and_are_checked_on_test(labelled):
    assert calibrate(torch.nn.Identity(), labelled, ["given"])["given"] == {
        "coverage": 0.9,
        "n": 99,
        "half_width": {"gap": 90.0},
        "mae": {"gap": 140.5},
        "n_test": 200,
        "refused": 0,
        "test_coverage": {"gap": 0.25},
    }


@pytest.mark.parametrize(("n", "refused"), [(1000, 150), (70, 20), (50, 0)])
def test_only_molecules_that_were_tried_are_refused(labelled, monkeypatch, n, refused):
    made = {"valid": Labelled(1, 99), "test": Labelled(1, 50)}
    monkeypatch.setattr(calibration, "molecules_with_geometry", lambda task, split, *_: made[split])
    found = calibrate(torch.nn.Identity(), labelled, ["mmff"], n=n)["mmff"]
    assert (found["n_test"], found["refused"]) == (50, refused)

"""The conformer task: paths, measurements, and a run from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from equizoo.symmetry import Vectors
from equizoo.training.config import ConfigError, RunConfig, load_recipe
from equizoo.training.equivariance import equivariance
from equizoo.training.loop import train
from equizoo.training.tasks.conformers import ConformersTask
from equizoo.training.variants import load_trained

pytest.importorskip("rdkit")
TINY = {
    "data.synthetic": 24,
    "data.steps": 2,
    "model.hidden": 16,
    "model.layers": 1,
    "model.heads": 2,
    "model.basis": 8,
    "budget.epochs": 2,
    "budget.batch_size": 16,
    "schedule.warmup_steps": 2,
    "evaluation.limit": 6,
    "evaluation.ema": 0.5,
    "evaluation.equivariance": 8,
}


def tiny(recipe: str = "conformer-qm9-ace", **changes: object) -> RunConfig:
    return load_recipe(recipe).replace(**{**TINY, **{k.replace("__", "."): v for k, v in changes.items()}})


def task(**options: object) -> ConformersTask:
    made = ConformersTask()
    made.setup({"synthetic": 12, "steps": 2, **options}, 0)
    return made


@pytest.mark.parametrize("recipe", ["strict", "ace", "recm"])
def test_a_run_learns_and_its_plain_variant_turns_with_the_molecule(recipe: str, tmp_path: Path) -> None:
    result = train(tiny(f"conformer-qm9-{recipe}"), tmp_path, progress=False)
    assert result.status == "finished"
    trained = load_trained(tmp_path)
    assert set(trained.models) == ({"equivariant"} if recipe == "strict" else {"equivariant", "partial"})
    errors = equivariance(trained.models["equivariant"], trained.task, "valid", 8)
    assert errors["float64"]["rotation"]["rel_max"] < 1e-10
    assert errors["float64"]["translation"]["rel_max"] < 1e-10
    metrics = trained.task.evaluate(trained.models["equivariant"], "test", limit=4)
    assert metrics["score"] == pytest.approx((metrics["amr/recall"] + metrics["amr/precision"]) / 2)


def test_a_perfect_field_brings_each_start_to_its_conformer() -> None:
    made = task(noise=0.0)
    starts, ends, _ = made.conformers("valid").pairs(0)

    class Perfect(torch.nn.Module):
        def forward(self, pos: torch.Tensor, t: torch.Tensor, **molecules: torch.Tensor) -> torch.Tensor:
            count = len(t)
            moves = [torch.from_numpy(ends[k % len(ends)] - starts[k % len(ends)]) for k in range(count)]
            return torch.cat([move - move.mean(0) for move in moves])

    generated = made.generate(Perfect(), "valid", 0, 2 * len(starts))
    measured = made.measure(generated, "valid", 0)
    assert measured["amr_p"] < 1e-3
    assert measured["amr_r"] < 1e-3
    assert measured["cov_p"] == 1


@pytest.mark.parametrize("prior", ["etkdg", "harmonic"])
def test_training_points_lie_between_starts_and_ends(prior: str) -> None:
    made = task(prior=prior, noise=0.0)
    torch.manual_seed(0)
    batch = made.train_batch(torch.arange(6))
    assert batch["pos"].shape == batch["y"].shape == (len(batch["batch"]), 3)
    times = batch["t"][batch["batch"]].unsqueeze(1)
    end = batch["pos"] + (1 - times) * batch["y"]
    for k in range(6):
        distances = torch.pdist(end[batch["batch"] == k])
        expected = torch.pdist(torch.from_numpy(made.train.end[k]))
        torch.testing.assert_close(distances, expected, rtol=1e-3, atol=1e-3)


def test_early_times_are_earlier() -> None:
    torch.manual_seed(0)
    means = []
    for times in ("uniform", "early"):
        made = task(times=times)
        means.append(float(torch.cat([made.train_batch(torch.arange(48))["t"] for _ in range(20)]).mean()))
    assert means == pytest.approx([1 / 2, 1 / 3], abs=0.03)


def test_times_keep_away_from_both_ends() -> None:
    times = torch.cat([task(earliest=0.4).train_batch(torch.arange(12))["t"] for _ in range(4)])
    assert 0.4 - 1e-6 <= float(times.min()) < 0.41 and 0.59 < float(times.max()) <= 0.6 + 1e-6


def test_all_references_are_measured_with_unless_told_otherwise() -> None:
    few, every = task(references=1), task(references=None)
    total = len(every.conformers("valid").conformers(0))
    assert (few._references("valid", 0), every._references("valid", 0)) == (1, total)
    assert total > 1


def test_each_training_molecule_is_turned_at_random() -> None:
    made = task(noise=0.0)
    torch.manual_seed(0)
    first, second = (made.train_batch(torch.tensor([0])) for _ in range(2))
    assert not torch.allclose(first["y"], second["y"], atol=1e-2)
    torch.testing.assert_close(first["y"].norm(dim=1), second["y"].norm(dim=1), rtol=1e-4, atol=1e-4)


def test_the_loss_is_the_mean_length_of_errors_over_atoms_then_molecules() -> None:
    made = task()
    batch = made.batch(made.train, torch.arange(3))
    lengths = batch["y"].norm(dim=1)
    expected = torch.stack([lengths[batch["batch"] == k].mean() for k in range(3)]).mean()
    torch.testing.assert_close(made.loss(torch.zeros_like(batch["y"]), batch), expected)


def test_evaluation_is_the_same_twice_and_for_fewer_molecules() -> None:
    made = task()
    model = made.build_model(dict(tiny().model), relaxed=False).eval()
    first, second = (made.generate(model, "test", 1, 3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(made.generate(model, "test", 1, 2), first[:2], atol=1e-4)


def test_targets_of_methods_are_vectors_of_atoms() -> None:
    made = task()
    batch = made.batch(made.train, torch.arange(2))
    assert made.method_target_type == Vectors(1)
    assert made.method_targets(batch).shape == (len(batch["batch"]), 3)


def test_training_pairs_in_which_an_atom_goes_far_are_left_out() -> None:
    def ways(name: str, **options: float) -> np.ndarray:
        pairs = task(**options).split(name)
        both = zip(pairs.start, pairs.end, strict=True)
        return np.array([np.linalg.norm(start - end, axis=-1).max() for start, end in both])

    every = ways("train")
    limit = float(np.median(every))
    assert sorted(ways("train", farthest=limit)) == sorted(every[every <= limit])
    assert np.array_equal(ways("valid", farthest=limit), ways("valid"))


def test_the_domain_names_elements_and_sizes() -> None:
    from equizoo.hub.domain import parse_domain

    domain = parse_domain("conformers", task().domain(), "domain")
    assert set(domain["elements"]) == {"C", "N", "O"}
    assert domain["prior"] == "etkdg"
    assert domain["pairs"] == 48


@pytest.mark.parametrize(
    "options",
    [
        {"prior": "gauss"},
        {"times": "late"},
        {"steps": 0},
        {"noise": -1.0},
        {"threshold": 0.0},
        {"farthest": 0.0},
    ],
)
def test_bad_options_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        task(**options)


def test_missing_data_says_how_to_make_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EQUIZOO_DATA", raising=False)
    for options in ({}, {"root": str(tmp_path)}):
        with pytest.raises(FileNotFoundError, match="prepare_conformers"):
            ConformersTask().setup(options, 0)

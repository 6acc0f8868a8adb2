"""Priors, paths and samplers of flow matching."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equizoo.models.flow_matching import aligned, centred, conditional_path, follow, harmonic_modes
from equizoo.models.molecule_batch import CIS, TRANS, Molecule, pair_kinds
from equizoo.symmetry import SO3

BATCH = torch.tensor([0, 0, 0, 0, 1, 1, 1])


def draw(seed: int = 0) -> torch.Tensor:
    return torch.randn(7, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_harmonic_samples_have_the_covariance_of_the_bond_graph() -> None:
    bonds = np.array([[0, 1], [1, 2], [2, 3], [1, 3]])
    molecule = Molecule(np.ones(4), np.zeros((4, 10)), pair_kinds(4, bonds, np.ones(4)))
    modes = harmonic_modes(molecule)
    laplacian = np.zeros((4, 4))
    for i, j in bonds:
        laplacian[[i, j], [i, j]] += 1
        laplacian[i, j] = laplacian[j, i] = -1
    np.testing.assert_allclose(modes @ modes.T, np.linalg.pinv(laplacian), atol=1e-6)


def test_two_fragments_have_no_harmonic_prior() -> None:
    molecule = Molecule(np.ones(4), np.zeros((4, 10)), pair_kinds(4, np.array([[0, 1], [2, 3]]), np.ones(2)))
    with pytest.raises(ValueError, match="not all connected"):
        harmonic_modes(molecule)


def test_alignment_undoes_rotations_and_shifts_of_each_molecule() -> None:
    x = draw()
    turns = SO3().sample(2, dtype=x.dtype).rotation[BATCH]
    moved = (turns @ x.unsqueeze(2)).squeeze(2) + torch.tensor([[1.0], [-2.0]]).double()[BATCH]
    torch.testing.assert_close(aligned(moved, x, BATCH, 2), x)


def test_alignment_never_reflects() -> None:
    x = draw()
    mirror = x * torch.tensor([-1.0, 1, 1])
    assert float((aligned(mirror, x, BATCH, 2) - x)[:4].norm()) > 0.1
    better, plain = aligned(draw(1), x, BATCH, 2) - x, centred(draw(1), BATCH, 2) - centred(x, BATCH, 2)
    assert float(better.norm()) < float(plain.norm())


def test_the_velocity_is_the_derivative_of_the_path() -> None:
    x0, x1, h = draw(0), draw(1), 1e-6
    t = torch.full((7, 1), 0.3, dtype=torch.float64)
    points = [conditional_path(x0, x1, t + s, 0.1, torch.Generator().manual_seed(2))[0] for s in (-h, h)]
    _, velocity = conditional_path(x0, x1, t, 0.1, torch.Generator().manual_seed(2))
    torch.testing.assert_close((points[1] - points[0]) / (2 * h), velocity, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 4])
def test_a_straight_flow_arrives_in_any_number_of_steps(steps: int) -> None:
    x0, x1 = centred(draw(0), BATCH, 2), centred(draw(1), BATCH, 2)
    end = follow(lambda x, t: x1 - x0, x0 + 5, BATCH, 2, steps)
    torch.testing.assert_close(end, x1)


def test_noise_of_the_sampler_follows_the_seed() -> None:
    def run(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return follow(lambda x, t: -x, draw(), BATCH, 2, 5, churn=1.0, generator=generator)

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


@pytest.mark.parametrize("options", [{"steps": 0}, {"churn": -1.0}])
def test_bad_sampler_options_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="steps must be at least 1"):
        follow(lambda x, t: x, draw(), BATCH, 2, **options)


def test_kinds_of_pairs() -> None:
    bonds = np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
    kinds = pair_kinds(5, bonds, np.array([1, 2, 1, 4]), np.array([[0, 1, 2, 3, -1]]))
    square = np.zeros((5, 5), dtype=int)
    square[~np.eye(5, dtype=bool)] = kinds
    assert square[0].tolist() == [0, 1, 5, TRANS, 0]
    assert square[4].tolist() == [0, 6, 5, 4, 0]
    assert CIS in pair_kinds(5, bonds, np.ones(4), np.array([[0, 1, 2, 3, 1]]))
    assert (square == square.T).all()

"""The symmetry gap of laws whose gap is known."""

import math

import pytest
import torch

from equizoo.symmetry import (
    C4,
    O3,
    SE3,
    SO2,
    SO3,
    DirectSum,
    Images,
    Permutations,
    Points,
    Scalars,
    Vectors,
    symmetry_gap,
    witness_gap,
)

AXIS = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def mixture(eps, n, seed=0):
    """(1 − ε) uniform on the unit sphere + ε point mass at e₁: the 1-Wasserstein gap under SO(3) is 4ε/3."""
    sphere = normal(n, 3, seed=seed)
    sphere = sphere / sphere.norm(dim=-1, keepdim=True)
    special = torch.rand(n, 1, generator=rng(seed + 1), dtype=torch.float64) < eps
    return torch.where(special, AXIS, sphere)


def towards_axis(x):
    return -(x - AXIS).norm(dim=-1)


@pytest.mark.parametrize("eps", [0.0, 0.05, 0.25, 1.0])
def test_the_optimal_witness_attains_the_wasserstein_gap(eps):
    gap = witness_gap(mixture(eps, 20_000), None, Vectors(), None, SO3(), towards_axis, generator=rng(7))
    assert abs(gap.value - 4 * eps / 3) < 4 * gap.standard_error + 1e-12
    assert gap.standard_error < 0.006
    assert (abs(gap.z) < 3) == (eps == 0)


def test_any_witness_is_a_lower_bound():
    torch.manual_seed(0)
    for eps in (0.05, 0.25, 1.0):
        x = mixture(eps, 4000)
        weight = normal(3)
        gap = witness_gap(
            x,
            None,
            Vectors(),
            None,
            SO3(),
            lambda v, w=weight: torch.tanh(v @ w),
            lipschitz=float(weight.norm()),
        )
        assert abs(gap.value) <= 4 * eps / 3 + 3 * gap.standard_error


def test_the_energy_distance_is_linear_in_the_mixture():
    """Between δ and the uniform sphere: 2·E‖e₁ − s‖ − E‖s − s'‖ = 4/3, so the distance is ε·√(4/3)."""
    for eps in (0.2, 0.5, 1.0):
        gap = symmetry_gap(mixture(eps, 3000), None, Vectors(), None, SO3(), generator=rng(7))
        expected = eps**2 * 4 / 3
        assert abs(gap.value - expected) < 4 * gap.standard_error + 1e-3
        assert gap.z > 3
        assert abs(gap.root - eps * math.sqrt(4 / 3)) < 0.1
        assert gap.value / 2 <= 4 * eps / 3


def test_symmetric_laws_are_recognised_with_a_calibrated_z():
    scores = []
    for seed in range(40):
        x = normal(300, 3, seed=seed)
        noise = normal(300, 1, seed=seed + 1000)
        y = torch.cat([2 * x, x.norm(dim=-1, keepdim=True) + noise], -1)
        target = Vectors(1), Scalars(1)
        gap = symmetry_gap(x, y, Vectors(), DirectSum(*target), O3(), generator=rng(seed))
        scores.append(gap.z)
    scores = torch.tensor(scores)
    assert scores.abs().max() < 3
    assert scores.mean().abs() < 0.4  # unbiased
    assert 0.4 < scores.std() < 1.1  # conservative by about √2


def test_the_standard_error_is_the_spread_over_data_sets():
    """Away from symmetry both halves count: first-order terms of rows and of columns."""
    gaps = [
        symmetry_gap(mixture(0.5, 200, 10 * seed), None, Vectors(), None, SO3(), generator=rng(seed))
        for seed in range(150)
    ]
    values = torch.tensor([gap.value for gap in gaps])
    stated = torch.tensor([gap.standard_error for gap in gaps]).mean()
    assert 0.85 < values.std() / stated < 1.2
    assert (values.mean() - 1 / 3).abs() < 4 * stated / math.sqrt(len(gaps))


def test_only_the_joint_law_shows_a_broken_target():
    """x and y = x + εb: x is symmetric; the gap of (x, y) grows with ε within ε|b|/√2 ≤ W₁ ≤ 4ε|b|/3."""
    x, b = normal(3000, 3), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    assert abs(symmetry_gap(x, None, Vectors(), None, SO3(), generator=rng(1)).z) < 3
    values = []
    for eps in (0.0, 0.5, 1.0, 2.0):
        kinds = Vectors(), Vectors(), SO3()
        gap = symmetry_gap(x, x + eps * b, *kinds, generator=rng(1))
        witness = witness_gap(
            x, x + eps * b, *kinds, lambda x, y: ((y - x) @ b) / math.sqrt(2), generator=rng(2)
        )
        assert abs(witness.value - eps / math.sqrt(2)) < 4 * witness.standard_error + 1e-12
        assert gap.value / 2 <= 4 * eps / 3 + 3 * gap.standard_error
        values.append(gap.value)
        assert (gap.z > 3) == (eps > 0)
    assert values == sorted(values)


def test_invariant_targets_only_move_x():
    x = normal(1500, 3)
    kinds = Vectors(), Scalars(1, per="graph"), SO3()
    assert abs(symmetry_gap(x, x.norm(dim=-1, keepdim=True), *kinds, generator=rng(3)).z) < 3
    assert symmetry_gap(x, x[:, :1], *kinds, generator=rng(3)).z > 5


def test_subgroups_see_only_their_own_symmetry():
    x = normal(1500, 3) * torch.tensor([1.0, 1.0, 3.0], dtype=torch.float64)
    assert abs(symmetry_gap(x, None, Vectors(), None, SO2("z"), generator=rng(1)).z) < 3
    assert symmetry_gap(x, None, Vectors(), None, SO3(), generator=rng(1)).z > 5


def test_clouds_permutations_and_images():
    clouds = normal(800, 4, 3)
    assert abs(symmetry_gap(clouds, None, Points(), None, SO3(), generator=rng(1)).z) < 3
    assert abs(symmetry_gap(clouds, None, Points(), None, Permutations(4), generator=rng(2)).z) < 3
    ordered = clouds.gather(1, clouds[..., :1].argsort(1).expand(-1, -1, 3))
    assert symmetry_gap(ordered, None, Points(), None, Permutations(4), generator=rng(1)).z > 5
    images = normal(600, 1, 4, 4)
    assert abs(symmetry_gap(images, None, Images(), None, C4(), generator=rng(1)).z) < 3
    images[:, :, 0] += 1
    assert symmetry_gap(images, None, Images(), None, C4(), generator=rng(1)).z > 5


def test_translation_is_not_visible_after_centring():
    clouds = normal(800, 5, 3) + 7
    assert symmetry_gap(clouds, None, Points(), None, SO3(), generator=rng(1)).z > 5
    centred = clouds - clouds.mean(1, keepdim=True)
    assert abs(symmetry_gap(centred, None, Points(), None, SO3(), generator=rng(1)).z) < 3


def test_the_number_of_samples_does_not_bias():
    x = mixture(0.5, 1500)
    values = [
        symmetry_gap(x, None, Vectors(), None, SO3(), samples=samples, generator=rng(2))
        for samples in (1, 16)
    ]
    assert abs(values[0].value - values[1].value) < 2 * (values[0].standard_error + values[1].standard_error)


def test_degenerate_z():
    x = torch.zeros(10, 3)
    gap = symmetry_gap(x, None, Vectors(), None, SO3())
    assert (gap.value, gap.z, gap.root) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: symmetry_gap(normal(9, 3), None, Points(), None, SE3()), "no Haar measure"),
        (lambda: symmetry_gap(normal(9, 3), None, Vectors(), None, SO3(), samples=0), "samples = 0"),
        (lambda: symmetry_gap(normal(9, 3), None, Vectors(), Vectors(), SO3()), "together"),
        (lambda: symmetry_gap(normal(3, 3), None, Vectors(), None, SO3()), "at least 4 rows"),
        (lambda: symmetry_gap(normal(9, 3), normal(8, 3), Vectors(), Vectors(), SO3()), "as many of y"),
        (lambda: witness_gap(normal(9, 3), None, Vectors(), None, SO3(), torch.sin), r"must return \(9,\)"),
        (
            lambda: witness_gap(normal(9, 3), None, Vectors(), None, SO3(), towards_axis, lipschitz=0.0),
            "Lipschitz constant is positive",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()

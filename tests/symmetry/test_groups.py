"""Group axioms, Haar moments and Lie algebras."""

import math

import pytest
import torch

from equizoo.symmetry import C4, E3, O3, SE3, SO2, SO3, Element, Permutations, Points, Translations, group

GROUPS = [SO2(), SO2((1.0, 2.0, 3.0)), SO3(), O3(), C4(), Translations(2.0), SE3(2.0), E3(2.0)]
EYE = torch.eye(3, dtype=torch.float64)


def draw(which, n, seed=0):
    return which.sample(n, torch.Generator().manual_seed(seed), torch.float64)


def assert_same(a: Element, b: Element, tolerance=1e-13):
    torch.testing.assert_close(a.rotation, b.rotation, rtol=0, atol=tolerance)
    torch.testing.assert_close(a.translation, b.translation, rtol=0, atol=tolerance)


@pytest.mark.parametrize("which", GROUPS, ids=repr)
def test_group_axioms(which):
    a, b, c = (draw(which, 20, seed) for seed in (1, 2, 3))
    assert_same(a.compose(b).compose(c), a.compose(b.compose(c)))
    one = which.identity(torch.float64)
    assert_same(a.compose(one), a)
    assert_same(one.compose(a), a)
    inverse = a.compose(a.inverse())
    assert_same(inverse, Element(EYE.expand(20, 3, 3), torch.zeros(20, 3, dtype=torch.float64)))
    assert_same(a.inverse().compose(a), inverse)


@pytest.mark.parametrize("which", GROUPS, ids=repr)
def test_samples_are_in_the_group(which):
    g = draw(which, 200)
    torch.testing.assert_close(g.rotation @ g.rotation.mT, EYE.expand(200, 3, 3), rtol=0, atol=1e-14)
    determinant = torch.linalg.det(g.rotation)
    if isinstance(which, O3):
        assert 70 < int((determinant > 0).sum()) < 130
    else:
        torch.testing.assert_close(determinant, torch.ones_like(determinant))
    if isinstance(which, Translations):
        assert 1.8 < float(g.translation.std()) < 2.2
    else:
        assert not g.translation.any()


@pytest.mark.parametrize("which", [SO3(), O3()], ids=repr)
def test_rotations_are_haar_distributed(which):
    """E R = 0, E R_ij R_kl = δ_ik δ_jl / 3, and the angle of rotation has density (1 − cos) / π."""
    n = 40_000
    rotation = draw(which, n).rotation
    assert rotation.mean(0).abs().max() < 5 / math.sqrt(3 * n)
    flat = rotation.flatten(1)
    assert (flat.T @ flat / n - torch.eye(9, dtype=torch.float64) / 3).abs().max() < 5 / math.sqrt(5 * n)
    trace = (rotation * torch.linalg.det(rotation)[:, None, None]).diagonal(dim1=1, dim2=2).sum(1)
    angle = torch.acos(((trace - 1) / 2).clamp(-1, 1))
    uniform = ((angle - angle.sin()) / math.pi).sort().values
    gap = (uniform - torch.arange(n, dtype=torch.float64) / n).abs().max()
    assert gap < 1.95 / math.sqrt(n)  # Kolmogorov–Smirnov at 0.1 %


def test_haar_measure_is_invariant_under_a_fixed_rotation():
    fixed, g = draw(SO3(), None, 5), draw(SO3(), 40_000, 6)
    moved = fixed.compose(g).rotation
    for power in (1, 2, 3):
        assert (moved.pow(power).mean(0) - g.rotation.pow(power).mean(0)).abs().max() < 0.02


def test_so2_turns_about_its_axis():
    g = draw(SO2((1.0, 2.0, 2.0)), 500)
    axis = torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64) / 3
    torch.testing.assert_close(g.rotation @ axis, axis.expand(500, 3))
    cosine = (g.rotation.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    assert cosine.mean().abs() < 0.15 and (cosine.square().mean() - 0.5).abs() < 0.1


def test_c4_has_four_elements_equally_often():
    g = draw(C4(), 400)
    seen, counts = torch.unique(g.rotation.flatten(1), dim=0, return_counts=True)
    assert len(seen) == 4 and int(counts.min()) > 70
    assert set(g.rotation.unique().tolist()) == {-1.0, 0.0, 1.0}


def test_permutations_stay_inside_their_graph():
    sizes = (3, 1, 5)
    g = Permutations(sizes).sample(300, torch.Generator().manual_seed(0))
    batch = torch.repeat_interleave(torch.arange(3), torch.tensor(sizes))
    assert torch.equal(batch[g.permutation], batch.expand(300, 9))
    assert torch.equal(g.permutation.sort(-1).values, torch.arange(9).expand(300, 9))
    assert len(torch.unique(g.permutation[:, :3], dim=0)) == 6


def test_permutations_compose_like_their_action():
    x = torch.arange(6.0).unsqueeze(-1).expand(6, 3)
    a, b = (draw(Permutations(6), None, seed) for seed in (1, 2))
    kind = Points()
    assert torch.equal(kind.act(a.compose(b), x), kind.act(a, kind.act(b, x)))
    assert torch.equal(kind.act(a.inverse(), kind.act(a, x)), x)
    mixed = a.compose(SE3().identity(torch.float64))
    assert torch.equal(mixed.permutation, a.permutation)


@pytest.mark.parametrize("which", [SO2("x"), SO3(), Translations(), SE3(), E3()], ids=repr)
def test_lie_algebra_generates_elements_of_the_group(which):
    algebra = which.lie_algebra(torch.float64)
    assert algebra.shape == ({"SO2": 1, "SO3": 3, "Translations": 3}.get(type(which).__name__, 6), 4, 4)
    flow = torch.linalg.matrix_exp(0.7 * algebra)
    torch.testing.assert_close(flow[:, :3, :3] @ flow[:, :3, :3].mT, EYE.expand(len(algebra), 3, 3))
    assert torch.equal(flow[:, 3], torch.tensor([0.0, 0, 0, 1], dtype=torch.float64).expand(len(algebra), 4))
    assert torch.linalg.matrix_rank(algebra.flatten(1)) == len(algebra)


def test_so3_brackets():
    x, y, z = SO3().lie_algebra(torch.float64)
    for a, b, c in ((x, y, z), (y, z, x), (z, x, y)):
        assert torch.equal(a @ b - b @ a, c)


@pytest.mark.parametrize("which", [C4(), Permutations(4)], ids=repr)
def test_discrete_groups_have_no_lie_algebra(which):
    assert which.lie_algebra().shape == (0, 4, 4)


def test_sampling_is_reproducible_and_dtype_independent():
    for which in (*GROUPS, Permutations(5)):
        single = which.sample(7, torch.Generator().manual_seed(3), torch.float32)
        double = which.sample(7, torch.Generator().manual_seed(3), torch.float64)
        other = which.sample(7, torch.Generator().manual_seed(4), torch.float64)
        assert single.rotation.dtype == torch.float32
        assert torch.equal(double.rotation.float(), single.rotation)
        assert torch.equal(double.translation.float(), single.translation)
        differs = not torch.equal(double.rotation, other.rotation) or not torch.equal(
            double.translation, other.translation
        )
        assert differs or not torch.equal(double.permutation, other.permutation)


def test_elements_of_a_batch_can_be_picked():
    g = draw(SE3(), 4)
    assert_same(g[2], Element(g.rotation[2], g.translation[2]))
    assert g[torch.tensor([0, 3])].rotation.shape == (2, 3, 3)
    with pytest.raises(IndexError, match="one element"):
        g[0][0]


def test_groups_by_name_and_errors():
    assert group("SE3") == SE3() and group("SO2") == SO2("z")
    with pytest.raises(ValueError, match="did you mean 'SO3'"):
        group("so3")
    with pytest.raises(ValueError, match="Permutations"):
        group("Permutations")
    with pytest.raises(ValueError, match="axis must be"):
        SO2("w")
    with pytest.raises(ValueError, match="axis must be"):
        SO2((0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="-1 elements"):
        SO3().sample(-1)
    assert not SE3().compact and not E3().compact and not Translations().compact and O3().compact

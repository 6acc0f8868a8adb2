"""Every feature type is a group action, in float64 to rounding, and its Lie action is the derivative."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equizoo.symmetry import (
    C4,
    E3,
    O3,
    SE3,
    SO3,
    DirectSum,
    Element,
    Images,
    Irreps,
    Labels,
    Permutations,
    Points,
    Scalars,
    Trajectories,
    Vectors,
)
from equizoo.symmetry.irreps import wigner

TYPES = [
    Scalars(3),
    Vectors(2),
    Points(),
    Irreps("2x0e+0o+3x1o+1e+2x2e+2o+3o+4e+6o"),
    DirectSum(Scalars(2), Points(), Vectors(2), Irreps("1x1e+2e")),
]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def features(kind, *shape, seed=0):
    return torch.randn(*shape, kind.dim, generator=rng(seed), dtype=torch.float64)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", TYPES, ids=repr)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_composition_identity_inverse(kind, seed):
    a, b = (E3().sample(generator=rng(seed + k), dtype=torch.float64) for k in (0, 1))
    x = features(kind, 5, seed=seed)
    close(kind.act(a.compose(b), x), kind.act(a, kind.act(b, x)))
    close(kind.act(E3().identity(torch.float64), x), x)
    close(kind.act(a.inverse(), kind.act(a, x)), x)


@pytest.mark.parametrize("angle", [1e-9, 1e-6, 1e-3])
def test_irreps_are_exact_near_the_identity(angle):
    """Euler angles would lose half of the digits here."""
    generator = SO3().lie_algebra(torch.float64)[0][:3, :3]
    rotation = torch.linalg.matrix_exp(angle * generator)
    for degree in range(7):
        d = wigner(degree, rotation)
        close(d @ d.mT, torch.eye(2 * degree + 1, dtype=torch.float64))
        close(wigner(degree, rotation @ rotation), d @ d)
        change = d - torch.eye(2 * degree + 1, dtype=torch.float64)
        expected = angle * Irreps(f"1x{degree}e").generators(SO3().lie_algebra(torch.float64))[0]
        close(change, expected, 25 * angle**2 + 1e-13)


def test_irreps_agree_with_e3nn_and_with_vectors():
    from e3nn import o3

    g = O3().sample(20, rng(), torch.float64)
    irreps = o3.Irreps("0e+0o+1o+1e+2e+3o+3e")
    for rotation in g.rotation:
        expected = irreps.D_from_matrix(rotation)
        ours = (
            Irreps(irreps)
            .act(Element(rotation, torch.zeros(3)), torch.eye(irreps.dim, dtype=torch.float64))
            .T
        )
        close(ours, expected, 1e-5)  # e3nn goes through Euler angles and constants in float32
    x = features(Vectors(4), 20)
    close(Irreps("4x1o").act(g, x), Vectors(4).act(g, x))


def test_parity():
    inversion = Element(-torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    kind = Irreps("0e+0o+1e+1o+2e+2o")
    signs = torch.tensor([1.0, -1] + [1] * 3 + [-1] * 3 + [1] * 5 + [-1] * 5, dtype=torch.float64)
    x = features(kind, 3)
    close(kind.act(inversion, x), signs * x)


@pytest.mark.parametrize("kind", TYPES, ids=repr)
def test_lie_action_is_the_derivative_of_the_action(kind):
    x, step = features(kind, 4), 1e-4
    for generator in SE3().lie_algebra(torch.float64):
        flow = [torch.linalg.matrix_exp(t * generator) for t in (step, -step)]
        plus, minus = (kind.act(Element(f[:3, :3], f[:3, 3]), x) for f in flow)
        close(kind.lie(generator, x), (plus - minus) / (2 * step), 1e-5)


@pytest.mark.parametrize("kind", [Scalars(3), Vectors(2), Points(), Irreps("2x1o+2e+3o")], ids=repr)
def test_generator_matrices_exponentiate_to_the_action(kind):
    algebra = SO3().lie_algebra(torch.float64)
    x, matrices = features(kind, 6), kind.generators(algebra)
    assert matrices.shape == (3, kind.dim, kind.dim)
    close(matrices, -matrices.mT)
    for generator, matrix in zip(algebra, matrices, strict=True):
        close(kind.lie(generator, x), x @ matrix.T)
        rotation = torch.linalg.matrix_exp(1.3 * generator)[:3, :3]
        element = Element(rotation, torch.zeros(3, dtype=torch.float64))
        close(kind.act(element, x), x @ torch.linalg.matrix_exp(1.3 * matrix).T)


def test_points_have_no_matrix_for_translations():
    with pytest.raises(ValueError, match="shift"):
        Points().generators(SE3().lie_algebra())
    assert not Vectors().generators(SE3().lie_algebra())[3:].any()


@pytest.mark.parametrize("kind", TYPES, ids=repr)
def test_batched_elements_act_like_single_ones(kind):
    g = E3().sample(3, rng(), torch.float64)
    x = features(kind, 3, 7)
    expected = torch.stack([kind.act(g[b], x[b]) for b in range(3)])
    close(kind.act(g, x), expected)
    index = torch.tensor([0, 0, 1, 1, 1, 2, 2])
    nodes = features(kind, 7, seed=4)
    expected = torch.cat([kind.act(g[b], nodes[index == b]) for b in range(3)])
    close(kind.act(g, nodes, index), expected)
    frames = features(kind, 2, 7, seed=5)
    close(kind.act(g, frames, index)[1], kind.act(g, frames[1], index))


def test_trajectories_are_points_at_each_time():
    kind, index = Trajectories(4), torch.tensor([0, 0, 1, 1, 1, 2, 2])
    x = torch.randn(7, 4, 3, generator=rng(), dtype=torch.float64)
    g, single = (E3().sample(n, rng(), torch.float64) for n in (3, None))
    shuffle = Permutations(7).sample(generator=rng(1), dtype=torch.float64)
    generator = SE3().lie_algebra(torch.float64)[4]
    for time in range(4):
        close(kind.act(g, x, index)[:, time], Points().act(g, x[:, time], index))
        close(kind.act(single, x)[:, time], Points().act(single, x[:, time]))
        close(kind.lie(generator, x)[:, time], Points().lie(generator, x[:, time]))
    close(kind.act(g, x[:3]), torch.stack([kind.act(g[b], x[b]) for b in range(3)]))
    assert torch.equal(kind.act(shuffle, x), x[shuffle.permutation])
    matrices = kind.generators(SO3().lie_algebra(torch.float64))
    close((x.flatten(1) @ matrices[1].T).view_as(x), kind.lie(SO3().lie_algebra(torch.float64)[1], x))
    with pytest.raises(ValueError, match=r"Trajectories\(4\) expects \(\.\.\., 4, 3\), got \(7, 3\)"):
        kind.act(single, x[:, 0])


def test_features_per_graph_ignore_the_index_and_the_order():
    g = O3().sample(3, rng(), torch.float64)
    dipole = features(Vectors(), 3)
    index = torch.tensor([0, 1, 1, 2])
    close(Vectors(per="graph").act(g, dipole, index), Vectors().act(g, dipole))
    shuffle = Permutations(3).sample(generator=rng(1), dtype=torch.float64)
    assert torch.equal(Vectors(per="graph").act(shuffle, dipole), dipole)
    assert torch.equal(Vectors().act(shuffle, dipole), dipole[shuffle.permutation])


def test_batched_permutations_act_on_each_cloud():
    g = Permutations(5).sample(3, rng(), torch.float64)
    x, z = features(Points(), 3, 5), torch.arange(15).reshape(3, 5)
    assert torch.equal(Points().act(g, x), torch.stack([x[b, g.permutation[b]] for b in range(3)]))
    assert torch.equal(Labels().act(g, z), torch.stack([z[b, g.permutation[b]] for b in range(3)]))
    with pytest.raises(ValueError, match="one at a time"):
        Points().act(g, x[0], torch.zeros(5, dtype=torch.long))


def test_labels_have_no_feature_axis():
    z = torch.tensor([6, 1, 1, 8])
    shuffle = Permutations(4).sample(generator=rng(2))
    assert torch.equal(Labels().act(shuffle, z), z[shuffle.permutation])
    assert torch.equal(Labels().act(O3().sample(2, rng()), z, torch.tensor([0, 0, 1, 1])), z)


def test_images_turn_counter_clockwise():
    image = torch.tensor([[0.0, 1.0], [0.0, 0.0]])  # the pixel at x > 0, y > 0
    quarter = Element(torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), torch.zeros(3))
    assert torch.equal(Images().act(quarter, image), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))


def test_images_compose_and_batch():
    a, b = (C4().sample(12, rng(seed)) for seed in (0, 1))
    x = torch.randn(12, 2, 5, 5, generator=rng())
    kind = Images(5)
    assert kind.dim == 25
    assert torch.equal(kind.act(a.compose(b), x), kind.act(a, kind.act(b, x)))
    assert torch.equal(kind.act(a, x)[4], kind.act(a[4], x[4]))


def test_float32_stays_float32_and_graphs_are_kept():
    x = torch.randn(4, 7, requires_grad=True)
    kind = DirectSum(Scalars(1), Vectors(1), Irreps("1o"))
    y = kind.act(SO3().sample(generator=rng(), dtype=torch.float64), x)
    assert y.dtype == torch.float32
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    torch.testing.assert_close(gradient, 2 * x.detach(), rtol=0, atol=1e-5)


def test_equality_and_names():
    assert Vectors(2) == Vectors(2) != Vectors(2, per="graph")
    assert len({Scalars(2), Scalars(2), Irreps("1o")}) == 2
    assert repr(DirectSum(Scalars(4), Points())) == "DirectSum(Scalars(4), Points())"
    assert DirectSum(Scalars(64), Vectors(1)).dim == 67


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Vectors(2).act(SO3().sample(), torch.zeros(4, 3)), r"expects \(\.\.\., 6\), got \(4, 3\)"),
        (lambda: Vectors().act(SO3().sample(2), torch.zeros(4, 3)), "give index="),
        (
            lambda: Vectors().act(SO3().sample(2), torch.zeros(4, 3), torch.zeros(3, dtype=torch.long)),
            "index",
        ),
        (lambda: Vectors().act(Permutations(3).sample(), torch.zeros(4, 3)), "permutation of 3 nodes"),
        (lambda: Scalars(1, per="cloud"), 'per must be "node" or "graph"'),
        (lambda: DirectSum(), "at least one"),
        (lambda: DirectSum(Scalars(1), Scalars(1, per="graph")), "not both"),
        (lambda: DirectSum(Scalars(1), Labels()), "one feature axis"),
        (lambda: Images().act(SO3().sample(generator=rng()), torch.zeros(4, 4)), "quarter turns"),
        (lambda: Images().act(C4().sample(), torch.zeros(4, 3)), "square"),
        (lambda: Images().dim, "Images\\(size\\)"),
        (lambda: Images(3).lie(SO3().lie_algebra()[0], torch.zeros(3, 3)), "discrete"),
        (lambda: Irreps("2x1q"), "Unable to convert|1q"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()

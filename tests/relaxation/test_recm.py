"""The estimator inside RECM: unbiased, bounded by the symmetry gap, and attained by the right witness."""

import math

import pytest
import torch
from torch import nn

from equizoo.relaxation import RecmStyle, Relaxation, relax, relaxations
from equizoo.relaxation.witness import Witness, innovation
from equizoo.symmetry import SO3, Points, Scalars, Trajectories, Translations, Vectors

E1 = torch.tensor([1.0, 0.0, 0.0])
NONE, VECTOR = Scalars(1), Vectors(1)


def sphere(n):
    return nn.functional.normalize(torch.randn(n, 3), dim=-1)


def mixture(n, eps):
    """Return (1 - eps) uniform sphere + eps point mass at e1, whose Wasserstein gap is 4 eps / 3."""
    x = sphere(n)
    return torch.where(torch.rand(n, 1) < eps, E1, x)


def distance_witness(rows):
    return -(rows[..., :3] - E1).norm(dim=-1, keepdim=True)


def rates(steps):
    return [0.5 / (1 + t / 10) ** 0.9 for t in range(steps)]


def follow(draw, witness, steps=400, batch=256):
    """Run the recursion of the state on fresh batches (x, y, index, types) from a state of norm 1."""
    state = None
    for rate in rates(steps):
        x, y, in_type, out_type, index = draw(batch)
        d = innovation(witness, x, y, in_type, out_type, SO3(), index=index).detach()
        state = torch.full_like(d, len(d) ** -0.5) if state is None else state
        state = (1 - rate) * state + rate * d
    return state


def points(law):
    return lambda n: (law(n), torch.zeros(n, 1), Vectors(1), NONE, None)


def innovations(x, witness, repeats, samples=1):
    zeros = torch.zeros(len(x), 1)
    with torch.no_grad():
        return torch.stack(
            [innovation(witness, x, zeros, Vectors(1), NONE, SO3(), samples=samples) for _ in range(repeats)]
        )


def test_1_symmetric_law_leaves_no_state():
    torch.manual_seed(0)
    witness = Witness(4, 8, width=16)
    with torch.no_grad():
        d = torch.stack([innovations(sphere(256), witness, 1)[0] for _ in range(300)])
    mean = d.mean(0).double()
    hotelling = len(d) * mean @ torch.linalg.solve(d.T.double().cov(), mean)
    assert hotelling < 8 + 3 * math.sqrt(2 * 8)
    state = follow(points(sphere), witness)
    left, weights = 1.0, []  # what the recursion leaves of the first state and of each innovation
    for rate in rates(400):
        left, weights = left * (1 - rate), [w * (1 - rate) for w in weights] + [rate]
    error = math.sqrt(sum(w * w for w in weights) * d.var(0).sum())
    assert left < 1e-3
    assert state.norm() < 3 * error + left < 0.02


@pytest.mark.parametrize("eps", [0.25, 1.0])
def test_2_known_gap_bounds_every_witness_and_the_right_one_attains_it(eps):
    torch.manual_seed(1)
    gap = 4 * eps / 3
    x, zeros = mixture(200_000, eps), torch.zeros(200_000, 1)
    x[: round(200_000 * eps)] = E1  # the exact fraction, to compare with the exact gap
    x[round(200_000 * eps) :] = sphere(200_000 - round(200_000 * eps))
    attained = innovation(distance_witness, x, zeros, Vectors(1), NONE, SO3(), samples=2)
    assert attained.abs().item() == pytest.approx(gap, rel=0.02)
    for seed in range(3):
        torch.manual_seed(seed)
        witness = Witness(4, 8, width=16)
        with torch.no_grad():
            d = innovation(witness, x[::20], zeros[::20], Vectors(1), NONE, SO3())
        assert 0 < d.abs().max() <= witness.lipschitz() * gap


def test_2_recursion_converges_to_the_gap():
    torch.manual_seed(2)
    state = follow(points(lambda n: mixture(n, 0.5)), distance_witness)
    assert state.abs().item() == pytest.approx(2 / 3, rel=0.02)


def test_3_gap_is_linear_in_the_asymmetric_part():
    torch.manual_seed(3)
    n = 100_000
    base, slope = sphere(n), []
    for eps in (0.1, 0.2, 0.4, 0.8):
        x = base.clone()
        x[: round(n * eps)] = E1
        d = innovation(distance_witness, x, torch.zeros(n, 1), Vectors(1), NONE, SO3())
        slope.append(d.item() / eps)
    assert slope == pytest.approx([slope[-1]] * 4, rel=0.05)


def test_4_one_haar_sample_is_unbiased():
    torch.manual_seed(4)
    witness, x = Witness(4, 4, width=16), mixture(64, 0.5)
    one, many = innovations(x, witness, 400), innovations(x, witness, 20, samples=64)
    error = (one.var(0) / 400 + many.var(0) / 20).sqrt()
    assert ((one.mean(0) - many.mean(0)).abs() < 4 * error).all()
    assert (one.var(0) > 4 * many.var(0)).all()


@pytest.mark.parametrize("centred, broken", [(True, False), (False, True)])
def test_5_a_shift_is_seen_before_centring_only(centred, broken):
    torch.manual_seed(5)
    index = torch.arange(32).repeat_interleave(8)

    def draw(_):
        x = torch.randn(32, 8, 3)
        x = x - x.mean(1, keepdim=True) + (0 if centred else 2 * E1)
        return x.flatten(0, 1), torch.zeros(32, 1), Points(), Scalars(1, per="graph"), index

    state = follow(draw, lambda rows: rows[..., :3], steps=300)
    assert (state.norm() > 1.5) == broken
    assert (state.norm() < 0.05) == (not broken)


def test_6_label_with_a_constant_offset():
    # y = x + eps b: eps |b| / √2 <= W1 <= 4 eps |b| / 3
    torch.manual_seed(6)
    shift = 0.3 * E1
    x = sphere(200_000)
    y = x + shift

    def gap(witness):
        return innovation(witness, x, y, Vectors(1), Vectors(1), SO3()).detach()

    along = gap(lambda rows: (rows[..., 3:4] - rows[..., :1]) / math.sqrt(2))
    assert along.item() == pytest.approx(0.3 / math.sqrt(2), rel=0.02)
    away = gap(
        lambda rows: -(rows[..., 3:] - rows[..., :3] - shift).norm(dim=-1, keepdim=True) / math.sqrt(2)
    )
    assert 0.3 / math.sqrt(2) < away.item() <= 0.4
    witness = Witness(6, 8, width=16)
    assert gap(witness).abs().max() <= 0.4 * witness.lipschitz()


def test_graphs_are_turned_as_a_whole():
    torch.manual_seed(7)
    index = torch.arange(4).repeat_interleave(5)
    x = torch.randn(20, 3)

    def spread(rows):  # invariant if the nodes of a graph turn together
        return rows[..., :3].unflatten(-2, (4, 5)).diff(dim=-2).norm(dim=-1).flatten(-2)[..., None]

    d = innovation(spread, x, torch.zeros(4, 1), Vectors(1), Scalars(1, per="graph"), SO3(), index=index)
    assert d.abs() < 1e-6


def test_witness_is_lipschitz():
    torch.manual_seed(8)
    witness = Witness(6, 8)
    assert witness.lipschitz() < 1.129**2 * 1.1
    a = torch.randn(200, 6)
    b = a + 0.1 * torch.randn(200, 6)
    ratio = (witness(a) - witness(b)).norm(dim=-1) / (a - b).norm(dim=-1)
    assert 0 < ratio.max() <= witness.lipschitz()


def test_rows_and_targets_must_match():
    with pytest.raises(ValueError, match="20 rows of features do not match 4 targets; pass index="):
        innovation(lambda r: r, torch.zeros(20, 3), torch.zeros(4, 1), Vectors(1), Scalars(1), SO3())


def layers(in_type=VECTOR):
    return {"conv1": Relaxation(nn.Linear(3, 3), in_type, Vectors(1))}


@pytest.mark.parametrize(
    "built, options, message",
    [
        (layers(None), {}, "'conv1' has no in_type: declare it"),
        (layers((Vectors(1), None)), {}, "several in_types"),
        (layers(), {"target_type": None}, "target_type=model.output_type"),
        (layers(), {"group": Translations()}, "no Haar measure"),
        (layers(), {"modulation": "max"}, "'linear' or 'norm'"),
        (layers(), {"power": 0.5}, "power in"),
        (layers(), {"samples": 0}, "at least 1"),
        (layers(), {"rows": 0}, "at least 1"),
    ],
)
def test_bad_options(built, options, message):
    with pytest.raises(ValueError, match=message):
        RecmStyle(built, **{"target_type": Vectors(1), **options})


def test_calls_out_of_order_are_errors():
    method = RecmStyle(layers(), target_type=Vectors(1))
    with pytest.raises(ValueError, match="needs the labels"):
        method.before_forward()
    with pytest.raises(RuntimeError, match="before_forward"):
        method.after_backward()
    method.before_forward(torch.zeros(2, 3))
    with pytest.raises(RuntimeError, match="'conv1' recorded no input"):
        method.after_backward()


def test_rows_of_graphs_and_nodes_with_several_axes_are_paired():
    index = torch.arange(4).repeat_interleave(5)
    heads = torch.randn(4, 8), torch.randn(4, 1)
    graph = Scalars(8, per="graph"), Scalars(1, per="graph")
    assert innovation(lambda rows: rows, *heads, *graph, SO3(), index=index).shape == (9,)
    method = RecmStyle(layers(Trajectories(5)), target_type=Scalars(1, per="graph"))
    (term,), paths = method.layers.values(), torch.randn(20, 5, 3)
    for _ in range(2):  # the second step meets the batch of the first
        method.before_forward(heads[1], index)
        term.see(paths)
        method.after_backward()
        method.after_step()
    assert method.states[0].inputs.shape == (20, 5, 3)


@pytest.mark.parametrize("per", ["sample", "node", "graph"])
def test_few_rows_of_a_batch_are_seen_with_their_own_targets(per):
    index = None if per == "sample" else torch.arange(4).repeat_interleave(5)
    method = RecmStyle(layers(), Vectors(1, per="graph" if per == "graph" else "node"), rows=6)
    (term,), seen = method.layers.values(), set()
    x = torch.arange(20.0)[:, None].expand(20, 3) + 1
    y = -torch.arange(4.0)[:, None].expand(4, 3) if per == "graph" else -x
    for _ in range(40):
        method.before_forward(y, index)
        term.see(x)
        method.after_backward()
        method.after_step()
        state = method.states[0]
        assert len(state.inputs) == 6
        if per == "graph":
            assert torch.equal(state.index, ((state.inputs[:, 0] - 1) // 5).long())
            assert torch.equal(state.targets, y)
        else:
            assert torch.equal(state.targets, -state.inputs)
        seen |= set(state.inputs[:, 0].tolist())
    assert len(seen) == 20


def test_few_rows_leave_the_estimate_unbiased():
    torch.manual_seed(0)
    (term,) = (built := layers()).values()
    method = RecmStyle(built, target_type=Vectors(1), rows=40, eta=1.0, power=0.51, tau=1e9)
    x = mixture(400, 0.5)
    whole = innovations(x, lambda rows: method.states[0].witness(torch.cat([rows[..., :3]] * 2, -1)), 400)
    found = []
    with torch.no_grad():
        for _ in range(800):
            method.before_forward(x)
            term.see(x)
            method.after_backward()
            found.append(method.states[0].state.clone())
    few = torch.stack(found[1:])
    error = (few.var(0) / len(few) + whole.var(0) / len(whole)).sqrt()
    assert bool(((few.mean(0) - whole.mean(0)).abs() < 4 * error).all())
    assert float(whole.mean(0).norm()) > 8 * float(error.norm())


def test_the_state_follows_the_innovations_at_the_stated_rates(monkeypatch):
    (term,) = (built := layers()).values()
    method = RecmStyle(built, target_type=Vectors(1), state_size=4, eta=0.5, tau=3.0, power=0.75)
    d, expected = torch.arange(4.0), torch.full((4,), 0.5)
    monkeypatch.setattr(method, "_innovation", lambda *_: d)
    for t in range(6):
        method.before_forward(torch.zeros(2, 3))
        term.see(torch.zeros(2, 3))
        method.after_backward()
        rate = 0.5 / (1 + t / 3.0) ** 0.75 if t else 0.0  # the first step has no batch before it
        expected = (1 - rate) * expected + rate * d
        torch.testing.assert_close(method.states[0].state, expected)


def test_parallel_replicas_that_average_gradients_and_estimates_stay_the_same():
    replicas = []
    for _ in range(2):
        torch.manual_seed(0)
        net = relax(nn.Sequential(nn.Linear(3, 3)), {"0": nn.Linear(3, 3)}, in_types={"0": Vectors(1)})
        method = RecmStyle(relaxations(net), target_type=Vectors(1))
        weights = [*net.parameters(), *method.parameters()]
        replicas.append((net, method, weights, torch.optim.SGD(weights, lr=0.05)))
    x = torch.randn(2, 6, 3) + 1.0
    for _ in range(4):
        for (net, method, _, optimiser), half in zip(replicas, x, strict=True):
            optimiser.zero_grad()
            method.before_forward(half)
            (net(half) - 2 * half).square().mean().backward()
            method.after_backward()
        for same in zip(*(weights for _, _, weights, _ in replicas), strict=True):
            if same[0].grad is not None:
                same[0].grad = same[1].grad = (same[0].grad + same[1].grad) / 2
        for one, two in zip(*(method.estimates() for _, method, _, _ in replicas), strict=True):
            one.copy_((one + two) / 2)
            two.copy_(one)
        for _, method, _, optimiser in replicas:
            optimiser.step()
            method.after_step()
    assert replicas[0][1].log() == replicas[1][1].log()
    assert replicas[0][1].log()["gamma/0"] != 1.0

"""ACE on a scalar problem, J(γ) = slope·γ + (curvature/2)·γ², where everything can be computed."""

import math

import pytest
import torch
from torch import nn

from equizoo.relaxation import AceEquality, AceResilient, Relaxation, relax, relaxations


def descend(method, primal, steps, slope=0.0, curvature=0.0):
    """Run the engine's order of calls and return the path of γ of the only layer."""
    (term,) = method.layers.values()
    path = []
    for _ in range(steps):
        path.append(term.gamma.item())
        gamma = term.gamma
        (slope * gamma + 0.5 * curvature * gamma.square() + method.penalty()).backward()
        method.after_backward()
        primal.step()
        primal.zero_grad()
        method.after_step()
    return torch.tensor(path)


def scalar_layer(gamma=1.0):
    return {"layer": Relaxation(nn.Identity(), gamma=gamma)}


def primal_of(method, optimiser=torch.optim.Adam, lr=9e-3):
    gammas = [t.gamma for t in method.layers.values() if t.gamma not in method.owned()]
    return optimiser([*gammas, *method.parameters(), nn.Parameter(torch.zeros(()))], lr=lr)


def test_equality_drives_gamma_to_zero_on_a_curved_loss():
    method = AceEquality(scalar_layer(), dual_lr=8e-3)
    path = descend(method, primal_of(method), 2000, curvature=3.0)
    assert path[-500:].abs().max() < 1e-3
    assert path[:50].abs().min() > 0.3


def test_published_rates_circle_on_a_flat_loss_and_the_damped_dual_settles():
    published = AceEquality(scalar_layer(), dual_lr=8e-3)
    circling = descend(published, primal_of(published), 2500)[-1200:]
    assert circling.max() > 0.1
    assert circling.min() < -0.1
    damped = AceEquality(scalar_layer(), dual_optimizer="sgd", dual_lr=0.05, gamma_lr=0.05, augmented=1.0)
    settled = descend(damped, primal_of(damped), 600)
    assert settled[-100:].abs().max() < 1e-6
    assert settled.min() > -0.2


def test_damped_dual_follows_its_closed_form():
    # [γ, λ] <- [[1 - 2η, -η], [η, 1]] [γ, λ] = ((1 - η) + η N) with N² = 0
    eta = 0.1
    layers = scalar_layer()
    layers["layer"].double()
    method = AceEquality(layers, dual_optimizer="sgd", dual_lr=eta, gamma_lr=eta, augmented=1.0)
    path = descend(method, primal_of(method), 50)
    t = torch.arange(50)
    expected = (1 - eta) ** t * (1 - t * eta / (1 - eta))
    assert torch.allclose(path.double(), expected.double(), atol=1e-6)


def test_dual_uses_gamma_before_its_step():
    method = AceEquality(scalar_layer(gamma=0.5), dual_lr=0.1, dual_optimizer="sgd")
    descend(method, primal_of(method, torch.optim.SGD, lr=1.0), 1, slope=1.0)
    assert method.layers["layer"].gamma.item() == pytest.approx(-0.5)
    assert method.dual.item() == pytest.approx(0.05)


def test_plain_gradient_steps_of_both_converge_with_curvature():
    method = AceEquality(scalar_layer(), dual_lr=0.05, dual_optimizer="sgd")
    path = descend(method, primal_of(method, torch.optim.SGD, lr=0.1), 1500, slope=-0.3, curvature=0.5)
    assert abs(path[-1]) < 1e-4
    assert method.dual.item() == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize("eps", [1e-8, 1e-2])
def test_dual_adam_is_the_library_adam(eps):
    torch.manual_seed(0)
    layers = {name: Relaxation(nn.Identity()) for name in "abc"}
    method = AceEquality(layers, dual_lr=0.01, dual_eps=eps)
    reference = nn.Parameter(torch.zeros(3))
    adam = torch.optim.Adam([reference], lr=0.01, eps=eps, maximize=True)
    for _ in range(20):
        gammas = torch.randn(3)
        for term, gamma in zip(layers.values(), gammas, strict=True):
            term.gamma.data.fill_(gamma)
        method.after_backward()
        reference.grad = gammas.clone()
        adam.step()
    assert torch.allclose(method.dual, reference.detach(), atol=1e-6)


def test_penalties_and_their_gradients():
    layers = {"a": Relaxation(nn.Identity(), gamma=0.5), "b": Relaxation(nn.Identity(), gamma=-2.0)}
    equality = AceEquality(layers, augmented=3.0)
    equality.dual.copy_(torch.tensor([0.1, 0.2]))
    assert equality.penalty().item() == pytest.approx(0.05 - 0.4 + 3 * (0.25 + 4))
    equality.penalty().backward()
    assert layers["b"].gamma.grad.item() == pytest.approx(0.2 - 12)
    resilient = AceResilient(layers, rho=2.0)
    resilient.dual.copy_(torch.tensor([0.1, 0.2]))
    resilient.slack.data.copy_(torch.tensor([1.0, 3.0]))
    assert resilient.penalty().item() == pytest.approx(10 + 0.1 * (0.5 - 1) + 0.2 * (2 - 3))
    layers["b"].gamma.grad = None
    resilient.penalty().backward()
    assert layers["b"].gamma.grad.item() == pytest.approx(-0.2)
    assert resilient.slack.grad.tolist() == pytest.approx([2 - 0.1, 6 - 0.2])


@pytest.mark.parametrize("sign", [-1, 1])
def test_resilient_settles_at_the_analytic_point(sign):
    # dJ/d|γ| + ρ|γ| = 0 with J' = ±0.05 + 0.1 γ and ρ = 1
    method = AceResilient(scalar_layer(), dual_optimizer="sgd", dual_lr=0.05, gamma_lr=0.05)
    path = descend(method, primal_of(method), 2500, slope=0.05 * sign, curvature=0.1)
    expected = 0.05 / 1.1
    assert path[-1] == pytest.approx(-sign * expected, abs=1e-4)
    assert method.slack.item() == pytest.approx(expected, abs=1e-4)
    assert method.dual.item() == pytest.approx(expected, abs=1e-4)


def test_resilient_with_published_optimisers_settles_there_too():
    method = AceResilient(scalar_layer(), dual_lr=2e-3)
    path = descend(method, primal_of(method, lr=2e-3), 3000, slope=-0.05, curvature=0.1)
    for value in (path[-500:].mean().item(), method.slack.item(), method.dual.item()):
        assert value == pytest.approx(0.05 / 1.1, abs=2e-3)


def test_resilient_point_moves_with_rho():
    method = AceResilient(scalar_layer(), dual_optimizer="sgd", dual_lr=0.05, gamma_lr=0.05, rho=0.4)
    path = descend(method, primal_of(method), 4000, slope=-0.05, curvature=0.1)
    assert path[-1] == pytest.approx(0.05 / 0.5, abs=1e-3)
    assert method.slack.item() == pytest.approx(method.dual.item() / 0.4, abs=1e-3)


def test_resilient_dual_stays_nonnegative():
    method = AceResilient(scalar_layer(gamma=0.0), dual_optimizer="sgd", dual_lr=0.1, gamma_lr=0.1)
    method.slack.fill_(1.0)
    descend(method, primal_of(method), 5)
    assert method.dual.item() == 0.0


@pytest.mark.parametrize("decay, factor", [(None, 1.0), ("linear", 0.75), ("cosine", 0.5 + math.sqrt(0.125))])
def test_rates_decay_with_progress(decay, factor):
    method = AceEquality(scalar_layer(), dual_lr=0.1, dual_optimizer="sgd", gamma_lr=0.2, decay=decay)
    method.set_progress(0.25)
    descend(method, primal_of(method), 1, slope=1.0)
    assert method.dual.item() == pytest.approx(0.1 * factor)
    assert method.layers["layer"].gamma.item() == pytest.approx(1 - 0.2 * factor)


@pytest.mark.parametrize("cls", [AceEquality, AceResilient])
def test_owned_gammas_leave_no_gradient_behind(cls):
    method = cls(scalar_layer(), gamma_lr=0.1)
    assert method.owned() == {method.layers["layer"].gamma}
    assert list(method.parameters()) == []
    descend(method, primal_of(method), 1, slope=1.0)
    assert method.layers["layer"].gamma.grad is None


def test_published_gammas_belong_to_the_primal_optimiser():
    assert AceEquality(scalar_layer()).owned() == set()
    resilient = AceResilient(scalar_layer())
    assert resilient.owned() == set()
    assert [name for name, _ in resilient.named_parameters()] == ["slack"]


@pytest.mark.parametrize(
    "cls, options, message",
    [
        (AceEquality, {"dual_lr": -1.0}, "dual_lr >= 0"),
        (AceEquality, {"gamma_lr": 0.0}, "gamma_lr > 0"),
        (AceEquality, {"dual_optimizer": "lion"}, "'adam' or 'sgd'"),
        (AceEquality, {"augmented": -0.1}, "augmented"),
        (AceEquality, {"decay": "step"}, "'linear' or 'cosine'"),
        (AceEquality, {"dual_eps": 0.0}, "dual_eps > 0"),
        (AceResilient, {"rho": 0.0}, "rho must be positive"),
    ],
)
def test_bad_options(cls, options, message):
    with pytest.raises(ValueError, match=message):
        cls(scalar_layer(), **options)


@pytest.mark.parametrize("cls", [AceEquality, AceResilient])
def test_a_branch_that_took_no_part_is_named(cls):
    net = relax(nn.MultiheadAttention(4, 2), {"out_proj": nn.Linear(4, 4)})  # its forward is never called
    method, x = cls(relaxations(net)), torch.ones(3, 1, 4)
    (net(x, x, x)[0].square().sum() + method.penalty()).backward()
    with pytest.raises(RuntimeError, match="branch of layer 'out_proj' took no part"):
        method.after_backward()

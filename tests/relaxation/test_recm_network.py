"""RECM in a network: γ vanishes on a symmetric task and stays on a broken one."""

import pytest
import torch
from torch import nn

from equizoo.relaxation import RecmStyle, Relaxation, project, projected, relaxations
from equizoo.symmetry import Vectors


class VectorLayer(nn.Module):
    """SO(3)-equivariant map of vector channels, optionally relaxed."""

    def __init__(self, a, b, relaxed):
        super().__init__()
        self.mix = nn.Linear(a, b, bias=False)
        self.gate = nn.Linear(a, b)
        self.relaxation = None
        if relaxed:
            branch = nn.Sequential(nn.Linear(3 * a, 16), nn.GELU(), nn.Linear(16, 3 * b))
            self.relaxation = Relaxation(branch, Vectors(a), Vectors(b))

    def forward(self, x):
        v = x.unflatten(-1, (-1, 3))
        gate = 1 + torch.tanh(self.gate(v.norm(dim=-1))).unsqueeze(-1)
        y = (self.mix(v.mT).mT * gate).flatten(-2)
        return y if self.relaxation is None else self.relaxation(y, x)


def build(relaxed):
    return nn.Sequential(VectorLayer(4, 4, relaxed), VectorLayer(4, 4, relaxed), VectorLayer(4, 1, relaxed))


def train(offset, steps, modulation):
    torch.manual_seed(0)
    teacher, net = build(False), build(True)
    method = RecmStyle(relaxations(net), Vectors(1), tau=50.0, modulation=modulation)
    free = [p for p in net.parameters() if p not in method.owned()]
    optimiser = torch.optim.Adam([*free, *method.parameters()], lr=3e-3)
    for _ in range(steps):
        x = torch.randn(64, 12)
        y = teacher(x).detach() + offset
        method.before_forward(y)
        loss = (net(x) - y).square().mean() + method.penalty()
        optimiser.zero_grad()
        loss.backward()
        method.after_backward()
        optimiser.step()
        method.after_step()
    x = torch.randn(1024, 12)
    y = teacher(x).detach() + offset
    with torch.no_grad():
        relaxed = (net(x) - y).square().mean().item()
        with projected(net):
            exact = (net(x) - y).square().mean().item()
    return net, method, relaxed, exact


@pytest.mark.parametrize("modulation", ["linear", "norm"])
def test_7_network_on_a_symmetric_and_on_a_broken_task(modulation):
    offset = torch.tensor([0.7, 0.0, 0.0])
    _, symmetric, relaxed, exact = train(0.0, 250, modulation)
    assert symmetric.gammas.abs().max() < 0.03
    assert exact == pytest.approx(relaxed, rel=0.2, abs=2e-4)
    _, broken, relaxed, exact = train(offset, 250, modulation)
    assert broken.gammas.abs().max() > 0.2
    assert exact > 0.9 * offset.square().mean() > 10 * relaxed  # a symmetric law has no constant vector


def test_8_evaluation_changes_nothing_and_projection_follows_training():
    net, method, _, _ = train(0.0, 3, "linear")
    before = {key: value.clone() for key, value in method.state_dict().items()}
    net.eval()
    with torch.no_grad():
        net(torch.randn(8, 12))
    after = method.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert before.keys() == after.keys()
    x = torch.randn(8, 12)
    with projected(net):
        assert torch.equal(project(net)(x), net(x))


def test_gamma_is_the_readout_of_the_state_and_the_readout_stays_in_the_ball():
    net, method, _, _ = train(0.0, 5, "linear")
    for state, term in zip(method.states, relaxations(net).values(), strict=True):
        assert state.readout.norm() <= 1 + 1e-6
        assert torch.allclose(term.gamma, state.readout @ state.state)
        assert term.modulation is None
        assert state.inputs is not None


def test_the_last_update_carries_task_gradients_to_witness_and_readout():
    torch.manual_seed(0)
    net = build(True)
    method = RecmStyle(relaxations(net), Vectors(1))
    for _ in range(2):
        x = torch.randn(8, 12)
        method.before_forward(x[:, :3])
        net(x).square().sum().backward()
        method.after_backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.parameters())
    assert all(term.gamma.grad is None for term in relaxations(net).values())

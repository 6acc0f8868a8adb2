"""Relaxed layers: adding them to any module, switching them off, projecting and folding."""

import dataclasses

import pytest
import torch
from torch import nn

from equizoo.relaxation import Relaxation, fold, project, project_state, projected, relax, relaxations
from equizoo.relaxation.project import drop
from equizoo.relaxation.recm import RecmStyle
from equizoo.symmetry import Vectors


@dataclasses.dataclass(frozen=True)
class Config:
    width: int = 4
    relaxed: bool = True


class Native(nn.Module):
    """A layer that applies its own term, as the models of the zoo do."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.relaxation = None

    def forward(self, x):
        y = self.linear(x)
        return y if self.relaxation is None else self.relaxation(y, x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.config = Config()
        self.native, self.foreign = Native(), nn.Linear(4, 4)

    def forward(self, x):
        return self.foreign(self.native(x))


@pytest.fixture
def x():
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return relax(Net(), {"native": nn.Linear(4, 4), "foreign": nn.Linear(4, 4)}, gamma=0.5)


def by_hand(net, x, first, second):
    h = net.native.linear(x) + first * net.native.relaxation.branch(x)
    linear = nn.functional.linear(h, net.foreign.weight, net.foreign.bias)
    return linear + second * net.foreign.relaxation.branch(h)


def test_each_term_is_added_once(net, x):
    assert list(relaxations(net)) == ["native", "foreign"]
    assert torch.allclose(net(x), by_hand(net, x, 0.5, 0.5))


def test_gamma_and_branch_get_gradients(net, x):
    net(x).sum().backward()
    for term in relaxations(net).values():
        assert term.gamma.grad.abs() > 0
        assert term.branch.weight.grad.abs().sum() > 0


def test_gamma_zero_and_projected_and_project_agree_bit_for_bit(net, x):
    with projected(net):
        off = net(x)
    plain = project(net)
    for term in relaxations(net).values():
        term.gamma.data.zero_()
    assert torch.equal(off, plain(x))
    assert torch.equal(off, net(x))
    assert not torch.equal(off, by_hand(net, x, 0.5, 0.5))


def test_projected_restores_also_after_an_error_and_when_nested(net, x):
    net.foreign.relaxation.enabled = False
    with pytest.raises(KeyError), projected(net):
        assert not net.native.relaxation.enabled
        with projected(net):
            pass
        assert not net.native.relaxation.enabled
        raise KeyError
    assert net.native.relaxation.enabled
    assert not net.foreign.relaxation.enabled


def test_project_leaves_the_plain_network(net, x):
    before, names = net(x), set(net.state_dict())
    plain = project(net)
    fresh = Net()
    assert set(plain.state_dict()) == set(fresh.state_dict())
    fresh.load_state_dict(project_state(net.state_dict()), strict=True)
    assert torch.equal(plain(x), fresh(x))
    assert plain.config == Config(relaxed=False)
    assert net.config == Config()
    assert relaxations(plain) == {}
    assert torch.equal(net(x), before)
    assert set(net.state_dict()) == names


def test_project_of_a_plain_network_is_a_copy(x):
    net = nn.Linear(4, 4)
    copy = project(net)
    assert copy is not net
    assert torch.equal(copy(x), net(x))


def test_a_projected_network_can_be_relaxed_again(net, x):
    again = relax(project(net), {"foreign": nn.Linear(4, 4), "native": nn.Linear(4, 4)}, gamma=2.0)
    assert torch.allclose(again(x), by_hand(again, x, 2.0, 2.0))


def test_fold_drops_small_terms_only(net, x):
    net.native.relaxation.gamma.data.fill_(-1e-4)
    partial = fold(net, tolerance=1e-3)
    assert list(relaxations(partial)) == ["foreign"]
    assert torch.allclose(partial(x), by_hand(net, x, 0.0, 0.5))
    assert partial.config.relaxed
    assert list(relaxations(fold(net, tolerance=0.0))) == ["native", "foreign"]
    assert list(relaxations(net)) == ["native", "foreign"]


def test_fold_of_every_term_is_the_projection(net, x):
    folded = fold(net, tolerance=0.5)
    assert torch.equal(folded(x), project(net)(x))
    assert not folded.config.relaxed


def test_the_terms_of_a_chain_are_dropped_together(net, x):
    for layer in (net.native, net.foreign):
        layer.relaxation.chained = True
    net.native.relaxation.gamma.data.zero_()
    assert list(relaxations(fold(net))) == ["native", "foreign"]
    assert torch.equal(fold(net)(x), net(x))
    with pytest.raises(ValueError, match="are a chain: drop all of them or none"):
        drop(net, ["foreign"])
    assert list(relaxations(drop(net, ["foreign", "native"]))) == []


def test_a_term_under_another_name_is_refused():
    layer = nn.Module()
    layer.extra = Relaxation(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="is 'relaxation', not 'extra'"):
        project(layer)


def test_attributes_of_that_name_that_are_no_modules_stay():
    layer = nn.Linear(2, 2)
    layer.relaxation = 0.5
    assert project(layer).relaxation == 0.5


def test_fold_refuses_a_negative_tolerance(net):
    with pytest.raises(ValueError, match="tolerance"):
        fold(net, tolerance=-1.0)


def test_project_between_forward_and_backward_of_a_modulated_layer():
    torch.manual_seed(0)
    net = relax(nn.Sequential(nn.Linear(3, 3)), {"0": nn.Linear(3, 3)}, in_types={"0": Vectors(1)})
    method = RecmStyle(relaxations(net), Vectors(1))
    method.before_forward(torch.zeros(2, 3))
    v = torch.randn(2, 3)
    assert relaxations(net)["0"].modulation.requires_grad
    assert torch.equal(project(net)(v), net[0].forward(v))  # forward() itself runs no hook


def test_modulation_takes_the_place_of_gamma(x):
    term = Relaxation(nn.Identity(), gamma=1.0)
    term.modulation = torch.tensor(3.0)
    assert torch.equal(term(x, x), 4 * x)
    assert torch.allclose(term.add(x, 2 * x), 7 * x)
    term.enabled = False
    assert term(x, x) is x
    assert term.add(x, x) is x


def test_record_keeps_detached_inputs(x):
    term = Relaxation(nn.Identity())
    x = x.requires_grad_()
    term(x, x)
    assert term.last_inputs is None
    term.record = True
    term(x, x)
    (kept,) = term.last_inputs
    assert torch.equal(kept, x)
    assert not kept.requires_grad


def test_relax_checks_every_name_before_it_changes_anything():
    net = Net()
    with pytest.raises(KeyError, match="no layer 'foreing' in Net"):
        relax(net, {"foreign": nn.Linear(4, 4), "foreing": nn.Linear(4, 4)})
    assert relaxations(net) == {}


@pytest.mark.parametrize("container", [nn.Sequential(nn.Linear(4, 4)), nn.ModuleList([nn.Linear(4, 4)])])
def test_containers_are_refused(container):
    with pytest.raises(TypeError, match="'' is a container"):
        relax(container, {"": nn.Linear(4, 4)})
    assert relaxations(container) == {}


def test_relaxing_twice_is_an_error(net):
    with pytest.raises(ValueError, match="'foreign' is relaxed already"):
        relax(net, {"foreign": nn.Linear(4, 4)})


def test_the_root_can_be_relaxed(x):
    net = relax(nn.Linear(4, 4), {"": nn.Linear(4, 4)})
    assert list(relaxations(net)) == [""]
    assert list(relaxations(project(net))) == []
    assert not torch.equal(net(x), project(net)(x))


def test_project_state_keeps_names_that_only_contain_the_word():
    kept = project_state({"a.relaxation.gamma": 0, "relaxation.branch.weight": 1, "a.relaxation_time": 2})
    assert kept == {"a.relaxation_time": 2}

"""Building methods by name, the calls of a step, and resuming bit for bit."""

import copy
import io

import pytest
import torch
from torch import nn

from equizoo.relaxation import METHODS, AceEquality, Method, Relaxation, build_method, relax, relaxations
from equizoo.symmetry import Vectors

DAMPED = {"dual_optimizer": "sgd", "dual_lr": 0.05, "gamma_lr": 0.05, "decay": "cosine"}
CASES = [
    ("none", {}),
    ("ace-equality", {}),
    ("ace-equality", {**DAMPED, "augmented": 1.0}),
    ("ace-resilient", {}),
    ("ace-resilient", DAMPED),
    ("cr", {}),
    ("recm", {"target_type": Vectors(1), "width": 8}),
    ("recm", {"target_type": Vectors(1), "width": 8, "modulation": "norm", "samples": 2}),
]
IDS = [f"{name}-{k}" for k, (name, _) in enumerate(CASES)]


def relaxed_net(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 3, bias=False))
    branches = {"0": nn.Linear(6, 6), "1": nn.Linear(6, 3)}
    into, out = {"0": Vectors(2), "1": Vectors(2)}, {"0": Vectors(2), "1": Vectors(1)}
    return relax(net, branches, in_types=into, out_types=out)


class Run:
    """A model, its method and its optimiser, stepped in the engine's order."""

    def __init__(self, name, options, seed=0):
        self.net = relaxed_net(seed)
        self.method = build_method(name, relaxations(self.net), **options)
        free = [p for p in self.net.parameters() if p not in self.method.owned()]
        self.optimiser = torch.optim.Adam([*free, *self.method.parameters()], lr=1e-2)

    def step(self, k):
        rng = torch.Generator().manual_seed(k)
        x, y = torch.randn(5, 6, generator=rng), torch.randn(5, 3, generator=rng)
        self.method.set_progress(k / 10)
        self.method.before_forward(y)
        loss = (self.net(x) - y).square().mean() + self.method.penalty()
        self.optimiser.zero_grad()
        loss.backward()
        self.method.after_backward()
        self.optimiser.step()
        self.method.after_step()
        return loss.item()

    def parts(self):
        return {"net": self.net, "method": self.method, "optimiser": self.optimiser}


@pytest.mark.parametrize("name, options", CASES, ids=IDS)
def test_a_resumed_run_continues_bit_for_bit(name, options):
    straight = Run(name, options)
    for k in range(4):
        straight.step(k)
    file = io.BytesIO()
    torch.save({key: part.state_dict() for key, part in straight.parts().items()}, file)
    file.seek(0)
    resumed = Run(name, options, seed=1)
    for key, state in torch.load(file, weights_only=True).items():
        resumed.parts()[key].load_state_dict(state)
    assert resumed.method.log() == straight.method.log()
    for k in range(4, 8):
        assert resumed.step(k) == straight.step(k)
    assert resumed.method.log() == straight.method.log()
    states = [run.net.state_dict() | run.method.state_dict() for run in (straight, resumed)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("name, options", CASES, ids=IDS)
def test_every_trained_parameter_has_one_owner(name, options):
    run = Run(name, options)
    gammas = {term.gamma for term in relaxations(run.net).values()}
    before = copy.deepcopy(run.net.state_dict())
    assert run.method.owned() in (set(), gammas)
    assert not set(run.method.parameters()) & set(run.net.parameters())
    for k in range(3):
        run.step(k)
    moved = {key for key, value in run.net.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == set(before)
    assert all(term.modulation is None for term in relaxations(run.net).values())
    if run.method.owned():
        assert all(gamma.grad is None for gamma in gammas)


@pytest.mark.parametrize("name, options", CASES, ids=IDS)
def test_log_names_every_layer(name, options):
    log = Run(name, options).method.log()
    assert {"gamma/0", "gamma/1"} <= log.keys()
    assert all(isinstance(value, float) for value in log.values())
    extra = {key.split("/")[0] for key in log} - {"gamma"}
    expected = {"ace-equality": {"dual"}, "ace-resilient": {"dual", "slack"}, "recm": {"state"}}
    assert extra == expected.get(name, set())


@pytest.mark.parametrize("name, options", CASES, ids=IDS)
def test_what_is_kept_for_a_layer_is_on_its_device(name, options):
    options = {**options, "weight": 0.0} if name == "cr" else options  # there are no sparse tensors on meta
    state = build_method(name, relaxations(relaxed_net().to("meta")), **options).state_dict()
    elsewhere = {key for key, value in state.items() if value.device.type != "meta"}
    assert {"done"} <= elsewhere <= {"done", "steps", "dual_steps"}


def test_method_none_trains_gamma_and_adds_nothing():
    run = Run("none", {})
    assert run.method.penalty().item() == 0.0
    run.step(0)
    assert run.method.log()["gamma/0"] != 1.0


def test_method_none_needs_no_relaxed_layer_and_the_others_do():
    plain = build_method("none", {})
    assert plain.log() == {}
    assert plain.penalty().item() == 0.0
    for name in set(METHODS) - {"none"}:
        with pytest.raises(ValueError, match="needs a relaxed layer"):
            build_method(name, {})


def test_unknown_names_name_the_nearest():
    layers = relaxations(relaxed_net())
    with pytest.raises(ValueError, match="unknown method 'ace-equalty'; did you mean 'ace-equality'"):
        build_method("ace-equalty", layers)
    with pytest.raises(ValueError, match="unknown method 'zzz'; choose from"):
        build_method("zzz", layers)
    with pytest.raises(TypeError, match="unknown option of method 'ace-equality' 'dual_rate'; did you mean"):
        build_method("ace-equality", layers, dual_rate=1.0)
    with pytest.raises(TypeError, match="unknown option of method 'none' 'dual_lr'"):
        build_method("none", layers, dual_lr=1.0)


def test_layers_must_be_relaxations():
    with pytest.raises(TypeError, match=r"relaxations\(model\)"):
        Method(relaxed_net())
    with pytest.raises(TypeError, match=r"relaxations\(model\)"):
        AceEquality({"0": nn.Linear(3, 3)})


def test_progress_is_a_fraction():
    method = build_method("ace-equality", {"a": Relaxation(nn.Identity())})
    method.set_progress(1.0)
    assert method.progress == 1.0
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        method.set_progress(1.1)


def test_a_state_of_another_model_is_refused():
    one = build_method("ace-equality", {"a": Relaxation(nn.Identity())})
    two = build_method("ace-equality", {n: Relaxation(nn.Identity()) for n in "ab"})
    with pytest.raises(RuntimeError, match="dual"):
        two.load_state_dict(one.state_dict())

"""Released weights under our names, against a released layer written out in e3nn's layout."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from equizoo.models.segnn import SteerableLayer
from equizoo.models.segnn_convert import from_released
from equizoo.nn.coupling import CouplingTable
from equizoo.nn.steerable import from_mul_ir, to_mul_ir

IRREPS = "3x0e+2x1o"


def released_branch(copies):
    """Three layers with GELU between features in e3nn's layout."""
    return nn.Sequential(nn.Linear(9 * copies, 18), nn.GELU(), nn.Linear(18, 9), nn.GELU(), nn.Linear(9, 9))


@pytest.mark.parametrize("copies", [1, 2])
def test_branches_see_their_own_layout(copies):
    torch.manual_seed(0)
    branch = released_branch(copies)
    name = f"lin_noneq{3 - copies}"
    state = {f"layers.0.{name}.{key}": x for key, x in branch.state_dict().items()}
    prefix = f"layers.0.update_{3 - copies}.relaxation.branch."
    ours = released_branch(copies)
    converted = from_released(state, IRREPS)
    ours.load_state_dict({key.removeprefix(prefix): x for key, x in converted.items()})
    x = torch.randn(4, 9 * copies)
    mine = from_mul_ir(x, "+".join([IRREPS] * copies))
    torch.testing.assert_close(to_mul_ir(ours(mine), IRREPS), branch(x))


def test_every_parameter_of_a_layer_has_a_name():
    layer = SteerableLayer(IRREPS, 2, CouplingTable("0e+1o", 1), norm=True)
    layer.relax("mlp")
    wanted = layer.state_dict()
    products = {"message_layer_1": "message_1", "message_layer_2": "message_2"}
    products |= {"update_layer_1": "update_1", "update_layer_2": "update_2"}
    state = {}
    for released, ours in products.items():
        state[f"{released}.tp.weight"] = wanted[f"{ours}.weight"]
        state[f"{released}.biases"] = wanted[f"{ours}.bias"]
        state[f"{released}.tp.output_mask"] = state[f"{released}.gate.mul.weight"] = torch.zeros(0)
    for k in (1, 2):
        state[f"gammas.{k - 1}"] = wanted[f"update_{k}.relaxation.gamma"]
        branch = released_branch(3 - k).state_dict()
        state.update({f"layers.0.lin_noneq{k}.{key}": x for key, x in branch.items()})
    for key in ("weight", "bias"):
        state[f"feature_norm.{key}"] = wanted[f"norm.{key}"]
    names = {name.removeprefix("layers.0.") for name in from_released(state, IRREPS)}
    assert names == set(wanted)


def test_other_irreps_are_refused():
    state = {"layers.0.lin_noneq2.0.weight": torch.zeros(18, 9)}
    with pytest.raises(ValueError, match="takes 9 features, the irreps have 5"):
        from_released(state, "2x0e+1x1o")
    with pytest.raises(ValueError, match="gives 9 features, the irreps have 5"):
        from_released({"layers.0.lin_noneq2.4.bias": torch.zeros(9)}, "2x0e+1x1o")


def test_the_layers_after_pooling_become_linear_maps():
    weight = torch.arange(6.0)
    state = {"post_pool2.tp.weight": weight, "post_pool2.biases": torch.zeros(2)}
    state |= {
        "post_pool2.tp.output_mask": torch.ones(2),
        "post_pool2.tp._compiled_main._w3j_1_1_2": torch.ones(1),
    }
    converted = from_released(state, IRREPS)
    assert list(converted) == ["readout.out.weight", "readout.out.bias"]
    assert torch.equal(converted["readout.out.weight"], weight.view(3, 2).T)

"""The documented example: γ vanishes where the symmetry holds and stays where it must break."""

import pytest
import torch

from equizoo.relaxation import projected, relaxations
from equizoo.training.examples.c4_cnn import RUNS, TARGETS, fit, image, relaxed_net


def symmetric_floor(target):
    """Return the smallest error of any C4-invariant image."""
    y = image(target)
    average = torch.stack([y.rot90(r, (2, 3)) for r in range(4)]).mean(0)
    return (y - average).square().mean().item()


def test_targets_have_the_symmetry_they_are_named_after():
    for target, turns in (
        ("input", {0, 1, 2, 3}),
        ("square", {0, 1, 2, 3}),
        ("rectangle", {0, 2}),
        ("asymmetric", {0}),
    ):
        y = image(target)
        assert {r for r in range(4) if torch.equal(y, y.rot90(r, (2, 3)))} == turns, target


def test_unknown_shape():
    with pytest.raises(ValueError, match="no shape 'circle'"):
        image("circle")


def test_projected_network_is_equivariant_and_relaxed_one_is_not():
    torch.manual_seed(0)
    net, x = relaxed_net().double().eval(), torch.randn(2, 1, 12, 12, dtype=torch.float64)
    turned = x.rot90(1, (2, 3))
    assert not torch.allclose(net(turned), net(x).rot90(1, (2, 3)), atol=1e-3)
    with projected(net):
        assert torch.allclose(net(turned), net(x).rot90(1, (2, 3)), atol=1e-12)
    assert list(relaxations(net)) == ["lift", "hidden", "out"]


@pytest.mark.parametrize("target, method, options", RUNS, ids=[f"{run[0]}-{run[1]}" for run in RUNS])
def test_gamma_vanishes_exactly_where_the_target_is_symmetric(target, method, options):
    result = fit(target, method, **options)
    largest = max(abs(gamma) for gamma in result.gammas.values())
    assert result.relaxed < 5e-3
    if target == "square":
        assert largest < 5e-3
        assert result.projected < 5e-3
    else:
        assert largest > 0.05
        assert result.projected >= symmetric_floor(target) > 10 * result.relaxed


def test_every_target_is_run():
    assert {run[0] for run in RUNS} == set(TARGETS)

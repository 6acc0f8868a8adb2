"""The suite itself: each fault that it exists for makes one of its tests fail."""

from __future__ import annotations

import pytest
import torch

from tests.models.test_schnet import SchNetSuite


class Faulty(SchNetSuite):
    """SchNet with a fault in its result."""

    def __init__(self, fault):
        self.fault = fault

    def make_model(self, relaxed, dtype=torch.float64):
        model, fault = super().make_model(relaxed, dtype), self.fault
        model.register_forward_hook(lambda _, args, kwargs, out: fault(out, **kwargs), with_kwargs=True)
        return model


def absolute_position(out, pos, **rest):
    return out + 1e-6 * pos[0, 0]


def handed(out, pos, **rest):
    return out + torch.linalg.det(pos[1:4] - pos[0])


def ordered(out, z, **rest):
    return out + z[0]


def neighbour_in_batch(out, **rest):
    return out - 1e-6 * out.mean(0)


def constant(out, pos, **rest):
    return out.detach() + 0 * pos.sum()


DOUBLE = torch.float64
CASES = [
    (absolute_position, lambda suite: suite.test_symmetry("rotations", DOUBLE)),
    (absolute_position, lambda suite: suite.test_symmetry("translations", DOUBLE)),
    (absolute_position, lambda suite: suite.test_the_projected_model_is_equivariant(DOUBLE)),
    (handed, lambda suite: suite.test_symmetry("reflections", DOUBLE)),
    (ordered, lambda suite: suite.test_symmetry("permutations", DOUBLE)),
    (neighbour_in_batch, lambda suite: suite.test_a_batch_equals_its_members(False, DOUBLE)),
    (constant, lambda suite: suite.test_every_parameter_gets_a_gradient(False)),
]


@pytest.mark.parametrize(("fault", "test"), CASES)
def test_a_fault_is_caught(fault, test):
    with pytest.raises((AssertionError, RuntimeError)):
        test(Faulty(fault))


def test_a_wrong_derivative_is_caught():
    def detached(out, pos, **rest):
        return out + pos.detach().square().sum()

    from torch.autograd.gradcheck import GradcheckError

    with pytest.raises(GradcheckError):
        Faulty(detached).test_derivatives_with_respect_to_positions(False)


def test_a_healthy_model_passes_the_same_tests():
    for _, test in CASES:
        test(Faulty(lambda out, **rest: out))

"""The symmetry lab's figures."""

import numpy as np
import pytest
import torch

from equizoo.demo import lab, models, symmetry
from equizoo.demo.answering import Declined
from equizoo.demo.tab_symmetry import CHOICES, chosen, show
from equizoo.relaxation.layer import relaxations

CASES = [
    ("molecule", "schnet-qm9-ace", "CCO"),
    ("point cloud", "vn-dgcnn-modelnet40-ace", "chair"),
    ("particles", "segnn-nbody-cr", "3"),
]
MOTION = symmetry.element((30, -50, 70), mirror="y")


@pytest.mark.parametrize(("kind", "model", "choice"), CASES)
def test_the_equivariant_variant_is_equivariant_to_round_off(kind, model, choice):
    given = lab.subject(kind, model, choice)
    double = symmetry.compare(model, "equivariant", "float64", given.inputs, MOTION)
    single = symmetry.compare(model, "equivariant", "float32", given.inputs, MOTION)
    assert double.relative < 1e-13 and single.relative < 1e-4
    assert np.allclose(double.after, double.expected, atol=1e-10)


def test_the_error_of_the_partial_variant_grows_with_gamma():
    kind, model, choice = CASES[2]
    given = lab.subject(kind, model, choice)
    errors = [
        symmetry.compare(model, "partial", "float64", given.inputs, MOTION, gamma).relative
        for gamma in (0, 0.01, 0.1, 1)
    ]
    assert errors[0] < 1e-13 and errors == sorted(errors)
    assert errors[2] / errors[1] == pytest.approx(10, rel=0.2)
    network = models.network(model, "partial", "float64")
    assert all(term.modulation is None for term in relaxations(network).values())


def test_the_axis_and_the_angle_of_a_motion():
    for turn in ((0, 0, 40), (180, 0, 0), (25, 30, -100)):
        rotation = symmetry.element(turn).rotation
        axis, angle = symmetry.axis_and_angle(rotation)
        again = symmetry._about(axis, np.deg2rad(angle))
        assert torch.allclose(again, rotation, atol=1e-9)
    assert symmetry.axis_and_angle(torch.eye(3, dtype=torch.float64))[1] == 0


def test_the_curve_passes_through_the_error_of_the_lab():
    kind, model, choice = CASES[2]
    given = lab.subject(kind, model, choice)
    motion = symmetry.element((0, 0, 40))
    axis, angle = symmetry.axis_and_angle(motion.rotation)
    curve = symmetry.errors_by_angle(model, "partial", "float64", given.inputs, axis, [angle])
    here = symmetry.compare(model, "partial", "float64", given.inputs, motion).relative
    assert curve[0] == pytest.approx(here, rel=1e-6)


@pytest.mark.parametrize(("kind", "model", "choice"), CASES)
def test_the_lab_shows_every_subject(kind, model, choice):
    scene, cards, chart, answers, gamma, line, code = show(
        kind, choice, model, 0, 0, 40, 0.5, "x", 1, "float32"
    )
    assert '"axes":true' in scene and "<path" in chart and "compare(" in code
    assert cards.count("ez-error ez-") == 2 and answers and "s on cpu" in line
    assert ("γ by layer" in gamma) == ("partial" in models.variants(model))


def test_every_choice_of_the_lab_can_be_shown():
    for kind, choices in CHOICES.items():
        model = lab.offered(kind)[0]
        assert all(lab.subject(kind, model, chosen(kind, choice)).inputs for choice in choices[:3])


def test_a_subject_that_is_no_choice_is_declined():
    with pytest.raises(Declined, match="choose one of molecule"):
        lab.subject("image", "schnet-qm9-ace", "CCO")
    with pytest.raises(Declined, match="no model"):
        lab.subject("particles", "schnet-qm9-ace", "1")

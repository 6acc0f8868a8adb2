"""The symmetry lab's figures."""

import gradio as gr
import numpy as np
import pytest
import torch

from equizoo.demo import api, lab, lab_charts, lab_scene, models, symmetry
from equizoo.demo.answering import Declined
from equizoo.demo.tab_symmetry import CHOICES, chosen, show
from equizoo.relaxation.layer import relaxations

CASES = [
    ("molecule", "schnet-qm9-ace", "CCO"),
    ("point cloud", "vn-dgcnn-modelnet40-ace", "chair"),
    ("particles", "segnn-nbody-cr", "3"),
]
BODY = (lab.BODY, "egno-mocap-run-recm", "0.35")
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


def test_a_body_keeps_the_vertical_and_its_partial_variant_does_not():
    kind, model, choice = BODY
    given = lab.subject(kind, model, choice)
    for motion in (symmetry.element((0, 40, 0)), symmetry.element((0, -70, 0), 2.0, "x")):
        exact, kept = (
            symmetry.compare(model, "equivariant", dtype, given.inputs, motion).relative
            for dtype in ("float64", "float32")
        )
        left = symmetry.compare(model, "partial", "float64", given.inputs, motion).relative
        off = symmetry.compare(model, "partial", "float64", given.inputs, motion, gamma=0.0).relative
        assert exact < 1e-14 and off < 1e-14 and left > 0.02
        assert kept < lab.floor(kind, model, "float32", motion) < 1e-6
    for motion in (symmetry.element((40, 0, 0)), symmetry.element((0, 0, 0), mirror="y")):
        assert symmetry.compare(model, "equivariant", "float64", given.inputs, motion).relative > 1e-3
        assert lab.floor(kind, model, "float64", motion) is None


def test_rings_lie_on_the_joints_of_a_body_where_the_network_is_equivariant():
    kind, model, choice = BODY
    given, motion = lab.subject(kind, model, choice), symmetry.element((0, 40, 0), 1.0)
    compared = {
        v: symmetry.compare(model, v, "float64", given.inputs, motion) for v in models.variants(model)
    }
    drawn = lab_scene.scene(given, motion, compared)
    places = np.array([point[:3] for point in drawn["points"]]).reshape(2, 3, 31, 3)
    assert np.allclose(places[0, 1], places[0, 2]) and not np.allclose(places[1, 1], places[1, 2], atol=0.5)
    assert np.ptp(places[:, 0] - places[:, 0, :1], axis=0).max() < 1e-3  # the same body twice
    assert sorted({k // 31 for bond in drawn["bonds"] for k in bond[:2]}) == [0, 1, 3, 4]


def test_the_curve_of_a_body_that_is_not_turned_is_about_the_vertical():
    given = lab.subject(*BODY)
    assert "round-off of float64" in lab_charts.angle_chart(
        given, "float64", symmetry.element((0, 0, 0)), 1.0
    )
    assert "round-off" not in lab_charts.angle_chart(given, "float64", symmetry.element((40, 0, 0)), 1.0)


@pytest.mark.parametrize(("kind", "model", "choice"), [*CASES, BODY])
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
    for choice in ("1.5", "nan", "fast", "") if lab.BODY in lab.SUBJECTS else ():
        with pytest.raises(Declined, match="part of the stride"):
            lab.subject(lab.BODY, BODY[1], choice)


@pytest.mark.parametrize(
    ("motion", "message"),
    [
        (((0, 0, 181), 0.0, "no"), "an angle must be from -180 to 180"),
        (((0, 0, float("nan")), 0.0, "no"), "an angle|angles"),
        (((0, 0, 90), 1e30, "no"), "the shift must be from -5 to 5"),
        (((0, 0, 90), None, "no"), "the shift must be"),
        (((0, 0, 90), 0.0, "w"), "mirror must be one of no, x, y, z"),
    ],
)
def test_a_motion_beyond_the_limits_is_declined_on_the_page_and_by_its_api(motion, message):
    turn, shift, mirror = motion
    with pytest.raises(gr.Error, match=f"(?i){message}"):
        api.equivariance(*CASES[2], "equivariant", [*turn], shift, mirror)
    with pytest.raises(gr.Error, match=f"(?i){message}"):
        show(*CASES[2], *turn, shift, mirror, 1, "float32")

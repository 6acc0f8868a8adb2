"""Bodies in motion: the made-up figure, recordings, and what is shown of a forecast."""

import json

import numpy as np
import pytest

from equizoo.data.mocap import SKELETON
from equizoo.demo import bodies, limits, models, tab_motion
from equizoo.demo.answering import Declined
from equizoo.demo.gait import GAITS, figure
from equizoo.pipelines.motion_windows import BadMotion

OFFERED = models.names(bodies.TASK)


@pytest.mark.parametrize("gait", GAITS)
def test_the_bones_of_the_figure_keep_their_length_and_its_feet_the_floor(gait):
    pos = figure(gait, 90, 0.3)
    child, parent = np.array(SKELETON.bones).T
    lengths = np.linalg.norm(pos[:, child] - pos[:, parent], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-9 and lengths.min() > 0.4
    assert -0.1 < pos[..., 1].min() < 1
    speed = np.diff(pos[:, 0, 2]).mean()
    assert speed == pytest.approx(GAITS[gait].speed)


def test_the_figure_is_like_the_training_set_of_its_model():
    name = OFFERED[0]
    trained = models.info(name).config.domain["motion"]
    found = bodies.forecast(name, bodies.best_variant(name), trained, 0.2, None, 0, 1)
    assert found.in_domain and found.mse < 30
    scene = bodies.scene(found)
    assert np.shape(scene["frames"]) == (31, 62, 3) and len(scene["states"]) == 31
    assert len(scene["points"]) > 62 and np.array(scene["bonds"]).max() < 93


def test_everything_is_shown(tmp_path):
    name = OFFERED[0]
    variant = bodies.best_variant(name)
    scene, chart, table, line, code = tab_motion.show("run", 0, None, 0, 2, name, variant)
    assert json.loads(scene)["times"][-1] == pytest.approx(59 / 120, abs=1e-3)
    assert "<path" in chart and table.count("<tr>") == 3 and name in line
    compile(code, "copied", "exec")
    np.savez(tmp_path / "short.npz", pos=figure("run", 2))
    alone = tab_motion.show("run", 0, str(tmp_path / "short.npz"), 0, 1, name, variant)
    assert "no truth" in alone[1] and json.loads(alone[0])["key"] == "body 1"


def test_recordings_that_are_not_answered_say_why(tmp_path):
    name, variant = OFFERED[0], bodies.best_variant(OFFERED[0])
    np.savez_compressed(tmp_path / "bomb.npz", pos=np.zeros(limits.MOTION_ARRAYS // 8 + 1))
    (tmp_path / "noise.npz").write_bytes(b"PK\x03\x04" + bytes(200))
    np.savez(tmp_path / "joints.npz", pos=np.zeros((4, 30, 3)))
    here, then = figure("run", 2)
    np.savez(tmp_path / "far.npz", pos=[here, here, then + 1e6])
    np.savez(tmp_path / "fast.npz", pos=here, vel=here - 1e6)
    np.savez(tmp_path / "words.npz", pos=here, vel=np.full((31, 3), "fast"))
    for file, message in (
        ("words", "vel holds <U4, not numbers"),
        ("bomb", "more than 32 MB"),
        ("noise", "whole .npz"),
        ("joints", "31"),
        ("far", "beyond ±10000"),
        ("fast", "give lengths of 5.64 cm"),
    ):
        with pytest.raises((Declined, BadMotion), match=message):
            bodies.forecast(name, variant, "run", 0, tmp_path / f"{file}.npz", 0, 1)
    for gait, phase, steps in (("fly", 0, 1), ("run", 2, 1), ("run", None, 1), ("run", 0, 9)):
        with pytest.raises(Declined):
            bodies.forecast(name, variant, gait, phase, None, 0, steps)


def test_the_dots_on_the_floor_are_few_however_far_the_truth_goes(tmp_path):
    name = OFFERED[0]
    frames = figure("run", 32)
    frames[10:, :, 2] += 9000
    np.savez(tmp_path / "far.npz", pos=frames)
    found = bodies.forecast(name, "equivariant", "run", 0, tmp_path / "far.npz", 0, 1)
    assert 300 < len(bodies.scene(found)["points"]) < 500


def test_a_model_whose_branches_are_needed_starts_with_them():
    for name in OFFERED:
        measured = models.info(name).results["variants"]
        best = bodies.best_variant(name)
        errors = {variant: measured[variant]["errors"]["position"] for variant in models.variants(name)}
        assert errors[best] == min(errors.values())
        if errors["equivariant"] > 2 * errors[best]:
            found = bodies.forecast(name, "equivariant", "run", 0, None, 0, 1)
            assert "forecasts badly without" in bodies.summary(found, name, "equivariant")

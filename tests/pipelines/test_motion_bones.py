"""Bodies whose bones are not those of the training set are flagged, and the real recordings are not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import equizoo
from equizoo.data.mocap import SKELETON, SPLITS, load_mocap
from equizoo.demo.gait import figure
from equizoo.pipelines.motion_bones import LENGTHS, MOTIONS, other_bones, trained_lengths
from equizoo.pipelines.motion_windows import oddity
from tests.pipelines.test_motion import DOMAIN

DATA = Path(os.environ.get("EQUIZOO_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.skipif(not (DATA / "cmu_run.npz").is_file(), reason="the recordings are not here")
STILL = np.zeros((31, 3))


def facts(motion: str) -> dict:
    return {"motion": motion, "joints": SKELETON.joints, "bones": SKELETON.bones}


def body(motion: str = "run", seed: int = 0) -> np.ndarray:
    """Return (31, 3) joints of a body with the bones of the training set, each in any direction."""
    directions = np.random.default_rng(seed).normal(size=(31, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    pos = np.zeros((31, 3))
    for (child, parent), length in zip(SKELETON.bones, trained_lengths(facts(motion)), strict=True):
        pos[child] = pos[parent] + length * directions[child]
    return pos


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_bones_of_about_the_same_length_pass_in_any_pose(motion: str, seed: int) -> None:
    pos, other = body(motion, seed), body({"run": "walk", "walk": "run"}[motion], seed)
    for same in (pos, 1.05 * pos, 0.95 * pos, other, pos + 100.0, pos[:, [2, 0, 1]]):
        assert other_bones(same, STILL, facts(motion)) is None


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("factor", [0.7, 1 / 1.3, 0.85, 1.15, 1.3])
def test_bodies_of_another_size_do_not(motion: str, factor: float) -> None:
    reason = other_bones(factor * body(motion), STILL, facts(motion))
    assert f"is {factor:.3g} times as long" in reason


def test_shuffled_joints_do_not() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert "bones have other lengths" in other_bones(body()[rng.permutation(31)], STILL, facts("run"))


def test_one_joint_that_is_elsewhere_is_named() -> None:
    pos = body()
    pos[SKELETON.joints.index("lthumb")] += [0, 50, 0]
    assert other_bones(pos, STILL, facts("run")).startswith("1 of 30 bones")
    assert "that of lthumb is" in other_bones(pos, STILL, facts("run"))
    torn = np.zeros((31, 3))
    torn[SKELETON.joints.index("head"), 1] = 50
    assert other_bones(body(), torn, facts("run")).endswith("times as long a frame later")


def test_joints_that_are_not_known_are_not_compared() -> None:
    assert trained_lengths(DOMAIN) is None
    assert trained_lengths(facts("jump")) is None
    assert other_bones(100 * body(), STILL, DOMAIN) is None


@pytest.mark.parametrize("name", equizoo.list_models("egno-*"))
def test_every_bundled_model_flags_points_that_are_no_body(name: str) -> None:
    domain = equizoo.model_info(name).config.domain
    assert len(trained_lengths(domain)) == 30 == len(LENGTHS)
    cube = np.random.default_rng(0).uniform(0, domain["size"][1], size=(31, 3))
    ends = np.linspace(0.5, domain["size"][0] + 0.5, 31)
    cube[:, 1] = ends  # as high as a body, on the floor
    vel = np.tile([0.0, 0.0, np.mean(domain["speed"])], (31, 1))
    assert "bones have other lengths than those of the body" in oddity(cube, vel, domain)


@pytest.mark.parametrize("name", equizoo.list_models("egno-*"))
def test_the_made_up_figure_of_cards_and_demo_passes(name: str) -> None:
    domain = equizoo.model_info(name).config.domain
    here, then = figure(domain["motion"], 2)
    assert oddity(here, then - here, domain) is None


@needs_data
@pytest.mark.parametrize("motion", MOTIONS)
def test_every_recorded_body_passes_and_is_the_one_of_the_table(motion: str) -> None:
    parts = [load_mocap(DATA, motion=motion, split=split, starts="all") for split in SPLITS]
    pos = np.concatenate([part.pos.double().numpy() for part in parts])
    vel = np.concatenate([part.vel.double().numpy() for part in parts])
    child, parent = np.array(SKELETON.bones).T
    lengths = np.linalg.norm(pos[:, child] - pos[:, parent], axis=-1)
    assert np.abs(lengths - trained_lengths(facts(motion))).max() < 6e-4
    assert {other_bones(*one, facts(motion)) for one in zip(pos, vel, strict=True)} == {None}
    rng = np.random.default_rng(0)
    for one, change in zip(pos[::50], vel[::50], strict=True):
        assert other_bones(1.3 * one, change, facts(motion)) is not None
        assert other_bones(one / 1.3, change, facts(motion)) is not None
        assert other_bones(one[rng.permutation(31)], change, facts(motion)) is not None

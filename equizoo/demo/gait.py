"""A made-up figure that walks or runs: the skeleton of the recordings, moved by a few sines.

Nobody was recorded for it. Lengths and speeds are near those of the subjects of CMU motion capture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from equizoo.data.mocap import SKELETON


@dataclass(frozen=True)
class Gait:
    """How a figure goes; angles are radians, lengths ASF units, times frames of 1/120 s.

    Attributes:
        stride: Time of two steps [frames].
        speed: Speed forwards [length / frame].
        thigh: Mean angle of the thigh to the vertical, and its amplitude.
        knee: Bend of the knee in stance, and how much more in swing.
        arm: Amplitude of the upper arm.
        elbow: Bend of the elbow.
        lean: Angle of the trunk to the vertical, forwards.
        height: Height of the pelvis, and the amplitude of its bob.
    """

    stride: float
    speed: float
    thigh: tuple[float, float]
    knee: tuple[float, float]
    arm: float
    elbow: float
    lean: float
    height: tuple[float, float]


GAITS: Mapping[str, Gait] = {
    "walk": Gait(128, 0.19, (0.06, 0.42), (0.1, 1.0), 0.35, 0.35, 0.04, (16.5, 0.25)),
    "run": Gait(86, 0.52, (0.2, 0.62), (0.35, 1.4), 0.6, 1.45, 0.14, (16.6, 0.6)),
}
#: Length of the bone that ends in a joint [length]; both sides are alike.
_BONES = {
    "femur": 7.2,
    "tibia": 7.3,
    "foot": 2.2,
    "toes": 1.1,
    "lowerback": 2.0,
    "upperback": 2.0,
    "thorax": 2.0,
    "lowerneck": 1.6,
    "upperneck": 1.6,
    "head": 1.6,
    "humerus": 5.0,
    "radius": 3.3,
    "wrist": 1.7,
    "hand": 0.7,
    "fingers": 0.6,
    "thumb": 0.8,
}
_HIP, _SHOULDER = (1.5, -1.7, 0.5), (3.2, 0.6, -0.3)  # from the root and from the thorax, on the left


def figure(gait: str, frames: int, phase: float = 0.0) -> np.ndarray:
    """Return a recording of the made-up figure, which goes along z.

    Args:
        gait: A key of :data:`GAITS`.
        frames: Number of frames, 120 a second.
        phase: Part of the stride at which it starts, 0 to 1.

    Returns:
        (frames, 31, 3) float64 positions of the joints of :data:`equizoo.data.mocap.SKELETON` [length]; y
        points up, the floor is at 0.

    Example:
        >>> steps = figure("walk", 31)
        >>> steps.shape, round(float(steps[30, 0, 2] - steps[0, 0, 2]), 1)  # the root goes 32 cm
        ((31, 31, 3), 5.7)
    """
    how = GAITS[gait]
    turn = 2 * np.pi * (np.arange(frames) / how.stride + phase)
    height, bob = how.height
    root = np.stack([np.zeros(frames), height + bob * np.cos(2 * turn), how.speed * np.arange(frames)], 1)
    at: dict[str, np.ndarray] = {"root": root}
    for side, sign, angle in (("l", 1.0, turn), ("r", -1.0, turn + np.pi)):
        at |= _leg(how, root + np.array(_HIP) * [sign, 1, 1], side, angle)
    still = np.zeros(frames)
    for name, parent, lean in (
        ("lowerback", "root", how.lean),
        ("upperback", "lowerback", how.lean),
        ("thorax", "upperback", how.lean),
        ("lowerneck", "thorax", how.lean + 0.15),
        ("upperneck", "lowerneck", how.lean),
        ("head", "upperneck", 0.0),
    ):
        at[name] = at[parent] - _down(still - lean) * _BONES[name]
    for side, sign, angle in (("l", 1.0, turn + np.pi), ("r", -1.0, turn)):
        at |= _arm(how, at["thorax"] + np.array(_SHOULDER) * [sign, 1, 1], side, sign, angle)
    return np.stack([at[joint] for joint in SKELETON.joints], 1)


def _down(angle: np.ndarray) -> np.ndarray:
    """Return (F, 3) unit vectors: downwards at angle 0, forwards at a right angle."""
    return np.stack([np.zeros_like(angle), -np.cos(angle), np.sin(angle)], 1)


def _leg(how: Gait, hip: np.ndarray, side: str, turn: np.ndarray) -> dict[str, np.ndarray]:
    thigh = how.thigh[0] + how.thigh[1] * np.sin(turn)
    swing = np.clip(np.cos(turn + 0.35), 0, None) ** 2  # the knee bends while the thigh comes forwards
    shank = thigh - how.knee[0] - how.knee[1] * swing
    sole = 1.35 + np.minimum(0.75 * shank + 0.15, 0.2)
    at = {"hipjoint": hip}
    for name, parent, angle in (
        ("femur", "hipjoint", thigh),
        ("tibia", "femur", shank),
        ("foot", "tibia", sole),
        ("toes", "foot", sole + 0.2),
    ):
        at[name] = at[parent] + _down(angle) * _BONES[name]
    return {side + name: place for name, place in at.items()}


def _arm(how: Gait, shoulder: np.ndarray, side: str, sign: float, turn: np.ndarray) -> dict[str, np.ndarray]:
    upper = how.arm * np.sin(turn) - 0.1
    lower = upper + how.elbow + 0.2 * how.arm * np.sin(turn)
    at = {"clavicle": shoulder}
    for name, parent, angle, out in (
        ("humerus", "clavicle", upper, 0.15),
        ("radius", "humerus", lower, -0.1),
        ("wrist", "radius", lower, -0.1),
        ("hand", "wrist", lower, 0.0),
        ("fingers", "hand", lower + 0.2, 0.0),
        ("thumb", "wrist", lower + 0.5, -0.6),
    ):
        along = _down(angle) + np.array([sign * out, 0.0, 0.0])
        at[name] = at[parent] + along / np.linalg.norm(along, axis=1, keepdims=True) * _BONES[name]
    return {side + name: place for name, place in at.items()}

"""The subjects of the symmetry lab: what is moved, and which motions its network keeps."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from equizoo.data.mocap import SKELETON
from equizoo.demo import bodies, clouds, limits, models, molecules, particles, symmetry
from equizoo.demo.answering import Declined, number
from equizoo.demo.gait import figure
from equizoo.symmetry.element import Element

BODY = "body in motion"
_TASKS = {
    "molecule": molecules.TASK,
    "point cloud": clouds.TASK,
    "particles": particles.TASK,
    BODY: bodies.TASK,
}
_BONES = tuple((child, parent, 1) for child, parent in SKELETON.bones)
#: Tasks of the lab by the name of their subject.
SUBJECTS = {kind: task for kind, task in _TASKS.items() if models.names(task)}


@dataclass(frozen=True)
class Subject:
    """An input of a network, and how it is drawn.

    Attributes:
        kind: A key of :data:`SUBJECTS`.
        model: Name of the model that it is for.
        choice: A SMILES string, the name of a shape, the seed of a system of particles, or the part of
            its stride at which a body starts, 0 to 1.
        inputs: Of the network, float64.
        bonds: Of a molecule or a skeleton.
    """

    kind: str
    model: str
    choice: str
    inputs: Mapping[str, Tensor]
    bonds: tuple[tuple[int, int, int], ...] = ()


@functools.lru_cache(maxsize=128)
def subject(kind: str, model: str, choice: str) -> Subject:
    """Return what is moved.

    Args:
        kind: A key of :data:`SUBJECTS`.
        model: Name of a bundled model for it.
        choice: As for :class:`Subject`.

    Raises:
        Declined: It cannot be made; the message says why.
    """
    if kind not in SUBJECTS:
        raise Declined(f"choose one of {', '.join(SUBJECTS)}")
    models.check(SUBJECTS[kind], model)
    if kind == "molecule":
        drawn = molecules.read(model, choice, None)
        return Subject(kind, model, choice, symmetry.molecule(drawn.molecule), drawn.bonds)
    if kind == "point cloud":
        seen = clouds.classify(clouds.read(choice, None), model).cloud
        return Subject(kind, model, choice, symmetry.cloud(np.asarray(seen)))
    if kind == BODY:
        return Subject(kind, model, choice, symmetry.body(*_start(model, choice)), _BONES)
    count = models.predictor(particles.TASK, model).domain["particles"]
    return Subject(kind, model, choice, symmetry.particles(particles.motion(model, count, 1, choice)))


def offered(kind: str) -> list[str]:
    """Return the models for a subject, those with a partial variant first.

    Example:
        >>> offered("point cloud")
        ['vn-dgcnn-modelnet40-ace', 'vn-dgcnn-modelnet40-recm', 'vn-dgcnn-modelnet40-strict']
    """
    return sorted(models.names(SUBJECTS[kind]), key=lambda name: len(models.variants(name)) == 1)


def _start(model: str, choice: str) -> tuple[np.ndarray, np.ndarray]:
    """Return positions (31, 3) [length] and velocities [length / frame] of the figure that a model is for.

    Raises:
        Declined: The choice is no part of a stride.
    """
    phase = number(choice, 0, 1, "the part of the stride")
    here, then = figure(models.info(model).config.domain["motion"], 2, phase)
    return here, then - here


def motion(turn: Sequence[float], shift: float, mirror: str) -> Element:
    """Return the motion that a visitor asks for, see :func:`equizoo.demo.symmetry.element`.

    Raises:
        Declined: It is none, or larger than the limits.
    """
    angles = [number(angle, -limits.TURN, limits.TURN, "an angle") for angle in turn]
    if mirror not in ("no", "x", "y", "z"):
        raise Declined("mirror must be one of no, x, y, z")
    return symmetry.element(angles, number(shift, -limits.SHIFT, limits.SHIFT, "the shift"), mirror)


def is_kept(kind: str, motion: Element) -> bool:
    """Return whether the equivariant network of a subject commutes with a motion.

    Those for bodies are told the height of each joint: they keep the motions that leave the vertical alone.

    Example:
        >>> about_x, about_y = symmetry.element((40, 0, 0)), symmetry.element((0, 40, 0))
        >>> is_kept("body in motion", about_y), is_kept("body in motion", about_x)
        (True, False)
    """
    return kind != BODY or float(motion.rotation[1, 1]) > 1 - 1e-12


def floor(kind: str, model: str, dtype: str, motion: Element) -> float | None:
    """Return the largest relative round-off that was measured on the test set, for motions like this one.

    Args:
        kind: A key of :data:`SUBJECTS`.
        model: Name of a bundled model for it.
        dtype: ``"float32"`` or ``"float64"``.
        motion: The motion.

    Returns:
        The round-off, or None where the network does not keep the motion.
    """
    if not is_kept(kind, motion):
        return None
    names = ("rotation about the vertical", "mirror in a vertical plane", "horizontal translation")
    rotation, mirror, shift = names if kind == BODY else ("rotation", "reflection", "translation")
    if bool(motion.translation.any()):
        return models.round_off(model, dtype, shift)
    mirrored = float(torch.linalg.det(motion.rotation)) < 0
    return models.round_off(model, dtype, mirror if mirrored else rotation)

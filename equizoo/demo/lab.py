"""What the symmetry lab shows: subjects, their scenes, and comparisons as HTML."""

from __future__ import annotations

import functools
import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equizoo.demo import clouds, models, molecules, particles, symmetry
from equizoo.demo.answering import Declined
from equizoo.demo.charts import bars, lines, minus, scientific, table
from equizoo.demo.symmetry import Comparison
from equizoo.demo.viewer import balls
from equizoo.hub.results import largest_gamma
from equizoo.symmetry.element import Element

#: Tasks of the lab by the name of their subject.
SUBJECTS = {"molecule": molecules.TASK, "point cloud": clouds.TASK, "particles": particles.TASK}
ANGLES = tuple(range(9, 360, 18))
_NAMES = {"equivariant": "equivariant (γ = 0)", "partial": "partial"}
_PROPERTIES = ("gap", "homo", "lumo", "mu", "alpha", "Cv")


@dataclass(frozen=True)
class Subject:
    """An input of a network, and how it is drawn.

    Attributes:
        kind: A key of :data:`SUBJECTS`.
        model: Name of the model that it is for.
        choice: A SMILES string, the name of a shape, or the seed of a system of particles.
        inputs: Of the network, float64.
        bonds: Of a molecule.
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
        choice: A SMILES string, the name of a shape, or the seed of a system of particles.

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
    count = models.predictor(particles.TASK, model).domain["particles"]
    return Subject(kind, model, choice, symmetry.particles(particles.motion(model, count, 1, choice)))


def offered(kind: str) -> list[str]:
    """Return the models for a subject, those with a partial variant first.

    Example:
        >>> offered("point cloud")
        ['vn-dgcnn-modelnet40-ace']
    """
    return sorted(models.names(SUBJECTS[kind]), key=lambda name: len(models.variants(name)) == 1)


def scene(given: Subject, motion: Element, compared: Mapping[str, Comparison]) -> dict[str, Any]:
    """Return the moved subject; particles with both answers, which coincide if the network is equivariant."""
    key = "points" if given.kind == "point cloud" else "pos"
    at = given.inputs[key].reshape(-1, 3)
    moved = (at @ motion.rotation.T + motion.translation).numpy()
    reach = float(np.linalg.norm(moved, axis=1).max())
    base = {"axes": True, "label": f"{given.kind}, moved", "bonds": [list(bond) for bond in given.bonds]}
    if given.kind == "molecule":
        points, radius = molecules.atoms(given.inputs["z"].numpy(), moved), reach + 0.9
    elif given.kind == "point cloud":
        # colours stay with the points, so that the motion can be seen
        points = [
            [*place, *dot[3:]]
            for place, dot in zip(moved.round(4).tolist(), clouds.dots(at.numpy()), strict=True)
        ]
        radius = max(1.15, 1.05 * reach)
    else:
        points, radius = _motions(given, moved, compared)
    return base | {"key": f"lab {given.kind} {len(moved)}", "points": points, "radius": radius}


def _motions(
    given: Subject, moved: np.ndarray, compared: Mapping[str, Comparison]
) -> tuple[list[list[Any]], float]:
    """Return small balls where particles are, large ones at g·f(x), rings at f(g·x) of each variant."""
    answers = [one for pair in compared.values() for one in (pair.expected, pair.after)]
    radius = 1.15 * max(float(np.linalg.norm(x, axis=1).max()) for x in (moved, *answers))
    colours = ["#d8574b" if q > 0 else "#4877d6" for q in given.inputs["charge"].tolist()]
    count = len(colours)
    points = balls(moved, [0.018 * radius] * count, ["#98a3b0"] * count)
    points += balls(compared["equivariant"].expected, [0.045 * radius] * count, colours)
    for variant, colour in (("equivariant", "#2aa586"), ("partial", "#e58a3c")):
        if variant in compared:
            size = 0.06 if variant == "equivariant" else 0.078
            points += balls(compared[variant].after, [size * radius] * count, [colour] * count, ring=True)
    return points, radius


def cards(
    model: str, dtype: str, compared: Mapping[str, Comparison], floor: float | None, gamma: float
) -> str:
    """Return the error of each variant in large figures.

    Args:
        model: Name of the model.
        dtype: What it computed in.
        compared: A comparison a variant.
        floor: Largest round-off that was measured on the test set, relative, or None.
        gamma: Factor on the γ of the partial variant.
    """
    parts = []
    for variant, one in compared.items():
        what = _round_off(dtype, floor) if variant == "equivariant" else _kept(model, gamma, one, floor)
        parts.append(
            f'<div class="ez-error ez-{variant}"><div class="who">{_NAMES[variant]}</div>'
            f'<div class="big">{scientific(one.relative)}</div><div class="what">{what}</div></div>'
        )
    if "partial" not in compared:
        parts.append(
            f'<div class="ez-error ez-partial"><div class="who">partial</div><div class="what">{_none(model)}'
            "</div></div>"
        )
    return f'<div class="ez-errors">{"".join(parts)}</div>'


def _round_off(dtype: str, floor: float | None) -> str:
    if floor is None:
        return f"relative error, round-off of {dtype}"
    return f"relative error: round-off of {dtype}; at most {scientific(floor)} on the test set"


def _kept(model: str, gamma: float, one: Comparison, floor: float | None) -> str:
    left = max(map(abs, (models.info(model).config.variants["partial"].gamma or {}).values()), default=0.0)
    text = f"relative error with |γ| up to {scientific(gamma * left)}"
    if floor and one.relative > floor:
        text += f": {one.relative / floor:,.0f} times the largest round-off"
    return text


def _none(model: str) -> str:
    left = largest_gamma(models.info(model).results)
    if left is None:
        return "This network has no branches: there is nothing that could break the symmetry."
    return (
        f"Not bundled: training left no |γ| above {scientific(left)} in any layer, and the branches were "
        "dropped. Choose particles to see a network that kept them."
    )


def predictions(given: Subject, model: str, compared: Mapping[str, Comparison]) -> str:
    """Return the answers before and after the motion as HTML."""
    if given.kind == "molecule":
        return _property_rows(model, compared)
    if given.kind == "point cloud":
        return "".join(_class_rows(model, variant, one) for variant, one in compared.items())
    rows = []
    for variant, one in compared.items():
        apart = np.linalg.norm(one.after - one.expected, axis=1)
        rows.append([_NAMES[variant], scientific(float(apart.max())), scientific(float(apart.mean()))])
    note = (
        '<p class="ez-note">Grey: the particles now. Balls: the answer, moved. Rings: the answer to the '
        "moved particles. They coincide where the network is equivariant.</p>"
    )
    return table(("variant", "largest distance", "mean distance"), rows, numeric=(1, 2)) + note


def _property_rows(model: str, compared: Mapping[str, Comparison]) -> str:
    targets = models.info(model).config.targets
    one = compared["equivariant"]
    rows = []
    for k, target in enumerate(targets):
        if target.name in _PROPERTIES:
            before, after = float(one.before[0, k]), float(one.after[0, k])
            rows.append(
                [
                    f"{html.escape(target.description)} <small>{html.escape(target.unit)}</small>",
                    minus(f"{before:.6f}"),
                    minus(f"{after:.6f}"),
                    scientific(after - before),
                ]
            )
    return table(("property", "as given", "moved", "change"), rows, numeric=(1, 2, 3))


def _class_rows(model: str, variant: str, one: Comparison) -> str:
    domain = models.info(model).config.domain
    before, after = (
        torch.from_numpy(x[0] / domain.temperature).softmax(0).numpy() for x in (one.before, one.after)
    )
    order = np.argsort(-before)[:3]
    rows = [
        (
            domain.classes[k].replace("_", " "),
            float(after[k]),
            f"{100 * (after[k] - before[k]):+.3f} pp".replace("-", "−"),
        )
        for k in order
    ]
    return bars(rows, variant, f"{_NAMES[variant]}: probabilities moved, and their change in points")


def gamma_bars(model: str, factor: float) -> str:
    """Return |γ| of each layer of the partial variant as bars, or why there are none."""
    if "partial" not in models.variants(model):
        return f'<p class="ez-empty">{_none(model)}</p>'
    gamma = models.info(model).config.variants["partial"].gamma or {}
    largest = max(map(abs, gamma.values()), default=0.0) or 1.0
    rows = [(name, abs(value) / largest, minus(f"{factor * value:.3g}")) for name, value in gamma.items()]
    return bars(rows, "partial", "γ by layer")


def angle_chart(
    given: Subject, model: str, dtype: str, motion: Element, gamma: float, floor: float | None
) -> str:
    """Return the error of each variant against the angle about the axis of the present rotation."""
    axis, angle = symmetry.axis_and_angle(motion.rotation)
    x, y, z = (round(component, 3) for component in axis)
    what = (given.kind, given.choice, model)
    series = {
        _NAMES[variant]: _curve(*what, variant, dtype, (x, y, z), gamma if variant == "partial" else 1.0)
        for variant in models.variants(model)
    }
    return lines(
        ANGLES,
        series,
        x_label="angle about the present axis [°]",
        y_label="relative equivariance error",
        span=(0, 360),
        mark=angle if angle > 1 else None,
        ceiling=floor,
        ceiling_label=f"round-off of {dtype}",
    )


@functools.lru_cache(maxsize=512)
def _curve(
    kind: str,
    choice: str,
    model: str,
    variant: str,
    dtype: str,
    axis: tuple[float, float, float],
    gamma: float,
) -> list[float]:
    """Return the errors at :data:`ANGLES`; they are the same while only the angle changes."""
    size = float(np.linalg.norm(axis))
    unit = (axis[0] / size, axis[1] / size, axis[2] / size)
    inputs = subject(kind, model, choice).inputs
    return symmetry.errors_by_angle(model, variant, dtype, inputs, unit, ANGLES, gamma)

"""What the symmetry lab draws: the moved subject, and the answers where they are places in space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from equizoo.data.mocap import SKELETON
from equizoo.demo import clouds, molecules
from equizoo.demo.lab import BODY, Subject
from equizoo.demo.symmetry import Comparison
from equizoo.demo.viewer import balls
from equizoo.symmetry.element import Element

_NOW, _COLOURS = "#98a3b0", {"equivariant": "#2aa586", "partial": "#e58a3c"}
_BONE, _JOINT, _HEAD, _RING = 0.22, 0.36, 0.95, 0.75  # half width of a bone, and radii [length]
_ASIDE, _REACH = 12.0, 21.5  # of the two variants from the middle, and of the picture [length]


def scene(given: Subject, motion: Element, compared: Mapping[str, Comparison]) -> dict[str, Any]:
    """Return the moved subject; particles and bodies with both answers, which coincide if equivariant."""
    if given.kind == BODY:
        return _bodies(given, motion, compared)
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
    points = balls(moved, [0.018 * radius] * count, [_NOW] * count)
    points += balls(compared["equivariant"].expected, [0.045 * radius] * count, colours)
    for variant, colour in _COLOURS.items():
        if variant in compared:
            size = 0.06 if variant == "equivariant" else 0.078
            points += balls(compared[variant].after, [size * radius] * count, [colour] * count, ring=True)
    return points, radius


def _bodies(given: Subject, motion: Element, compared: Mapping[str, Comparison]) -> dict[str, Any]:
    """Return two skeletons a variant, grey g·x and coloured the last frame of f(g·x), and rings at g·f(x).

    They turn about the middle between x and f(x), and each variant has a place of its own beside the other.
    """
    pos, turn = given.inputs["pos"].numpy(), motion.rotation.numpy()
    shift = motion.translation.numpy()
    start = pos @ turn.T + shift
    way = next(iter(compared.values())).before[:, -1].mean(0) - pos.mean(0)
    centre = turn @ (pos.mean(0) + way / 2)
    points: list[list[Any]] = []
    bones, count = [], len(pos)
    radii = [_HEAD if joint == "head" else _JOINT for joint in SKELETON.joints]
    for k, (variant, one) in enumerate(compared.items()):
        aside = np.array([_ASIDE * (2 * k - len(compared) + 1), 0.0, 0.0]) - centre
        colour = _COLOURS[variant]
        bones += [[i + len(points), j + len(points), order] for i, j, order in given.bonds]
        points += balls(start + aside, radii, [_NOW] * count)
        bones += [[i + len(points), j + len(points), order] for i, j, order in given.bonds]
        points += balls(one.after[:, -1] + aside, radii, [colour] * count)
        points += balls(one.expected[:, -1] + aside, [_RING] * count, [colour] * count, ring=True)
    return {
        "key": f"lab body {len(compared)}",
        "label": "body in motion, moved",
        "axes": True,
        "front": True,
        "stick": _BONE,
        "radius": _REACH,
        "points": points,
        "bonds": bones,
    }

"""What the symmetry lab plots: γ by layer, and the error against the angle."""

from __future__ import annotations

import functools

import numpy as np

from equizoo.demo import lab, models, symmetry
from equizoo.demo.charts import bars, lines, minus
from equizoo.demo.lab import BODY, Subject
from equizoo.demo.lab_results import NAMES, missing
from equizoo.symmetry.element import Element

ANGLES = tuple(range(9, 360, 18))


def gamma_bars(model: str, factor: float) -> str:
    """Return |γ| of each layer of the partial variant as bars, or why there are none."""
    if "partial" not in models.variants(model):
        return f'<p class="ez-empty">{missing(model)}</p>'
    gamma = models.info(model).config.variants["partial"].gamma or {}
    largest = max(map(abs, gamma.values()), default=0.0) or 1.0
    rows = [(name, abs(value) / largest, minus(f"{factor * value:.3g}")) for name, value in gamma.items()]
    return bars(rows, "partial", "γ by layer")


def angle_chart(given: Subject, dtype: str, motion: Element, gamma: float) -> str:
    """Return the error of each variant against the angle about the axis of the present rotation."""
    model = given.model
    axis, angle = symmetry.axis_and_angle(motion.rotation)
    if given.kind == BODY and not angle:
        axis = (0.0, 1.0, 0.0)
    x, y, z = (round(component, 3) for component in axis)
    what = (given.kind, given.choice, model)
    series = {
        NAMES[variant]: _curve(*what, variant, dtype, (x, y, z), gamma if variant == "partial" else 1.0)
        for variant in models.variants(model)
    }
    return lines(
        ANGLES,
        series,
        x_label="angle about the present axis [°]",
        y_label="relative equivariance error",
        span=(0, 360),
        mark=angle if angle > 1 else None,
        ceiling=lab.floor(given.kind, model, dtype, symmetry.turn(axis, 90.0)),
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
    inputs = lab.subject(kind, model, choice).inputs
    return symmetry.errors_by_angle(model, variant, dtype, inputs, unit, ANGLES, gamma)

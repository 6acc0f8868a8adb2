"""What the symmetry lab says: errors in large figures, and answers before and after a motion, as HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping

import numpy as np
import torch

from equizoo.demo import models
from equizoo.demo.charts import bars, minus, scientific, table
from equizoo.demo.lab import BODY, Subject
from equizoo.demo.symmetry import Comparison
from equizoo.hub.results import largest_gamma
from equizoo.pipelines.motion_windows import UNIT

NAMES = {"equivariant": "equivariant (γ = 0)", "partial": "partial"}
_PARTICLES = (
    "Grey: the particles now. Balls: the answer, moved. Rings: the answer to the moved particles. They "
    "coincide where the network is equivariant."
)
_BODIES = (
    "Grey: the moved figure, which is made up. Coloured, green equivariant and orange partial: the answer to "
    "it, a quarter of a second later. Rings: the answer to the figure as it was, moved; they lie on the "
    "joints where the network is equivariant. The height, y, is an input: turns about y, mirrors x and z and "
    "the shift are symmetries of the equivariant variant, turns about x and z are not. The partial variant "
    "learned in which direction people went, and needs it."
)
_PROPERTIES = ("gap", "homo", "lumo", "mu", "alpha", "Cv")


def cards(
    given: Subject, dtype: str, compared: Mapping[str, Comparison], floor: float | None, gamma: float
) -> str:
    """Return the error of each variant in large figures.

    Args:
        given: The subject.
        dtype: What its network computed in.
        compared: A comparison a variant.
        floor: What :func:`equizoo.demo.lab.floor` returns.
        gamma: Factor on the γ of the partial variant.
    """
    parts = []
    for variant, one in compared.items():
        what = (
            _kept(given, dtype, floor) if variant == "equivariant" else _left(given.model, gamma, one, floor)
        )
        parts.append(
            f'<div class="ez-error ez-{variant}"><div class="who">{NAMES[variant]}</div>'
            f'<div class="big">{scientific(one.relative)}</div><div class="what">{what}</div></div>'
        )
    if "partial" not in compared:
        parts.append(
            f'<div class="ez-error ez-partial"><div class="who">partial</div><div class="what">'
            f"{missing(given.model)}"
            "</div></div>"
        )
    return f'<div class="ez-errors">{"".join(parts)}</div>'


def _kept(given: Subject, dtype: str, floor: float | None) -> str:
    if floor is None and given.kind == BODY:
        return "relative error: the height is an input, and this motion does not keep the vertical"
    if floor is None:
        return f"relative error, round-off of {dtype}"
    return f"relative error: round-off of {dtype}; at most {scientific(floor)} on the test set"


def _left(model: str, gamma: float, one: Comparison, floor: float | None) -> str:
    left = max(map(abs, (models.info(model).config.variants["partial"].gamma or {}).values()), default=0.0)
    text = f"relative error with |γ| up to {scientific(gamma * left)}"
    if floor and one.relative > floor:
        text += f": {one.relative / floor:,.0f} times the largest round-off"
    return text


def missing(model: str) -> str:
    """Return why a model has no partial variant here."""
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
    return _distances(given, compared)


def _distances(given: Subject, compared: Mapping[str, Comparison]) -> str:
    """Return how far the moved answers are from the answers to what was moved."""
    scale, unit, note = (100 * UNIT, " [cm]", _BODIES) if given.kind == BODY else (1.0, "", _PARTICLES)
    rows = []
    for variant, one in compared.items():
        apart = scale * np.linalg.norm(one.after - one.expected, axis=-1)
        rows.append([NAMES[variant], scientific(float(apart.max())), scientific(float(apart.mean()))])
    head = ("variant", f"largest distance{unit}", f"mean distance{unit}")
    return table(head, rows, numeric=(1, 2)) + f'<p class="ez-note">{note}</p>'


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
    return bars(rows, variant, f"{NAMES[variant]}: probabilities moved, and their change in points")

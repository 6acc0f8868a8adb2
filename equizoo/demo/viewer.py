"""The three-dimensional viewer as a component of the page; what it draws is a scene (see ``viewer.js``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

_TEMPLATE = (
    '<div class="ez-viewer"><canvas tabindex="0" role="img"></canvas>'
    '<span class="ez-hint">drag to turn<span> · ctrl + wheel or pinch to zoom · double-click to reset'
    "</span></span>"
    '<div class="ez-bar" hidden><button type="button">Pause</button>'
    '<input type="range" min="0" max="1" step="0.05" value="0" aria-label="time"><output></output>'
    "</div></div>"
)
_ON_LOAD = """
const show = () => window.EquizooViewer && window.EquizooViewer.mount(element, props.value);
watch('value', show);
if (window.EquizooViewer) show(); else window.addEventListener('load', show);
"""


def static(name: str) -> str:
    """Return the text of a file of ``static``."""
    return resources.files("equizoo.demo").joinpath("static", name).read_text(encoding="utf-8")


def head() -> str:
    """Return what the page needs in its head: the viewer's script and the style of phones, inline."""
    return f"<style>{static('phone.css')}</style><script>{static('viewer.js')}</script>"


def viewer(scene: dict[str, Any] | None = None, **options: Any) -> Any:
    """Return a viewer; its value is what :func:`packed` returns.

    Args:
        scene: What it shows first.
        **options: Options of :class:`gradio.HTML`.
    """
    import gradio as gr

    value = None if scene is None else packed(scene)
    return gr.HTML(value, html_template=_TEMPLATE, js_on_load=_ON_LOAD, apply_default_css=False, **options)


def packed(scene: dict[str, Any]) -> str:
    """Return a scene as the viewer takes it.

    Example:
        >>> packed({"key": "a", "points": np.zeros((1, 3))})
        '{"key":"a","points":[[0.0,0.0,0.0]]}'
    """
    return json.dumps(scene, separators=(",", ":"), default=_plain, allow_nan=False)


def balls(
    positions: np.ndarray, radii: Sequence[float], colours: Sequence[str], ring: bool = False
) -> list[list[Any]]:
    """Return the points of a scene.

    Args:
        positions: (N, 3).
        radii: (N,) in the units of the positions.
        colours: (N,) CSS colours.
        ring: Outlines rather than balls.
    """
    rows = zip(rounded(positions), radii, colours, strict=True)
    return [[*place, round(float(radius), 4), colour, int(ring)] for place, radius, colour in rows]


def widest(positions: np.ndarray) -> np.ndarray:
    """Return the (3, 3) rotation that brings positions (N, 3) to where most can be seen.

    The longest axis goes across, the second upwards, the thinnest into the depth. It is never a reflection:
    the mirror image would be another molecule.
    """
    axes = np.linalg.svd(positions - positions.mean(0), full_matrices=True)[2]
    axes[2] *= np.linalg.det(axes)
    return axes


def rounded(positions: np.ndarray) -> list[Any]:
    """Return positions as lists, with as many digits as can be seen."""
    return np.round(np.asarray(positions, dtype=np.float64), 4).tolist()


def _plain(value: Any) -> Any:
    return rounded(value) if isinstance(value, np.ndarray) else value.item()

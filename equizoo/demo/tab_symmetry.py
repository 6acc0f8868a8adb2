"""The symmetry lab: turn, mirror and shift the input, and watch what the answer does."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import gradio as gr

from equizoo.demo import (
    lab,
    lab_charts,
    lab_results,
    lab_scene,
    limits,
    models,
    molecules,
    snippets,
    symmetry,
)
from equizoo.demo.answering import Declined, answered, number, timed
from equizoo.demo.look import status
from equizoo.demo.parts import QUIET, code_box
from equizoo.demo.shapes import SHAPES
from equizoo.demo.viewer import packed, viewer

CHOICES = {
    "molecule": list(molecules.EXAMPLES),
    "point cloud": list(SHAPES),
    "particles": [f"system {k}" for k in range(1, 9)],
    lab.BODY: [f"stride at {part}" for part in (0.1, 0.25, 0.35, 0.5, 0.6, 0.75, 0.85)],
}
_FIRST = "particles"
_INTRO = (
    '<p class="ez-note">Turn the input. An equivariant network must give the same answer, turned with it: '
    "what is left is round-off, and falls when you compute in float64. A network that kept terms "
    "γ·f<sub>neq</sub> leaves more, however precisely you compute. Turn its γ up and see.</p>"
)


class LabTab(NamedTuple):
    """What the page needs of the tab."""

    kind: gr.Radio
    choice: gr.Dropdown
    model: gr.Dropdown
    inputs: list[Any]
    outputs: list[Any]


def chosen(kind: str, choice: str) -> str:
    """Return what a choice of the lab stands for: a SMILES string, a shape, a seed or a part of a stride.

    Example:
        >>> chosen("molecule", "ethanol"), chosen("particles", "system 3"), chosen("molecule", "CCO")
        ('CCO', '3', 'CCO')
        >>> chosen("body in motion", "stride at 0.35")
        '0.35'
    """
    if kind == "molecule":
        return molecules.EXAMPLES.get(choice, choice)
    return choice.removeprefix("stride at ") if kind == lab.BODY else choice.removeprefix("system ")


@answered
def show(
    kind: str,
    choice: str,
    model: str,
    x: float,
    y: float,
    z: float,
    shift: float,
    mirror: str,
    gamma: float,
    dtype: str,
) -> tuple[str, str, str, str, str, str, str]:
    """Return the scene, errors, chart, answers, γ, status line and code for a moved input."""
    motion = lab.motion((x, y, z), shift, mirror)
    gamma = number(gamma, -limits.GAMMA, limits.GAMMA, "γ")
    if dtype not in ("float32", "float64"):
        raise Declined("choose float32 or float64")
    picked = chosen(kind, str(choice))
    given = lab.subject(kind, model, picked)

    def answer() -> dict[str, symmetry.Comparison]:
        return {
            variant: symmetry.compare(
                model, variant, dtype, given.inputs, motion, gamma if variant == "partial" else 1.0
            )
            for variant in models.variants(model)
        }

    compared, seconds = timed(answer)
    floor = lab.floor(kind, model, dtype, motion)
    last = list(compared)[-1]
    return (
        packed(lab_scene.scene(given, motion, compared)),
        lab_results.cards(given, dtype, compared, floor, gamma),
        lab_charts.angle_chart(given, dtype, motion, gamma),
        lab_results.predictions(given, model, compared),
        lab_charts.gamma_bars(model, gamma),
        status("cpu", seconds, model, dtype),
        snippets.symmetry(kind, picked, model, last, dtype, (x, y, z), shift, mirror, gamma),
    )


def symmetry_tab() -> LabTab:
    """Lay out the tab inside the block that is open, and connect it."""
    offered = lab.offered(_FIRST)
    gr.HTML(_INTRO)
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            kind = gr.Radio(list(lab.SUBJECTS), value=_FIRST, label="What", elem_classes="ez-chips")
            choice = gr.Dropdown(
                CHOICES[_FIRST], value=CHOICES[_FIRST][0], label="Which", allow_custom_value=True
            )
            picture = viewer()
            x, y, z = (
                gr.Slider(
                    -limits.TURN, limits.TURN, start, step=1, label=f"Turn about {axis} [°]", buttons=[]
                )
                for axis, start in (("x", 0), ("y", 0), ("z", 40))
            )
            shift = gr.Slider(-limits.SHIFT, limits.SHIFT, 0, step=0.1, label="Shift along x", buttons=[])
            gamma = gr.Slider(
                0, limits.GAMMA, 1, step=0.5, label="Turn up γ of the partial variant, times", buttons=[]
            )
            with gr.Row():
                mirror = gr.Radio(
                    ["no", "x", "y", "z"], value="no", label="Mirror", min_width=140, elem_classes="ez-chips"
                )
                dtype = gr.Radio(
                    ["float32", "float64"],
                    value="float32",
                    label="Compute in",
                    min_width=140,
                    elem_classes="ez-chips",
                )
            with gr.Row():
                at_random = gr.Button("Turn at random", variant="primary", min_width=140)
                back = gr.Button("Back to the start", min_width=140)
        with gr.Column(scale=6, min_width=320):
            with gr.Accordion("Choose the model", open=False):
                model = gr.Dropdown(offered, value=offered[0], label="Model")
                figures = gr.HTML(models.key_figures(offered[0]))
            cards = gr.HTML('<p class="ez-empty">Errors appear here.</p>')
            chart, answers, bars, line = gr.HTML(), gr.HTML(), gr.HTML(), gr.HTML()
            code = code_box()
    inputs = [kind, choice, model, x, y, z, shift, mirror, gamma, dtype]
    outputs = [picture, cards, chart, answers, bars, line, code]
    live = QUIET | {"show_progress": "hidden"}
    moved = [x.change, y.change, z.change, shift.change, gamma.change, mirror.change, dtype.change]
    gr.on(moved, show, inputs, outputs, trigger_mode="always_last", **live)
    kind.input(_choices, kind, [choice, model, figures, x, y, z], **QUIET).then(
        show, inputs, outputs, **QUIET
    )
    choice.input(show, inputs, outputs, **QUIET)
    model.input(models.key_figures, model, figures, **QUIET).then(show, inputs, outputs, **QUIET)
    at_random.click(_random_turn, kind, [x, y, z], **live)
    back.click(lambda: (0, 0, 0, 0, "no", 1), None, [x, y, z, shift, mirror, gamma], **live)
    return LabTab(kind, choice, model, inputs, outputs)


def _choices(kind: str) -> tuple[Any, ...]:
    """Return what can be chosen, the models and their key figures for a subject, and its first turn."""
    offered = lab.offered(kind)
    first = CHOICES[kind][1] if kind == "point cloud" else CHOICES[kind][2]
    picker = gr.Dropdown(CHOICES[kind], value=first, allow_custom_value=kind == "molecule")
    shown = picker, gr.Dropdown(offered, value=offered[0]), models.key_figures(offered[0])
    return *shown, *((0, 40, 0) if kind == lab.BODY else (0, 0, 40))


def _random_turn(kind: str) -> tuple[int, int, int]:
    """Return angles about x, y and z; a body turns about the vertical."""
    x, y, z = (random.randint(-180, 180) for _ in range(3))  # noqa: S311
    return (0, y, 0) if kind == lab.BODY else (x, y, z)

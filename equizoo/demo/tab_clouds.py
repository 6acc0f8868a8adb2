"""The tab on point clouds: a shape or a file in, the most probable classes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from equizoo.demo import clouds, limits, models, snippets
from equizoo.demo.answering import answered, timed
from equizoo.demo.look import status
from equizoo.demo.parts import QUIET, answer_to_choices, code_box
from equizoo.demo.shapes import SHAPES
from equizoo.demo.viewer import packed, viewer


class CloudTab(NamedTuple):
    """What the page needs of the tab."""

    shape: gr.Radio
    inputs: list[Any]
    outputs: list[Any]


@answered
def show(
    shape: str, file: str | None, drop: float, model: str, variant: str, seed: float
) -> tuple[str, str, str, str]:
    """Return the scene, the bars, the status line and the code for a cloud."""
    points = clouds.read(shape, file, drop, seed)
    answer, seconds = timed(lambda: clouds.classify(points, model, variant))
    name = Path(file).name if file else shape
    bars = clouds.class_bars(answer, variant, "Most probable classes")
    bars += clouds.notes(answer, models.predictor(clouds.TASK, model, variant).test_error)
    code = snippets.cloud(shape, name if file else None, drop, model, variant, int(seed))
    line = status(models.device(), seconds, model, variant)
    return packed(clouds.scene(np.asarray(answer.cloud), name)), bars, line, code


def clouds_tab() -> CloudTab:
    """Lay out the tab inside the block that is open, and connect it."""
    offered = models.names(clouds.TASK)
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            shape = gr.Radio(list(SHAPES), value=SHAPES[1], label="Shapes", elem_classes="ez-chips")
            drop = gr.Slider(0, 0.95, 0, step=0.05, label="Share of the points left out", buttons=[])
            with gr.Accordion("Upload a file, choose the model", open=False):
                label = "A cloud or a mesh: .ply .off .obj .xyz .npy"
                file = gr.File(label=label, file_types=[*clouds.FILES])
                model = gr.Dropdown(offered, value=offered[0], label="Model")
                variant = gr.Radio(
                    models.variants(offered[0]), value="equivariant", label="Variant", elem_classes="ez-chips"
                )
                seed = gr.Number(
                    0, label="Seed of the points left out", precision=0, minimum=0, maximum=limits.SEED
                )
            picture = viewer()
        with gr.Column(scale=6, min_width=320):
            figures = gr.HTML(models.key_figures(offered[0]))
            bars = gr.HTML('<p class="ez-empty">Classes appear here.</p>')
            line = gr.HTML()
            code = code_box()
    inputs, outputs = [shape, file, drop, model, variant, seed], [picture, bars, line, code]
    shape.input(lambda: None, None, file, **QUIET | {"queue": False}).then(show, inputs, outputs, **QUIET)
    drop.change(show, inputs, outputs, **QUIET | {"show_progress": "hidden"}, trigger_mode="always_last")
    file.upload(
        show, inputs, outputs, api_name="cloud", api_visibility="undocumented", show_progress="minimal"
    )
    answer_to_choices(model, variant, figures, show, inputs, outputs)
    seed.submit(show, inputs, outputs, **QUIET)
    return CloudTab(shape, inputs, outputs)

"""The tab on bodies in motion: a made-up figure or a recording in, its next quarter seconds out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from equizoo.demo import bodies, limits, models, snippets
from equizoo.demo.answering import answered, timed
from equizoo.demo.gait import GAITS
from equizoo.demo.look import status
from equizoo.demo.parts import QUIET, code_box
from equizoo.demo.viewer import packed, viewer

_INTRO = (
    '<p class="ez-note">The figure is <b>made up</b>: a skeleton moved by a few sines, not a recording. The '
    "model learned how real bodies go on, so that it is further from this figure than from a person. "
    "Grey: how the figure goes on. Green: the forecast, from positions and velocities at the start.</p>"
)
_FORMAT = (
    '<p class="ez-note"><code>pos</code> (F, 31, 3): frames at 120 a second of the joints of CMU motion '
    "capture, in lengths of 5.64 cm, y up. Written with <code>numpy.savez</code>.</p>"
)


class MotionTab(NamedTuple):
    """What the page needs of the tab."""

    inputs: list[Any]
    outputs: list[Any]


@answered
def show(
    gait: str, phase: float, file: str | None, start: float, steps: float, model: str, variant: str
) -> tuple[str, str, str, str, str]:
    """Return the scene, the chart, the table, the status line and the code for a body in motion."""
    found, seconds = timed(lambda: bodies.forecast(model, variant, gait, phase, file, start, steps))
    name = Path(file).name if file else None
    return (
        packed(bodies.scene(found)),
        bodies.error_chart(found, f"{model}, {variant}"),
        bodies.summary(found, model, variant),
        status(models.device(), seconds, model, variant),
        snippets.motion(model, variant, gait, float(phase), name, found.start, int(steps)),
    )


def motion_tab() -> MotionTab:
    """Lay out the tab inside the block that is open, and connect it."""
    offered = models.names(bodies.TASK)
    best = bodies.best_variant(offered[0])
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            trained = models.info(offered[0]).config.domain["motion"]
            gait = gr.Radio(list(GAITS), value=trained, label="Made-up figure", elem_classes="ez-chips")
            phase = gr.Slider(0, 1, 0.1, step=0.05, label="Start, as a part of the stride", buttons=[])
            steps = gr.Slider(
                1, limits.MOTION_STEPS, 1, step=1, label="Steps of the roll-out [¼ s each]", buttons=[]
            )
            with gr.Accordion("Upload a recording, choose the model", open=False):
                file = gr.File(label="A recording .npz", file_types=[*bodies.FILES])
                gr.HTML(_FORMAT)
                start = gr.Number(
                    0, label="Start frame of the recording", precision=0, minimum=0, maximum=limits.FRAMES
                )
                model = gr.Dropdown(offered, value=offered[0], label="Model")
                variant = gr.Radio(
                    models.variants(offered[0]), value=best, label="Variant", elem_classes="ez-chips"
                )
            picture = viewer()
            gr.HTML(_INTRO)
        with gr.Column(scale=6, min_width=320):
            figures = gr.HTML(models.key_figures(offered[0], best))
            chart = gr.HTML('<p class="ez-empty">The error appears here.</p>')
            table, line = gr.HTML(), gr.HTML()
            code = code_box()
    inputs, outputs = [gait, phase, file, start, steps, model, variant], [picture, chart, table, line, code]
    gait.input(lambda: None, None, file, **QUIET | {"queue": False}).then(show, inputs, outputs, **QUIET)
    gr.on([phase.change, steps.change], show, inputs, outputs, trigger_mode="always_last", **QUIET)
    file.upload(
        show, inputs, outputs, api_name="recording", api_visibility="undocumented", show_progress="minimal"
    )
    model.input(_chosen, model, [gait, variant, figures], **QUIET).then(show, inputs, outputs, **QUIET)
    variant.input(models.key_figures, [model, variant], figures, **QUIET).then(show, inputs, outputs, **QUIET)
    start.submit(show, inputs, outputs, **QUIET)
    return MotionTab(inputs, outputs)


@answered
def _chosen(name: str) -> tuple[str, Any, str]:
    """Return the figure that a model was trained for, its variants and its key figures."""
    models.check(bodies.TASK, name)
    best = bodies.best_variant(name)
    picker = gr.Radio(models.variants(name), value=best)
    return models.info(name).config.domain["motion"], picker, models.key_figures(name, best)

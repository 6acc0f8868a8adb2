"""The tab on particles in motion: the simulation beside the roll-out of a model."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import gradio as gr

from equizoo.demo import limits, models, particles, snippets
from equizoo.demo.answering import answered, timed, whole_number
from equizoo.demo.look import status
from equizoo.demo.parts import QUIET, answer_to_choices, code_box
from equizoo.demo.viewer import packed, viewer


class ParticleTab(NamedTuple):
    """What the page needs of the tab."""

    seed: gr.Number
    model: gr.Dropdown
    inputs: list[Any]
    outputs: list[Any]


@answered
def show(seed: float, steps: float, count: float, model: str, variant: str) -> tuple[str, str, str, str, str]:
    """Return the scene, the chart, the table, the status line and the code for a system of particles."""
    length = whole_number(steps, 1, limits.STEPS, "the number of steps")
    truth = particles.motion(model, count, length, seed)
    path, seconds = timed(lambda: particles.forecast(truth, model, variant, length))
    code = snippets.particles(model, variant, int(count), length, int(seed))
    return (
        packed(particles.scene(truth, path)),
        particles.error_chart(truth, path, f"{model}, {variant}"),
        particles.summary(truth, path),
        status(models.device(), seconds, model, variant),
        code,
    )


def particles_tab() -> ParticleTab:
    """Lay out the tab inside the block that is open, and connect it."""
    offered = models.names(particles.TASK)
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            with gr.Row():
                seed = gr.Number(
                    7, label="System (seed)", precision=0, minimum=0, maximum=limits.SEED, min_width=120
                )
                another = gr.Button(
                    "Another system", variant="primary", min_width=140, elem_classes="ez-next"
                )
            steps = gr.Slider(
                1, limits.STEPS, 3, step=1, label="Steps of the roll-out [1 time unit each]", buttons=[]
            )
            with gr.Accordion("Choose the model and the number of particles", open=False):
                model = gr.Dropdown(offered, value=offered[0], label="Model")
                variant = gr.Radio(
                    models.variants(offered[0]), value="equivariant", label="Variant", elem_classes="ez-chips"
                )
                low, high = limits.PARTICLES
                count = gr.Slider(low, high, 5, step=1, label="Particles (trained on 5)", buttons=[])
            picture = viewer()
            gr.HTML(
                '<p class="ez-note">Balls: simulated. Rings: forecast, drawn straight between the times that '
                "the model answers. Red charges are positive, blue ones negative.</p>"
            )
        with gr.Column(scale=6, min_width=320):
            figures = gr.HTML(models.key_figures(offered[0]))
            chart = gr.HTML('<p class="ez-empty">The error appears here.</p>')
            table = gr.HTML()
            line = gr.HTML()
            code = code_box()
    inputs, outputs = [seed, steps, count, model, variant], [picture, chart, table, line, code]
    another.click(lambda: random.randrange(10_000), None, seed, **QUIET).then(  # noqa: S311
        show, inputs, outputs, **QUIET
    )
    gr.on([steps.change, count.change], show, inputs, outputs, trigger_mode="always_last", **QUIET)
    answer_to_choices(model, variant, figures, show, inputs, outputs)
    seed.submit(show, inputs, outputs, **QUIET)
    return ParticleTab(seed, model, inputs, outputs)

"""The part of the tab on molecules that makes conformers; there if a checkpoint for them is bundled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from equizoo.demo import conformers, limits, models, snippets
from equizoo.demo.answering import answered, timed
from equizoo.demo.look import status
from equizoo.demo.viewer import packed, viewer


@answered
def show(
    smiles: str,
    file: str | None,
    model: str,
    count: float,
    seed: float,
    steps: float,
    request: gr.Request,
) -> tuple[str, str, str, str]:
    """Return the scene, the energies, the status line and the code for the conformers of a molecule."""
    reply, seconds = timed(
        lambda: conformers.make(str(request.session_hash), smiles, file, model, count, seed, steps)
    )
    name = Path(file).name if file else None
    code = snippets.conformers(smiles.strip(), name, model, int(count), int(seed), int(steps))
    line = status("cpu", seconds, model)
    return packed(conformers.scene(reply)), conformers.summary(reply), line, code


def conformers_part(smiles: gr.Textbox, file: gr.File) -> None:
    """Lay out the part inside the block that is open, and connect it; nothing if no model is bundled.

    Args:
        smiles: Where the molecule is typed.
        file: Where it is uploaded.
    """
    offered = models.names(conformers.TASK)
    if not offered:
        return
    usual = models.info(offered[0]).config.domain.steps
    with gr.Accordion("Conformers", open=False), gr.Row():
        with gr.Column(scale=5, min_width=300):
            count = gr.Slider(1, limits.CONFORMERS, 10, step=1, label="Number asked for", buttons=[])
            steps = gr.Slider(
                1, limits.FLOW_STEPS, usual, step=1, label="Evaluations of the model a conformer", buttons=[]
            )
            with gr.Row():
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=limits.SEED, min_width=120)
                model = gr.Dropdown(offered, value=offered[0], label="Model", min_width=160)
            with gr.Row():
                go = gr.Button("Make conformers", variant="primary", min_width=140)
                halt = gr.Button("Stop", variant="stop", min_width=100)
            picture = viewer()
        with gr.Column(scale=6, min_width=320):
            figures = gr.HTML(models.key_figures(offered[0]))
            table = gr.HTML('<p class="ez-empty">Energies appear here.</p>')
            line = gr.HTML()
            code = gr.Code(language="python", interactive=False, label="Copy Python", lines=4)
    inputs, outputs = [smiles, file, model, count, seed, steps], [picture, table, line, code]
    quiet: dict[str, Any] = {"api_visibility": "private"}
    made = go.click(show, inputs, outputs, show_progress="full", concurrency_limit=1, **quiet)
    halt.click(_stop, None, None, cancels=[made], queue=False, **quiet)
    model.input(models.key_figures, model, figures, **quiet)


def _stop(request: gr.Request) -> None:
    conformers.stop(str(request.session_hash))

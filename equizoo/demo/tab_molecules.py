"""The tab on molecules: SMILES or a file in, twelve properties and a ball-and-stick model out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from equizoo.demo import limits, models, molecules, snippets
from equizoo.demo.answering import answered, timed
from equizoo.demo.look import status
from equizoo.demo.parts import QUIET, code_box
from equizoo.demo.sketcher import sketcher
from equizoo.demo.tab_conformers import conformers_part
from equizoo.demo.viewer import packed, viewer

_FIRST = "uracil"
_SKETCHING = (
    '<p class="ez-note">What you draw goes into the SMILES box, and its properties follow. Sketcher: '
    "JSME by P. Ertl and B. Bienfait.</p>"
)


class MoleculeTab(NamedTuple):
    """What the page needs of the tab."""

    smiles: gr.Textbox
    examples: gr.Radio
    model: gr.Dropdown
    inputs: list[Any]
    outputs: list[Any]


@answered
def show(smiles: str, file: str | None, model: str, seed: float) -> tuple[str, str, str, str]:
    """Return the scene, the table, the status line and the code for a molecule."""

    def answer() -> tuple[Any, dict[str, Any]]:
        drawn = molecules.read(model, smiles, file, seed)
        return drawn, molecules.properties(drawn, model)

    (drawn, result), seconds = timed(answer)
    table = molecules.property_table(result)
    if drawn.more:
        table += f'<p class="ez-note">The file has {drawn.more} more; only the first is answered here.</p>'
    code = snippets.molecule(smiles.strip(), Path(file).name if file else None, model, int(seed))
    return packed(molecules.scene(drawn)), table, status(models.device(), seconds, model), code


def molecules_tab() -> MoleculeTab:
    """Lay out the tab inside the block that is open, and connect it."""
    offered = models.names(molecules.TASK)
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            smiles = gr.Textbox(
                molecules.EXAMPLES[_FIRST],
                label="SMILES",
                placeholder="CCO",
                max_length=limits.SMILES_LENGTH,
                submit_btn="Predict",
            )
            names = list(molecules.EXAMPLES)
            examples = gr.Radio(names, value=_FIRST, label="Examples", elem_classes="ez-chips")
            with gr.Accordion("Draw a molecule", open=False):
                sketch = sketcher(molecules.EXAMPLES[_FIRST])
                gr.HTML(_SKETCHING)
            with gr.Accordion("Upload a file, choose the model", open=False):
                file = gr.File(label="First molecule of an .xyz or .sdf file", file_types=[*molecules.FILES])
                model = gr.Dropdown(offered, value=offered[0], label="Model")
                seed = gr.Number(0, label="Seed of the geometry", precision=0, minimum=0, maximum=limits.SEED)
            picture = viewer()
        with gr.Column(scale=6, min_width=320):
            figures = gr.HTML(models.key_figures(offered[0]))
            table = gr.HTML('<p class="ez-empty">Properties appear here.</p>')
            line = gr.HTML()
            code = code_box()
    conformers_part(smiles, file)
    inputs, outputs = [smiles, file, model, seed], [picture, table, line, code]
    smiles.submit(lambda: None, None, file, **QUIET | {"queue": False}).then(show, inputs, outputs, **QUIET)
    smiles.change(None, smiles, sketch, js="(smiles) => smiles", **QUIET)
    sketch.input(
        None,
        sketch,
        [smiles, file, examples],
        js="(smiles) => [smiles, null, null]",
        **QUIET | {"queue": False},
    ).then(show, inputs, outputs, **QUIET | {"trigger_mode": "always_last"})
    examples.input(
        lambda name: (molecules.EXAMPLES.get(name, ""), None), examples, [smiles, file], **QUIET
    ).then(show, inputs, outputs, **QUIET)
    file.upload(
        show,
        inputs,
        outputs,
        api_name="molecule",
        api_visibility="undocumented",
        show_progress="minimal",
    )
    model.input(lambda name: models.key_figures(name), model, figures, **QUIET).then(
        show, inputs, outputs, **QUIET
    )
    seed.submit(show, inputs, outputs, **QUIET)
    return MoleculeTab(smiles, examples, model, inputs, outputs)

"""Parts that the tabs share: how their events are connected, and the box with Python to copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from equizoo.demo import models

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
"""Options of events that are no part of the API."""


def code_box() -> Any:
    """Return a folded box for the Python that makes the same answer."""
    with gr.Accordion("Copy Python", open=False):
        return gr.Code(language="python", interactive=False, show_label=False, lines=4)


def answer_to_choices(
    model: Any, variant: Any, figures: Any, show: Callable[..., Any], inputs: list[Any], outputs: list[Any]
) -> None:
    """Answer anew when another model or variant is chosen, and show its key figures.

    Args:
        model: Picker of the model.
        variant: Picker of the variant; another model begins with the equivariant one.
        figures: Where the key figures stand.
        show: What answers.
        inputs: Components that it takes.
        outputs: Components that it fills.
    """
    model.input(
        lambda name: (gr.Radio(models.variants(name), value="equivariant"), models.key_figures(name)),
        model,
        [variant, figures],
        **QUIET,
    ).then(show, inputs, outputs, **QUIET)
    variant.input(models.key_figures, [model, variant], figures, **QUIET).then(show, inputs, outputs, **QUIET)

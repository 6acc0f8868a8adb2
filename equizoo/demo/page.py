"""The page: its tabs, its links, and how it is served."""

from __future__ import annotations

import threading
from typing import Any

import gradio as gr
import torch

from equizoo.demo import bodies, clouds, limits, look, models, molecules, particles, sketcher, viewer
from equizoo.demo.api import ENDPOINTS
from equizoo.demo.shapes import SHAPES, shape
from equizoo.demo.tab_clouds import clouds_tab
from equizoo.demo.tab_clouds import show as show_cloud
from equizoo.demo.tab_molecules import molecules_tab
from equizoo.demo.tab_molecules import show as show_molecule
from equizoo.demo.tab_motion import motion_tab
from equizoo.demo.tab_motion import show as show_motion
from equizoo.demo.tab_particles import particles_tab
from equizoo.demo.tab_particles import show as show_particles
from equizoo.demo.tab_symmetry import show as show_symmetry
from equizoo.demo.tab_symmetry import symmetry_tab

TABS = ("molecules", "clouds", "particles", "symmetry")
#: Keeps the address of the page in step with its tab, so that it can be shared; not before it was followed.
_REMEMBER = """() => {{ if (!window.ezFollowed) return;
const url = new URL(window.location); url.searchParams.set('tab', '{tab}');
window.history.replaceState(null, '', url); }}"""
_FOLLOWED = "() => { window.ezFollowed = true; }"


def build() -> gr.Blocks:
    """Return the page, ready to be launched with :func:`options`.

    Deep links: ``?tab=`` one of ``molecules``, ``clouds``, ``particles``, ``motion``, ``symmetry``, and
    ``&smiles=``, ``&shape=`` or ``&seed=``.
    """
    moving = bool(models.names(bodies.TASK))
    quiet: dict[str, Any] = {"api_visibility": "private"}
    parts: list[tuple[gr.Tab, str, Any, Any]] = []
    with gr.Blocks(title="equizoo", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.HTML(look.HEADER)
        with gr.Tabs(selected=TABS[0], overflow_behavior="wrap") as tabs:
            with gr.Tab("Molecules", id=TABS[0]) as tab:
                molecule = molecules_tab()
            parts.append((tab, TABS[0], show_molecule, molecule))
            with gr.Tab("Point clouds", id=TABS[1]) as tab:
                cloud = clouds_tab()
            parts.append((tab, TABS[1], show_cloud, cloud))
            with gr.Tab("Motion and particles" if moving else "Particles", id=TABS[2]) as outer:
                if moving:
                    with gr.Tabs(selected="particles", overflow_behavior="wrap") as inner:
                        with gr.Tab("Charged particles", id="particles") as tab:
                            system = particles_tab()
                        with gr.Tab("Bodies in motion", id="motion") as second:
                            parts.append((second, "motion", show_motion, motion_tab()))
                    parts.append((tab, TABS[2], show_particles, system))
                else:
                    system = particles_tab()
            parts.append((outer, TABS[2], show_particles, system))
            with gr.Tab("Symmetry lab", id=TABS[3]) as tab:
                parts.append((tab, TABS[3], show_symmetry, symmetry_tab()))
        for tab, name, show, part in parts:
            tab.select(None, None, None, js=_REMEMBER.format(tab=name), **quiet)
            tab.select(show, part.inputs, part.outputs, show_progress="minimal", **quiet)
        asked = page.load(
            asked_inputs,
            None,
            [molecule.smiles, molecule.examples, cloud.shape, system.seed],
            queue=False,
            **quiet,
        ).then(asked_tab, None, tabs, queue=False, **quiet)
        if moving:
            asked = asked.then(asked_part, None, inner, queue=False, **quiet)
        asked.then(None, None, None, js=_FOLLOWED, **quiet).then(
            first_molecule, molecule.inputs, molecule.outputs, show_progress="minimal", **quiet
        )
        for name, function in ENDPOINTS.items():
            gr.api(function, api_name=name)
    page.queue(api_open=False, max_size=limits.QUEUE, default_concurrency_limit=limits.AT_ONCE)
    return page


def asked_inputs(request: gr.Request) -> tuple[Any, Any, Any, Any]:
    """Return the SMILES, its example, shape and seed that the address of the page asks for, if it does."""
    asked = dict(request.query_params)
    smiles, seed = asked.get("smiles", "")[: limits.SMILES_LENGTH], asked.get("seed", "")
    return (
        smiles or gr.skip(),
        {text: name for name, text in molecules.EXAMPLES.items()}.get(smiles) if smiles else gr.skip(),
        asked["shape"] if asked.get("shape") in SHAPES else gr.skip(),
        int(seed) if seed.isdecimal() and int(seed) <= limits.SEED else gr.skip(),
    )


def asked_tab(request: gr.Request) -> Any:
    """Return the tab that the address of the page asks for, if there is such a tab."""
    tab = dict(request.query_params).get("tab")
    tab = "particles" if tab == "motion" else tab
    return gr.Tabs(selected=tab) if tab in TABS else gr.skip()


def asked_part(request: gr.Request) -> Any:
    """Return the part of the tab on motion that the address of the page asks for."""
    return gr.Tabs(selected="motion") if dict(request.query_params).get("tab") == "motion" else gr.skip()


def first_molecule(smiles: str, file: str | None, model: str, seed: float, request: gr.Request) -> Any:
    """Return what the first tab shows, unless the address of the page asks for another one."""
    if dict(request.query_params).get("tab", TABS[0]) != TABS[0]:
        return [gr.skip()] * 4
    return show_molecule(smiles, file, model, seed)


def options() -> dict[str, Any]:
    """Return the options with which the page is launched."""
    return {
        "theme": look.theme(),
        "css": viewer.static("style.css"),
        "head": viewer.head(),
        "max_file_size": limits.CLOUD_FILE,
        "footer_links": ["api", "settings"],
        "ssr_mode": False,
        "share": False,
        "app_kwargs": {"routes": sketcher.routes()},
        "_frontend": False,  # no request to itself that ends the start on a busy machine when it takes 3 s
    }


def warm_up() -> None:
    """Load the default models and answer once with each, so that the first visitor need not wait for it."""
    elements = tuple(models.info(models.names(molecules.TASK)[0]).config.domain.elements)
    drawn = molecules.chemistry.from_smiles("O", elements)
    molecules.properties(drawn, models.names(molecules.TASK)[0])
    clouds.classify(shape(SHAPES[0]), models.names(clouds.TASK)[0])
    name = models.names(particles.TASK)[0]
    particles.forecast(particles.motion(name, 5, 1, 0), name, "equivariant", 1)
    for name in models.names(bodies.TASK)[:1]:
        bodies.forecast(name, bodies.best_variant(name), "run", 0, None, 0, 1)


def launch(**changes: Any) -> None:
    """Serve the page until it is stopped.

    Args:
        **changes: Options of :meth:`gradio.Blocks.launch` in the place of those of :func:`options`.
    """
    torch.set_num_threads(1)  # several visitors at once use the cores better than one answer on all of them
    page = build()
    page.launch(**{**options(), **changes, "prevent_thread_lock": True})
    threading.Thread(target=warm_up, daemon=True).start()  # not before: it would slow down the start
    page.block_thread()

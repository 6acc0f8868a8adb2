"""The sketcher: JSME in a frame of the page, loaded when it is opened; its value is a SMILES string.

The server gives out the folder of JSME and the page of its frame, and no other file of the package.

References:
    B. Bienfait, P. Ertl, "JSME: a free molecule editor in JavaScript", J. Cheminformatics 5 (2013) 24.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from equizoo.demo.viewer import static

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_TEMPLATE = (
    '<div class="ez-sketcher"><iframe title="Sketcher: draw a molecule" sandbox="allow-scripts '
    'allow-same-origin"></iframe></div>'
)
_FOLDER = Path(__file__).with_name("static")


def sketcher(smiles: str) -> Any:
    """Return a sketcher; its event ``input`` says that something was drawn.

    Args:
        smiles: What it shows when it is opened.
    """
    import gradio as gr

    return gr.HTML(smiles, html_template=_TEMPLATE, js_on_load=static("sketcher.js"), apply_default_css=False)


def routes() -> list[BaseRoute]:
    """Return the routes by which the server gives out the sketcher.

    Example:
        >>> [route.path for route in routes()]
        ['/sketcher.html', '/jsme']
    """
    from starlette.requests import Request
    from starlette.responses import FileResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    def page(request: Request) -> FileResponse:
        return FileResponse(_FOLDER / "sketcher.html")

    return [Route("/sketcher.html", page), Mount("/jsme", StaticFiles(directory=_FOLDER / "jsme"))]

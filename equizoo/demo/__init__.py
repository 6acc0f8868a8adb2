"""The demo: a page on which the bundled models can be tried, ``python app.py`` or ``make app``.

Modules without ``tab`` in their name compute and know nothing of the page; ``tab_*`` lay out and connect.
Everything on the page is served from this package: it needs no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from equizoo._lazy import lazy_names
from equizoo.pipelines import require

__all__ = ["build", "launch"]

_import, __dir__ = lazy_names(__name__, {"build": "equizoo.demo.page", "launch": "equizoo.demo.page"})


def __getattr__(name: str) -> Any:
    if name in __all__:
        require("gradio", "app", "the demo")
    return _import(name)


if TYPE_CHECKING:
    from equizoo.demo.page import build, launch

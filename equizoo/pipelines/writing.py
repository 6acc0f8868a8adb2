"""Files of results: which endings a name may have, and figures that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from equizoo._replacing import replacing
from equizoo.hub.errors import EquizooError

#: Endings of figures, and of those of motions.
FIGURES = (".png", ".svg", ".pdf")
MOTION_FIGURES = (".html", ".gif", *FIGURES)


class WrongEnding(EquizooError, ValueError):
    """A file is asked for in a format that is not written."""


def check_ending(path: str | os.PathLike[str], endings: Iterable[str]) -> str:
    """Return the ending of a name in lower case.

    Args:
        path: Name of the file.
        endings: Those that are written.

    Raises:
        WrongEnding: It is none of them.

    Example:
        >>> check_ending("plot", FIGURES)
        Traceback (most recent call last):
        equizoo.pipelines.writing.WrongEnding: 'plot' must end in .png, .svg or .pdf
    """
    *most, last = endings
    ending = Path(path).suffix.lower()
    if ending not in (*most, last):
        raise WrongEnding(f"{Path(path).name!r} must end in {', '.join(most)} or {last}")
    return ending


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure of matplotlib; it appears whole or not at all.

    Raises:
        WrongEnding: The name does not end in one of :data:`FIGURES`.
    """
    check_ending(path, FIGURES)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)

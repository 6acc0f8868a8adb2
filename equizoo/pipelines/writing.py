"""Files of results, which appear whole or not at all, and which endings a name may have."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

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


@contextmanager
def table_file(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    r"""Open a file for the rows of a ``csv.writer``; it appears when the block ends without an error.

    What UTF-8 cannot hold, as in the names of files that are not text, is written as ``\udcff``.

    Args:
        path: The file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with table_file(Path(folder) / "a.csv") as file:
        ...         _ = file.write("a,b\n")
        ...     (Path(folder) / "a.csv").read_text()
        'a,b\n'
    """
    with (
        replacing(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure of matplotlib; it appears whole or not at all.

    Raises:
        WrongEnding: The name does not end in one of :data:`FIGURES`.
    """
    check_ending(path, FIGURES)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)

"""Lines, words and numbers of Acclaim's text files, of bounded size. Nothing in them is executed."""

from __future__ import annotations

import math
import os
from pathlib import Path

LARGEST_FILE = 64 * 2**20
"""Bytes of a file that is read."""

Lines = list[tuple[int, list[str]]]
"""Numbers and words of lines."""


def read_lines(path: str | os.PathLike[str]) -> Lines:
    """Return number and words of the lines that are neither empty nor comments.

    Raises:
        ValueError: The file is too large or no text.
        OSError: The file cannot be read.
    """
    with open(Path(path), "rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"larger than {LARGEST_FILE >> 20} MB; cut the recording into pieces")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError(f"not a text file: byte {error.start} is no ASCII character") from None
    lines = enumerate(text.splitlines(), 1)
    return [(number, words) for number, line in lines if (words := line.split("#", 1)[0].split())]


def parse_number(text: str, line: int) -> float:
    """Return a finite number; ``line`` is named in the message of a ValueError."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"line {line}: {text[:40]!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"line {line}: {text[:40]!r} is not a finite number")
    return value

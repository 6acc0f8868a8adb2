"""Lines, words and numbers of Acclaim's text files, of bounded size. Nothing in them is executed."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from pathlib import Path

LARGEST_FILE = 64 * 2**20
"""Bytes of a file that is read."""

Lines = list[tuple[int, list[str]]]
"""Numbers and words of lines."""


def read_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield number and words of the lines that are neither empty nor comments; comments may have any bytes.

    Raises:
        ValueError: The file is too large or no text.
        OSError: The file cannot be read.
    """
    with open(Path(path), "rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"larger than {LARGEST_FILE >> 20} MB; cut the recording into pieces")
    text = io.TextIOWrapper(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")), encoding="latin-1")
    for number, line in enumerate(text, 1):
        content = line.split("#", 1)[0]
        if not content.isascii():
            raise ValueError(f"not a text file: line {number} has a byte that is no ASCII character")
        if words := content.split():
            yield number, words


def parse_number(text: str, line: int) -> float:
    """Return a finite number; ``line`` is named in the message of a ValueError."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"line {line}: {text[:40]!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"line {line}: {text[:40]!r} is not a finite number")
    return value

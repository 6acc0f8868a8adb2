"""Headers of point files, read before the points: what they claim must fit into the file that claims it."""

from __future__ import annotations

import re

#: Most vertices and most faces of a file.
LARGEST_COUNT = 10_000_000


def check_off(data: bytes) -> None:
    """Check the header of an ``.off`` file against what follows it.

    Raises:
        ValueError: It is no OFF header, or claims more or less than there is.
    """
    text = re.sub(rb"#[^\n]*", b"", data).replace(b"\r", b"\n").lstrip()
    header = re.match(rb"(?:ST|C|N)*OFF\s*(\d{1,18})[ \t]+(\d{1,18})(?:[ \t]+\d{1,18})?[ \t]*(?:\n|$)", text)
    if header is None:
        raise ValueError(
            "not an OFF file: it does not start with 'OFF' and its numbers of vertices and faces"
        )
    vertices, faces = int(header[1]), int(header[2])
    check_count(vertices, "vertex")
    check_count(faces, "face")
    lines = [line for line in text[header.end() :].splitlines() if line.strip()]
    claim = f"the header claims {vertices} vertices and {faces} faces, and"
    if len(lines) != vertices + faces:
        raise ValueError(f"{claim} {len(lines)} lines follow")
    if vertices and (last := len(lines[vertices - 1].split())) != (first := len(lines[0].split())):
        raise ValueError(f"{claim} the first of these vertices has {first} numbers and the last {last}")


def check_count(count: int, name: str) -> None:
    """Refuse a count above :data:`LARGEST_COUNT`.

    Raises:
        ValueError: It is above.
    """
    if count > LARGEST_COUNT:
        raise ValueError(f"the header claims {count} × {name}, and the limit is {LARGEST_COUNT}")


def count_lines(body: bytes) -> int:
    """Return how many lines of ``body`` are not blank."""
    return sum(1 for line in body.splitlines() if line.strip())

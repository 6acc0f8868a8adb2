"""Headers of point files, read before the points: what they claim must fit into the file that claims it."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

#: Most vertices and most faces of a file.
LARGEST_COUNT = 10_000_000
_LONGEST_HEADER = 64 * 2**10
_PLY_TYPES = {
    name: code
    for code, names in (
        ("i1", "char int8"),
        ("u1", "uchar uint8"),
        ("i2", "short int16"),
        ("u2", "ushort uint16"),
        ("f2", "float16"),
        ("i4", "int int32"),
        ("u4", "uint uint32"),
        ("f4", "float float32"),
        ("i8", "int64"),
        ("u8", "uint64"),
        ("f8", "double float64"),
    )
    for name in names.split()
}


class _Element(NamedTuple):
    """An element of a PLY header: its name, its count, and its properties as lists of words."""

    name: str
    count: int
    properties: list[list[str]]


def check_ply(data: bytes) -> str:
    """Check the header of a ``.ply`` file against what follows it, and return its format.

    Returns:
        ``"ascii"``, ``"binary_little_endian"`` or ``"binary_big_endian"``.

    Raises:
        ValueError: It is no PLY header, has no positions, claims more or less than there is, or is binary
            with polygons of different sizes.
    """
    head, found, body = data[:_LONGEST_HEADER].partition(b"end_header")
    if not re.match(rb"ply\s", data) or not found:
        raise ValueError("not a PLY file: it does not start with 'ply' and a header that ends")
    lines = [line.split() for line in head.decode("ascii", errors="replace").splitlines() if line.strip()]
    form = next((line[1] for line in lines if line[0] == "format" and len(line) == 3), "")
    if form not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise ValueError(f"a PLY file of format {form!r} is not read")
    elements = _elements(lines)
    vertex = next((element for element in elements if element.name == "vertex"), None)
    if vertex is None or not {"x", "y", "z"} <= {words[-1] for words in vertex.properties}:
        raise ValueError("the PLY file has no element 'vertex' with properties x, y and z")
    for element in elements:
        check_count(element.count, element.name)
    claim = "the header claims " + " and ".join(f"{e.count} × {e.name}" for e in elements)
    start = len(head) + len(found)
    if form == "ascii":
        rows, there = sum(element.count for element in elements), count_lines(data[start:])
        if there != rows:
            raise ValueError(f"{claim}, which are {rows} lines, and {there} follow")
    else:
        start += 2 if body.startswith(b"\r\n") else 1
        least, there = sum(element.count * _row(element) for element in elements), len(data) - start
        lists = any(words[1] == "list" for element in elements for words in element.properties)
        if there < least or (there > least and not lists):
            few = "at least " if lists else ""
            raise ValueError(f"{claim}, which take {few}{least} bytes, and {max(there, 0)} follow")
        _check_lists(data, start, "<" if "little" in form else ">", elements)
    return form


def _elements(lines: list[list[str]]) -> list[_Element]:
    elements: list[_Element] = []
    for words in lines:
        if words[0] == "element":
            if len(words) != 3 or not re.fullmatch(r"\d{1,18}", words[2]):
                raise ValueError(f"the PLY header has the line {' '.join(words)[:80]!r}")
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[0] == "property":
            listed = words[1:2] == ["list"]
            types = words[2:-1] if listed else words[1:-1]
            known = len(types) == 1 + listed and all(name in _PLY_TYPES for name in types)
            if not elements or not known:
                raise ValueError(f"the PLY header has the line {' '.join(words)[:80]!r}")
            elements[-1].properties.append(words)
    return elements


def _row(element: _Element) -> int:
    """Return the bytes of a row; of its lists, those of their length alone."""
    types = [words[2] if words[1] == "list" else words[1] for words in element.properties]
    return sum(np.dtype(_PLY_TYPES[name]).itemsize for name in types)


def _check_lists(data: bytes, start: int, order: str, elements: list[_Element]) -> None:
    """Refuse lists of different lengths, as triangles beside quads have; damage is left to the parser.

    The parser takes every row to be as long as the first.
    """
    for element in elements:
        row: list[tuple] = []
        for words in element.properties if element.count else ():
            shape: tuple[int, ...] = ()
            if words[1] == "list":
                row.append((f"length {len(row)}", order + _PLY_TYPES[words[2]], shape))
                first = data[start : start + np.dtype(row).itemsize]
                length = np.frombuffer(first, row)[0][-1] if len(first) == np.dtype(row).itemsize else -1
                if not 0 <= length <= len(data) // np.dtype(_PLY_TYPES[words[3]]).itemsize:
                    return
                shape = (int(length),)
            row.append((str(len(row)), order + _PLY_TYPES[words[-2]], shape))
        size = np.dtype(row).itemsize
        whole = min(element.count, (len(data) - start) // size) if size else 0
        for name in [name for name, *_ in row if name.startswith("length")] if whole else ():
            lengths = np.frombuffer(data, row, whole, start)[name]
            if other := int((lengths != lengths[0]).argmax()):
                raise ValueError(
                    f"binary PLY with polygons of different sizes is not read ({element.name} 1 has "
                    f"{lengths[0]} corners, {element.name} {other + 1} has {lengths[other]}): triangulate it "
                    "or save it as ASCII"
                )
        if whole < element.count and any(name.startswith("length") for name, *_ in row):
            raise ValueError(
                f"the file ends within {element.name} {whole + 1} of {element.count}, if all are as long as "
                "the first: it is cut, or has polygons of different sizes; triangulate it or save it as ASCII"
            )
        start += element.count * size


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

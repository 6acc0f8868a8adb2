"""PLY files, checked before they are parsed: what a header claims must fit into the file that claims it.

References:
    G. Turk, "The PLY Polygon File Format", Stanford 1994.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from struct import calcsize, unpack_from
from struct import error as StructError
from typing import NamedTuple

import numpy as np

from equizoo.data.point_headers import check_count, count_lines

_LONGEST_HEADER = 64 * 2**10
_LARGEST_MIXED = (2_000_000, 64 * 2**20)  # rows, which are read one after another, and bytes
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
_CODES = {name: np.dtype(code).char.replace("l", "q").replace("L", "Q") for name, code in _PLY_TYPES.items()}


class _Element(NamedTuple):
    """An element of a PLY header: its name, its count, and its properties as lists of words."""

    name: str
    count: int
    properties: list[list[str]]


def check_ply(data: bytes) -> tuple[str, bytes]:
    """Check the header of a ``.ply`` file against what follows it.

    Returns:
        The format, ``"ascii"``, ``"binary_little_endian"`` or ``"binary_big_endian"``, and the file: as it
        is, or as text if it is binary with polygons of different sizes, which trimesh reads in text alone.

    Raises:
        ValueError: It is no PLY header, has no positions, or claims more or less than there is.
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
        order = "<" if "little" in form else ">"
        if lists and not _is_even(data, start, order, elements):
            text = re.sub(rb"(?m)^(\s*format\s+)\S+", rb"\1ascii", head, count=1) + b"end_header\n"
            return "ascii", text + _as_text(data, start, order, elements)
    return form, data


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


def _is_even(data: bytes, start: int, order: str, elements: Sequence[_Element]) -> bool:
    """Whether all rows of each element are as long as its first, which the parser takes for granted."""
    for element in elements:
        row: list[tuple] = []
        for words in element.properties if element.count else ():
            shape: tuple[int, ...] = ()
            if words[1] == "list":
                row.append((f"length {len(row)}", order + _PLY_TYPES[words[2]], shape))
                first = data[start : start + np.dtype(row).itemsize]
                length = np.frombuffer(first, row)[0][-1] if len(first) == np.dtype(row).itemsize else -1
                if not 0 <= length <= len(data) // np.dtype(_PLY_TYPES[words[3]]).itemsize:
                    return False
                shape = (int(length),)
            row.append((str(len(row)), order + _PLY_TYPES[words[-2]], shape))
        size = np.dtype(row).itemsize * element.count
        if start + size > len(data):
            return False
        table = np.frombuffer(data, row, element.count, start) if size else None
        for name in [name for name, *_ in row if name.startswith("length")] if size else ():
            if (table[name] != table[name][0]).any():
                return False
        start += size
    return start == len(data)


def _as_text(data: bytes, start: int, order: str, elements: Sequence[_Element]) -> bytes:
    """Return the rows of a binary file as lines of text.

    Raises:
        ValueError: The file ends within a row, goes on after the last, or has more rows than can be read one
            by one.
    """
    rows, size = _LARGEST_MIXED
    if sum(element.count for element in elements) > rows or len(data) > size:
        raise ValueError(
            f"binary PLY with polygons of different sizes is read up to {rows} vertices and faces and "
            f"{size >> 20} MB; triangulate it or save it as ASCII"
        )
    lines = []
    for element in elements:
        for number in range(1, element.count + 1):
            row: list[float] = []
            for words in element.properties:
                count = 1
                try:
                    if words[1] == "list":
                        (count,) = unpack_from(order + _CODES[words[2]], data, start)
                        start += calcsize(order + _CODES[words[2]])
                        row.append(count)
                    row += unpack_from(f"{order}{count}{_CODES[words[-2]]}", data, start)
                except StructError:  # a negative or broken count is one that nothing could follow
                    raise ValueError(
                        f"the file ends within {element.name} {number} of {element.count}"
                    ) from None
                start += count * calcsize(order + _CODES[words[-2]])
            lines.append(" ".join(map(repr, row)))
    if start != len(data):
        raise ValueError(f"{len(data) - start} bytes follow the last row that the header claims")
    return "\n".join([*lines, ""]).encode()

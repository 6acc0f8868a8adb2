"""From the bytes of a point file to vertices and triangles."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from equizoo.data.point_headers import check_count, check_off, count_lines
from equizoo.data.point_ply import check_ply

_LARGEST_TEXT = 128 * 2**20  # bytes; parsing takes some seconds and many times the memory
_LONGEST_HEADER = 64 * 2**10
_BOM = b"\xef\xbb\xbf"
_DECIMAL_COMMAS = re.compile(rb"(?m)^[ \t]*[-+]?\d+,\d+(?:[ \t]+[-+]?\d+,\d+){2}")
_NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Shape(NamedTuple):
    """``vertices`` (V, 3) float64 and, of a mesh, ``faces`` (F, 3) int64 indices of their corners."""

    vertices: np.ndarray
    faces: np.ndarray | None = None


def read_mesh(data: bytes, kind: str) -> Shape:
    """Read a ``ply`` or ``obj`` file with trimesh, after its header is checked.

    Raises:
        ImportError: trimesh is not installed.
        ValueError: The file is damaged, or lies about its contents.
    """
    data = data.removeprefix(_BOM)
    if kind == "obj":
        _check_text(data)
        data = _plain_obj(data)
    else:
        form, data = check_ply(data)
        if form == "ascii":
            _check_text(data)
    try:
        import trimesh
    except ImportError:
        raise ImportError(f"reading .{kind} files needs trimesh: pip install 'equizoo[points]'") from None
    try:
        with warnings.catch_warnings():  # numpy warns where text is no number, and goes on with what it has
            warnings.filterwarnings("error", "string or file could not be read", DeprecationWarning)
            scene = trimesh.load_scene(io.BytesIO(data), file_type=kind, process=False, skip_materials=True)
        return _join(list(scene.geometry.values()))
    except Exception as error:  # the parser meets a file that anybody may have made
        raise ValueError(f"not a whole .{kind} file ({_brief(error)})") from None


def _plain_obj(data: bytes) -> bytes:
    """Return the vertices and faces of an OBJ file; groups and materials take the parser quadratic time."""
    data = data.replace(b"\r\n", b"\n").replace(b"\\\n", b"")
    data = re.sub(rb"#[^\n]*", b"", data)
    if not re.search(rb"(?m)^[ \t]*v[ \t]", data):
        raise ValueError("not an OBJ file with vertices: no line starts with 'v'")
    if zero := re.search(rb"(?m)^[ \t]*f[ \t](?:[^\n]*[ \t])?[-+]?0+(?=[/ \t\n]|\Z)", data):
        line = data.count(b"\n", 0, zero.end()) + 1
        raise ValueError(f"line {line}: a face has the corner 0; the vertices of an OBJ file start with 1")
    lines = re.findall(rb"(?m)^[ \t]*([vf][ \t][^\n]*)", data)
    return b"\n".join(re.sub(rb"/[^ \t]*", b"", line) for line in lines) + b"\n"


def read_off(data: bytes, kind: str) -> Shape:
    """Read an ``.off`` file, its polygons cut into fans of triangles.

    Raises:
        ValueError: The file is damaged, or lies about its contents.
    """
    data = data.removeprefix(_BOM)
    check_off(data)
    _check_text(data)
    text = re.sub(rb"#[^\n]*", b"", data).replace(b"\r", b"\n").lstrip()
    first, *lines = (line for line in text[text.index(b"OFF") + 3 :].splitlines() if line.strip())
    count = int(first.split()[0])
    if not count:
        raise ValueError("it has no points")
    try:
        vertices = np.array([line.split()[:3] for line in lines[:count]], dtype=np.float64)
        if vertices.shape != (count, 3):
            raise ValueError("a vertex does not have three coordinates")
        triangles: list[tuple[int, int, int]] = []
        for number, line in enumerate(lines[count:], 1):
            size, *words = line.split()
            corners = [int(word) for word in words[: int(size)]]
            if len(corners) != int(size):
                raise ValueError(f"face {number} announces {int(size)} corners and has {len(corners)}")
            if corners and not 0 <= min(corners) <= max(corners) < count:
                raise ValueError(f"face {number} has a corner that is none of the {count} vertices")
            triangles += [(corners[0], *pair) for pair in pairwise(corners[1:])]
    except ValueError as error:
        raise ValueError(f"not a whole .off file ({_brief(error)})") from None
    return Shape(vertices, np.array(triangles, dtype=np.int64) if triangles else None)


def _join(parts: Sequence[Any]) -> Shape:
    vertices = [np.asarray(part.vertices, dtype=np.float64) for part in parts]
    if any(array.shape[1:] != (3,) for array in vertices):
        raise ValueError("a vertex does not have three coordinates")
    starts = np.cumsum([0, *map(len, vertices)])
    faces = [
        np.asarray(part.faces, dtype=np.int64).reshape(-1, 3) + start
        for part, start in zip(parts, starts, strict=False)
        if len(getattr(part, "faces", ()))
    ]
    if not vertices:
        raise ValueError("it has no points")
    joined = Shape(np.concatenate(vertices), np.concatenate(faces) if faces else None)
    if faces and (joined.faces.min() < 0 or joined.faces.max() >= len(joined.vertices)):
        raise ValueError(f"a face has a corner that is none of the {len(joined.vertices)} vertices")
    return joined


def read_xyz(data: bytes, kind: str) -> Shape:
    """Read lines ``x y z``.

    Raises:
        ValueError: A line does not start with three numbers, or has both commas and semicolons, or commas
            within numbers.
    """
    data = data.removeprefix(_BOM)
    if b"," in data and b";" in data:
        for number, line in enumerate(data.splitlines(), 1):
            content = line.split(b"#", 1)[0].split(b"//", 1)[0]
            if b"," in content and b";" in content:
                raise ValueError(f"line {number} has commas and semicolons; are they decimal commas?")
    if comma := _DECIMAL_COMMAS.search(data):
        line = data.count(b"\n", 0, comma.start()) + 1
        raise ValueError(f"line {line} has decimal commas; write the numbers with points")
    data = data.translate(bytes.maketrans(b",;", b"  "))
    if re.match(rb"\s*\d+[ \t]*[\r\n]", data):
        raise ValueError("the first line is a count, as in a molecule's .xyz file; each line needs x y z")
    return Shape(_numbers(data, (0, 1, 2)))


def read_npy(data: bytes, kind: str) -> Shape:
    """Read an array (N, 3 or more) of numbers.

    Raises:
        ValueError: The file holds anything else, or less than its header claims.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _NPY_HEADERS:
            raise ValueError(f"version {version} of the format")
        shape, _, dtype = _NPY_HEADERS[version](stream)
    except Exception as error:  # the header is a Python literal that anybody may have written
        raise ValueError(f"not an .npy file of numbers ({_brief(error)})") from None
    if dtype.kind not in "fiu" or len(shape) != 2 or shape[1] < 3:
        raise ValueError(f"the array has shape {shape} and type {dtype}, and (N, 3) numbers are needed")
    check_count(shape[0], "point")
    claimed, there = math.prod(shape) * dtype.itemsize, len(data) - stream.tell()
    if claimed != there:
        raise ValueError(f"the header claims {shape[0]} points, {claimed} bytes, and {there} follow")
    array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return Shape(array[:, :3].astype(np.float64))


def read_pcd(data: bytes, kind: str) -> Shape:
    """Read an ASCII or binary ``.pcd`` file of version 0.7.

    Raises:
        ValueError: The header is not one, claims more or less than there is, or the points are compressed.

    References:
        Point Cloud Library, "The PCD (Point Cloud Data) file format".
    """
    data = data.removeprefix(_BOM)
    found = re.search(rb"(?m)^DATA[ \t]+(\w+)[ \t]*\r?\n", data[:_LONGEST_HEADER])
    if found is None:
        raise ValueError("not a PCD file: its header has no line 'DATA'")
    lines = data[: found.start()].decode("ascii", errors="replace").splitlines()
    header = {words[0]: words[1:] for line in lines if (words := line.split())}
    form, body = found[1].decode("ascii", errors="replace"), data[found.end() :]
    dtype, points = _pcd_layout(header)
    check_count(points, "point")
    if form == "binary":
        if len(body) != points * dtype.itemsize:
            claim = f"the header claims {points} points, {points * dtype.itemsize} bytes"
            raise ValueError(f"{claim}, and {len(body)} follow")
        table = np.frombuffer(body, dtype)
        vertices = np.stack([table[axis] for axis in "xyz"], 1).astype(np.float64)
    elif form == "ascii":
        if (there := count_lines(body)) != points:
            raise ValueError(f"the header claims {points} points, and {there} lines follow")
        columns = {name: dtype.names.index(name) for name in "xyz"}
        vertices = _numbers(body, tuple(columns.values()))
    else:
        raise ValueError(f"PCD files with DATA {form} are not read; save it with DATA binary or ascii")
    return Shape(vertices[~np.isnan(vertices).any(1)])


def _pcd_layout(header: dict[str, list[str]]) -> tuple[np.dtype, int]:
    """Return the type of a point, each element of a field by itself, and the number of points."""
    try:
        names, sizes, kinds = header["FIELDS"], header["SIZE"], header["TYPE"]
        counts = [int(count) for count in header.get("COUNT", ["1"] * len(names))]
        points = int(header["POINTS"][0])
        if points < 0 or not all(0 < count <= 4096 for count in counts) or len(names) > 256:
            raise ValueError("a count is negative or too large")
        columns = [
            (name if count == 1 and name in "xyz" else f"{field}.{k}", f"<{kind.lower()}{size}")
            for field, (name, size, kind, count) in enumerate(zip(names, sizes, kinds, counts, strict=True))
            for k in range(count)
        ]
        dtype = np.dtype(columns)
        if {dtype[name].kind for name in "xyz"} - set("fiu"):
            raise ValueError("a coordinate is no number")
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise ValueError(f"not the header of a PCD file of points x, y, z ({_brief(error)})") from None
    return dtype, points


def _numbers(data: bytes, columns: tuple[int, int, int]) -> np.ndarray:
    """Return three columns of a text as (N, 3) float64."""
    _check_text(data)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data", UserWarning)
            table = np.loadtxt(io.BytesIO(data), comments=("#", "//"), usecols=columns, ndmin=2)
    except ValueError as error:
        raise ValueError(f"a line does not hold the numbers x, y and z ({_brief(error)})") from None
    return table.reshape(-1, 3)


def _check_text(data: bytes) -> None:
    if len(data) > _LARGEST_TEXT:
        raise ValueError(
            f"the file has {len(data) >> 20} MB of text, and the limit is {_LARGEST_TEXT >> 20} MB; save it "
            "as a binary .ply"
        )


def _brief(error: Exception) -> str:
    """Return the message of a parser: one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:160]}…"

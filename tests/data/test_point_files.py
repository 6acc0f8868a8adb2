import io
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equizoo.data import point_files, point_formats, point_headers, point_ply
from equizoo.data.point_files import SUFFIXES, read_points, sample_surface
from equizoo.data.point_formats import _plain_obj
from tests.data.point_samples import FACES, VERTICES, obj, off, pcd, ply, rows

pytest.importorskip("trimesh")
NONE = np.zeros((0, 3), dtype=int)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def read(folder: Path, name: str, data: bytes | str, **options) -> np.ndarray:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_points(path, **options)


CLOUDS = {
    "ascii.ply": ply("ascii", faces=NONE),
    "little.ply": ply("binary_little_endian", faces=NONE),
    "big.PLY": ply("binary_big_endian", faces=NONE),
    "windows.ply": ply("ascii", faces=NONE).replace(b"\n", b"\r\n"),
    "a.obj": "# a cloud\n" + "".join(f"v {row}\n" for row in rows(VERTICES).splitlines()),
    "a.off": "OFF\n8 0 0\n" + rows(VERTICES),
    "a.xyz": rows(VERTICES),
    "commas.xyz": "# x,y,z,red\n" + rows(np.c_[VERTICES, VERTICES]).replace(" ", ", "),
    "marked.xyz": b"\xef\xbb\xbf" + rows(VERTICES).replace(" ", ";").encode(),
    "a.npy": npy(VERTICES.astype(np.float32)),
    "fortran.npy": npy(np.asfortranarray(np.c_[VERTICES, VERTICES].astype(int))),
    "ascii.pcd": pcd("ascii"),
    "binary.pcd": pcd("binary"),
    "holes.pcd": pcd("binary", np.insert(VERTICES, 4, np.nan, axis=0)),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_clouds_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    points = read(tmp_path, name, CLOUDS[name])
    assert points.dtype == np.float64
    assert np.array_equal(points, VERTICES)


MESHES = {
    "ascii.ply": ply("ascii"),
    "little.ply": ply("binary_little_endian"),
    "big.ply": ply("binary_big_endian"),
    "a.off": off(),
    "comment.off": off("# made by hand\nOFF # a box\n\n8 12 0\n"),
    "modelnet.off": off("OFF8 12 0\n"),
    "a.obj": obj(),
}


@pytest.mark.parametrize("name", MESHES)
def test_meshes_are_sampled_on_their_surface(tmp_path: Path, name: str) -> None:
    points = read(tmp_path, name, MESHES[name], samples=500, seed=3)
    assert points.shape == (500, 3)
    assert (
        np.isclose(points / VERTICES[-1], 0).any(1).sum() + np.isclose(points / VERTICES[-1], 1).any(1).sum()
        >= 500
    )
    assert points.min() >= -1e-9
    assert (points <= VERTICES[-1] + 1e-9).all()
    assert np.array_equal(points, read_points(tmp_path / name, samples=500, seed=3))
    assert not np.array_equal(points, read_points(tmp_path / name, samples=500, seed=4))


def test_quads_and_several_materials(tmp_path: Path) -> None:
    quads = "f 1 2 4 3\nusemtl b\nf 5/1/1 7/1/1 8/1/1 6/1/1\nusemtl c\nf -8 -4 -3\n"
    text = "mtllib /etc/passwd\nvt 0 0\nvn 0 0 1\n" + obj().split("usemtl")[0] + quads
    points = read(tmp_path, "a.obj", text, samples=2000)
    assert 0.35 < (points[:, 0] == 0).mean() < 0.6  # 6 of the 6 + 6 + 1.5 of the area
    mixed = (
        ply("ascii", faces=FACES[:4])
        .replace(b"3 0 1 3\n", b"4 0 1 3 2\n")
        .replace(b"3 0 3 2\n", b"3 0 1 5\n")
    )
    assert 0.41 < (read(tmp_path, "a.ply", mixed, samples=5000)[:, 0] == 0).mean() < 0.48  # 6 of 13.5
    quad = "OFF\n8 1 0\n" + rows(VERTICES) + "4 0 1 3 2\n"
    assert (read(tmp_path, "a.off", quad, samples=50)[:, 0] == 0).all()


def test_points_are_uniform_over_the_area() -> None:
    points = sample_surface(VERTICES, FACES, 20_000, np.random.default_rng(0))
    on_face = np.isclose(points[:, 0], 0)
    assert on_face.mean() == pytest.approx(6 / 22, abs=0.02)  # 2 × 3 of 2 (2 + 3 + 6)
    assert points[on_face].mean(0) == pytest.approx([0, 1, 1.5], abs=0.05)
    assert points[on_face, 1].std() == pytest.approx(2 / 12**0.5, abs=0.03)


BINARY = ply("binary_little_endian", faces=NONE)
BAD = [
    ("a.ply", b"", "the file is empty"),
    ("a.xyz", b" \n \n", "the file is empty"),
    ("a.stl", b"solid", "only .ply, .off, .obj, .xyz, .npy, .pcd"),
    ("plain", b"1 2 3", "only .ply"),
    ("a.ply", off(), "not a PLY file"),
    ("a.ply", "ply\nformat ascii 1.0\nelement vertex 3\n", "a header that ends"),
    ("a.ply", ply("zip"), "format 'zip' is not read"),
    ("a.ply", ply("ascii").replace(b"float y", b"float v"), "properties x, y and z"),
    ("a.ply", ply("ascii").replace(b"float y", b"real y"), "has the line 'property real y'"),
    ("a.ply", ply("ascii").replace(b"vertex 8", b"vertex -8"), "has the line 'element vertex -8'"),
    ("a.ply", ply("ascii", claim=9), r"9 × vertex and 12 × face, which are 21 lines, and 20 follow"),
    ("a.ply", ply("ascii", claim=7), "and 20 follow"),
    ("a.ply", ply("ascii").replace(b"1 7 2 3", b"1 7 2 x"), r"not a whole \.ply file"),
    ("a.ply", ply("ascii").replace(b"3 0 1 3\n", b"3 0 1 8\n"), r"not a whole \.ply file"),
    ("a.ply", ply("binary_little_endian", faces=NONE, claim=9), "9 × vertex, which take 153 bytes, and 136"),
    ("a.ply", ply("binary_little_endian", faces=NONE, claim=7), "take 119 bytes, and 136 follow"),
    ("a.ply", ply("binary_little_endian")[:-1], "ends within face 12 of 12"),
    ("a.ply", ply("ascii").replace(b"uchar int vertex_indices", b"uchar"), "line 'property list uchar'"),
    ("a.ply", ply("ascii").replace(b"float x", b"float"), "has the line 'property float'"),
    ("a.ply", ply("binary_little_endian", faces=NONE, claim=2**31), "the limit is 10000000"),
    ("a.ply", ply("binary_little_endian", faces=NONE, claim=9_999_999), "and 136 follow"),
    ("a.off", "solid\n", "not an OFF file"),
    ("a.off", "OFF\n8\n" + rows(VERTICES), "not an OFF file"),
    ("a.off", off("OFF\n10 10 0\n"), "claims 10 vertices and 10 faces, and the first of these .* the last 4"),
    ("a.off", off("OFF\n6 14 0\n"), "not a whole|none of"),
    ("a.off", off("OFF\n9 12 0\n"), "claims 9 vertices and 12 faces, and 20 lines follow"),
    ("a.off", off("OFF\n300000000 12 0\n"), "300000000 × vertex, and the limit"),
    ("a.off", off().replace("3 0 1 3\n", "3 0 1 8\n"), "not a whole .off file"),
    ("a.off", off().replace("1 2 3\n", "1 2 x\n"), "not a whole .off file"),
    ("a.off", off().replace("3 0 1 3\n", "3 0 1\n"), "face 1 announces 3 corners and has 2"),
    ("a.off", off().replace("3 0 1 3\n", "-3 0 1 3\n"), "face 1 announces -3 corners"),
    ("a.off", off().replace("3 0 1 3\n", "3 0 1 -3\n"), "face 1 has a corner that is none of the 8"),
    ("a.obj", obj() + "f 1 2 0\n", "line 22: a face has the corner 0"),
    ("a.obj", obj() + "f 1/1 0/1 2/1", "a face has the corner 0"),
    ("a.xyz", "0 0 0\n1,5; 2,5; 3,5\n", "line 2 has commas and semicolons"),
    ("a.xyz", "0 0 0\n0,12 -0,34 0,56\n", "line 2 has decimal commas"),
    ("a.obj", "f 1 2 3\n", "no line starts with 'v'"),
    ("a.obj", "v 0 0 0\nv 1 0 0\nf 1 2 3\n", r"not a whole \.obj file"),
    ("a.obj", "v 0 0\nv 1 0\nv 0 1\n", r"not a whole \.obj file"),
    ("a.obj", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "no area"),
    ("a.xyz", "3\nwater\nO 0 0 0\nH 1 0 0\n", "the first line is a count, as in a molecule's"),
    ("a.xyz", "1 2 3\n4 5\n", "a line does not hold the numbers x, y and z"),
    ("a.xyz", "1 2 3\n4 5 six\n", "'six'"),
    ("a.xyz", bytes(range(256)) * 40, "does not hold the numbers"),
    ("a.xyz", "1 2 3\n4 nan 6\n", r"the coordinates of point 2 are \[4.0, nan, 6.0\]; finite numbers"),
    ("a.xyz", "1 2 3\n4 1e300 6\n", "finite numbers up to 1e"),
    ("a.npy", b"\x93NUMPY\x01\x00v\x00{'descr': broken", "not an .npy file"),
    ("a.npy", b"PK\x03\x04", "not an .npy file"),
    ("a.npy", npy(np.array([{"a": 1}] * 3, dtype=object)), "type object"),
    ("a.npy", npy(np.zeros((2, 5, 3))), r"shape \(2, 5, 3\)"),
    ("a.npy", npy(np.zeros((5, 2))), r"shape \(5, 2\)"),
    ("a.npy", npy(np.zeros((5, 3)))[:-8], "claims 5 points, 120 bytes, and 112 follow"),
    ("a.npy", npy(np.zeros((5, 3))).replace(b"(5, 3), }        ", b"(9999999, 3), }  "), "and 120 follow"),
    ("a.npy", npy(np.zeros((5, 3))).replace(b"(5, 3), }          ", b"(999999999, 3), }  "), "the limit is"),
    ("a.pcd", rows(VERTICES), "has no line 'DATA'"),
    ("a.pcd", pcd("binary", claim=9), "claims 9 points, 288 bytes?|and 256 follow"),
    ("a.pcd", pcd("ascii", claim=9), "claims 9 points, and 8 lines follow"),
    ("a.pcd", pcd("binary", claim=10**9), "the limit is"),
    ("a.pcd", pcd("binary_compressed"), "save it with DATA binary or ascii"),
    ("a.pcd", pcd("ascii").replace(b" x y z", b" x y w"), "not the header of a PCD file of points x, y, z"),
    ("a.pcd", pcd("ascii").replace(b"SIZE 4 4", b"SIZE 4"), "not the header"),
    ("a.pcd", pcd("binary").replace(b"COUNT 1 3", b"COUNT 1 9999999"), "a count is negative or too large"),
    ("a.pcd", pcd("binary").replace(b"TYPE U F", b"TYPE U O"), "not the header"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "order"), [("binary_little_endian", "<"), ("binary_big_endian", ">")])
def test_polygons_of_different_sizes_in_binary(tmp_path: Path, form: str, order: str) -> None:
    quad = struct.pack(f"{order}B4i", 4, 0, 1, 3, 2)
    mixed = ply(form, faces=FACES[:4])[:-13] + quad  # in place of the last triangle
    text = ply("ascii", faces=FACES[:4]).rsplit(b"\n", 2)[0] + b"\n4 0 1 3 2\n"
    points = read(tmp_path, "a.ply", mixed, samples=50)
    assert np.array_equal(points, read(tmp_path, "b.ply", text, samples=50))
    assert len(np.unique(points, axis=0)) == 50
    shorter = ply(form, faces=FACES[:2])[:-26] + quad + struct.pack(f"{order}B3i", 3, 0, 1, 3)
    assert (read(tmp_path, "a.ply", shorter, samples=50)[:, 0] == 0).all()
    quads = ply(form, faces=FACES[:1])[:-13] + quad
    assert (read(tmp_path, "a.ply", quads, samples=50)[:, 0] == 0).all()


def test_damaged_and_endless_polygons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = ply("binary_little_endian")[:-13] + struct.pack("<B4i", 4, 0, 1, 3, 2)
    bad = {
        "ends within face 12 of 12": mixed[:-1],
        "1 bytes follow the last row": mixed + b"x",
        "face 7 of 12": ply("binary_little_endian").replace(struct.pack("<B3i", 3, *FACES[6]), b"\xff" * 13),
    }
    for message, data in bad.items():
        with pytest.raises(ValueError, match=message):
            read(tmp_path, "a.ply", data)
    monkeypatch.setattr(point_ply, "_LARGEST_MIXED", (19, 10**6))
    with pytest.raises(ValueError, match="up to 19 vertices and faces and 0 MB; triangulate"):
        read(tmp_path, "a.ply", mixed)
    assert len(read(tmp_path, "a.ply", ply("binary_little_endian"), samples=5)) == 5


@pytest.mark.parametrize(("name", "data", "message"), BAD, ids=range(len(BAD)))
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, name: str, data: bytes | str, message: str) -> None:
    start = time.monotonic()
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path, name, data)
    assert str(error.value).startswith(f"{name}: ")
    assert len(str(error.value)) < 400
    assert time.monotonic() - start < 5


def test_comments_and_materials_of_an_obj_are_left_out(tmp_path: Path) -> None:
    lines = [f"{line}  # usemtl m{number}" for number, line in enumerate(obj().splitlines())]
    points = read(tmp_path, "a.obj", "\n".join(lines), samples=50)
    assert np.array_equal(points, read(tmp_path, "b.obj", obj(), samples=50))
    given = _plain_obj((obj() + "# usemtl a\nf 1/2/3 2//1 3 # usemtl b\nvn 0 0 1\n").encode())
    assert b"usemtl" not in given  # where the parser splits, which takes quadratic time
    assert given.splitlines()[-1].split() == [b"f", b"1", b"2", b"3"]


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    for name, what in (("~no-such-user/a.xyz", "home"), (f"{'a' * 300}.xyz", "name too long")):
        with pytest.raises(ValueError, match=what):
            read_points(name)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.ply: the file cannot be read: No such file"):
        read_points(tmp_path / "a.ply")
    (tmp_path / "b.ply").mkdir()
    with pytest.raises(ValueError, match="not a file"):
        read_points(tmp_path / "b.ply")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_formats, "_LARGEST_TEXT", 100)
    for name, data in (("a.xyz", rows(VERTICES) * 9), ("a.off", off()), ("a.ply", ply("ascii"))):
        with pytest.raises(ValueError, match="0 MB of text, and the limit is"):
            read(tmp_path, name, data)
    assert len(read(tmp_path, "a.ply", BINARY)) == 8
    monkeypatch.setattr(point_files, "_LARGEST", 100)
    with pytest.raises(ValueError, match="and the limit is 0 MB"):
        read(tmp_path, "a.ply", BINARY)


def test_without_trimesh_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trimesh", None)
    with pytest.raises(ImportError, match=r"pip install 'equizoo\[points\]'"):
        read(tmp_path, "a.obj", obj())
    assert len(read(tmp_path, "a.xyz", rows(VERTICES))) == 8
    assert len(read(tmp_path, "a.off", off(), samples=9)) == 9


@pytest.mark.parametrize("name", ["ascii.ply", "a.off", "a.obj"])
def test_a_byte_order_mark_changes_nothing(tmp_path: Path, name: str) -> None:
    data = MESHES[name] if isinstance(MESHES[name], bytes) else MESHES[name].encode()
    marked = read(tmp_path, name, b"\xef\xbb\xbf" + data, samples=50)
    assert np.array_equal(marked, read(tmp_path, name, data, samples=50))
    cloud = "".join(f"v {row}\n" for row in rows(VERTICES).splitlines())
    assert np.array_equal(read(tmp_path, "b.obj", "\ufeff" + cloud), VERTICES)
    assert np.array_equal(read(tmp_path, "b.pcd", b"\xef\xbb\xbf" + pcd("ascii")), VERTICES)


def test_off_polygons_are_cut_into_fans(tmp_path: Path) -> None:
    corners = "OFF\n6 3 0\n0 0 0\n2 0 0\n3 1 0\n2 2 0\n0 2 0\n-1 1 0\n"
    path = tmp_path / "a.off"
    path.write_text(corners + "5 0 1 2 3 4 0.5 0.5 0.5\n3 0 4 5\n2 0 1\n")
    shape = point_formats.read_off(path.read_bytes(), "off")
    assert shape.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]]
    points = read_points(path, samples=4000)
    assert (points[:, 0] < 0).mean() == pytest.approx(1 / 6, abs=0.03)


def test_materials_and_groups_never_reach_the_parser(tmp_path: Path) -> None:
    """They take it a time that grows with their square."""
    group = "usemtl m{0}\no part{0}\ng a b\ns off\nf 1 2 4\n"
    text = obj().split("usemtl")[0] + "".join(group.format(k) for k in range(16_000))
    assert (read(tmp_path, "a.obj", "mtllib x.mtl\n" + text, samples=50)[:, 0] == 0).all()
    left = {line.split()[0] for line in _plain_obj(f"mtllib x.mtl\n{text}".encode()).splitlines() if line}
    assert left <= {b"v", b"f", b"#"} and {b"v", b"f"} <= left


@given(st.sampled_from(SUFFIXES), st.data())
@settings(max_examples=150, deadline=2000)
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, suffix: str, data: st.DataObject) -> None:
    whole = [content for name, content in {**CLOUDS, **MESHES}.items() if name.lower().endswith(suffix)]
    content = data.draw(st.sampled_from(whole))
    damaged = bytearray(content.encode() if isinstance(content, str) else content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(damaged)
    try:
        points = read_points(path, samples=10)
    except ValueError as error:
        assert str(error).startswith(path.name)
    else:
        assert points.shape[1:] == (3,)
        assert np.isfinite(points).all()


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_headers_of_anything_are_refused_with_a_reason(data: bytes) -> None:
    for check in (point_ply.check_ply, point_headers.check_off):
        with pytest.raises(ValueError, match=r"not a|PLY"):
            check(data)

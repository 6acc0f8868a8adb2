"""Small point files and the same shapes of ModelNet40 in its published forms, for tests that write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equizoo.data.modelnet40 import CLASSES

VERTICES = np.array([[x, y, z] for x in (0, 1) for y in (0, 2) for z in (0, 3)], dtype=float)
FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip
#: Objects of each class in the published forms that :func:`write_resampled` and the others write.
OBJECTS = {
    "train": ("airplane_0001", "airplane_0002", "night_stand_0003", "xbox_0001"),
    "test": ("xbox_0104",),
}


def rows(table: np.ndarray) -> str:
    """Return a line a row."""
    return "".join(" ".join(f"{value:g}" for value in row) + "\n" for row in table)


def off(header: str = "OFF\n8 12 0\n") -> str:
    """Return a box of 1 × 2 × 3 as the text of an ``.off`` file."""
    return header + rows(VERTICES) + rows(np.c_[np.full(12, 3), FACES])


def obj() -> str:
    """Return the box as the text of an ``.obj`` file."""
    lines = [f"v {row}" for row in rows(VERTICES).splitlines()]
    return "\n".join([*lines, "usemtl ../../secret", *(f"f {a} {b} {c}" for a, b, c in FACES + 1)]) + "\n"


def ply(
    form: str, vertices: np.ndarray = VERTICES, faces: np.ndarray = FACES, claim: int | None = None
) -> bytes:
    """Return a ``.ply`` file with a colour between the coordinates; ``claim`` vertices in the header."""
    header = [
        "ply",
        f"format {form} 1.0",
        "comment made by a test",
        f"element vertex {claim or len(vertices)}",
    ]
    header += ["property float x", "property uchar red", "property float y", "property double z"]
    if len(faces):
        header += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    text = "\n".join([*header, "end_header", ""])
    if form == "ascii":
        table = np.insert(vertices, 1, 7, axis=1)
        return (
            text + rows(table) + rows(np.c_[np.full(len(faces), 3), faces] if len(faces) else faces)
        ).encode()
    order = "<" if "little" in form else ">"
    body = np.zeros(
        len(vertices), [("x", f"{order}f4"), ("red", "u1"), ("y", f"{order}f4"), ("z", f"{order}f8")]
    )
    body["x"], body["y"], body["z"] = vertices.T
    corners = np.zeros(len(faces), [("count", "u1"), ("corners", f"{order}i4", 3)])
    if len(faces):
        corners["count"], corners["corners"] = 3, faces
    return text.encode() + body.tobytes() + corners.tobytes()


def pcd(form: str, vertices: np.ndarray = VERTICES, claim: int | None = None) -> bytes:
    """Return a ``.pcd`` file with two other fields before the positions."""
    count = claim or len(vertices)
    header = ["# .PCD v0.7", "VERSION 0.7", "FIELDS rgb normal x y z", "SIZE 4 4 4 4 8", "TYPE U F F F F"]
    header += ["COUNT 1 3 1 1 1", f"WIDTH {count}", "HEIGHT 1", "VIEWPOINT 0 0 0 1 0 0 0", f"POINTS {count}"]
    text = "\n".join([*header, f"DATA {form}", ""])
    if form == "ascii":
        return (text + rows(np.c_[np.zeros((len(vertices), 4)), vertices])).encode()
    body = np.zeros(
        len(vertices), [("rgb", "<u4"), ("n", "<f4", 3), ("x", "<f4"), ("y", "<f4"), ("z", "<f8")]
    )
    body["x"], body["y"], body["z"] = vertices.T
    return text.encode() + body.tobytes()


def surface(name: str, count: int = 40) -> np.ndarray:
    """Return (count, 3) points that belong to the object of that name."""
    return np.random.default_rng(list(name.encode())).normal(size=(count, 3)) * [1, 2, 3]


def write_resampled(root: Path) -> Path:
    """Write ``modelnet40_normal_resampled`` with a few objects."""
    folder = root / "modelnet40_normal_resampled"
    for part, names in OBJECTS.items():
        for name in names:
            path = folder / name.rpartition("_")[0] / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savetxt(path, np.c_[surface(name), np.zeros((40, 3))], delimiter=",")
        (folder / f"modelnet40_{part}.txt").write_text("\n".join(names) + "\n")
    return folder


def write_hdf5(root: Path) -> Path:
    """Write ``modelnet40_ply_hdf5_2048`` with the same objects."""
    import h5py

    folder = root / "modelnet40_ply_hdf5_2048"
    folder.mkdir()
    for part, names in OBJECTS.items():
        for number, few in enumerate((names[:3], names[3:])):
            if few:
                with h5py.File(folder / f"ply_data_{part}{number}.h5", "w") as file:
                    x, y, z = np.stack([surface(name) for name in few], -1).swapaxes(0, 1).astype(np.float32)
                    file["data"] = np.stack([x, z, -y], -1).swapaxes(0, 1)  # which stand on y
                    labels = [[CLASSES.index(name.rpartition("_")[0])] for name in few]
                    file["label"] = np.array(labels, dtype=np.uint8)
    return folder


def write_meshes(root: Path) -> Path:
    """Write the folder ``ModelNet40`` with a box for each of the same objects."""
    folder = root / "ModelNet40"
    for part, names in OBJECTS.items():
        for name in names:
            path = folder / name.rpartition("_")[0] / part / f"{name}.off"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(off("OFF8 12 0\n"))
    return folder

"""Inputs that nobody should send: fuzzed SMILES strings and files, the same ones for a seed."""

import random
import struct
from pathlib import Path

_PIECES = [
    "C",
    "c",
    "N",
    "[",
    "]",
    "(",
    ")",
    "=",
    "#",
    "1",
    "%99",
    "@",
    "[U]",
    "[2H]",
    ".",
    "/",
    "\\",
    "\x00",
]
_NPY = b"\x93NUMPY\x01\x00\x46\x00{'descr': %b, 'fortran_order': False, 'shape': ("
_PHRASES = [
    "<script>alert(1)</script>",
    "'; DROP TABLE molecules; --",
    "../../etc/passwd",
    "C" * 199,
    "C1" * 90,
    "(" * 150,
    "[" * 150,
    "c1ccccc1" * 20,
    "C%(100000)",
    "[999999999999C]",
    "[C@@@@@]",
    "C12CC1C2" * 20,
    "\u202eC\u0000",
    "🧪" * 50,
    "nan",
    "[*]",
    "*" * 50,
    "[H][H].[H][H]",
    "C1CC1" + "C2CC2" * 30,
    "C12C3C4C1C5C2C3C45" * 3,
]


def smiles(count: int, seed: int = 0) -> list[str]:
    """Return strings that are hardly ever molecules."""
    rng = random.Random(seed)  # noqa: S311
    made = ["".join(rng.choices(_PIECES, k=rng.randint(1, 60))) for _ in range(count - len(_PHRASES))]
    return [*_PHRASES, *made]


def files(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write files that are damaged, lie about their size, or are not what their name says."""
    rng = random.Random(seed)  # noqa: S311
    claims = {
        "atoms.xyz": b"999999999\n\nC 0 0 0\n",
        "words.xyz": b"3\n\nC a b c\nH nan 0 0\nH inf 0 0\n",
        "many.off": b"OFF\n999999999 999999999 0\n0 0 0\n",
        "index.off": b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 99999999\n",
        "header.ply": b"ply\nformat binary_little_endian 1.0\nelement vertex 4000000000\nproperty float x\n"
        b"property float y\nproperty float z\nend_header\n",
        "endless.ply": b"ply\nformat ascii 1.0\n" + b"comment x\n" * 50_000,
        "face.obj": b"v 0 0 0\n" * 30 + b"f 1 2 -99999\n" * 30,
        "include.obj": b"mtllib ../../etc/passwd\n" + b"v 0 0 0\n" * 30,
        "object.npy": _NPY % b"'|O'" + b"9, 3), }" + b" " * 20 + b"\x80\x04.",
        "shape.npy": _NPY % b"'<f8'" + b"1000000000, 3), }",
        "empty.ply": b"",
        "record.sdf": b"x\n  y\n\n999999  0  0  0  0  0  0  0  0  0999 V2000\n",
        "version.sdf": b"x\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\n",
        "records.sdf": b"\n$$$$\n" * 20_000,
        "names.xyz": b"2\n<img src=x onerror=alert(1)>\nH 0 0 0\nH 0 0 0.74\n",
    }
    for name, data in claims.items():
        (folder / name).write_bytes(data)
    suffixes = (".xyz", ".sdf", ".ply", ".off", ".obj", ".npy")
    for k in range(count - len(claims)):
        suffix = rng.choice(suffixes)
        start = rng.choice(list(claims.values())) if rng.random() < 0.5 else b""
        noise = rng.randbytes(rng.randint(0, 400)) + struct.pack("<d", rng.random() * 1e300)
        cut = rng.randint(0, max(1, len(start)))
        (folder / f"noise-{k}{suffix}").write_bytes(start[:cut] + noise)
    return sorted(folder.iterdir())

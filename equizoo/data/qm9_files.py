"""Where QM9 is published, which of its files a folder has, and the prepared file that loads in a second."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equizoo._replacing import replacing
from equizoo.data.qm9_formats import RawQM9, read_sdf, read_sdf_archive, read_xyz_archive, read_xyz_folder

_POSITION_STEP = 1e-5


class Source(NamedTuple):
    """A published file: its name, address, licence, and the md5 its publisher states, if any."""

    name: str
    url: str
    licence: str
    md5: str | None


SOURCES = {
    name: Source(name, url, "CC0", md5)
    for name, url, md5 in (
        (
            "dsgdb9nsd.xyz.tar.bz2",
            "https://ndownloader.figshare.com/files/3195389",
            "ad1ebd51ee7f5b3a6e32e974e5d54012",
        ),
        (
            "uncharacterized.txt",
            "https://ndownloader.figshare.com/files/3195404",
            "a361887bacb427b8a0ce7903d92a53b4",
        ),
        ("gdb9.tar.gz", "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/gdb9.tar.gz", None),
    )
}


class Found(NamedTuple):
    """A QM9 file (or folder) and the function that reads it."""

    path: Path
    read: Callable[[Path], RawQM9]


def how_to_get_qm9(folder: str) -> str:
    """Return the text that says which files to download and where to put them."""
    lines = [f"Put one of these into {folder} (all CC0):"]
    for name in ("dsgdb9nsd.xyz.tar.bz2", "gdb9.tar.gz"):
        lines.append(f"  {name} from {SOURCES[name].url}, with")
        lines.append(f"  uncharacterized.txt from {SOURCES['uncharacterized.txt'].url}")
    return "\n".join([*lines, "  or a qm9.npz made from them by equizoo.data.qm9_files.write_prepared"])


def find_qm9(folder: Path) -> Found | None:
    """Return the first known form of QM9 in ``folder``, ``folder/qm9`` or ``folder/raw``, or None."""
    forms: dict[str, Callable[[Path], RawQM9]] = {
        "qm9.npz": read_prepared,
        "dsgdb9nsd.xyz.tar.bz2": read_xyz_archive,
        "dsgdb9nsd.xyz": read_xyz_folder,
        "gdb9.sdf": read_sdf,
        "gdb9.tar.gz": read_sdf_archive,
    }
    for place in (folder, folder / "qm9", folder / "raw"):
        for name, read in forms.items():
            if (place / name).exists():
                return Found(place / name, read)
    return None


def read_qm9(source: Found) -> RawQM9:
    """Read ``source`` after comparing its md5 with the published one; the molecules come ordered by number.

    Raises:
        FileNotFoundError: A file that belongs to the format is missing.
        ValueError: The file is damaged or differs from the published one.
    """
    known = SOURCES.get(source.path.name)
    if known is not None and known.md5 is not None and (found := _md5(source.path)) != known.md5:
        raise ValueError(
            f"{source.path} is not the published file: its md5 is {found} instead of {known.md5}; "
            f"download it again from {known.url}"
        )
    raw = source.read(source.path)
    atoms, molecules = int(raw.n_atoms.sum()), len(raw.n_atoms)
    if raw.z.shape != (atoms,) or raw.pos.shape != (atoms, 3):
        raise ValueError(f"{source.path} is damaged: {atoms} atoms are announced, {len(raw.z)} are there")
    if raw.targets.shape != (molecules, 12) or raw.index.shape != (molecules,):
        raise ValueError(
            f"{source.path} is damaged: {molecules} molecules, {len(raw.targets)} rows of targets"
        )
    if not (np.isfinite(raw.targets).all() and np.isfinite(raw.pos).all()):
        raise ValueError(f"{source.path} is damaged: a target or a position is not a finite number")
    if (np.diff(raw.index) <= 0).any():
        raise ValueError(f"{source.path} is damaged: a molecule is there twice, or out of order")
    return raw


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_prepared(path: Path) -> RawQM9:
    """Read a prepared ``qm9.npz``; see :func:`write_prepared` for what is in it."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return RawQM9(
                z=arrays["z"],
                pos=arrays["pos"] * float(arrays["pos_step"]),
                n_atoms=arrays["n_atoms"].astype(np.int64),
                targets=arrays["targets"],
                index=arrays["index"].astype(np.int64),
                uncharacterized=arrays["uncharacterized"].astype(np.int64),
            )
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a prepared QM9 file: {error}") from error


def write_prepared(raw: RawQM9, path: Path) -> None:
    """Write the molecules to a ``qm9.npz`` that loads in a second; positions are kept to 1e-5 Å.

    Args:
        raw: What :func:`read_qm9` returned.
        path: The file; a SMILES table ``qm9_smiles.tsv.gz`` is written beside it where SMILES are known:
            number, SMILES of the molecule, and SMILES of its geometry where those are known too.
    """
    with replacing(path) as part:
        np.savez_compressed(
            part,
            z=raw.z,
            pos=np.rint(raw.pos / _POSITION_STEP).astype(np.int32),
            pos_step=np.float64(_POSITION_STEP),
            n_atoms=raw.n_atoms.astype(np.uint8),
            targets=raw.targets,
            index=raw.index.astype(np.int32),
            uncharacterized=raw.uncharacterized.astype(np.int32),
            meta=np.array(json.dumps({"source": "QM9, original units", "licence": "CC0"})),
        )
    if raw.smiles is not None:
        with (
            replacing(path.with_name("qm9_smiles.tsv.gz")) as part,
            gzip.open(part, "wt", encoding="utf-8") as file,
        ):
            columns = [raw.smiles, *([] if raw.geometry_smiles is None else [raw.geometry_smiles])]
            file.write("\t".join(["index", "smiles_gdb17", "smiles_b3lyp"][: len(columns) + 1]) + "\n")
            file.writelines(
                "\t".join([str(i), *(column[i] for column in columns)]) + "\n" for i in raw.smiles
            )


def read_smiles(folder: Path) -> dict[int, str] | None:
    """Read ``qm9_smiles.tsv.gz``: numbers and SMILES in its first two columns; None if it is not there.

    Raises:
        ValueError: The file is damaged.
    """
    path = folder / "qm9_smiles.tsv.gz"
    if not path.exists():
        return None
    return {number: columns[0] for number, columns in read_smiles_table(path).items()}


def read_smiles_table(path: Path) -> dict[int, list[str]]:
    """Read all columns of ``qm9_smiles.tsv.gz`` by the numbers of the molecules.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = [line.rstrip("\n").split("\t") for line in file]
        table = {int(row[0]): row[1:] for row in rows[1:]}
    except FileNotFoundError:
        raise
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is no table of SMILES: {error}") from error
    if short := next((number for number, columns in table.items() if not columns), None):
        raise ValueError(f"{path} is no table of SMILES: molecule {short} has none")
    return table

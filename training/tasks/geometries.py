"""Molecules of a split with geometries made from their SMILES, as a user's molecules would get them."""

from __future__ import annotations

import hashlib
import logging
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from equizoo._replacing import replacing
from equizoo.data.molecules import MoleculeSet
from equizoo.data.qm9 import ELEMENTS
from equizoo.training.config import ConfigError

log = logging.getLogger(__name__)

_VERSION = 3  # of the geometries and of their file


def molecules_with_geometry(
    task: Any, split: str, source: str, n: int, cache: str | Path | None = None
) -> MoleculeSet:
    """Return random molecules of a split with made geometries.

    The geometries are made from the SMILES with the stereochemistry of the molecule in the data set: the
    SMILES of QM9 have none, and another diastereomer is another molecule.

    Args:
        task: A QM9 task.
        split: ``valid`` or ``test``.
        source: ``mmff`` or ``xtb``.
        n: How many; those that get no geometry are left out, with a message.
        cache: Folder that keeps the geometries.

    Returns:
        The molecules, with the targets of the data set.

    Raises:
        ConfigError: The data set has no SMILES, or no molecule got a geometry.
    """
    smiles = task.smiles(split)
    if smiles is None:
        raise ConfigError(f"{source} geometries are made from SMILES, which the data set does not have")
    molecules = task.split(split)
    chosen = torch.randperm(len(molecules), generator=torch.Generator().manual_seed(0))[:n]
    texts = [_with_stereo(smiles[i], molecules, i) for i in chosen.tolist()]
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    name = f"qm9-{task.split_seed}-{split}-{source}-{len(chosen)}-v{_VERSION}-{digest}.npz"
    file = None if cache is None else Path(cache) / name
    made = _read(file) if file is not None and file.is_file() else {}
    if not made:
        made = _make(texts, source)
        if file is not None:
            _write(file, made)
    kept = torch.from_numpy(made["row"])
    if len(kept) < len(chosen):
        log.warning("%d of %d molecules got no %s geometry", len(chosen) - len(kept), len(chosen), source)
    rows = chosen[kept]
    sizes = torch.from_numpy(made["size"])
    ptr = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])
    z, pos = torch.from_numpy(made["z"]), torch.from_numpy(made["pos"]).float()
    return MoleculeSet(z, pos, ptr, molecules.y[rows], molecules.index[rows])


def _with_stereo(smiles: str, molecules: MoleculeSet, row: int) -> str:
    from equizoo.data.geometry_graphs import smiles_of_geometry

    atoms = slice(int(molecules.ptr[row]), int(molecules.ptr[row + 1]))
    z, pos = molecules.z[atoms].numpy(), molecules.pos[atoms].double().numpy()
    return smiles_of_geometry(smiles, z, pos) or smiles


def _make(smiles: list[str], source: str) -> dict[str, np.ndarray]:
    from equizoo.pipelines.geometry import Refused
    from equizoo.pipelines.molecules import Preparation
    from equizoo.pipelines.readers import Entry

    preparation = Preparation(ELEMENTS, geometry=source)
    rows, made = [], []
    for row, text in enumerate(tqdm(smiles, f"{source} geometries", disable=None)):
        try:
            made.append(preparation.prepare(Entry(text, text)))
            rows.append(row)
        except Refused as reason:
            log.info("%s: %s", text, reason)
    if not made:
        raise ConfigError(f"none of the {len(smiles)} molecules got a geometry from {source}")
    return {
        "row": np.array(rows, dtype=np.int64),
        "size": np.array([len(m.z) for m in made], dtype=np.int64),
        "z": np.concatenate([m.z for m in made]),
        "pos": np.concatenate([m.pos for m in made]),
    }


def _read(file: Path) -> dict[str, np.ndarray]:
    """Return what the file has, and nothing if it is damaged."""
    try:
        with open(file, "rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in ("row", "size", "z", "pos")}
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        log.warning("%s is damaged and is made again: %s", file, error)
        return {}


def _write(file: Path, made: dict[str, np.ndarray]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as part:
        np.savez_compressed(part, **made)

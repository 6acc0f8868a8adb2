"""Files of simulated particles: the cache of what was simulated here, and the original released arrays."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from equizoo._replacing import replacing
from equizoo.data.nbody_worlds import World
from equizoo.data.qm9_files import Source

log = logging.getLogger(__name__)

#: Part of the name of cached files; a change of what a seed gives raises it.
GENERATOR_VERSION = 1

SOURCES = {
    "nbody_small": Source(
        "charged-particle systems, simulated again with the settings of EGNN's nbody_small",
        "https://github.com/vgsatorras/egnn/tree/main/n_body_system/dataset",
        "MIT",
        None,
    )
}


class Frames(NamedTuple):
    """Stored systems: ``pos`` and ``vel`` (S, F, n, 3) float32, ``charge`` (S, n) int8."""

    pos: np.ndarray
    vel: np.ndarray
    charge: np.ndarray


def settings(world: World, seed: int, counts: Sequence[int]) -> dict[str, Any]:
    """Return everything that the stored systems depend on."""
    return {
        "version": GENERATOR_VERSION,
        "world": {**asdict(world), "drag": list(world.drag)},
        "seed": seed,
        "counts": list(counts),
    }


def folders(root: str | os.PathLike[str] | None) -> list[Path]:
    """Return where systems are looked for and kept: ``root`` or ``$EQUIZOO_DATA``, then the user's cache."""
    given = root or os.environ.get("EQUIZOO_DATA")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "equizoo"
    return [Path(given).expanduser(), cache] if given else [cache]


def cache_name(world: World, depends_on: Mapping[str, Any]) -> str:
    """Return the file name of the stored systems, with a hash of their settings."""
    digest = hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:12]
    return f"nbody-{world.name}-{world.particles}-{digest}.npz"


def read_cache(path: Path, depends_on: Mapping[str, Any]) -> Frames | None:
    """Read stored systems; None, with a warning, if the file is damaged or holds other systems."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            frames = Frames(arrays["pos"], arrays["vel"], arrays["charge"])
            found, digest = json.loads(str(arrays["settings"])), str(arrays["sha256"])
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        log.warning("%s cannot be read (%s); the systems are simulated again", path, error)
        return None
    if found != depends_on:
        log.warning("%s holds other systems than its name says; the systems are simulated again", path)
        return None
    if digest != _sha256(frames):
        log.warning("%s is damaged: its SHA-256 differs; the systems are simulated again", path)
        return None
    return frames


def write_cache(
    frames: Frames, name: str, depends_on: Mapping[str, Any], places: Sequence[Path]
) -> Path | None:
    """Keep systems in the first of ``places`` that can be written; None, with a warning, if none can.

    The file appears under its name when it is complete.
    """
    problems = []
    for folder in places:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(folder / name) as part, open(part, "wb") as file:
                np.savez(
                    file,
                    **frames._asdict(),
                    settings=np.array(json.dumps(depends_on)),
                    sha256=np.array(_sha256(frames)),
                )
        except OSError as error:
            problems.append(str(error))
            continue
        return folder / name
    log.warning("the simulated systems are kept in memory only: %s", "; ".join(problems))
    return None


def _sha256(frames: Frames) -> str:
    digest = hashlib.sha256()
    for array in frames:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def find_released(places: Sequence[Path], split: str) -> Path | None:
    """Return the ``loc`` file of a split as EGNN's code writes it, in one of ``places`` or its ``nbody``."""
    name = f"loc_{split}_charged5_initvel1small.npy"
    paths = (folder / name for place in places for folder in (place, place / "nbody"))
    return next((path for path in paths if path.is_file()), None)


def read_released(loc: Path) -> Frames:
    """Read the original arrays of a split: ``loc``, ``vel`` (S, 49, 3, 5) and ``charges`` (S, 5, 1).

    Args:
        loc: The file of positions; ``vel_…`` and ``charges_…`` lie beside it.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is not what the published code writes.
    """
    arrays = {}
    for part in ("loc", "vel", "charges"):
        path = loc.with_name(part + loc.name.removeprefix("loc"))
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; it belongs to {loc.name}")
        try:
            arrays[part] = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path} is not a numpy array: {error}") from error
        shape = (5, 1) if part == "charges" else (49, 3, 5)
        if arrays[part].shape != (arrays["loc"].shape[0], *shape):
            wanted = f"({arrays['loc'].shape[0]}, {', '.join(map(str, shape))})"
            raise ValueError(f"{path} has shape {arrays[part].shape}, not {wanted}")
        if not np.isfinite(arrays[part]).all():
            raise ValueError(f"{path} is damaged: a value is not a finite number")
    pos, vel = (arrays[part].transpose(0, 1, 3, 2).astype(np.float32) for part in ("loc", "vel"))
    return Frames(pos, vel, arrays["charges"][..., 0].astype(np.int8))

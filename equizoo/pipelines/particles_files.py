"""Files of particle systems: ``.npz`` and ``.csv``. Nothing in them is executed and their size is bounded."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import zipfile
from pathlib import Path

import numpy as np

from equizoo.pipelines.particles_systems import BadSystems, Systems, from_arrays

SUFFIXES = (".npz", ".csv")
#: Names under which an ``.npz`` file may hold each array.
ALIASES = {
    "pos": ("pos", "positions", "position", "loc", "x", "r"),
    "vel": ("vel", "velocities", "velocity", "v"),
    "charge": ("charge", "charges", "q"),
}
_COLUMNS = ("x", "y", "z", "vx", "vy", "vz", "q")
_LARGEST = 512 * 2**20  # bytes


def read_systems(path: str | os.PathLike[str], max_particles: int = 500) -> Systems:
    """Read the systems of a file.

    An ``.npz`` file holds ``pos``, ``vel`` and ``charge`` (or one of :data:`ALIASES`), shaped as for
    :func:`~equizoo.pipelines.particles_systems.from_arrays`. A ``.csv`` file has a line a particle and the
    header ``system,particle,x,y,z,vx,vy,vz,q`` in any order; without ``system`` it is one system, without
    ``particle`` the order of the lines counts.

    Args:
        path: The file.
        max_particles: Largest number of particles a system.

    Returns:
        The systems, in the order of the file.

    Raises:
        BadSystems: The file cannot be read, or what it holds is not answered; the message says why.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise BadSystems(f"files like {path.name!r} are not read, only {', '.join(SUFFIXES)}")
    try:
        if path.stat().st_size > _LARGEST:
            raise BadSystems(f"{path.name}: the file is larger than {_LARGEST >> 20} MB; split it")
        data = path.read_bytes()
    except OSError as error:
        raise BadSystems(f"{path}: the file cannot be read: {error.strerror}") from None
    try:
        if path.suffix.lower() == ".npz":
            arrays, names = _read_npz(data), []
        else:
            arrays, names = _read_csv(data.decode("utf-8-sig", errors="replace"))
        systems = from_arrays(*arrays, names, max_particles=max_particles)
        return dataclasses.replace(systems, single=False)
    except BadSystems as error:
        raise BadSystems(f"{path.name}: {error}") from None


def _read_npz(data: bytes) -> list[np.ndarray]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
            if sum(sizes.values()) > _LARGEST:
                raise BadSystems(f"the arrays are larger than {_LARGEST >> 20} MB; split the file")
            arrays = []
            for aliases in ALIASES.values():
                name = next((alias for alias in aliases if alias in sizes), None)
                if name is None:
                    raise BadSystems(f"the file has no array {aliases[0]!r}; its arrays are {sorted(sizes)}")
                content = io.BytesIO(archive.read(f"{name}.npy"))
                arrays.append(np.lib.format.read_array(content, allow_pickle=False))
    except (zipfile.BadZipFile, KeyError, EOFError, MemoryError) as error:
        raise BadSystems(f"not a whole .npz file ({error})") from None
    except ValueError as error:
        if isinstance(error, BadSystems):
            raise
        raise BadSystems(f"an array cannot be read ({error})") from None
    return arrays


def _read_csv(text: str) -> tuple[list[np.ndarray], list[str]]:
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    lines = csv.DictReader(text.splitlines(), delimiter=delimiter, restval="", skipinitialspace=True)
    lines.fieldnames = [name.strip().lower() for name in lines.fieldnames or ()]
    if missing := [column for column in _COLUMNS if column not in lines.fieldnames]:
        raise BadSystems(f"the file has no column {', '.join(missing)}; its columns are {lines.fieldnames}")
    systems: dict[str, dict[float, list[float]]] = {}
    try:
        for line in lines:
            if any(cell and str(cell).strip() for cell in line.values()):
                _add_particle(systems, line, f"line {lines.line_num}")
    except csv.Error as error:
        raise BadSystems(f"line {lines.line_num}: {error}") from None
    if not systems:
        raise BadSystems("the file has no particles")
    sizes = {name: len(particles) for name, particles in systems.items()}
    if len(set(sizes.values())) > 1:
        few, many = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
        raise BadSystems(
            f"system {few} has {sizes[few]} particles and system {many} has {sizes[many]}: "
            "put systems of different sizes into files of their own"
        )
    table = np.array([[rows[k] for k in sorted(rows)] for rows in systems.values()]).reshape(
        len(systems), -1, 7
    )
    return [table[..., :3], table[..., 3:6], table[..., 6]], list(systems)


def _add_particle(systems: dict[str, dict[float, list[float]]], line: dict[str, str], place: str) -> None:
    particles = systems.setdefault((line.get("system") or "1").strip(), {})
    key: float = len(particles)
    if None in line:  # where csv puts the cells that have no column
        raise BadSystems(f"{place} has more cells than the header has columns")
    for column in (*_COLUMNS, *(("particle",) if "particle" in line else ())):
        try:
            number = float(line[column])
        except ValueError:
            raise BadSystems(f"{place}: {column} is {line[column]!r}, which is not a number") from None
        key = number if column == "particle" else key
    if key != key:
        raise BadSystems(f"{place}: particle is {line['particle']!r}, which is not a number")
    if key in particles:
        raise BadSystems(f"{place}: particle {line['particle'].strip()} of this system is there already")
    particles[key] = [float(line[column]) for column in _COLUMNS]

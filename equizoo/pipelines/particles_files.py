"""Files of particle systems: ``.npz`` and ``.csv``. Nothing in them is executed and their size is bounded."""

from __future__ import annotations

import csv
import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equizoo.pipelines.arrays import read_npz
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


class _Particle(NamedTuple):
    """A line of a ``.csv`` file: what the particle is called, and the numbers of :data:`_COLUMNS`."""

    label: str
    numbers: list[float]


def read_systems(path: str | os.PathLike[str], max_particles: int = 500) -> Systems:
    """Read the systems of a file.

    An ``.npz`` file holds ``pos``, ``vel`` and ``charge`` (or one of :data:`ALIASES`), shaped as for
    :func:`~equizoo.pipelines.particles_systems.from_arrays`. A ``.csv`` file has a line a particle and the
    header ``system,particle,x,y,z,vx,vy,vz,q`` in any order; without ``system`` it is one system, without
    ``particle`` the order of the lines counts. Particles are sorted by their number and keep it.

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
            arrays = read_npz(data, ALIASES, ALIASES, _LARGEST)
            systems = from_arrays(*(arrays[name] for name in ALIASES), max_particles=max_particles)
        else:
            systems = _read_csv(data.decode("utf-8-sig", errors="replace"), max_particles)
        return dataclasses.replace(systems, single=False)
    except ValueError as error:
        raise BadSystems(f"{path.name}: {error}") from None


def _read_csv(text: str, max_particles: int) -> Systems:
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    lines = csv.DictReader(text.splitlines(), delimiter=delimiter, restval="", skipinitialspace=True)
    lines.fieldnames = [name.strip().lower() for name in lines.fieldnames or ()]
    if missing := [column for column in _COLUMNS if column not in lines.fieldnames]:
        raise BadSystems(f"the file has no column {', '.join(missing)}; its columns are {lines.fieldnames}")
    systems: dict[str, dict[float, _Particle]] = {}
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
    ordered = [[particles[k] for k in sorted(particles)] for particles in systems.values()]
    table = np.array([[particle.numbers for particle in particles] for particles in ordered])
    labels = [tuple(particle.label for particle in particles) for particles in ordered]
    arrays = table[..., :3], table[..., 3:6], table[..., 6]
    return from_arrays(*arrays, list(systems), labels, max_particles=max_particles)


def _add_particle(systems: dict[str, dict[float, _Particle]], line: dict[str, str], place: str) -> None:
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
    label = line.get("particle", str(len(particles) + 1)).strip()
    particles[key] = _Particle(label, [float(line[column]) for column in _COLUMNS])

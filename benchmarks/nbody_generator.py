"""The charged-particle generator beside the released one: same seed, same systems, one thread.

    python benchmarks/nbody_generator.py --reference egnn/n_body_system/dataset [--systems 14000]

``--reference`` is that folder of a checkout of github.com/vgsatorras/egnn (commit e9ca6c0); without
it only our figures are printed. The released code makes ``--reference-systems`` systems, whose trajectories
are compared with ours. Neither compilation, whose result is kept on disk, nor the import of the released
code is timed; both sides make one system first.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from _processor import processor

from equizoo.data.nbody import World, simulate


def timed(make: Callable[[], object]) -> tuple[object, float, float]:
    """Return what ``make`` makes, the CPU seconds and the wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    made = make()
    return made, time.process_time() - cpu, time.perf_counter() - wall


def released(folder: Path) -> Any:
    """Return the simulation of the released code."""
    sys.path.insert(0, str(folder))
    from synthetic_sim import ChargedParticlesSim

    with contextlib.redirect_stdout(io.StringIO()):
        return ChargedParticlesSim(noise_var=0.0, n_balls=5, vel_norm=0.5)


def trajectories(simulation: Any, systems: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``loc (S, 49, 5, 3)`` and ``charges (S, 5)`` of the released simulation."""
    np.random.seed(43)
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(invalid="ignore"):
        made = [simulation.sample_trajectory(T=5000, sample_freq=100) for _ in range(systems)]
    return np.stack([m[0] for m in made]).transpose(0, 1, 3, 2), np.stack([m[3] for m in made])[..., 0]


def without_numba() -> mock._patch:
    """Return a context in which numba seems not to be installed."""
    find = importlib.util.find_spec
    return mock.patch("importlib.util.find_spec", lambda name: None if name == "numba" else find(name))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, help="n_body_system/dataset of the released code")
    parser.add_argument("--reference-systems", type=int, default=50)
    parser.add_argument("--systems", type=int, default=14_000)
    options = parser.parse_args()
    simulate(World(), 1, 43, length=200)  # compiles
    print(f"{processor()}, numpy {np.__version__}, one thread")
    ours, cpu, wall = timed(lambda: simulate(World(), options.systems, 43))
    print(f"compiled   {options.systems:6d} systems {cpu:7.2f} s CPU {wall:7.2f} s wall")
    compiled_each = cpu / options.systems
    with without_numba():
        _, cpu, wall = timed(lambda: simulate(World(), 1024, 43))
    numpy_each = cpu / 1024
    print(f"numpy      {1024:6d} systems {cpu:7.2f} s CPU {wall:7.2f} s wall")
    if options.reference:
        count = options.reference_systems
        simulation = released(options.reference)
        trajectories(simulation, 1)  # warms up
        (loc, charges), cpu, wall = timed(lambda: trajectories(simulation, count))
        print(f"released   {count:6d} systems {cpu:7.2f} s CPU {wall:7.2f} s wall")
        error = np.abs(ours.pos[:count].numpy() - loc).max((1, 2, 3))
        equal = np.array_equal(ours.charge[:count].numpy(), charges)
        print(f"charges equal: {equal}; positions: median {np.median(error):.1e}, largest {error.max():.1e}")
        each = cpu / count
        print(f"ratios of CPU time: compiled {each / compiled_each:.0f}, numpy {each / numpy_each:.0f}")
    for particles in (3, 10, 20, 50):
        _, cpu, _ = timed(lambda n=particles: simulate(World(particles=n), 64, 43))
        print(f"{particles:3d} particles: {1e3 * cpu / 64:8.2f} ms a system, compiled")


if __name__ == "__main__":
    main()

"""What the conformer task is told, the sets that it reads, and the pairs that it learns from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equizoo.data.conformers import ConformerSet
from equizoo.models.conformer_flow import PRIORS
from equizoo.models.molecule_batch import Molecule
from equizoo.training.config import ConfigError, from_dict
from equizoo.training.tasks.synthetic_conformers import synthetic_conformers

TIMES = ("uniform", "early")


@dataclass
class ConformersOptions:
    """Options of the task.

    Attributes:
        name: Name of the prepared sets, see :mod:`equizoo.data.prepare_conformers`.
        prior: What the flow starts from: ``harmonic``, or the starts of the sets, which are ``etkdg`` or
            ``mmff`` geometries as the sets were prepared.
        nearest: Largest deviation of a training pair, over all atoms [Å]; a start that is farther from every
            reference belongs to a conformer that is not among them.
        farthest: Largest way of an atom in a training pair [Å]; None: any. Where a start has several ends,
            such as rotamers of a hydroxyl group, the flow learns their mean, which is none of them.
        noise: Size of the noise around a path [Å].
        times: How training times are drawn: ``uniform``, as published, or ``early``, with the density
            ``2(1 − t)``: late on a short path nothing tells where it began, and a few steps see little of it.
        steps: Steps of the sampler when conformers are measured.
        threshold: Largest RMSD of a conformer that counts as found [Å]; published for QM9: 0.5.
        earliest: Training times lie between this and 1 minus this.
        references: Largest number of reference conformers of a molecule that are measured with; None: all, as
            published.
        root: Folder of the data; None: ``$EQUIZOO_DATA``.
        synthetic: Make up so many molecules instead of reading any.
    """

    name: str = "qm9"
    prior: str = "etkdg"
    nearest: float = 0.7
    farthest: float | None = None
    noise: float = 0.05
    times: str = "uniform"
    steps: int = 10
    threshold: float = 0.5
    earliest: float = 1e-3
    references: int | None = 12
    root: str | None = None
    synthetic: int = 0


@dataclass(frozen=True)
class Pairs:
    """Starts and the conformers that they are to be carried to.

    Attributes:
        molecules: The molecules, as models take them.
        molecule: Molecule of each pair.
        start: Positions ``(N, 3)`` of each pair to start from; empty with the harmonic prior.
        end: Positions ``(N, 3)`` of the conformer of each pair.
    """

    molecules: list[Molecule]
    molecule: list[int]
    start: list[np.ndarray]
    end: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.molecule)


def read_options(data_cfg: dict[str, Any]) -> ConformersOptions:
    """Return the options of the task.

    Raises:
        ConfigError: Unknown option, or a value that cannot be used.

    Example:
        >>> read_options({"prior": "harmonic"}).steps
        10
    """
    options = from_dict(data_cfg, ConformersOptions, "data.")
    if options.times not in TIMES:
        raise ConfigError(f"data.times is one of {TIMES}, got {options.times!r}")
    if options.prior not in PRIORS:
        raise ConfigError(f"data.prior is one of {PRIORS}, got {options.prior!r}")
    if (
        min(options.steps, options.steps if options.references is None else options.references) < 1
        or options.noise < 0
        or not 0 < options.earliest < 0.5
        or min(options.threshold, options.nearest) <= 0
        or (options.farthest is not None and options.farthest <= 0)
    ):
        raise ConfigError(
            "data needs steps >= 1, noise >= 0, threshold > 0, nearest > 0, farthest > 0 or none, "
            f"references >= 1 or none, and earliest in (0, 0.5), got {options}"
        )
    return options


def read_set(options: ConformersOptions, split: str) -> ConformerSet:
    """Return the molecules of ``train``, ``valid`` or ``test``, or made-up ones.

    Raises:
        FileNotFoundError: There is no such file; the message says how to make it.
        ConfigError: The file is no set of conformers.
    """
    if options.synthetic:
        return synthetic_conformers(options.synthetic, split)
    folder, file = options.root or os.environ.get("EQUIZOO_DATA"), f"conformers-{options.name}-{split}.npz"
    if folder is None or not (Path(folder) / file).is_file():
        maker = "prepare_geom" if options.name.startswith("geom") else "prepare_conformers"
        raise FileNotFoundError(
            f"no {file} in {folder or 'data.root, which is not given, or $EQUIZOO_DATA, which is not set'}; "
            f"make it with `python -m equizoo.data.{maker} --help`"
        )
    try:
        return ConformerSet.load(Path(folder) / file)
    except ValueError as error:
        raise ConfigError(f"data: {error}") from None


def pairs_of(conformers: ConformerSet, options: ConformersOptions, split: str) -> Pairs:
    """Return starts of molecules with the conformers that they are to be carried to.

    Args:
        conformers: The molecules.
        options: With the harmonic prior every conformer is an end, and starts are left to it.
        split: ``train``: all pairs that are near enough; otherwise the first pair of each molecule.

    Raises:
        ConfigError: No pair is left.
    """
    harmonic, most = options.prior == "harmonic", None if split == "train" else 1
    pairs = Pairs([Molecule.of(conformers.graph(i)) for i in range(len(conformers))], [], [], [])
    for i in range(len(conformers)):
        if harmonic:
            ends = starts = conformers.conformers(i)
        else:
            starts, ends, deviation = conformers.pairs(i)
            if split == "train":
                way = np.linalg.norm(starts - ends, axis=-1).max(-1, initial=0.0)
                near = deviation <= options.nearest
                if options.farthest is not None:
                    near &= way <= options.farthest
                starts, ends = starts[near], ends[near]
        pairs.molecule.extend([i] * len(ends[:most]))
        pairs.start.extend([] if harmonic else starts[:most])
        pairs.end.extend(ends[:most])
    if not len(pairs):
        raise ConfigError(f"data.name {options.name!r} has no pairs for data.prior {options.prior!r}")
    return pairs

"""QM9: 133,885 molecules of H, C, N, O, F with up to nine heavy atoms, and twelve B3LYP properties of each.

References:
    R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, "Quantum chemistry structures and properties
    of 134 kilo molecules", Scientific Data 1, 140022 (2014); public domain (CC0).
    B. Anderson, T.-S. Hy, R. Kondor, "Cormorant", NeurIPS 2019, appendix: the standard split.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from equizoo.data.molecules import MoleculeSet
from equizoo.data.qm9_files import RawQM9, find_qm9, how_to_get_qm9, read_qm9, read_smiles
from equizoo.data.units import HARTREE_TO_EV

log = logging.getLogger(__name__)


class Target(NamedTuple):
    """One column of the QM9 table: its name, its unit in the published tables, and what it is."""

    name: str
    unit: str
    description: str


TARGETS = (
    Target("mu", "D", "dipole moment"),
    Target("alpha", "a0³", "isotropic polarizability"),
    Target("homo", "eV", "HOMO energy"),
    Target("lumo", "eV", "LUMO energy"),
    Target("gap", "eV", "HOMO–LUMO gap"),
    Target("r2", "a0²", "electronic extent"),
    Target("zpve", "eV", "zero-point energy"),
    Target("U0", "eV", "internal energy, 0 K"),
    Target("U", "eV", "internal energy, 298 K"),
    Target("H", "eV", "enthalpy, 298 K"),
    Target("G", "eV", "free energy, 298 K"),
    Target("Cv", "cal/mol/K", "heat capacity, 298 K"),
)
TARGET_NAMES = tuple(target.name for target in TARGETS)
ENERGIES = ("U0", "U", "H", "G")
ELEMENTS = ("H", "C", "N", "O", "F")
ATOMIC_NUMBERS = (1, 6, 7, 8, 9)

_FREE_ATOMS = torch.tensor(  # U0, U, H, G [Ha] and Cv [cal/mol/K] of H, C, N, O, F (atomref.txt)
    [
        [-0.500273, -0.498857, -0.497912, -0.510927, 2.981],
        [-37.846772, -37.845355, -37.844411, -37.861317, 2.981],
        [-54.583861, -54.582445, -54.581501, -54.598897, 2.981],
        [-75.064579, -75.063163, -75.062219, -75.079532, 2.981],
        [-99.718730, -99.717314, -99.716370, -99.733544, 2.981],
    ],
    dtype=torch.float64,
)
#: (5, 5) float64: U0, U, H, G [eV] and Cv [cal/mol/K] of the free atoms H, C, N, O, F.
ATOM_REFERENCES = torch.cat([_FREE_ATOMS[:, :4] * HARTREE_TO_EV, _FREE_ATOMS[:, 4:]], dim=1)

_PARTS = {"train": 0, "valid": 1, "test": 2, "uncharacterized": 255}
_SIZE, _N_UNCHARACTERIZED, _N_TRAIN, _N_TEST = 133_885, 3_054, 100_000, 13_083


def atom_reference(z: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    """Sum the energies of the free atoms of each molecule.

    The sum is what a multi-target model's energies are relative to; it is zero for the eight other targets.

    Args:
        z: (N,) atomic numbers.
        batch: (N,) int64 molecule of each atom.
        num_graphs: Number of molecules, B.

    Returns:
        (B, 12) float64, zero except in the columns of U0, U, H, G [eV].

    Raises:
        ValueError: An element without a reference.

    Example:
        >>> h2 = atom_reference(torch.tensor([1, 1]), torch.tensor([0, 0]), 1)
        >>> round(h2[0, TARGET_NAMES.index("U0")].item(), 3)
        -27.226
    """
    table = torch.full((256, 4), torch.nan, dtype=torch.float64, device=z.device)
    table[list(ATOMIC_NUMBERS)] = ATOM_REFERENCES[:, :4].to(z.device)
    atoms = table[z.long()]
    if bool(atoms.isnan().any()):
        unknown = sorted(set(z[atoms.isnan().any(1)].tolist()))
        raise ValueError(f"no reference energy for atomic numbers {unknown}, only for {', '.join(ELEMENTS)}")
    first = TARGET_NAMES.index("U0")
    sums = torch.zeros(num_graphs, len(TARGETS), dtype=torch.float64, device=z.device)
    sums[:, first : first + 4].index_add_(0, batch, atoms)
    return sums


def standard_split(index: np.ndarray, uncharacterized: np.ndarray) -> np.ndarray:
    """Assign molecules to the split of Cormorant, EGNN and SEGNN: 100,000 train, 17,748 valid, 13,083 test.

    Args:
        index: (M,) numbers of the molecules, 1 to 133,885.
        uncharacterized: The 3,054 numbers that failed the consistency check, which belong to no part.

    Returns:
        (M,) uint8: 0 train, 1 valid, 2 test, 255 uncharacterised.

    Raises:
        ValueError: The list does not have 3,054 different numbers.
    """
    left_out = np.unique(uncharacterized)
    if len(left_out) != _N_UNCHARACTERIZED:
        raise ValueError(f"the list of uncharacterised molecules has {len(left_out)} numbers, not 3,054")
    kept = np.setdiff1d(np.arange(1, _SIZE + 1), left_out)
    order = kept[np.random.RandomState(0).permutation(len(kept))]
    part = np.full(_SIZE + 1, _PARTS["uncharacterized"], dtype=np.uint8)
    part[order[:_N_TRAIN]] = _PARTS["train"]
    part[order[_N_TRAIN:-_N_TEST]] = _PARTS["valid"]
    part[order[-_N_TEST:]] = _PARTS["test"]
    return part[index]


@dataclass(frozen=True)
class QM9:
    """The data set in memory.

    Attributes:
        molecules: All molecules, the uncharacterised ones too, targets in the units of ``TARGETS``.
        part: (M,) uint8 part of the standard split: 0 train, 1 valid, 2 test, 255 uncharacterised.
        smiles: SMILES of each molecule (from the molecular graphs of GDB-17), if they were found.
    """

    molecules: MoleculeSet
    part: Tensor
    smiles: tuple[str, ...] | None = None

    def rows(self, part: str, seed: int | None = None) -> Tensor:
        """Return the positions (n,) int64 in ``molecules`` of a part of a split; see :meth:`split`."""
        if part not in _PARTS:
            raise ValueError(f"no part named {part!r}; the parts are {', '.join(_PARTS)}")
        if seed is None or part == "uncharacterized":
            return (self.part == _PARTS[part]).nonzero()[:, 0]
        kept = (self.part != _PARTS["uncharacterized"]).nonzero()[:, 0]
        order = kept[torch.randperm(len(kept), generator=torch.Generator().manual_seed(seed))]
        ends = int(0.8 * len(kept)), int(0.8 * len(kept)) + int(0.1 * len(kept))
        return order.tensor_split(ends)[_PARTS[part]]

    def split(self, part: str, seed: int | None = None) -> MoleculeSet:
        """Return one part of a split.

        Args:
            part: ``"train"``, ``"valid"``, ``"test"``, or ``"uncharacterized"`` (in no split).
            seed: None for the standard split; a number for the shuffled 80/10/10 of the ACE paper's protocol,
                which is different for each seed.

        Returns:
            The molecules of the part; in the standard split, ordered by their numbers.

        Raises:
            ValueError: There is no such part.
        """
        return self.molecules.subset(self.rows(part, seed))


def load_qm9(root: str | os.PathLike[str] | None = None) -> QM9:
    """Load QM9 from a folder, in whichever of its formats is there.

    The folder may have a prepared ``qm9.npz``, or the original ``dsgdb9nsd.xyz.tar.bz2`` (or its files in a
    folder ``dsgdb9nsd.xyz``), or DeepChem's ``gdb9.tar.gz`` (or ``gdb9.sdf`` and ``gdb9.sdf.csv``); the
    original formats need ``uncharacterized.txt`` beside them. Parsing an original takes about a minute;
    :func:`equizoo.data.qm9_files.write_prepared` keeps the result.

    Args:
        root: The folder; the environment variable ``EQUIZOO_DATA`` unless given.

    Returns:
        The molecules, their split, and their SMILES where the files have them.

    Raises:
        FileNotFoundError: The folder or the files are missing; the message says which files to put where.
        ValueError: A file is damaged; the message names it.
    """
    root = root or os.environ.get("EQUIZOO_DATA")
    if not root:
        raise FileNotFoundError(
            "no data folder: set EQUIZOO_DATA, or pass root= (on a command line --data).\n"
            + how_to_get_qm9("it")
        )
    folder = Path(root).expanduser()
    source = find_qm9(folder)
    if source is None:
        raise FileNotFoundError(f"QM9 is not in {folder}.\n" + how_to_get_qm9(str(folder)))
    raw = read_qm9(source)
    if len(raw.index) != _SIZE:
        log.warning("%s has %s of the %s molecules of QM9", source.path, f"{len(raw.index):,}", f"{_SIZE:,}")
    part = torch.from_numpy(standard_split(raw.index, raw.uncharacterized))
    return QM9(_table_units(raw), part, _smiles(raw, source.path))


def _smiles(raw: RawQM9, path: Path) -> tuple[str, ...] | None:
    names = raw.smiles or read_smiles(path.parent)
    if names is None or any(int(i) not in names for i in raw.index):
        return None
    return tuple(names[int(i)] for i in raw.index)


def _table_units(raw: RawQM9) -> MoleculeSet:
    y = torch.tensor(raw.targets, dtype=torch.float64)
    y[:, [i for i, target in enumerate(TARGETS) if target.unit == "eV"]] *= HARTREE_TO_EV
    ptr = torch.from_numpy(np.concatenate([[0], np.cumsum(raw.n_atoms)]))
    pos = torch.tensor(raw.pos, dtype=torch.float32)
    return MoleculeSet(torch.tensor(raw.z), pos, ptr, y, torch.tensor(raw.index, dtype=torch.int64))

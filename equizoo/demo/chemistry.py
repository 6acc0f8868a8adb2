"""From SMILES and files to molecules, in processes of their own."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equizoo.demo.answering import Declined
from equizoo.demo.limits import ATOMS, SMILES_LENGTH
from equizoo.demo.processes import Workers
from equizoo.pipelines.molecules import Molecule

_WORKERS = Workers("equizoo.demo.molecule_worker", "molecule")


@dataclass(frozen=True)
class Drawn:
    """A molecule with what is needed to draw it.

    Attributes:
        molecule: Ready for a model.
        bonds: (i, j, order) each.
        name: What its file calls it, or None.
        more: Further molecules in the file, which are not answered.
    """

    molecule: Molecule
    bonds: tuple[tuple[int, int, int], ...]
    name: str | None
    more: int


def from_smiles(smiles: str, elements: tuple[str, ...], seed: int = 0) -> Drawn:
    """Return the molecule of a SMILES string, with a geometry from ETKDGv3 and MMFF94.

    Args:
        smiles: At most 200 characters.
        elements: Symbols that the model knows.
        seed: Seed of the embedding.

    Raises:
        Declined: It cannot be answered; the message says why.
    """
    text = str(smiles or "").strip()
    if not text:
        raise Declined("there is no molecule yet: type a SMILES string such as CCO, or choose an example")
    if len(text) > SMILES_LENGTH:
        raise Declined(f"{len(text)} characters of SMILES are more than the limit of {SMILES_LENGTH} here")
    return _from_smiles(text, elements, seed)


@functools.lru_cache(maxsize=256)
def _from_smiles(text: str, elements: tuple[str, ...], seed: int) -> Drawn:
    return _ask({"smiles": text, "elements": elements, "max_atoms": ATOMS, "seed": seed})


def from_file(path: Path, elements: tuple[str, ...], seed: int = 0) -> Drawn:
    """Return the first molecule of an ``.xyz`` or ``.sdf`` file.

    Raises:
        Declined: It cannot be answered; the message says why.
    """
    return _ask({"path": str(path), "elements": elements, "max_atoms": ATOMS, "seed": seed})


def _ask(request: dict[str, Any]) -> Drawn:
    reply = _WORKERS.ask(request)
    molecule = Molecule(
        np.array(reply["z"], dtype=np.int64),
        np.array(reply["pos"], dtype=np.float64),
        reply["geometry"],
        reply["smiles"],
        reply["oddity"],
    )
    bonds = tuple((i, j, order) for i, j, order in reply["bonds"])
    return Drawn(molecule, bonds, reply["name"], reply["more"])

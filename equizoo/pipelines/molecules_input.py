"""Molecules, not yet looked at: from SMILES strings, objects and files to entries."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from equizoo.pipelines.arrays import as_floats, plain
from equizoo.pipelines.readers import OTHER_TASKS, Coordinates, Entry, read_file, unread

_ENDINGS = "xyz sdf smi csv smiles mol mol2 pdb cif txt json gz".split() + [
    ending[1:] for ending in OTHER_TASKS
]
_FILE_NAME = re.compile(rf"\.({'|'.join(_ENDINGS)})$", re.IGNORECASE)


def expand(inputs: Any, smiles_column: str | None = None) -> tuple[list[Entry], bool]:
    """List the molecules of an input.

    Args:
        inputs: One input, or several in a list, tuple, array, column of a table, set or iterator; a file or a
            PyG ``Batch`` holds many molecules. An :class:`~equizoo.pipelines.readers.Entry` is one already.
        smiles_column: Column of CSV files that has the SMILES.

    Returns:
        The entries in the order of the input, and whether the input was one molecule by itself.
    """
    if _is_several(inputs):
        return [entry for item in inputs for entry in _entries(item, smiles_column)], False
    entries = list(_entries(inputs, smiles_column))
    return entries, not (is_path(inputs) or _is_batch(inputs))


def _is_several(inputs: Any) -> bool:
    if isinstance(inputs, (str, bytes)):
        return False
    return isinstance(inputs, (Sequence, Set, Iterator)) or getattr(inputs, "ndim", 0) == 1


def is_path(item: Any) -> bool:
    """Return whether an input is taken for the name of a file."""
    if isinstance(item, os.PathLike):
        return True
    return isinstance(item, str) and _FILE_NAME.search(item.strip()) is not None


def _is_batch(item: Any) -> bool:
    return hasattr(item, "to_data_list")


def _entries(item: Any, smiles_column: str | None) -> Iterator[Entry]:
    if isinstance(item, Entry):
        yield item
    elif is_path(item):
        yield from read_file(Path(item).expanduser(), smiles_column)
    elif isinstance(item, str):
        yield _from_text(item)
    elif hasattr(item, "GetNumAtoms"):
        name = item.GetProp("_Name") if item.HasProp("_Name") else None
        yield Entry(name or "RDKit Mol", item, name or None)
    elif hasattr(item, "get_atomic_numbers"):
        yield _attempt(_from_ase, item, "ASE Atoms")
    elif _is_batch(item):
        for number, data in enumerate(item.to_data_list(), 1):
            yield _attempt(_from_pyg, data, f"PyG Batch, graph {number}")
    elif hasattr(item, "pos") and hasattr(item, "z"):
        yield _attempt(_from_pyg, item, "PyG Data")
    else:
        kind = type(item).__name__
        known = "a SMILES string, an RDKit Mol, ASE Atoms, PyG Data with z and pos, or a file"
        yield Entry(f"{kind} object", error=f"a molecule is {known}, not {kind}")


def _from_text(text: str) -> Entry:
    """Return the entry of a SMILES string; a file or folder that is none says so."""
    if os.path.exists(text):
        from rdkit import Chem, rdBase

        with rdBase.BlockLogs():
            if Chem.MolFromSmiles(text, sanitize=False) is None:
                return Entry(text, error=unread(Path(text)))
    return Entry(text, text.strip())


def _attempt(read: Callable[[Any, str], Entry], item: Any, label: str) -> Entry:
    """Return the entry of an object; of one that does not hold what it should, an entry that says why."""
    try:
        return read(item, label)
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        return Entry(label, error=f"its atoms, positions or charge cannot be read: {error}")


def _from_ase(atoms: Any, label: str) -> Entry:
    label = f"{label} {atoms.get_chemical_formula()}"
    if atoms.pbc.any():
        return Entry(label, error="periodic Atoms are not a molecule; set pbc to False")
    charge = atoms.info.get("charge", 0) or atoms.get_initial_charges().sum()
    return Entry(
        label, Coordinates(atoms.get_atomic_numbers().tolist(), atoms.get_positions(), float(charge))
    )


def _from_pyg(data: Any, label: str) -> Entry:
    if data.z is None or data.pos is None:
        return Entry(label, error="the Data object needs z (atomic numbers) and pos (positions in Å)")
    z, charge = np.asarray(plain(data.z)), getattr(data, "charge", None)
    total = 0.0 if charge is None else float(as_floats(charge).sum())
    return Entry(label, Coordinates(z.ravel().tolist(), as_floats(data.pos), total))

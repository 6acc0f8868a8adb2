"""The process that makes conformers for the demo, run by :mod:`equizoo.demo.conformers`.

It has the model and RDKit to itself, so that it can be stopped.
"""

from __future__ import annotations

import functools
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from equizoo.demo.processes import serve
from equizoo.pipelines import pipeline
from equizoo.pipelines.conformer_result import Conformers
from equizoo.pipelines.geometry import Refused
from equizoo.pipelines.molecules_input import expand
from equizoo.pipelines.readers import Entry


@functools.cache
def _pipeline(model: str) -> Any:
    return pipeline("conformers", model)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the conformers of a molecule, or why there are none.

    Args:
        request: ``smiles`` or ``path`` of an ``.sdf`` file, ``model``, ``n``, ``seed`` and ``steps``.

    Returns:
        ``z``, ``positions`` (K, N, 3) [Å] laid over the first conformer, ``bonds`` (i, j, order), relative
        ``energies`` [kcal/mol] or None, their ``method``, ``tally``, ``smiles``, ``chosen``,
        ``domain_reason`` and ``sdf``, the text of a file of them; or ``error``.
    """
    numbers = {key: request[key] for key in ("n", "seed", "steps")}
    try:
        found = _pipeline(request["model"])(_molecule(request), **numbers)
    except Refused as reason:
        return {"error": str(reason)}
    energies = found.relative_energies
    return {
        "z": found.z.tolist(),
        "positions": _overlaid(found).round(4).tolist(),
        "bonds": _bonds(found.mol),
        "energies": energies.tolist() if np.isfinite(energies).all() else None,
        "method": found.method,
        "tally": asdict(found.tally),
        "smiles": found.smiles,
        "chosen": found.chosen,
        "domain_reason": found.domain_reason,
        "sdf": _sdf(found),
    }


def _molecule(request: dict[str, Any]) -> Any:
    """Return what the pipeline takes: never text, which may be the name of a file.

    Raises:
        Refused: The file has no molecule.
    """
    if "smiles" in request:
        return Entry(request["smiles"], request["smiles"].strip())
    entry = expand(Path(request["path"]))[0][0]
    if entry.error is not None or not hasattr(entry.item, "GetNumAtoms"):
        raise Refused(entry.error or "conformers need bonds: give a SMILES string or an .sdf file")
    return entry.item


def _bonds(mol: Any) -> list[list[int]]:
    from rdkit import Chem

    drawn = Chem.Mol(mol)
    Chem.Kekulize(drawn)
    return [
        [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(bond.GetBondTypeAsDouble())]
        for bond in drawn.GetBonds()
    ]


def _overlaid(found: Conformers) -> np.ndarray:
    """Return the positions (K, N, 3) centred on heavy atoms and turned onto the first conformer."""
    heavy = found.z > 1
    pos = found.positions - found.positions[:, heavy].mean(1, keepdims=True)
    for k in range(1, len(pos)):
        u, _, vt = np.linalg.svd(pos[k, heavy].T @ pos[0, heavy])
        u[:, 2] *= np.linalg.det(u @ vt)  # never a reflection: that would be another molecule
        pos[k] = pos[k] @ u @ vt
    return pos


def _sdf(found: Conformers) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "conformers.sdf"
        found.to_sdf(path)
        return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    serve(answer)

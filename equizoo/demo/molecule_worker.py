"""The process that parses and embeds molecules for the demo, run by :mod:`equizoo.demo.chemistry`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from equizoo.data.geometry_graphs import perceived_bonds
from equizoo.demo.processes import serve
from equizoo.pipelines.geometry import Refused
from equizoo.pipelines.molecules import Molecule, Preparation
from equizoo.pipelines.molecules_input import expand
from equizoo.pipelines.readers import Entry


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return a molecule ready for a model, or why there is none.

    Args:
        request: ``smiles`` or ``path``, ``elements``, ``max_atoms`` and ``seed``.

    Returns:
        ``z``, ``pos``, ``geometry``, ``smiles``, ``oddity``, ``name``, ``bonds`` (i, j, order) and ``more``,
        the number of further molecules in the file; or ``error``.

    Example:
        >>> water = {"smiles": "O", "elements": ["H", "O"], "max_atoms": 9, "seed": 0}
        >>> answer(water)["z"], answer({**water, "smiles": "C"})["error"]
        ([8, 1, 1], "element C is outside the model's H, O")
    """
    if "smiles" in request:
        entries = [Entry(request["smiles"], request["smiles"])]
    else:
        entries = expand(Path(request["path"]))[0]
    try:
        prepared = Preparation(tuple(request["elements"]), request["max_atoms"], seed=request["seed"])
        molecule = prepared.prepare(entries[0])
    except Refused as reason:
        return {"error": str(reason)}
    return {
        "z": molecule.z.tolist(),
        "pos": molecule.pos.tolist(),
        "geometry": molecule.geometry,
        "smiles": molecule.smiles,
        "oddity": molecule.oddity,
        "name": entries[0].name,
        "bonds": _bonds(molecule),
        "more": len(entries) - 1,
    }


def _bonds(molecule: Molecule) -> list[list[int]]:
    """Return the bonds: of the graph where its atoms are in the same order, else by distance."""
    if molecule.geometry == "mmff" and molecule.smiles is not None:
        from rdkit import Chem

        graph = Chem.AddHs(Chem.MolFromSmiles(molecule.smiles))
        Chem.Kekulize(graph)
        return [
            [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(bond.GetBondTypeAsDouble())]
            for bond in graph.GetBonds()
        ]
    return [[i, j, 1] for i, j in perceived_bonds(molecule.z, molecule.pos).tolist()]


if __name__ == "__main__":
    answer({"smiles": "C", "elements": ["H", "C"], "max_atoms": 9, "seed": 0})  # imports what it needs
    serve(answer)

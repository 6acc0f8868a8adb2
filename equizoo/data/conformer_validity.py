"""Whether geometries of a molecule are sound: the checks of PoseBusters.

References:
    M. Buttenschoen, G. M. Morris, C. M. Deane, Chem. Sci. 15, 3130 (2024): PoseBusters.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from equizoo.data.embeddings import with_positions

HYDROGENS = ", hydrogens too"
"""End of the names of the checks that the configuration of PoseBusters makes on heavy atoms only."""
_ENERGY = "internal_energy"


def posebusters_checks(mol: Any, pos: np.ndarray) -> dict[str, np.ndarray]:
    """Make the checks of PoseBusters that need nothing but the molecule: its configuration ``mol``.

    That configuration looks at bond lengths, bond angles and clashes of heavy atoms; the same three are made
    with all atoms besides. The check of the internal energy embeds the molecule fifty times: give all the
    geometries of a molecule at once.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        pos: (K, N, 3) positions [Å].

    Returns:
        By the name of the check, (K,) float64: 1 where it is passed, 0 where it is failed, NaN where
        PoseBusters could not make it. Names that end in :data:`HYDROGENS` are those of the further three.

    Raises:
        ImportError: PoseBusters is not installed.

    Example:
        >>> from rdkit import Chem
        >>> from equizoo.data.embeddings import embed_many
        >>> ethanol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
        >>> pos = embed_many(ethanol, 2, seed=0)
        >>> checks = posebusters_checks(ethanol, np.stack([pos[0], 0.6 * pos[1]]))
        >>> checks["bond lengths"].tolist()
        [1.0, 0.0]
    """
    mols = [with_positions(mol, one[None]) for one in pos]
    busters = _busters()
    first = busters.bust(mols[:1])
    if first[_ENERGY].isna().all():  # it cannot be made of the others either, and would take as long
        busters = _busters(without=_ENERGY)
    made = [first, *(busters.bust([one]) for one in mols[1:])]
    return {
        str(name).replace("_", " "): np.array(
            [np.nan if name not in one else one[name].to_numpy(float, na_value=np.nan)[0] for one in made]
        )
        for name in first.columns
    }


@functools.cache
def _busters(without: str = "") -> Any:
    """Return PoseBusters with its configuration ``mol``, but for a check that is left out."""
    try:
        from posebusters import PoseBusters
    except ImportError as error:
        raise ImportError("checks of conformers need posebusters: pip install 'equizoo[validity]'") from error
    busters = PoseBusters("mol")
    modules = []
    for module in busters.config["modules"]:
        names = module.get("rename_outputs", {})
        if not module.get("chosen_binary_test_output") or without in map(_column, names.values()):
            continue
        if module["function"] == "energy_ratio":
            module = {**module, "parameters": {**module["parameters"], "num_threads": 1}}
        modules.append(module)
        if module["function"] == "distance_geometry":
            further = {
                "name": module["name"] + HYDROGENS,
                "parameters": {**module["parameters"], "ignore_hydrogens": False},
                "rename_outputs": {key: name + HYDROGENS for key, name in names.items()},
            }
            modules.append({**module, **further})
    busters.config["modules"] = modules
    return busters


def _column(name: str) -> str:
    return name.lower().replace(" ", "_")

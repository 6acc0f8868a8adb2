"""Whether geometries of a molecule are sound: the checks of PoseBusters, and a short GFN2-xTB relaxation.

References:
    M. Buttenschoen, G. M. Morris, C. M. Deane, Chem. Sci. 15, 3130 (2024): PoseBusters.
    C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019): GFN2-xTB.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from equizoo.data.embeddings import with_positions
from equizoo.data.units import EV_TO_KCAL_PER_MOL

HYDROGENS = ", hydrogens too"
"""End of the names of the checks that the configuration of PoseBusters makes on heavy atoms only."""
_ENERGY = "internal_energy"
STEPS, FORCE = 50, 0.05
"""A short relaxation ends after so many steps, or where no force is larger [eV/Å]."""


class ShortRelaxation(NamedTuple):
    """What a short relaxation did.

    Attributes:
        before: Energy of the geometry that it started from [kcal/mol].
        after: Energy at its end [kcal/mol].
        pos: (N, 3) positions at its end [Å].
        converged: Whether it ended because the forces were small.
    """

    before: float
    after: float
    pos: np.ndarray
    converged: bool


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


def tight_binding_energies(z: np.ndarray, pos: np.ndarray) -> np.ndarray:
    """Return the GFN2-xTB energies of geometries of a neutral closed-shell molecule.

    Args:
        z: (N,) atomic numbers.
        pos: (K, N, 3) positions [Å].

    Returns:
        (K,) float64 [kcal/mol]; NaN where the method finds no solution.

    Raises:
        ImportError: tblite or ASE is not installed.
    """
    energies = np.full(len(pos), np.nan)
    for k, one in enumerate(pos):
        done = short_relaxation(z, one, steps=0)
        if done is not None:
            energies[k] = done.before
    return energies


def short_relaxation(
    z: np.ndarray, pos: np.ndarray, steps: int = STEPS, force: float = FORCE
) -> ShortRelaxation | None:
    """Relax a neutral closed-shell molecule a little with GFN2-xTB, by the BFGS method.

    Args:
        z: (N,) atomic numbers.
        pos: (N, 3) positions [Å].
        steps: Most steps.
        force: It ends where no force is larger [eV/Å].

    Returns:
        Energies and positions; None where GFN2-xTB finds no solution on the way.

    Raises:
        ImportError: tblite or ASE is not installed.

    Example:
        >>> z, bond = np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 1.0]])
        >>> done = short_relaxation(z, bond)
        >>> done.after < done.before, done.converged, round(float(done.pos[1, 2] - done.pos[0, 2]), 1)
        (True, True, 0.8)
    """
    try:
        from ase import Atoms
        from ase.optimize import BFGS
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError("GFN2-xTB needs tblite and ase: pip install 'equizoo[conformers]'") from error
    atoms = Atoms(numbers=z, positions=pos, calculator=TBLite(method="GFN2-xTB", verbosity=0))
    try:
        before = float(atoms.get_potential_energy())
        converged = bool(BFGS(atoms, logfile=None).run(fmax=force, steps=steps))
        after = float(atoms.get_potential_energy())
    except (RuntimeError, ValueError):
        return None
    return ShortRelaxation(
        before * EV_TO_KCAL_PER_MOL, after * EV_TO_KCAL_PER_MOL, atoms.get_positions(), converged
    )

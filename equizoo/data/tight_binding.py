"""Energies and minima of molecules by the semi-empirical method GFN2-xTB, of closed-shell molecules.

References:
    C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019): GFN2-xTB.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from equizoo.data.units import EV_TO_KCAL_PER_MOL

SHORT_STEPS, SHORT_FORCE = 50, 0.05
"""A short relaxation ends after so many steps, or where no force is larger [eV/Å]."""


class Relaxed(NamedTuple):
    """What a relaxation did.

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


def relax_tight_binding(
    z: np.ndarray, pos: np.ndarray, force: float, steps: int, charge: int = 0
) -> Relaxed | None:
    """Relax a molecule by the BFGS method.

    Args:
        z: (N,) atomic numbers.
        pos: (N, 3) positions [Å].
        force: It ends where no force is larger [eV/Å].
        steps: Most steps.
        charge: Total charge [e].

    Returns:
        Energies and positions; None where GFN2-xTB finds no solution on the way.

    Raises:
        ImportError: tblite or ASE is not installed.

    Example:
        >>> z, bond = np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 1.0]])
        >>> done = relax_tight_binding(z, bond, force=0.05, steps=50)
        >>> done.after < done.before, done.converged, round(float(done.pos[1, 2] - done.pos[0, 2]), 1)
        (True, True, 0.8)
    """
    atoms = _atoms(z, pos, charge)
    from ase.optimize import BFGS

    try:
        before = float(atoms.get_potential_energy())
        converged = bool(BFGS(atoms, logfile=None).run(fmax=force, steps=steps))
        after = float(atoms.get_potential_energy())
    except (RuntimeError, ValueError):
        return None
    energies = before * EV_TO_KCAL_PER_MOL, after * EV_TO_KCAL_PER_MOL
    return Relaxed(*energies, atoms.get_positions(), converged)


def tight_binding_energies(z: np.ndarray, pos: np.ndarray, charge: int = 0) -> np.ndarray:
    """Return the energies of geometries.

    Args:
        z: (N,) atomic numbers.
        pos: (K, N, 3) positions [Å].
        charge: Total charge [e].

    Returns:
        (K,) float64 [kcal/mol]; NaN where the method finds no solution.

    Raises:
        ImportError: tblite or ASE is not installed.
    """
    energies = np.full(len(pos), np.nan)
    for k, one in enumerate(pos):
        try:
            energies[k] = _atoms(z, one, charge).get_potential_energy() * EV_TO_KCAL_PER_MOL
        except (RuntimeError, ValueError):
            continue
    return energies


def _atoms(z: np.ndarray, pos: np.ndarray, charge: int) -> Any:
    try:
        from ase import Atoms
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError("GFN2-xTB needs tblite and ase: pip install 'equizoo[xtb,molecules]'") from error
    calculator = TBLite(method="GFN2-xTB", charge=charge, verbosity=0)
    return Atoms(numbers=z, positions=pos, calculator=calculator)

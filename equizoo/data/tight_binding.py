"""Energies and minima of molecules by the semi-empirical method GFN2-xTB, of closed-shell molecules.

References:
    C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019): GFN2-xTB.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from equizoo.data.embeddings import with_positions
from equizoo.data.mmff import hessian
from equizoo.data.units import EV_TO_KCAL_PER_MOL

_LEAST_STIFFNESS = 1.0  # [eV/Å²]
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
    z: np.ndarray,
    pos: np.ndarray,
    force: float,
    steps: int,
    charge: int = 0,
    stiffness: np.ndarray | None = None,
) -> Relaxed | None:
    """Relax a molecule by the BFGS method.

    Args:
        z: (N,) atomic numbers.
        pos: (N, 3) positions [Å].
        force: It ends where no force is larger [eV/Å].
        steps: Most steps.
        charge: Total charge [e].
        stiffness: (3N, 3N) second derivatives [eV/Å²] to begin with, such as those of MMFF94 at ``pos``
            (:func:`equizoo.data.mmff.hessian`), which save most of the steps; unless given,
            70 eV/Å² in every direction. Stiffness below 1 eV/Å² counts as 1.

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
        steps_of = BFGS(atoms, logfile=None)
        if stiffness is not None:
            values, directions = np.linalg.eigh(stiffness)
            steps_of.H0 = (directions * np.abs(values).clip(_LEAST_STIFFNESS)) @ directions.T
        converged = bool(steps_of.run(fmax=force, steps=steps))
        after = float(atoms.get_potential_energy())
    except (RuntimeError, ValueError):
        return None
    energies = before * EV_TO_KCAL_PER_MOL, after * EV_TO_KCAL_PER_MOL
    return Relaxed(*energies, atoms.get_positions(), converged)


def relax_molecule(mol: Any, pos: np.ndarray, force: float, steps: int) -> Relaxed | None:
    """Relax a molecule at the sum of its formal charges, beginning with MMFF94's Hessian where there is one.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        pos: (N, 3) positions [Å].
        force: It ends where no force is larger [eV/Å].
        steps: Most steps.

    Returns:
        Energies and positions; None where GFN2-xTB finds no solution on the way.

    Raises:
        ImportError: tblite or ASE is not installed.

    Example:
        >>> from rdkit import Chem
        >>> from equizoo.data.embeddings import embed_many
        >>> mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
        >>> relax_molecule(mol, embed_many(mol, 1, seed=0)[0], force=0.01, steps=20).converged
        True
    """
    z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    charge = sum(atom.GetFormalCharge() for atom in mol.GetAtoms())
    try:
        stiffness = hessian(with_positions(mol, pos[None]))
    except ValueError:
        stiffness = None
    return relax_tight_binding(z, pos, force, steps, charge, stiffness)


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

"""Minimisation with MMFF94, in which the ends of cumulated double bonds stay perpendicular, and its Hessian.

MMFF94 has no torsion about the axis of an allene, so that charges and bulk turn it: 1,3-difluoroallene ends
up planar, tens of kcal/mol above the minimum of GFN2-xTB.

References:
    T. A. Halgren, J. Comput. Chem. 17, 490 (1996): MMFF94.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equizoo.data.units import EV_TO_KCAL_PER_MOL

_AXES = ("*-[#6,#7]=[CX2]=[#6,#7]-*", "*-[#6,#7]=[CX2]=[CX2]=[CX2]=[#6,#7]-*")
_SMALLEST_RING = 9  # the smallest one that an axis fits into without being bent flatter
_ANGLE, _MOST_OFF, _STIFFNESS = 90.0, 45.0, 100.0  # [°], [°], [kcal/mol/rad²]
_DISPLACEMENT = 1e-3  # [Å]


def axes(mol: Any) -> list[tuple[int, int, int, int]]:
    """Find the axes of two or four cumulated double bonds whose ends are perpendicular to each other.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.

    Returns:
        Atoms ``a b c d`` of each: its ends ``b`` and ``c``, and their substituents ``a`` and ``d``.
        Axes in rings of fewer than nine atoms are left out.

    Example:
        >>> from rdkit import Chem
        >>> axes(Chem.AddHs(Chem.MolFromSmiles("FC=C=CF"))), axes(Chem.AddHs(Chem.MolFromSmiles("C=C=O")))
        ([(0, 1, 3, 4)], [])
    """
    from rdkit import Chem

    found: dict[tuple[int, int], tuple[int, int, int, int]] = {}
    for pattern in _AXES:
        for a, b, middle, *_, c, d in mol.GetSubstructMatches(Chem.MolFromSmarts(pattern)):
            if not any(mol.GetRingInfo().IsAtomInRingOfSize(middle, size) for size in range(_SMALLEST_RING)):
                found.setdefault((min(b, c), max(b, c)), (a, b, c, d))
    return list(found.values())


def perpendicular(mol: Any, positions: np.ndarray) -> np.ndarray:
    """Say which conformers have the ends of every axis of :func:`axes` within 45° of perpendicular.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        positions: (K, N, 3) positions [Å].

    Returns:
        (K,) bool.
    """
    kept = np.ones(len(positions), dtype=bool)
    for axis in axes(mol):
        a, b, c, d = positions[:, axis].swapaxes(0, 1)
        normals = np.cross(a - b, c - b), np.cross(b - c, d - c)
        sizes = np.prod([np.linalg.norm(normal, axis=-1) for normal in normals], axis=0)
        kept &= np.abs((normals[0] * normals[1]).sum(-1)) <= np.cos(np.radians(_MOST_OFF)) * sizes
    return kept


def minimise(mol: Any, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Relax every conformer of a molecule with MMFF94, in place.

    The axes of :func:`axes` are held at a right angle, in the sense that each conformer has.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens and K conformers, of which MMFF94 has all parameters; K may
            be 0.
        steps: Most steps.

    Returns:
        (K,) energies [kcal/mol], and (K,) bool whether each minimisation converged.

    Example:
        >>> from rdkit import Chem
        >>> from equizoo.data.embeddings import embed_many, with_positions
        >>> mol = Chem.AddHs(Chem.MolFromSmiles("CC=C=CC"))
        >>> mol = with_positions(mol, embed_many(mol, 2, seed=0))
        >>> minimise(mol, 2000)[1].tolist()
        [True, True]
    """
    from rdkit.Chem import rdForceFieldHelpers

    held = axes(mol)
    if held or not mol.GetNumConformers():
        ends = [_minimise_held(mol, conformer, held, steps) for conformer in mol.GetConformers()]
    else:
        ends = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=steps)
    return np.array([energy for _, energy in ends]), np.array([state == 0 for state, _ in ends], dtype=bool)


def _minimise_held(mol: Any, conformer: Any, held: list[tuple[int, int, int, int]], steps: int) -> tuple:
    """Return the state of a minimisation, 0 if it converged, and the energy without what holds the axes."""
    from rdkit.Chem import rdForceFieldHelpers, rdMolTransforms

    parameters = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    field, free = (
        rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, parameters, confId=conformer.GetId())
        for _ in range(2)
    )
    field.Initialize()
    for axis in held:
        angle = float(np.copysign(_ANGLE, rdMolTransforms.GetDihedralDeg(conformer, *axis)))
        field.MMFFAddTorsionConstraint(*axis, False, angle, angle, _STIFFNESS)
    state = field.Minimize(maxIts=steps)
    free.Initialize()
    return state, free.CalcEnergy()


def hessian(mol: Any) -> np.ndarray:
    """Compute the second derivatives of MMFF94's energy, by central differences of its gradient.

    Args:
        mol: RDKit ``Mol`` of N atoms with explicit hydrogens and one conformer.

    Returns:
        (3N, 3N) float64 [eV/Å²], symmetric.

    Raises:
        ValueError: MMFF94 has no parameters for the molecule.

    Example:
        >>> from rdkit import Chem
        >>> from equizoo.data.embeddings import embed_many, with_positions
        >>> mol = Chem.AddHs(Chem.MolFromSmiles("O"))
        >>> stiffness = hessian(with_positions(mol, embed_many(mol, 1, seed=0)))
        >>> stiffness.shape, int((np.linalg.eigvalsh(stiffness) > 5).sum())  # two bonds and an angle
        ((9, 9), 3)
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdForceFieldHelpers

    with rdBase.BlockLogs():
        parameters = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
        if parameters is None:
            raise ValueError(f"MMFF94 has no parameters for {Chem.MolToSmiles(Chem.RemoveHs(mol))}")
        field = rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, parameters)
    pos = mol.GetConformer().GetPositions().ravel()

    def gradient(at: np.ndarray) -> np.ndarray:
        field.Initialize()  # forgets the distances of the last positions, which CalcGrad would take again
        return np.array(field.CalcGrad(at.tolist()))

    steps = _DISPLACEMENT * np.eye(len(pos))
    found = np.array([gradient(pos + step) - gradient(pos - step) for step in steps])
    return (found + found.T) / (4 * _DISPLACEMENT * EV_TO_KCAL_PER_MOL)

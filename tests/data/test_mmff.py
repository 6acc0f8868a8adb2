"""MMFF94 with the axes of cumulated double bonds held."""

from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers, rdMolTransforms

from equizoo.data.embeddings import embed_many, relax_mmff, with_positions
from equizoo.data.mmff import axes, hessian, minimise, perpendicular


def hydrogenated(smiles: str) -> Any:
    return Chem.AddHs(Chem.MolFromSmiles(smiles))


def angles(mol: Any, positions: np.ndarray) -> np.ndarray:
    """Return the size of the torsion about the first axis, in degrees, of each conformer."""
    found = with_positions(mol, positions).GetConformers()
    return np.abs([rdMolTransforms.GetDihedralDeg(one, *axes(mol)[0]) for one in found])


@pytest.mark.parametrize(
    "smiles", ["FC=C=CF", "CC=C=CC", "OC=C=CO", "CN=C=NC", "CC=C=C=C=CC", "C1CCCCC=C=CC1"]
)
def test_cumulated_double_bonds_stay_perpendicular(smiles: str) -> None:
    mol = hydrogenated(smiles)
    start = embed_many(mol, 4, seed=0)
    relaxed, energies = relax_mmff(mol, start)
    assert angles(mol, relaxed) == pytest.approx(90, abs=3)
    assert perpendicular(mol, relaxed).all()
    again, same = relax_mmff(mol, relaxed)
    assert np.abs(angles(mol, again) - angles(mol, relaxed)).max() < 0.1
    assert same == pytest.approx(energies, abs=1e-3)


@pytest.mark.parametrize("smiles", ["CCO", "CC=C=CC"])
def test_no_conformers_are_relaxed_to_none(smiles: str) -> None:
    mol = hydrogenated(smiles)
    relaxed, energies = relax_mmff(mol, np.zeros((0, mol.GetNumAtoms(), 3)))
    assert relaxed.shape == (0, mol.GetNumAtoms(), 3) and energies.shape == (0,)


def test_the_energy_is_that_of_mmff_alone() -> None:
    mol = hydrogenated("C1CCCCC=C=CC1")
    relaxed, energies = relax_mmff(mol, embed_many(mol, 1, seed=0))
    copy = with_positions(mol, relaxed)
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(
        copy, rdForceFieldHelpers.MMFFGetMoleculeProperties(copy)
    )
    field.Initialize()
    assert field.CalcEnergy() == pytest.approx(energies[0], abs=1e-9)


@pytest.mark.parametrize("smiles", ["CC(C)CO", "CC=C=O", "CC=C=C=CC", "C1CCCC=C=C1", "C=CC=C"])
def test_other_molecules_are_left_to_rdkit(smiles: str) -> None:
    mol = hydrogenated(smiles)
    assert axes(mol) == []
    ours, theirs = (with_positions(mol, embed_many(mol, 2, seed=0)) for _ in range(2))
    minimise(ours, 2000)
    rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(theirs, maxIters=2000)
    for one, other in zip(ours.GetConformers(), theirs.GetConformers(), strict=True):
        assert np.array_equal(one.GetPositions(), other.GetPositions())


def test_the_hessian_is_that_of_the_energy() -> None:
    mol = hydrogenated("OC#N")
    (pos,), _ = relax_mmff(mol, embed_many(mol, 1, seed=0))
    found = hessian(with_positions(mol, pos[None]))
    parameters = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)

    def energy(move: np.ndarray) -> float:
        moved = with_positions(mol, pos[None] + move.reshape(1, -1, 3))
        return rdForceFieldHelpers.MMFFGetMoleculeForceField(moved, parameters).CalcEnergy()

    step, rng = 0.01, np.random.default_rng(0)
    for direction in rng.normal(size=(4, pos.size)) / np.sqrt(pos.size):
        curvature = (
            energy(step * direction) + energy(-step * direction) - 2 * energy(0 * direction)
        ) / step**2
        assert direction @ found @ direction * 23.0605 == pytest.approx(curvature, rel=1e-3)
    assert np.array_equal(found, found.T)
    shift = np.tile(np.eye(3), len(pos))
    assert np.abs(shift @ found).max() < 1e-3 * np.abs(found).max()


def test_a_molecule_without_parameters_has_no_hessian() -> None:
    mol = hydrogenated("C[Se]C")
    with pytest.raises(ValueError, match=r"no parameters for C\[Se\]C"):
        hessian(with_positions(mol, embed_many(mol, 1, seed=0)))

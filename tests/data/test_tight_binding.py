"""What a relaxation with GFN2-xTB does, and where there is no solution."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from equizoo.data.embeddings import relax_mmff
from equizoo.data.tight_binding import relax_molecule, relax_tight_binding, tight_binding_energies
from tests.data.conformer_samples import embedded


def test_relaxation_takes_energy_away_and_ends_in_a_minimum():
    mol, (pos,) = embedded("CCO", 1)
    z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    done = relax_tight_binding(z, pos, 0.05, steps=50)
    assert 1 < done.before - done.after < 50
    assert tight_binding_energies(z, np.stack([pos, done.pos])) == pytest.approx([done.before, done.after])
    assert done.converged
    again = relax_tight_binding(z, done.pos, 0.05, steps=50)
    assert again.before == pytest.approx(again.after)
    assert not relax_tight_binding(z, pos, 0.05, steps=1).converged


def test_ions_have_their_charge():
    mol, (pos,) = embedded("CC(=O)[O-]", 1)
    z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    done = relax_tight_binding(z, pos, 0.05, steps=50, charge=-1)
    assert done.converged
    near, far = (np.linalg.norm(done.pos[1] - done.pos[oxygen]) for oxygen in (2, 3))
    assert near == pytest.approx(far, abs=0.005) and near == pytest.approx(1.25, abs=0.02)
    affinity = tight_binding_energies(z, done.pos[None]) - tight_binding_energies(z, done.pos[None], -1)
    assert 30 < affinity[0] < 200  # taking the electron away costs energy [kcal/mol]


def test_atoms_in_one_place_have_no_solution():
    z, pos = np.array([6, 8]), np.zeros((2, 3))
    assert relax_tight_binding(z, pos, 0.05, steps=50) is None
    assert np.isnan(tight_binding_energies(z, pos[None])).all()


def test_the_hessian_of_a_force_field_saves_steps_and_ends_in_the_same_minimum():
    mol, pos = embedded("CC(=O)NCC#N", 1)
    (start,), _ = relax_mmff(mol, pos)
    z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    plain = relax_tight_binding(z, start, 0.01, steps=200)
    assert plain.converged and not relax_tight_binding(z, start, 0.01, steps=25).converged
    helped = relax_molecule(mol, start, 0.01, steps=25)
    assert helped.converged
    assert helped.after == pytest.approx(plain.after, abs=0.02)  # [kcal/mol]


@pytest.mark.parametrize(("smiles", "charge"), [("CC(=O)[O-]", -1), ("C[Se]C", 0)])
def test_ions_and_molecules_without_parameters_are_relaxed(smiles, charge):
    mol, (pos,) = embedded(smiles, 1)
    z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    done = relax_molecule(mol, pos, 0.02, steps=200)
    assert done.converged
    assert done.after == pytest.approx(tight_binding_energies(z, done.pos[None], charge)[0])

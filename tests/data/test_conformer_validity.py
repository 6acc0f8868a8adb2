"""PoseBusters on geometries that are sound, broken, or overlap."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("rdkit")
from rdkit.Chem import rdMolTransforms

from equizoo.data import conformer_validity
from equizoo.data.conformer_validity import HYDROGENS, posebusters_checks
from equizoo.data.embeddings import relax_mmff
from tests.data.conformer_samples import embedded

LIMITED = ("bond lengths", "bond angles", "internal steric clash")


def failed(mol, pos) -> set[str]:
    return {check for check, values in posebusters_checks(mol, pos[None]).items() if values[0] == 0}


class TestPoseBusters:
    @pytest.fixture(autouse=True)
    def installed(self):
        pytest.importorskip("posebusters")

    @pytest.mark.parametrize("smiles", ["CCCO", "c1ccccc1C=C", "C1CCCCC1N"])
    def test_a_minimum_passes_everything(self, smiles):
        mol, pos = embedded(smiles, 2)
        checks = posebusters_checks(mol, relax_mmff(mol, pos)[0])
        assert {*LIMITED, "internal energy", *(name + HYDROGENS for name in LIMITED)} < set(checks)
        assert all((values == 1).all() and values.shape == (2,) for values in checks.values())

    def test_a_chain_that_is_rolled_up_clashes_and_is_sound_otherwise(self):
        mol, _ = embedded("CCCCCC", 1)
        for k in range(3):
            rdMolTransforms.SetDihedralDeg(mol.GetConformer(), k, k + 1, k + 2, k + 3, 0.0)
        pos = mol.GetConformer().GetPositions()
        assert np.linalg.norm(pos[0] - pos[5]) < 1.8
        found = failed(mol, pos)
        assert {"internal steric clash", "internal steric clash" + HYDROGENS} <= found
        assert not found & {"bond lengths", "bond angles", "bond lengths" + HYDROGENS}

    def test_hydrogens_are_looked_at_too(self):
        mol, pos = embedded("CCO", 1)
        pos[0, 3] = pos[0, 0] + 1.5 * (pos[0, 3] - pos[0, 0])
        found = failed(mol, pos[0])
        assert "bond lengths" + HYDROGENS in found
        assert "bond lengths" not in found

    def test_an_energy_that_cannot_be_compared_is_tried_once(self, monkeypatch):
        tried = []

        def no_ensemble(inchi, *options):
            tried.append(inchi)
            raise RuntimeError("no embedding")

        monkeypatch.setattr("posebusters.modules.energy_ratio.get_energies", no_ensemble)
        mol, pos = embedded("CCO", 3)
        pos[2] *= 1.4
        checks = posebusters_checks(mol, pos)
        assert np.isnan(checks["internal energy"]).all()
        assert checks["bond lengths"].tolist() == [1, 1, 0]
        assert len(tried) == 1

    def test_a_stretched_molecule_fails(self):
        mol, pos = embedded("CCO", 1)
        assert "bond lengths" in failed(mol, 1.4 * pos[0])

    def test_a_bent_aromatic_ring_fails(self):
        mol, pos = embedded("c1ccccc1", 1)
        normal = np.linalg.svd(pos[0] - pos[0].mean(0))[2][2]
        pos[0, 0] += 0.9 * normal
        assert "aromatic ring flatness" in failed(mol, pos[0])


def test_without_posebusters_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "posebusters", None)
    monkeypatch.setattr(conformer_validity, "_busters", conformer_validity._busters.__wrapped__)  # no cache
    mol, pos = embedded("CO", 1)
    with pytest.raises(ImportError, match=r"pip install 'equizoo\[validity\]'"):
        posebusters_checks(mol, pos)

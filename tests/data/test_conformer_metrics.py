"""Symmetry-aware deviations against RDKit's, and the averages made of them."""

import numpy as np
import pytest

pytest.importorskip("rdkit")
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from equizoo.data.conformer_metrics import best_rmsds, coverage, summary
from tests.data.conformer_samples import embedded, heavy_symmetries

MOLECULES = (
    "CC(C)C[C@@H](C)O",
    "OC(=O)c1ccccc1",
    "CC(C)(C)C(C)(C)C",
    "NC(=O)C[N+](=O)[O-]",
    "COP(=O)(O)OC",
    "NC(=[NH2+])NCC[C@H](N)C(=O)[O-]",
    "O=S(=O)(N)c1ccc(C(F)(F)F)cc1",
    "CC(=N)N",
    "C#CC#C",
)


def heavy_only(smiles: str) -> tuple[object, np.ndarray, np.ndarray]:
    mol, pos = embedded(smiles, 5)
    light = Chem.RemoveAllHs(mol)
    return light, pos[:, mol.GetSubstructMatch(light)], heavy_symmetries(mol)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_deviations_are_those_of_rdkit(smiles: str) -> None:
    mol, pos, symmetries = heavy_only(smiles)
    ids = [conformer.GetId() for conformer in mol.GetConformers()]
    expected = [[rdMolAlign.GetBestRMS(Chem.Mol(mol), mol, p, r) for r in ids[2:]] for p in ids[:2]]
    np.testing.assert_allclose(best_rmsds(pos[:2], pos[2:], symmetries), expected, atol=2e-5)


def test_a_conformer_is_itself_in_any_frame_and_no_mirror_image() -> None:
    _, pos, symmetries = heavy_only(MOLECULES[0])
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    rmsds = best_rmsds(pos @ turn - 9, pos, symmetries)
    np.testing.assert_allclose(np.diag(rmsds), 0, atol=1e-6)
    assert np.diag(best_rmsds(-pos, pos, symmetries)).min() > 0.1


def test_few_atoms_and_atoms_on_a_line() -> None:
    line = np.zeros((2, 3, 3))
    line[:, :, 0] = [[-1, 0, 1], [-1.3, 0, 1.3]]
    rmsds = best_rmsds(line, line, np.array([[0, 1, 2], [2, 1, 0]]))
    np.testing.assert_allclose(rmsds, [[0, 0.3 * np.sqrt(2 / 3)], [0.3 * np.sqrt(2 / 3), 0]], atol=1e-5)
    assert best_rmsds(np.ones((1, 1, 3)), np.zeros((2, 1, 3)), np.array([[0]])).tolist() == [[0, 0]]


@pytest.mark.parametrize("smiles", MOLECULES)
def test_compiled_and_not_compiled_are_equal(smiles: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    _, pos, symmetries = heavy_only(smiles)
    compiled = best_rmsds(pos[:2], pos[2:], symmetries)
    monkeypatch.setattr("equizoo.data.conformer_metrics._has_numba", lambda: False)
    plain = best_rmsds(pos[:2], pos[2:], symmetries)
    np.testing.assert_allclose(compiled, plain, atol=1e-7)
    monkeypatch.setattr("equizoo.data.conformer_metrics._BLOCK", 30)
    np.testing.assert_allclose(best_rmsds(pos[:2], pos[2:], symmetries), plain, atol=1e-7)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="with the same H"):
        best_rmsds(np.zeros((2, 4, 3)), np.zeros((2, 5, 3)), np.array([[0, 1, 2, 3]]))
    with pytest.raises(ValueError, match="one sample and one reference"):
        coverage(np.zeros((0, 2)), 0.5)
    with pytest.raises(ValueError, match="not a number"):
        coverage(np.full((1, 1), np.nan), 0.5)


def test_recall_and_precision() -> None:
    rows = [coverage(np.array([[0.2, 1.0], [0.4, 0.3], [0.9, 0.7]]), 0.35), coverage(np.ones((2, 2)), 0.35)]
    assert rows[0] == pytest.approx({"cov_r": 1, "amr_r": 0.25, "cov_p": 2 / 3, "amr_p": 0.4})
    assert summary(rows)["cov_p"] == pytest.approx({"mean": 1 / 3, "median": 1 / 3})

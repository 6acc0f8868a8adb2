"""Pairs of an MMFF94 geometry and the GFN2-xTB minimum that it relaxes to."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from equizoo.data.conformers import ConformerSet
from equizoo.data.embeddings import relax_mmff
from equizoo.data.ensemble_builder import build_ensembles
from equizoo.data.ensembles import NoEnsemble, checked_molecule
from equizoo.data.geometry_graphs import same_bonds
from equizoo.data.molecule_graphs import stereo_kept
from equizoo.data.relaxed_pairs import PairSettings, make_pairs, own_pairs
from equizoo.data.tight_binding import relax_tight_binding


def test_starts_are_minima_of_the_force_field_and_ends_their_tight_binding_minima() -> None:
    pairs = make_pairs("C[C@H](O)CC#N")
    assert 2 <= len(pairs.starts) == len(pairs.conformers) <= 4
    mol = checked_molecule("C[C@H](O)CC#N")
    again, energy = relax_mmff(mol, pairs.starts.astype(np.float64))
    assert np.abs(again - pairs.starts).max() < 0.02
    assert np.diff(np.sort(energy)).min() > 0.01  # no start twice
    for start, end in zip(pairs.starts, pairs.references, strict=True):
        ended = relax_tight_binding(pairs.graph.z, end.astype(np.float64), 0.021, steps=0)
        assert ended is not None and ended.converged
        began = relax_tight_binding(pairs.graph.z, start.astype(np.float64), 0.021, steps=0)
        assert began is not None and 1 < began.before - ended.after < 20
    assert stereo_kept(pairs.graph, pairs.references).all()
    assert same_bonds(pairs.graph.bonds, pairs.graph.z, pairs.references).all()
    assert np.array_equal(pairs.references, pairs.conformers)


def test_copies_of_a_start_are_taken_once() -> None:
    assert len(make_pairs("C1CC1", PairSettings(embeddings=6)).starts) == 1


@pytest.mark.parametrize(("smiles", "reason"), [("C[CH2]", "radicals"), ("CC(F)Cl", "not specified")])
def test_what_no_pairs_are_made_for(smiles: str, reason: str) -> None:
    with pytest.raises(NoEnsemble, match=reason):
        make_pairs(smiles)


def test_a_relaxation_that_loses_the_molecule_gives_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("equizoo.data.relaxed_pairs.relax_molecule", lambda *_: None)
    with pytest.raises(NoEnsemble, match="no start kept its bonds"):
        make_pairs("CCO")


def test_starts_are_turned_onto_their_ends() -> None:
    ends = np.random.default_rng(0).normal(size=(3, 5, 3))
    turn = np.eye(3)[[1, 2, 0]]
    pairs = own_pairs(ends @ turn + 4, ends, np.arange(2))
    assert np.allclose(pairs.starts, ends - ends.mean(1, keepdims=True), atol=1e-6)
    assert pairs.farthest.max() < 1e-5 and pairs.heavy_rmsd.max() < 1e-5
    assert pairs.match.tolist() == [0, 1, 2] and pairs.permutation.tolist() == [list(range(5))] * 3


def test_the_builder_makes_pairs(tmp_path: Path) -> None:
    settings = PairSettings(embeddings=2)
    assert build_ensembles(["CCO", "C[CH2]"], tmp_path / "pairs.npz", settings) == {
        "C[CH2]": "it is charged or has radicals"
    }
    made = ConformerSet.load(tmp_path / "pairs.npz")
    starts, ends, rmsd = made.pairs(0)
    assert made.smiles == ["CCO"] and starts.shape == ends.shape and 0 < rmsd.max() < 0.3

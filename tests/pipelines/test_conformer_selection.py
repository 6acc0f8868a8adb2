"""Which geometries are sound: hydrogen bonds are, atoms in each other's way are not."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem
from rdkit.Chem.rdMolTransforms import SetDihedralDeg

from equizoo.data.conformer_files import read_ensembles
from equizoo.data.embeddings import embed_many, relax_mmff, with_positions
from equizoo.pipelines.conformer_selection import sound

DATA = Path(os.environ.get("EQUIZOO_DATA") or Path(__file__).parents[3] / "shared" / "data")
ENSEMBLES = DATA / "qm9xtb_test.npz"


HYDROGEN_BONDS = {
    "OCC[C@H]1C[C@]1(O)CO": (17, 0),
    "OCCn1nccc1O": (16, 0),
    "[O-]C(=O)CCCO": (13, 2),
    "[O-]C(=O)/C=C\\C(=O)O": (10, 2),
}


@pytest.mark.parametrize("smiles", HYDROGEN_BONDS)
def test_a_hydrogen_bond_is_no_clash(smiles: str) -> None:
    mol, (hydrogen, other) = Chem.AddHs(Chem.MolFromSmiles(smiles)), HYDROGEN_BONDS[smiles]
    positions, _ = relax_mmff(mol, embed_many(mol, 30, seed=0))
    lengths = np.linalg.norm(positions[:, hydrogen] - positions[:, other], axis=-1)
    assert lengths.min() < 1.8
    bonded = positions[lengths.argmin()]
    pressed = bonded.copy()
    pressed[hydrogen] = bonded[other] + (bonded[hydrogen] - bonded[other]) * 1.2 / lengths.min()
    assert sound(mol, np.stack([bonded, pressed])).tolist() == [True, False]


def test_an_end_that_is_folded_into_the_other_clashes() -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles("CCCCCC"))
    straight = with_positions(mol, embed_many(mol, 1, seed=0))
    for torsion in ((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)):
        SetDihedralDeg(straight.GetConformer(), *torsion, 180)
    folded = Chem.Mol(straight)
    for torsion in ((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)):
        SetDihedralDeg(folded.GetConformer(), *torsion, 10)
    positions = [one.GetConformer().GetPositions() for one in (straight, folded)]
    assert sound(mol, np.stack(positions)).tolist() == [True, False]


@pytest.mark.skipif(not ENSEMBLES.exists(), reason=f"{ENSEMBLES} is missing")
def test_every_reference_conformer_is_sound() -> None:
    unsound = {ref.smiles for ref in read_ensembles(ENSEMBLES) if not sound(ref.mol, ref.conformers).all()}
    assert unsound == set()

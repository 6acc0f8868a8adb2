"""What has no conformers here, and that each refusal says why and ends nothing else."""

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem

from equizoo.pipelines import conformer_stereo
from equizoo.pipelines.conformer_embedding import embedding
from equizoo.pipelines.conformers import ConformerPipeline
from equizoo.pipelines.geometry import Refused
from tests.pipelines.conformer_samples import Guide, build


@pytest.fixture(scope="module")
def make() -> ConformerPipeline:
    return build()


SMILES = {
    "": "the input is empty",
    " ": "the input is empty",
    "C1CC": "not a valid SMILES: a ring, bracket or bond may be left open",
    "[Xx]": "not a valid SMILES: there is no element 'Xx'",
    "CCO CC": "spaces",
    "C(C)(C)(C)(C)C": "Explicit valence for atom # 0 C, 5",
    "c1cccc1": "kekulize",
    "C.C": "2 separate fragments",
    "[Na+].[Cl-]": "element Cl, Na is outside",
    "CC[Si]": "element Si is outside the model's H, C, N, O, F",
    "[Fe]": "element Fe is outside",
    "C*": r"element \* is outside",
    "C[CH2]": "radical",
    "[H][H]": "hydrogen alone",
    "[F-]": "single atom",
    "C1#CC1": "the embedding failed",
    "C1C[C@H]2CC[C@H]1C2": "may be impossible",
    "OC=[C@]=CF": "atom 3 has allene stereochemistry",
    "C" * 101: "101 heavy atoms are more than the limit of 100",
    "C" * 5000: "5000 characters of SMILES",
    "nowhere.sdf": "the file cannot be read: No such file",
    "molecule.pdb": "files like 'molecule.pdb' are not read",
}


@pytest.mark.parametrize("smiles", SMILES, ids=lambda text: repr(text[:14]))
def test_a_smiles_is_refused_with_the_reason(smiles: str, make: ConformerPipeline) -> None:
    answer = make([smiles])[0]
    with pytest.raises(ValueError, match=SMILES[smiles]):
        raise ValueError(answer.error)
    assert not answer.ok and answer.mol is None and len(answer) == 0
    assert answer.positions.shape == (0, 0, 3)
    if not smiles.endswith((".sdf", ".pdb")):
        with pytest.raises(Refused, match=SMILES[smiles]):
            make(smiles)


def dative() -> Any:
    mol = Chem.RWMol(Chem.MolFromSmiles("N.C"))
    mol.AddBond(0, 1, Chem.BondType.DATIVE)
    return mol.GetMol()


def axis() -> Any:
    mol = Chem.MolFromSmiles("Cc1cccc(O)c1-c1c(F)cccc1N |wU:7.7|")
    assert Chem.BondStereo.STEREOATROPCCW in {bond.GetStereo() for bond in mol.GetBonds()}
    return mol


OBJECTS: dict[str, tuple[Callable[[], Any], str]] = {
    "none": (lambda: None, "not NoneType"),
    "number": (lambda: 7, "not int"),
    "empty mol": (Chem.Mol, "there are no atoms"),
    "unsanitised": (lambda: Chem.MolFromSmiles("C(C)(C)(C)(C)C", sanitize=False), "Explicit valence"),
    "dative": (dative, "is dative; the model does not know such bonds"),
    "axis": (axis, "atoms 8 and 9 is an axis of atropisomers; only that of tetrahedral centres and double"),
    "query": (lambda: Chem.MolFromSmarts("[C,N]~*"), "is outside"),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_refused_with_the_reason(name: str, make: ConformerPipeline) -> None:
    item, reason = OBJECTS[name][0](), OBJECTS[name][1]
    with pytest.raises(Refused, match=reason):
        make(item)


def test_coordinates_without_bonds_are_refused(make: ConformerPipeline) -> None:
    ase = pytest.importorskip("ase")
    with pytest.raises(Refused, match="do not say where the bonds are"):
        make(ase.Atoms("OHH", [[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]]))


def test_a_bad_row_does_not_end_a_batch(make: ConformerPipeline) -> None:
    bad = [text for text in SMILES if len(text) < 20] + [item() for item, _ in OBJECTS.values()]
    answers = make(["CCO", *bad, "CCN"], n=1)
    assert [k for k, answer in enumerate(answers) if answer.ok] == [0, len(bad) + 1]
    assert all(answer.error for answer in answers[1:-1])
    assert make([]) == []


@pytest.mark.parametrize("polish", [None, "mmff", "xtb"])
def test_a_molecule_of_which_no_sample_is_right_does_not_end_a_batch(polish: str | None) -> None:
    if polish == "xtb":
        pytest.importorskip("tblite")
    ethanol = embedding(Chem.AddHs(Chem.MolFromSmiles("CCO")), 0)  # as dimethyl ether it makes no sense
    answers = build(Guide([ethanol]))(["CCO", "COC", "CCO"], n=2, polish=polish)
    assert [answer.ok for answer in answers] == [True, False, True]
    assert answers[1].error == (
        "none of 6 samples is a conformer of it: 0 not embedded, 0 of other stereochemistry, 6 with clashes, "
        "0 not relaxed"
    )
    assert (answers[1].tally.sampled, answers[1].tally.clashes) == (6, 6)


def test_files_have_many_molecules(make: ConformerPipeline, tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("CCO ethanol\nC1CC broken\nCCN ethylamine\n")
    answers = make(tmp_path / "a.smi", n=1)
    assert [answer.name for answer in answers] == ["ethanol", "broken", "ethylamine"]
    assert [answer.ok for answer in answers] == [True, False, True]
    answers[0].to_sdf(tmp_path / "b.sdf")
    again = make(str(tmp_path / "b.sdf"), n=1)
    assert [answer.smiles for answer in again] == ["CCO"]


def test_an_embedding_that_fails_now_and_then_is_counted(
    make: ConformerPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equizoo.pipelines import conformer_starts

    embed = conformer_starts.embedding

    def sometimes(mol: Any, seed: int, sample: int = 0) -> Any:
        if sample % 2 == 0:
            raise Refused("no 3-D geometry")
        return embed(mol, seed, sample)

    monkeypatch.setattr(conformer_starts, "embedding", sometimes)
    answer = make("CCCO", n=4, rmsd=0)
    assert (answer.tally.not_embedded, answer.tally.made, answer.tally.sampled) == (4, 4, 8)
    assert (answer.samples % 2 == 1).all()


def test_a_large_molecule_is_refused_before_any_embedding(
    make: ConformerPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def embed(*_: Any) -> None:
        raise AssertionError("the embedding was tried")

    monkeypatch.setattr(conformer_stereo, "embedding", embed)
    assert "120 heavy atoms" in make(["C" * 120])[0].error


def test_hostile_strings_are_answered_or_refused(make: ConformerPipeline) -> None:
    rng = np.random.default_rng(0)
    pieces = "C c N O F = # ( ) 1 2 [C@H] [C@@] / \\ [N+] % .".split()
    texts = ["".join(rng.choice(pieces, rng.integers(1, 12))) for _ in range(80)]
    texts += ["".join(rng.choice(list(string.printable), rng.integers(1, 30))) for _ in range(60)]
    for answer in make(texts, n=1, steps=1):
        assert answer.ok or answer.error

"""What is not answered, and that each refusal says why and ends nothing else."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from rdkit import Chem

from equizoo.data import point_files
from equizoo.pipelines import molecules, motion_files, particles_files, readers
from equizoo.pipelines.properties import MoleculePropertyPipeline

PEPTIDE = "NCC(=O)" * 45 + "O"
WATER = [[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]]


def water(**changes: Any) -> Atoms:
    return Atoms(**({"symbols": "OHH", "positions": WATER} | changes))


SMILES = {
    "": "the input is empty",
    "   ": "the input is empty",
    "C1CC": "not a valid SMILES: a ring, bracket or bond may be left open",
    "[Xx]": "not a valid SMILES: there is no element 'Xx'",
    "hello": "not a valid SMILES",
    "CCO CC": "spaces",
    "C(C)(C)(C)(C)C": "Explicit valence for atom # 0 C, 5",
    "c1cccc1": "kekulize",
    "C.C": "2 separate fragments",
    "CC[Si]": "element Si is outside the model's H, C, N, O, F",
    "C*": r"element \* is outside",
    "[NH4+]": r"its charge is \+1",
    "CC([O-])=O": "its charge is -1",
    "C[CH2]": "radical",
    "[2H]C": "isotope",
    "[H][H]": "MMFF94 has no parameters",
    "C1#CC1": "the embedding failed",
    PEPTIDE: "318 atoms are more than the limit of 200",
    "C" * 5000: "5000 characters of SMILES",
    "nowhere.xyz": "the file cannot be read: No such file",
    "molecule.pdb": "files like 'molecule.pdb' are not read",
}


@pytest.mark.parametrize("smiles", SMILES, ids=lambda text: repr(text[:14]))
def test_a_smiles_is_refused_with_the_reason(smiles: str, predict: MoleculePropertyPipeline) -> None:
    result = predict([smiles])[0]
    with pytest.raises(ValueError, match=SMILES[smiles]):
        raise ValueError(result["error"])
    assert result["ok"] is False
    assert result["properties"] is None
    assert result["atomization"] is None
    assert result["in_domain"] is None


def mol_without_hydrogens() -> Any:
    block = Chem.MolToMolBlock(Chem.AddHs(Chem.MolFromSmiles("C")))
    mol = Chem.RemoveHs(Chem.MolFromMolBlock(block, removeHs=False))
    conformer = mol.GetConformer()
    conformer.Set3D(True)
    return mol


def pyg(**fields: Any) -> Any:
    from torch_geometric.data import Data

    return Data(**fields)


OBJECTS: dict[str, tuple[Callable[[], Any], str]] = {
    "NaN": (
        lambda: water(positions=[[0, 0, math.nan], *WATER[1:]]),
        "atom 1 has a coordinate that is not a finite",
    ),
    "inf": (
        lambda: water(positions=[*WATER[:2], [0, math.inf, 0]]),
        "atom 3 has a coordinate that is not a finite",
    ),
    "coincident": (
        lambda: water(positions=[WATER[0], WATER[0], WATER[2]]),
        r"atoms 1 and 2 are 0\.00 Å apart",
    ),
    "apart": (lambda: water(positions=[*WATER[:2], [5, 5, 5]]), "2 separate fragments"),
    "no atoms": (lambda: Atoms(), "there are no atoms"),
    "one atom": (lambda: Atoms("O", [[0, 0, 0]]), "bare atom"),
    "odd": (lambda: Atoms("OH", WATER[:2]), "9 electrons, an odd number"),
    "periodic": (lambda: water(pbc=True), "periodic"),
    "charged": (lambda: water(charges=[1, 0, 0]), r"its charge is \+1"),
    "charged a little": (lambda: water(charges=[0.01, 0, 0]), r"its charge is \+0.01"),
    "charged without limit": (lambda: water(info={"charge": math.nan}), r"its charge is \+nan"),
    "charged by words": (
        lambda: water(info={"charge": "neutral"}),
        "charge cannot be read: could not convert",
    ),
    "charged data": (
        lambda: pyg(z=torch.tensor([8, 1, 1]), pos=WATER, charge=torch.tensor([-0.5, 0, 0])),
        "-0.5",
    ),
    "data of words": (lambda: pyg(z=torch.tensor([8, 1, 1]), pos="here"), "not one array of numbers"),
    "foreign": (lambda: water(symbols="SHH"), "element S is outside"),
    "large": (lambda: Atoms("C300", [[1.5 * i, 0, 0] for i in range(300)]), "300 atoms are more than"),
    "implicit": (mol_without_hydrogens, "4 hydrogens have no coordinates"),
    "empty mol": (Chem.Mol, "there are no atoms"),
    "unsanitised": (lambda: Chem.MolFromSmiles("C(C)(C)(C)(C)C", sanitize=False), "Explicit valence"),
    "data": (lambda: pyg(), "not Data"),
    "data without pos": (lambda: pyg(z=1), "needs z"),
    "none": (lambda: None, "not NoneType"),
    "number": (lambda: 7, "not int"),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_refused_with_the_reason(name: str, predict: MoleculePropertyPipeline) -> None:
    make, reason = OBJECTS[name]
    with pytest.raises(ValueError, match=reason):
        raise ValueError(predict(make())["error"])


def test_what_sums_to_no_charge_is_neutral(predict: MoleculePropertyPipeline) -> None:
    expected = predict(water())["properties"]
    z, partial = torch.tensor([8, 1, 1]), torch.tensor([-0.8, 0.4, 0.4])
    for item in (
        water(charges=[-0.3, 0.1, 0.2]),  # their sum is 2.8e-17
        pyg(z=z, pos=torch.tensor(WATER), charge=partial),
        pyg(z=z, pos=torch.tensor(WATER, dtype=torch.float64, requires_grad=True)),
        pyg(z=z.numpy(), pos=np.array(WATER), charge=partial.numpy()),
    ):
        answer = predict([item])[0]
        assert answer["ok"], answer["error"]
        for name, quantity in answer["properties"].items():
            assert quantity["value"] == pytest.approx(expected[name]["value"], abs=1e-4)


@pytest.mark.parametrize("name", ["cloud.PLY", "clouds/", "s.npz", "m.smiles", "walk.amc", "notes"])
def test_files_of_other_tasks_name_the_task(
    name: str, predict: MoleculePropertyPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clouds").mkdir()
    (tmp_path / "notes").touch()
    error = predict([name])[0]["error"]
    assert error.startswith(("files like", "folders like"))
    assert f"{name.strip('/')!r} are not read, only .xyz, .sdf, .smi, .csv" in error
    tasks = {"cloud.PLY": "point-cloud", "clouds/": "point-cloud", "s.npz": "particle", "walk.amc": "motion"}
    assert tasks.get(name, "") in error and ("(--task)" in error) == (name in tasks)


def test_a_file_that_is_called_like_a_molecule_is_none(
    predict: MoleculePropertyPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "CCO").touch()
    assert predict("CCO")["formula"] == "C2H6O"


def test_the_endings_of_other_tasks_are_known() -> None:
    others = {*point_files.SUFFIXES, *particles_files.SUFFIXES, *motion_files.SUFFIXES}
    assert others - set(readers.SUFFIXES) == set(readers.OTHER_TASKS)


def test_shapes_that_do_not_fit_are_refused(predict: MoleculePropertyPipeline) -> None:
    data = pyg(z=torch.tensor([8, 1, 1]), pos=torch.zeros(2, 3))
    assert "need positions of shape (3, 3), got (2, 3)" in predict(data)["error"]
    assert "there is no element 0" in predict(pyg(z=torch.tensor([0, 1]), pos=torch.zeros(2, 3)))["error"]


def test_a_bad_row_does_not_end_a_batch(predict: MoleculePropertyPipeline) -> None:
    inputs = ["CCO", *SMILES, "c1ccccc1", *(make() for make, _ in OBJECTS.values()), "O"]
    results = predict(inputs)
    assert [i for i, result in enumerate(results) if result["ok"]] == [
        0,
        len(SMILES) + 1,
        len(inputs) - 1,
    ]
    assert [result["formula"] for result in results if result["ok"]] == ["C2H6O", "C6H6", "H2O"]


def test_a_large_molecule_is_refused_before_any_embedding(
    predict: MoleculePropertyPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def embed(*_: Any) -> None:
        raise AssertionError("the embedding was tried")

    monkeypatch.setattr(molecules, "embed", embed)
    assert "318 atoms" in predict(PEPTIDE)["error"]


def test_a_model_that_diverges_gives_no_number(predict: MoleculePropertyPipeline) -> None:
    predict.model.weight.data.fill_(math.nan)
    result = predict("CCO")
    assert result["ok"] is False
    assert result["properties"] is None
    assert "not a finite number" in result["error"]

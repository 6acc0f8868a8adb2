import io
from pathlib import Path

import pytest
import torch
from ase import Atoms
from rdkit import Chem

from equizoo.commands.output import expand_inputs
from equizoo.pipelines.properties import MoleculePropertyPipeline
from equizoo.pipelines.readers import read_file
from tests.data.qm9_samples import sdf_and_table, xyz
from tests.pipelines.conftest import values

WATER = "3\nwater\nO 0.0 0.0 0.0\nH 0.96 0.0 0.0\nh -0.24 0.93 0.0\n"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def errors(path: Path) -> list[str | None]:
    return [entry.error for entry in read_file(path)]


def test_csv_with_bad_rows(tmp_path: Path, predict: MoleculePropertyPipeline) -> None:
    text = 'Name,SMILES,note\nethanol,CCO,\nopen,C1CC,x\n,,\nshort\n\nempty,,y\n"two, words",O,z\n'
    results = predict(write(tmp_path, "m.csv", text))
    assert [result["ok"] for result in results] == [True, False, False, False, True]
    assert [result["name"] for result in results] == ["ethanol", "open", None, "empty", "two, words"]
    assert [result["source"] for result in results] == [f"m.csv, line {n}" for n in (2, 3, 5, 7, 8)]
    assert results[2]["error"] == "the row has 1 of 3 columns"
    assert "the input is empty" in results[3]["error"]
    assert results[0]["input"] == "CCO"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_delimiters_and_a_byte_order_mark(delimiter: str, tmp_path: Path) -> None:
    path = write(tmp_path, "m.csv", "\ufeffid,smiles\n1,CCO\n2,O\n".replace(",", delimiter))
    assert [(entry.name, entry.item) for entry in read_file(path)] == [("1", "CCO"), ("2", "O")]


def test_csv_with_an_unclosed_quote_in_a_smiles(tmp_path: Path) -> None:
    path = write(tmp_path, "m.csv", 'smiles,name\nCCO,"two\nlines"\n"C\nCC\nN\n')
    first, open_ = read_file(path)
    assert (first.item, first.name, first.error) == ("CCO", "two\nlines", None)
    assert (open_.item, open_.error) == (None, "the SMILES has line breaks: is a quote not closed?")


def test_csv_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "m.csv", "structure,value\nCCO,1\n")
    assert errors(path) == ["the file has no column 'smiles'; its columns are ['structure', 'value']"]
    assert [entry.item for entry in read_file(path, smiles_column="Structure")] == ["CCO"]


def test_smi(tmp_path: Path, predict: MoleculePropertyPipeline) -> None:
    results = predict(str(write(tmp_path, "m.smi", "smiles name\nCCO ethyl alcohol\n\nC1CC\nO\n")))
    assert [result["ok"] for result in results] == [True, False, True]
    assert [result["name"] for result in results] == ["ethyl alcohol", None, None]
    assert results[1]["source"] == "m.smi, line 4"


def test_sdf_with_bad_records(tmp_path: Path, predict: MoleculePropertyPipeline) -> None:
    flat = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    pentavalent = Chem.MolToMolBlock(Chem.MolFromSmiles("C(C)(C)(C)(C)C", sanitize=False), kekulize=False)
    records = [sdf_and_table()["gdb9.sdf"], flat, "$$$$\nbad\n\n\n  9  9 nonsense\n$$$$\n", pentavalent]
    results = predict(write(tmp_path, "m.sdf", "".join(records)))
    assert [result["name"] for result in results] == ["gdb_1", "gdb_2", "gdb_3", None, "bad", None]
    # the three records of QM9 have no bonds, so RDKit takes their atoms for fragments
    assert [result["ok"] for result in results] == [False, False, False, True, False, False]
    assert results[3]["geometry"] == "mmff"
    assert results[4]["error"] == "the record is not a valid MOL block"
    assert "Explicit valence" in results[5]["error"]


def test_sdf_keeps_given_coordinates(tmp_path: Path, predict: MoleculePropertyPipeline) -> None:
    from rdkit.Chem import rdDistGeom

    mol = Chem.AddHs(Chem.MolFromSmiles("C[C@H](O)F"))
    rdDistGeom.EmbedMolecule(mol, randomSeed=3)
    [result] = predict(write(tmp_path, "m.sdf", Chem.MolToMolBlock(mol)))
    assert (result["geometry"], result["smiles"]) == ("given", "C[C@H](O)F")
    torch.testing.assert_close(values(result), values(predict(mol)), atol=1e-3, rtol=0)


def test_xyz(tmp_path: Path, predict: MoleculePropertyPipeline) -> None:
    [result] = predict(write(tmp_path, "m.xyz", WATER))
    given = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    assert torch.equal(values(result), values(predict(given)))
    assert (result["name"], result["source"]) == ("water", "m.xyz, frame 1")


def test_xyz_of_qm9_itself(tmp_path: Path, predict: MoleculePropertyPipeline) -> None:
    results = predict(write(tmp_path, "m.xyz", xyz(1) + xyz(2) + xyz(3)))
    assert [result["formula"] for result in results] == ["CH4", "H3N", "H2O"]
    assert all(result["in_domain"] for result in results)


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (WATER.replace("3\n", "4\n"), ["the first line says 4 atoms, but 3 follow"]),
        (WATER.replace("3\n", "2\n"), ["the first line says 2 atoms, but 3 follow"]),
        (WATER.replace("3\n", "2\n") + WATER, ["the first line says 2 atoms, but 3 follow", None]),
        (
            WATER + WATER.replace("3\n", "4\n") + WATER,
            [None, "the first line says 4 atoms, but 3 follow", None],
        ),
        (WATER.replace("3\n", "three\n") + WATER, ["line 1 should be the number of atoms", None]),
        (WATER.replace("3\n", "²\n") + WATER, ["line 1 should be the number of atoms", None]),
        (WATER.replace("3\n", "3" * 5000 + "\n") + WATER, ["line 1 should be the number of atoms", None]),
        ("x\n²\n" + "3" * 5000 + "\n" + WATER, ["line 1 should be the number of atoms", None]),
        (WATER.replace("0.93", "zero"), ["a coordinate is not a number"]),
        ("3\n", ["the first line says 3 atoms, but 0 follow"]),
        ("", ["the file has no molecules"]),
        (WATER.replace("water", "charge=-1 x"), [None]),
    ],
)
def test_xyz_with_a_wrong_count(text: str, reasons: list[str | None], tmp_path: Path) -> None:
    found = errors(write(tmp_path, "m.xyz", text))
    assert len(found) == len(reasons)
    for error, reason in zip(found, reasons, strict=True):
        assert error is None if reason is None else error.startswith(reason)


def test_xyz_that_cannot_be_answered(tmp_path: Path, predict: MoleculePropertyPipeline) -> None:
    text = (
        WATER.replace("water", "charge=-1")
        + WATER.replace("O ", "Qq ")
        + WATER.replace("0.96", "nan")
        + WATER
    )
    reasons = [result["error"] for result in predict(write(tmp_path, "m.xyz", text))]
    assert reasons[0] == "its charge is -1; the model knows neutral molecules only"
    assert reasons[1] == "there is no element 'Qq'"
    assert reasons[2] == "atom 2 has a coordinate that is not a finite number"
    assert reasons[3] is None


def test_files_and_molecules_in_one_list(tmp_path: Path, predict: MoleculePropertyPipeline) -> None:
    path = write(tmp_path, "m.smi", "O\nN\n")
    results = predict(["CCO", path, str(tmp_path / "none.sdf"), "C"])
    assert [result["formula"] for result in results] == ["C2H6O", "H2O", "H3N", None, "CH4"]
    assert results[3]["error"].startswith("the file cannot be read")
    assert errors(tmp_path / "m.cif") == ["files like 'm.cif' are not read, only .xyz, .sdf, .smi, .csv"]


def test_labels_of_atoms_may_be_numbered(predict: MoleculePropertyPipeline, tmp_path: Path) -> None:
    text = "3\nwater\nO1 0 0 0\nH2 0.96 0 0\nh13 -0.24 0.93 0\n"
    assert predict(write(tmp_path, "m.xyz", text))[0]["formula"] == "H2O"


def test_standard_input_is_a_file_of_smiles(
    predict: MoleculePropertyPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "m.smi", "CN methylamine\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"SMILES name\n\nCCO ethyl alcohol\nCC\n{path}\n"))
    results = predict(expand_inputs(["O", "-", "C"]))
    assert [result["formula"] for result in results] == ["H2O", "C2H6O", "C2H6", "CH5N", "CH4"]
    assert [result["name"] for result in results] == [None, "ethyl alcohol", None, "methylamine", None]
    assert results[1]["input"] == "CCO" and results[1]["source"] == "standard input, line 3"

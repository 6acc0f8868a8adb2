"""Files, tables and the command line of the conformer pipeline."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rdkit import Chem

from equizoo import cli
from equizoo.hub.checkpoint import save_checkpoint
from equizoo.pipelines.conformer_files import NothingToWrite, write_conformers, write_sdf, write_xyz
from equizoo.pipelines.conformer_report import format_conformers, write_table
from equizoo.pipelines.conformer_result import Conformers
from equizoo.pipelines.writing import WrongEnding
from tests.pipelines.conformer_samples import DOMAIN, SHAPE, build, small_flow


@pytest.fixture(scope="module")
def answers() -> list[Conformers]:
    return build()(["C[C@H](O)CF", "CC(O)F", "C.C", "CCCCCCCCCC"], n=3)


def test_an_sdf_file_has_a_record_a_conformer(answers: list[Conformers], tmp_path: Path) -> None:
    write_sdf(answers, tmp_path / "a.sdf")
    mols = list(Chem.SDMolSupplier(str(tmp_path / "a.sdf"), removeHs=False))
    assert len(mols) == sum(len(answer) for answer in answers)
    first = mols[: len(answers[0])]
    for rank, mol in enumerate(first):
        assert np.allclose(mol.GetConformer().GetPositions(), answers[0].positions[rank], atol=1e-4)
        assert float(mol.GetProp("energy [kcal/mol]")) == pytest.approx(answers[0].energies[rank], abs=1e-4)
        assert (mol.GetProp("rank"), mol.GetProp("sample")) == (
            str(rank + 1),
            str(answers[0].samples[rank]),
        )
        Chem.AssignStereochemistryFrom3D(mol)
        assert Chem.MolToSmiles(Chem.RemoveHs(mol)) == answers[0].smiles
    assert [path.name for path in tmp_path.iterdir()] == ["a.sdf"]


def test_an_xyz_file_has_a_frame_a_conformer(answers: list[Conformers], tmp_path: Path) -> None:
    answers[0].to_xyz(tmp_path / "a.xyz")
    lines = (tmp_path / "a.xyz").read_text().splitlines()
    atoms = len(answers[0].z)
    assert len(lines) == len(answers[0]) * (atoms + 2)
    assert lines[0] == str(atoms) and lines[1].startswith(f"{answers[0].smiles}; rank 1; sample ")
    frame = np.array([[float(x) for x in line.split()[1:]] for line in lines[2 : atoms + 2]])
    assert np.allclose(frame, answers[0].positions[0], atol=1e-5)
    write_xyz(answers, tmp_path / "a.xyz")
    assert sum(line == "32" for line in (tmp_path / "a.xyz").read_text().splitlines()) == len(answers[3])


def test_a_hostile_name_stays_on_its_line(tmp_path: Path) -> None:
    mol = Chem.MolFromSmiles("CO")
    mol.SetProp("_Name", "a\n$$$$\n> <x>\nb" + "c" * 300)
    answer = build()(mol, n=1)
    answer.to_sdf(tmp_path / "a.sdf")
    assert len(list(Chem.SDMolSupplier(str(tmp_path / "a.sdf")))) == 1
    answer.to_xyz(tmp_path / "a.xyz")
    assert len((tmp_path / "a.xyz").read_text().splitlines()) == 8


def test_what_cannot_be_written_says_why(answers: list[Conformers], tmp_path: Path) -> None:
    with pytest.raises(WrongEnding, match=r"'a\.pdb' must end in \.sdf or \.xyz"):
        write_conformers(answers, tmp_path / "a.pdb")
    with pytest.raises(NothingToWrite, match="there are no conformers to write"):
        write_conformers(answers[2:3], tmp_path / "a.sdf")
    with pytest.raises(NothingToWrite):
        answers[2].to_xyz(tmp_path / "a.xyz")
    assert list(tmp_path.iterdir()) == []


def test_the_table_and_the_csv_file(answers: list[Conformers], tmp_path: Path) -> None:
    text = format_conformers(answers, "it is small")
    for part in (
        "molecule",
        "Ranked by energy: MMFF94, briefly relaxed [kcal/mol].",
        "CC(O)F: one stereo element was left open; the conformers are those of ",
        "† is outside the training domain",
        "  CCCCCCCCCC: 10 heavy atoms, and the model was trained on at most 9",
        "Note: it is small.",
        "no answer:\n  C.C: it has 2 separate fragments",
    ):
        assert part in text
    write_table(answers, tmp_path / "a.csv")
    with open(tmp_path / "a.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["ok"] for row in table].count("False") == 1
    assert len(table) == 1 + sum(len(answer) for answer in answers)
    assert float(table[0]["energy [kcal/mol]"]) == pytest.approx(answers[0].energies[0], abs=1e-4)


def test_a_record_is_json(answers: list[Conformers]) -> None:
    for answer in answers:
        record = json.loads(json.dumps(answer.record(), allow_nan=False))
        assert record["ok"] is answer.ok
        assert np.array(record["positions"]).shape[0] == len(answer)
        assert record["tally"]["asked"] == 3
    assert answers[0].record()["elements"][:2] == ["C", "C"]
    assert answers[1].record()["chosen_stereo"] == 1


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    card = {
        "name": "small-conformers",
        "family": "conformer-flow",
        "task": "conformers",
        "dataset": "conformers",
        "method": "none",
        "config": SHAPE | {"prior": "etkdg"},
        "targets": [{"name": "recall", "unit": "Å", "description": "RMSD of the nearest"}],
        "domain": DOMAIN | {"elements": list(DOMAIN["elements"])},
    }
    folder = tmp_path_factory.mktemp("conformers") / "model"
    save_checkpoint(folder, card, {"equivariant": small_flow()})
    return folder


def run(checkpoint: Path, *arguments: object) -> int:
    command = ["predict", "--task", "conformers", "--model", checkpoint, *arguments]
    return cli.main([str(argument) for argument in command])


def test_the_command_writes_conformers(checkpoint: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "mols.sdf"
    options = ("--n", 3, "--seed", 4, "--out", out, "--csv", tmp_path / "a.csv")
    assert run(checkpoint, "OCCF", "CCN", *options) == 0
    assert "OCCF" in capsys.readouterr().out
    first = out.read_bytes()
    assert run(checkpoint, "OCCF", "CCN", *options, "--steps", 3, "--rmsd", 0.1) == 0
    assert out.read_bytes() == first
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + first.count(b"$$$$")
    assert run(checkpoint, "OCCF", "CCN", *options, "--polish", "mmff") == 0
    assert out.read_bytes() != first


def test_the_command_says_what_it_refuses(checkpoint: Path, tmp_path: Path, capsys) -> None:
    assert run(checkpoint, "CCO", "C.C", "--n", 2, "--json") == 3
    captured = capsys.readouterr()
    assert [record["ok"] for record in json.loads(captured.out)] == [True, False]
    assert "1 of 2 inputs have no answer" in captured.err
    assert run(checkpoint, "C.C", "--out", tmp_path / "a.sdf") == 1
    assert not (tmp_path / "a.sdf").exists()
    capsys.readouterr()
    for arguments, message in (
        (("--n", 0), "n must be a whole number from 1 to 1000"),
        (("--out", tmp_path / "a.pdb"), "must end in .sdf or .xyz"),
        (("--out", tmp_path / "none" / "a.sdf"), "there is no such folder"),
        (("--plot", tmp_path / "a.png"), "conformers are not plotted"),
        (("--steps", 0), "steps must be a whole number of at least 1"),
        (("--geometry", "mmff"), "'conformers' has no option 'geometry'"),
    ):
        assert run(checkpoint, "CCO", *arguments) == 1
        assert message in capsys.readouterr().err


def test_a_report_of_nothing_ranked() -> None:
    answer = build()("[C-]#[O+]", n=1)
    assert "so the conformers are not ranked" in format_conformers([answer])
    assert "energy" not in "".join(answer.record()["tally"])
    assert SimpleNamespace(**answer.record()).relative_energies is None

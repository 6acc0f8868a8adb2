import csv
from pathlib import Path
from typing import Any

import pytest

from equizoo import cli, pipelines
from equizoo.pipelines.figure import NothingToDraw
from equizoo.pipelines.properties import MoleculePropertyPipeline
from equizoo.pipelines.report import format_table, plot_results, write_csv
from equizoo.pipelines.writing import WrongEnding

INPUTS = ["CCO", "C1CC", "CC(=O)Oc1ccccc1C(=O)O", "OCC(O)C(O)CO", "O", "CC"]


@pytest.fixture
def results(predict: MoleculePropertyPipeline) -> list[dict]:
    return predict(INPUTS)


@pytest.mark.parametrize("width", [40, 90, 120])
def test_the_table_has_every_value_and_every_reason(results: list[dict], width: int) -> None:
    text = format_table(results, width)
    for result in results:
        if not result["ok"]:
            assert f"  C1CC: {result['error']}" in text
            continue
        for name, quantity in result["properties"].items():
            assert f"{quantity['value']:.{decimals(name)}f}" in text
            assert quantity["unit"] in text
    assert "13 heavy atoms, and the model was trained on at most 9" in text
    assert "for 90 % of molecules" in text
    table = text.split("± holds")[0]
    assert "outside" not in table
    assert max(map(len, table.splitlines())) <= max(width, 68)  # one molecule a block takes that much


def decimals(name: str) -> int:
    """Half widths are 0.02 times the place of the target: from 0.1 on, two digits are two decimals."""
    return 3 if name in ("mu", "alpha", "homo", "lumo") else 2


def test_columns_line_up(results: list[dict]) -> None:
    lines = format_table([result for result in results if result["ok"]][:1], 120).splitlines()
    ends = {len(line) for line in lines if "±" in line and not line.startswith("±")}
    assert len(ends) == 1


def test_without_an_answer_the_table_has_the_reasons(predict: MoleculePropertyPipeline) -> None:
    text = format_table(predict(["C.C", ""]))
    assert text.splitlines() == [
        "no answer:",
        "  C.C: it has 2 separate fragments; give one molecule at a time",
        "  '': the input is empty: a SMILES string or a file name was expected",
    ]
    assert format_table([]) == ""


def test_csv_has_a_line_a_result(results: list[dict], tmp_path: Path) -> None:
    write_csv(results, tmp_path / "out.csv")
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["input"] for row in rows] == INPUTS
    first, refused, outside = rows[:3]
    assert float(first["gap [eV]"]) == results[0]["properties"]["gap"]["value"]
    assert float(first["gap [eV] low"]) == results[0]["properties"]["gap"]["interval"][0]
    assert float(first["U0 relative to atoms [eV]"]) == results[0]["atomization"]["U0"]["value"]
    assert refused["error"] == results[1]["error"]
    assert refused["gap [eV]"] == outside["gap [eV] high"] == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_figure_is_written_whole(results: list[dict], suffix: str, tmp_path: Path) -> None:
    plot_results(results, tmp_path / f"out{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"out{suffix}"]
    data = (tmp_path / f"out{suffix}").read_bytes()
    assert data.startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    assert len(data) > 10_000


def test_a_figure_of_nothing_is_an_error(results: list[dict], tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw, match="no input was answered"):
        plot_results(results[1:2], tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--plot", "out"), "'out' must end in .png, .svg or .pdf"),
        (("--plot", "a.html"), "'a.html' must end in .png, .svg or .pdf"),
        (("--task", "motion-forecasting", "--plot", "a.txt"), "must end in .html, .gif, .png, .svg or .pdf"),
        (("--task", "conformers", "--out", "a.pdb"), "'a.pdb' must end in .sdf or .xyz"),
        (("--csv", "folder"), "cannot write folder: it is a folder; name a file in it"),
        (("--plot", "folder"), "it is a folder"),
        (("--out", "a.sdf"), "'molecule-properties' has no option 'out': --out is for --task conformers"),
        (("--n", "5"), "--n is for --task conformers"),
        (("--rmsd", "0"), "--rmsd is for --task conformers"),
        (("--top-k", "3"), "has no option 'top-k': --top-k is for --task point-cloud-classification"),
        (("--steps", "2"), "particle-forecasting or motion-forecasting or conformers"),
        (("--task", "particle-forecasting", "--start", "0"), "--start is for --task motion-forecasting"),
    ],
    ids=" ".join,
)
def test_the_command_refuses_before_the_work(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(pipelines, "pipeline", lambda *_, **__: pytest.fail("the model was loaded"))
    assert cli.main(["predict", "CCO", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_what_cannot_be_written_leaves_nothing_behind(results: list[dict], tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for write in (write_csv, plot_results):
        with pytest.raises(OSError):
            write(results, tmp_path / "folder.png")
    with pytest.raises(WrongEnding, match=r"'out\.txt' must end in \.png, \.svg or \.pdf"):
        plot_results(results, tmp_path / "out.txt")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder.png"]

"""GEOM as the files that conformer generators train on."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("msgpack")

import msgpack

from equizoo.data.conformers import ConformerSet
from equizoo.data.prepare_geom import MOST, main, part_of, read_test_smiles
from equizoo.training.config import load_recipe
from equizoo.training.tasks import build_task
from tests.data.test_geom_files import record

SMILES = ["CCO", "CCN", "CCC", "CC=O", "COC", "CCF", "OCCO", "C1CC1"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Molecules, two with more conformers than training takes; fragments; a SMILES of another one."""
    path = tmp_path_factory.mktemp("geom") / "qm9_crude.msgpack"
    block = {smiles: record(smiles, MOST + 2 if smiles in ("CCO", "CCN") else 2) for smiles in SMILES}
    block |= {"C.O": record("C.O", 1), "CCS": record("CCO", 1)}
    path.write_bytes(msgpack.packb(block))
    return path


def test_the_recipe_trains_on_what_is_prepared(archive: Path, tmp_path: Path, monkeypatch) -> None:
    table = tmp_path / "test.csv"
    table.write_text("set,smiles,n\nQM9,OCC,3\nDRUGS,CCC,1\n")
    assert (
        main([str(archive), "--test", str(table), "--set", "QM9", "--out", str(tmp_path), "--valid", "0.4"])
        == 0
    )
    sets = {
        p: ConformerSet.load(tmp_path / f"conformers-geom-qm9-{p}.npz") for p in ("train", "valid", "test")
    }
    assert list(sets["test"].smiles) == ["CCO"]
    assert len(sets["test"].conformers(0)) == MOST + 2
    assert sorted([*sets["train"].smiles, *sets["valid"].smiles]) == sorted(set(SMILES) - {"CCO"})
    ethylamine = next(one for part in sets.values() for one in part if one.smiles == "CCN")
    assert len(ethylamine.conformers) == MOST
    assert np.all(np.diff(ethylamine.energy) >= 0)
    report = json.loads((tmp_path / "conformers-geom-qm9.json").read_text())
    left = sum((Counter(file["left out"]) for file in report["files"].values()), Counter())
    assert left == {
        "no conformer with the bonds and stereochemistry of the SMILES": 1,
        "several fragments": 1,
    }
    config = load_recipe("conformer-geom-qm9-paper-strict")
    task = build_task({**config.data, "root": str(tmp_path)}, 0)
    assert task.n_train == sum(len(one.conformers) for one in sets["train"])
    monkeypatch.delenv("EQUIZOO_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="prepare_geom --help"):
        build_task(config.data, 0)


def test_parts_do_not_depend_on_the_order_and_follow_the_share() -> None:
    names = ["C" * k for k in range(1, 400)]
    parts = [part_of(name, {"CC"}, 0.25, seed=3) for name in names]
    assert parts[1] == "test"
    assert 70 < parts.count("valid") < 130
    assert part_of("OCC", {"CCO"}, 0.25, 0) == "test"


@pytest.mark.parametrize(("text", "message"), [("", "no test molecules"), ("CCO\nno SMILES\n", "no SMILES")])
def test_files_of_test_molecules_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "test.smi").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_test_smiles(tmp_path / "test.smi")


def test_sources_that_are_missing(archive: Path, tmp_path: Path, caplog) -> None:
    (tmp_path / "test.smi").write_text("CCO name\n")
    arguments = ["--test", str(tmp_path / "test.smi"), "--out", str(tmp_path)]
    assert main([str(tmp_path / "nothing.msgpack"), *arguments]) == 2
    assert main([str(archive), *arguments, "--molecules", "1"]) == 2
    assert "no molecule for the part 'train'" in caplog.text
    assert main([str(archive), *arguments, "--valid", "1"]) == 2

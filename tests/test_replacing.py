import os

import pytest

from equizoo._replacing import replacing, replacing_folder


def test_replacing_keeps_the_old_file_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_replacing_keeps_the_suffix_and_follows_the_umask(tmp_path):
    with replacing(tmp_path / "model.onnx") as temporary:
        assert temporary.suffix == ".onnx"
        temporary.touch()
    (tmp_path / "plain").touch()
    assert (tmp_path / "model.onnx").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_replacing_folder(tmp_path):
    target = tmp_path / "deep" / "folder"
    with replacing_folder(target) as temporary:
        (temporary / "one").touch()
    with replacing_folder(target) as temporary:
        (temporary / "two").touch()
        assert (target / "one").exists()
    assert [p.name for p in target.iterdir()] == ["two"]
    with pytest.raises(RuntimeError), replacing_folder(target):
        raise RuntimeError
    assert [p.name for p in target.parent.iterdir()] == ["folder"]


def test_a_folder_is_not_lost_when_its_replacement_is_interrupted(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    rename, calls = os.replace, []

    def interrupted(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(source, target)

    with pytest.raises(KeyboardInterrupt), replacing_folder(tmp_path / "folder"):
        monkeypatch.setattr(os, "replace", interrupted)
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")] == ["folder", "folder/old"]

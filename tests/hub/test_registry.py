import json
import shutil

import pytest

from equizoo.hub import errors
from equizoo.hub.checkpoint import save_checkpoint
from equizoo.hub.files import sha256
from equizoo.hub.info import model_info
from equizoo.hub.registry import bundled, list_models
from tests.hub.conftest import CARD


def test_register_copies_and_writes_digests(zoo, folder):
    entry = zoo.register(folder, "one line")
    assert entry == zoo.entries()["tiny-qm9"]
    assert entry.summary == "one line"
    assert set(entry.files) == {
        "config.json", "equivariant/model.safetensors", "partial/model.safetensors",
    }  # fmt: skip
    for path, digest in entry.files.items():
        assert sha256((zoo.zoo / "tiny-qm9" / path).read_bytes()) == digest


def test_register_takes_the_card_and_leaves_the_rest(zoo, folder):
    (folder / "README.md").write_text("card")
    (folder / "optimiser.pt").write_bytes(b"large")
    assert "README.md" in zoo.register(folder).files
    assert not (zoo.zoo / "tiny-qm9" / "optimiser.pt").exists()


def test_register_in_place_and_again(zoo, folder):
    shutil.copytree(folder, zoo.zoo / "tiny-qm9")
    first = zoo.register(zoo.zoo / "tiny-qm9")
    assert first.summary == "tiny for gap of qm9, trained with ace-equality"
    assert zoo.register(folder) == first
    assert [path.name for path in zoo.zoo.iterdir()] == ["tiny-qm9"]


@pytest.mark.parametrize(
    ("shipped", "how"),
    [(["equivariant"], "strictly equivariant"), (["equivariant", "partial"], "trained with a free γ")],
)
def test_a_summary_without_a_method(zoo, tmp_path, models, shipped, how):
    chosen = {variant: models[variant] for variant in shipped}
    save_checkpoint(tmp_path / "plain", CARD | {"method": "none"}, chosen)
    assert zoo.register(tmp_path / "plain").summary == f"tiny for gap of qm9, {how}"


def test_register_refuses_damaged_weights(zoo, folder):
    path = folder / "partial" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(errors.CorruptWeights):
        zoo.register(folder)
    assert zoo.entries() == {}


def test_folder_of_a_changed_config_raises(zoo, folder):
    zoo.register(folder)
    path = zoo.zoo / "tiny-qm9" / "config.json"
    path.write_text(path.read_text().replace("eV", "meV"))
    with pytest.raises(errors.DigestMismatch, match=r"config\.json"):
        zoo.folder("tiny-qm9")


def test_folder_that_was_not_installed_raises(zoo, folder):
    zoo.register(folder)
    shutil.rmtree(zoo.zoo / "tiny-qm9")
    with pytest.raises(errors.CheckpointNotFound, match="install equizoo again"):
        zoo.folder("tiny-qm9")


@pytest.mark.parametrize("text", ["[]", '{"a": {}}', '{"a": {"famly": "x"}}', "nonsense"])
def test_broken_registry_raises(zoo, text):
    zoo.path.parent.mkdir()
    zoo.path.write_text(text)
    with pytest.raises(errors.ConfigError, match=r"registry\.json"):
        zoo.entries()


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["tiny-qm9", "tiny-strict"]),
        ({"pattern": "*qm9*"}, ["tiny-qm9"]),
        ({"pattern": "tiny-?????*"}, ["tiny-strict"]),
        ({"method": "none"}, ["tiny-strict"]),
        ({"family": "tiny", "task": "molecule-properties", "dataset": "qm9"}, ["tiny-qm9", "tiny-strict"]),
        ({"family": "segnn"}, []),
        ({"pattern": "*strict", "method": "ace-equality"}, []),
    ],
)
def test_list_models(zoo, tmp_path, models, folder, filters, found):
    save_checkpoint(tmp_path / "other", CARD | {"name": "tiny-strict", "method": "none"}, models)
    zoo.register(tmp_path / "other")
    zoo.register(folder)
    assert list_models(**filters) == found


def test_model_info_counts_without_loading(zoo, folder, models):
    (folder / "results.json").write_text(json.dumps({"mae": {"gap": 0.1}}))
    zoo.register(folder)
    for name in (folder, str(folder), "tiny-qm9"):
        info = model_info(name)
        assert info.name == "tiny-qm9"
        for variant, model in models.items():
            assert info.numbers[variant] == sum(value.numel() for value in model.state_dict().values())
            assert info.size[variant] == (folder / variant / "model.safetensors").stat().st_size
        assert info.results == {"mae": {"gap": 0.1}}


def test_bundled_zoo_is_what_was_registered():
    for name, entry in bundled().entries().items():
        folder = bundled().folder(name)
        for path, digest in entry.files.items():
            assert sha256((folder / path).read_bytes()) == digest, f"{name}/{path}"
        card = model_info(name).config
        assert (card.name, card.family, card.method) == (name, entry.family, entry.method)

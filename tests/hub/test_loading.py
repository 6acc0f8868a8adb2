from pathlib import Path

import pytest
import torch

import equizoo
from equizoo.hub import errors
from equizoo.hub.loading import from_pretrained
from equizoo.hub.locate import HubOptions, locate

TOKEN = "t"  # noqa: S105


def test_local_folder(folder):
    for name in (folder, str(folder), f"{folder}/"):
        assert from_pretrained(name, "partial", dtype=torch.float64).card.name == "tiny-qm9"


def test_relative_and_home_folder(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert locate("./tiny-qm9") == Path("tiny-qm9")
    monkeypatch.setenv("HOME", str(folder.parent))
    assert locate("~/tiny-qm9") == folder


def test_bundled_name(zoo, folder):
    zoo.register(folder)
    assert locate("tiny-qm9") == zoo.zoo / "tiny-qm9"
    assert from_pretrained("tiny-qm9").card.name == "tiny-qm9"


def test_local_checkpoint_comes_before_a_bundled_name(zoo, folder, monkeypatch):
    zoo.register(folder)
    monkeypatch.chdir(folder.parent)
    assert locate("tiny-qm9") == Path("tiny-qm9")


def test_bundled_name_comes_before_a_folder_that_is_no_checkpoint(zoo, folder, tmp_path, monkeypatch):
    zoo.register(folder)
    (tmp_path / "elsewhere" / "tiny-qm9").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert locate("tiny-qm9") == zoo.zoo / "tiny-qm9"


def test_unknown_name_names_the_three_forms_and_the_nearest(zoo, folder):
    zoo.register(folder)
    with pytest.raises(errors.UnknownModel) as caught:
        from_pretrained("tiny-qm8")
    for part in ("'tiny-qm8'", "did you mean 'tiny-qm9'", "bundled name", "local folder", "org/name"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["", "nothing like it", "/no/such/folder", "./no", "../a/b", "~nobody/x", "x" * 5000, Path("org/name")],
)
def test_what_is_no_model(zoo, name):
    with pytest.raises(errors.UnknownModel, match="org/name"):
        locate(name)


def test_folder_without_config(zoo, tmp_path):
    with pytest.raises(errors.CheckpointNotFound, match=r"no config\.json"):
        locate(str(tmp_path))


def test_a_prefix_says_which_kind(zoo, folder, monkeypatch):
    zoo.register(folder)
    monkeypatch.chdir(folder.parent)
    assert locate("local-dir:tiny-qm9") == Path("tiny-qm9")
    monkeypatch.chdir(zoo.zoo.parent)
    with pytest.raises(errors.CheckpointNotFound, match="no folder 'tiny-qm9'"):
        locate("local-dir:tiny-qm9")
    with pytest.raises(errors.CheckpointNotFound, match=r"no config\.json"):
        locate("local-dir:.")
    with pytest.raises(errors.UnknownModel, match="no model named 'hf-hub:tiny-qm9'"):
        locate("hf-hub:tiny-qm9")


def test_hub_arguments_reach_the_client(zoo, folder, monkeypatch):
    import huggingface_hub

    calls = []

    def download(repo, **options):
        calls.append((repo, options))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    model = from_pretrained(
        "org/tiny",
        "partial",
        revision="v1",
        token=TOKEN,
        cache_dir="c",
        local_files_only=True,
        force_download=True,
    )
    assert model.card.name == "tiny-qm9"
    assert calls == [
        (
            "org/tiny",
            {
                "allow_patterns": ["config.json", "results.json", "README.md", "partial/model.safetensors"],
                "library_name": "equizoo",
                "library_version": equizoo.__version__,
                "revision": "v1",
                "token": TOKEN,
                "cache_dir": "c",
                "local_files_only": True,
                "force_download": True,
            },
        )
    ]


def test_hub_repository_that_is_no_checkpoint(zoo, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path))
    with pytest.raises(errors.CheckpointNotFound, match=r"org/tiny.*no config\.json"):
        locate("org/tiny")


def test_offline_without_a_cache_says_what_to_fetch(zoo, tmp_path):
    with pytest.raises(errors.HubUnavailable, match="equizoo download org/tiny --variant equivariant"):
        locate("org/tiny", ["equivariant"], HubOptions(cache_dir=tmp_path, local_files_only=True))

"""Loading from the Hub with the real client on loopback: what arrives, and what every failure says."""

import json
import os
import subprocess
import sys

import pytest

from equizoo import cli
from equizoo.hub import errors
from equizoo.hub.config import read_config
from equizoo.hub.info import model_info
from equizoo.hub.loading import from_pretrained
from equizoo.hub.locate import HubOptions, locate
from equizoo.hub.upload import collect
from tests.hub.conftest import edit
from tests.hub_server import Repo, running

WEIGHTS = "equivariant/model.safetensors"


@pytest.fixture
def repo(hub, folder):
    """Return the repository ``org/tiny``, which holds both variants, results that are empty, and digests."""
    hub.repos["org/tiny"] = Repo()
    (folder / "results.json").write_text("{}")
    files = collect(folder, "org/tiny") | {"pytorch_model.bin": b"never fetched"}
    hub.repos["org/tiny"].commit("main", files)
    return hub.repos["org/tiny"]


def blobs(tmp_path):
    return {p.name for p in (tmp_path / "hub-cache").rglob("blobs/*")}


def fetched(hub):
    return sorted(r.rsplit("/", 1)[1] for r in hub.requests if r.startswith("GET") and "/resolve/" in r)


def test_what_is_fetched_and_what_the_hub_is_told(zoo, hub, repo):
    model = from_pretrained("org/tiny", "partial")
    assert model.card.name == "tiny-qm9"
    assert fetched(hub) == ["README.md", "config.json", "model.safetensors", "results.json"]
    assert any(agent.startswith("equizoo/") for agent in hub.agents)
    before = len(fetched(hub))
    assert from_pretrained("hf-hub:org/tiny", "partial").card == model.card
    assert from_pretrained("org/tiny", "partial", local_files_only=True).card == model.card
    assert len(fetched(hub)) == before
    from_pretrained("org/tiny", "partial", force_download=True)
    assert len(fetched(hub)) == 2 * before


def test_the_command(zoo, hub, repo, capsys):
    assert cli.main(["download", "org/tiny"]) == 0
    folder = capsys.readouterr().out.strip()
    hub.server_close()
    assert sorted(model_info(folder).numbers) == ["equivariant", "partial"]
    assert str(locate("org/tiny", ["partial"])) == folder


def test_one_variant_into_a_cache_of_its_own(zoo, hub, repo, tmp_path, capsys):
    assert cli.main(["download", "org/tiny", "--variant", "partial", "--cache-dir", str(tmp_path / "c")]) == 0
    assert list(model_info(capsys.readouterr().out.strip()).numbers) == ["partial"]
    assert blobs(tmp_path) == set()


@pytest.mark.parametrize("kind", ["branch", "commit"])
def test_a_revision(zoo, hub, repo, folder, kind):
    edit(folder, lambda config: config["training"].update(recipe="second"))
    sha = repo.commit("v2", collect(folder, "org/tiny"))
    revision = {"branch": "v2", "commit": sha}[kind]
    assert read_config(locate("org/tiny", [], HubOptions(revision=revision))).training.recipe == "second"
    assert read_config(locate("org/tiny")).training.recipe == "tiny.yaml"
    offline = HubOptions(revision=revision, local_files_only=True)
    assert locate("org/tiny", [], offline) == locate("org/tiny", [], HubOptions(revision=revision))


def private(hub):
    hub.repos["org/tiny"].private = True


def gated(hub):
    hub.repos["org/tiny"].gated = True


def nothing(hub):
    pass


def empty(hub):
    hub.repos["org/tiny"].commit("main", {"README.md": b"# other", "weights.bin": b""})


@pytest.mark.parametrize(
    ("name", "change", "options", "error", "said"),
    [
        ("org/absent", nothing, {}, errors.UnknownModel, "the Hub has no such repository"),
        ("org/tiny", private, {"token": False}, errors.UnknownModel, "a private one needs token="),
        (
            "org/tiny",
            private,
            {"token": "wrong"},
            errors.HubUnavailable,
            r"refused the access token.*\(401\)",
        ),
        ("org/tiny", gated, {"token": False}, errors.HubUnavailable, "gated on the Hub: ask for access"),
        ("org/tiny", nothing, {"revision": "v9"}, errors.UnknownModel, "has no revision 'v9'"),
        ("org/tiny", empty, {}, errors.CheckpointNotFound, r"no config\.json"),
    ],
)
def test_what_the_hub_refuses(zoo, hub, repo, tmp_path, name, change, options, error, said):
    change(hub)
    with pytest.raises(error, match=said) as caught:
        from_pretrained(name, **options)
    assert "\n" not in str(caught.value)
    assert "wrong" not in str(caught.value) and "wrong" not in repr(HubOptions(token="wrong"))  # noqa: S106


def test_a_hub_that_is_down(zoo, hub, repo):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(errors.HubUnavailable, match=r"cannot be reached \(.*`equizoo download org/tiny`"):
        locate("org/tiny", ["equivariant", "partial"])


def test_offline_names_the_command(zoo, hub, repo, monkeypatch):
    locate("org/tiny", ["equivariant"])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert from_pretrained("org/tiny").card.name == "tiny-qm9"
    said = r"HF_HUB_OFFLINE keeps.*`equizoo download org/tiny --variant partial`"
    with pytest.raises(errors.HubUnavailable, match=said):
        from_pretrained("org/tiny", "partial")
    with pytest.raises(errors.HubUnavailable, match="equizoo download org/absent --revision v1"):
        locate("org/absent", [], HubOptions(revision="v1"))


def test_a_cut_connection_is_resumed(zoo, hub, repo):
    hub.cut[WEIGHTS] = [100, 200]
    assert from_pretrained("org/tiny").card.name == "tiny-qm9"
    assert fetched(hub).count("model.safetensors") == 3


def test_a_connection_that_stays_cut_leaves_the_cache_clean(zoo, hub, repo):
    hub.cut[WEIGHTS] = [100] + 20 * [0]
    with pytest.raises(errors.HubUnavailable, match=r"'org/tiny' broke off \(.*try again"):
        from_pretrained("org/tiny")
    with pytest.raises(errors.HubUnavailable, match="equizoo download"):
        from_pretrained("org/tiny", local_files_only=True)
    hub.cut.clear()
    assert from_pretrained("org/tiny").card.name == "tiny-qm9"


@pytest.mark.parametrize("path", [WEIGHTS, "config.json", "results.json"])
def test_a_file_that_is_corrupted_on_the_way_is_fetched_again(zoo, hub, repo, path, caplog):
    hub.corrupt[path] = 1
    assert from_pretrained("org/tiny").card.name == "tiny-qm9"
    assert f"{path}" in caplog.text and "fetching it again" in caplog.text


@pytest.mark.parametrize("path", [WEIGHTS, "config.json", "results.json"])
def test_a_file_that_stays_corrupted_is_refused_and_not_kept(zoo, hub, repo, tmp_path, path):
    hub.corrupt[path] = 100
    with pytest.raises(errors.DigestMismatch, match=r"of 'org/tiny' is not the published file.*not kept"):
        from_pretrained("org/tiny")
    assert not list((tmp_path / "hub-cache").rglob(f"snapshots/*/{path}"))
    hub.corrupt.clear()
    assert from_pretrained("org/tiny").card.name == "tiny-qm9"


@pytest.mark.parametrize("path", [WEIGHTS, "config.json", "results.json"])
def test_a_file_that_is_damaged_in_the_cache_never_stays(zoo, hub, repo, path):
    file = locate("org/tiny", ["equivariant"]) / path
    good = file.read_bytes()

    def damage():
        file.resolve().write_bytes(good[:-2] + b"  ")

    damage()
    assert from_pretrained("org/tiny").card.name == "tiny-qm9"
    assert file.read_bytes() == good
    damage()
    with pytest.raises(errors.DigestMismatch, match=r"cache and is removed\..*equizoo download"):
        from_pretrained("org/tiny", local_files_only=True)
    assert not file.exists()
    assert from_pretrained("org/tiny").card.name == "tiny-qm9"


def test_a_repository_without_digests_in_its_card_still_checks_the_weights(zoo, hub, repo, folder):
    files = collect(folder, "org/tiny") | {"README.md": b"---\nequizoo: 3\n---\n# by hand"}
    repo.commit("main", files)
    assert from_pretrained("org/tiny").card.name == "tiny-qm9"
    repo.commit("main", files | {WEIGHTS: files[WEIGHTS][:-1] + b"\x01"})
    with pytest.raises(errors.DigestMismatch):
        from_pretrained("org/tiny")


def test_weights_that_the_hub_lacks(zoo, hub, repo, folder):
    files = collect(folder, "org/tiny")
    del files[WEIGHTS]
    repo.commit("main", files)
    with pytest.raises(errors.CheckpointNotFound, match=r"equivariant/model\.safetensors"):
        from_pretrained("org/tiny")
    with pytest.raises(errors.UnknownVariant, match="no variant 'best'"):
        from_pretrained("org/tiny", "best")


_CLIENT = """
import json, sys
from equizoo.cli import main
codes = [main(["download", name, "--variant", "equivariant"]) for name in sys.argv[1:]]
print(json.dumps([codes, "torch" in sys.modules]))
"""


def test_a_user_with_the_variables_of_the_hub_client(folder, tmp_path):
    def client(*names, **more):
        return subprocess.run(  # noqa: S603
            [sys.executable, "-c", _CLIENT, *names],
            env=environment | more, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    with running() as hub:
        hub.repos["org/tiny"] = Repo()
        hub.repos["org/tiny"].commit("main", collect(folder, "org/tiny"))
        environment = os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HOME": str(tmp_path / "home"),
            "NO_PROXY": "127.0.0.1",
        }
        online = client("org/tiny", "org/absent")
    offline = client("org/tiny", "org/absent", HF_HUB_OFFLINE="1")
    for done, said in ((online, "no model named 'org/absent'"), (offline, "`equizoo download org/absent ")):
        path, report = done.stdout.splitlines()
        assert path.startswith(str(tmp_path / "home"))
        assert json.loads(report) == [[0, 1], False]
        assert said in done.stderr

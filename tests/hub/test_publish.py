"""Publishing with the real Hub client on a loopback server: what is sent, and what is refused."""

import hashlib
import json
import shutil

import pytest
import yaml

from equizoo import cli
from equizoo.hub import errors
from equizoo.hub.config import read_config
from equizoo.hub.digests import recorded_digests
from equizoo.hub.locate import HubOptions, locate
from equizoo.hub.registry import bundled
from equizoo.hub.upload import collect, push
from tests.hub.conftest import edit

SMALL = "segnn-nbody-cr"  # has both variants
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own


@pytest.fixture
def checkpoint(tmp_path):
    return shutil.copytree(bundled().folder(SMALL), tmp_path / SMALL)


@pytest.fixture(scope="module")
def files():
    return collect(bundled().folder(SMALL), "org/x")


def publish(*arguments):
    return cli.main(["publish", *map(str, arguments)])


@pytest.mark.parametrize("name", sorted(bundled().entries()))
def test_every_bundled_checkpoint_goes_and_comes_back_byte_for_byte(hub, capsys, name):
    assert publish(name, "--repo", f"zoo/{name}") == 0
    assert f"{hub.url}/zoo/{name}/commit/" in capsys.readouterr().out
    assert cli.main(["download", f"zoo/{name}"]) == 0
    folder, source = locate(capsys.readouterr().out.strip()), bundled().folder(name)
    registered = bundled().entries()[name].files
    sent = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert set(sent) == set(registered)
    for path, content in sent.items():
        assert path == "README.md" or content == (source / path).read_bytes()
    recorded = recorded_digests(sent["README.md"].decode())
    assert recorded == {path: digest for path, digest in registered.items() if path != "README.md"}
    assert len(hub.repos[f"zoo/{name}"].commits) == 2  # the one that made it, and this one


def test_the_card_is_that_of_the_repository(hub, checkpoint):
    (checkpoint / "plots").mkdir()
    (checkpoint / "plots" / "gamma.png").write_bytes(b"\x89PNG")
    card = collect(checkpoint, "org/mine")["README.md"].decode()
    data = yaml.safe_load(card.split("---\n")[1])
    assert {"license", "library_name", "tags", "datasets", "pipeline_tag", "model-index"} <= data.keys()
    assert data["equizoo"]["name"] == SMALL
    assert "plots/gamma.png" in data["equizoo"]["sha256"]
    for part in ('from_pretrained("org/mine")', 'model="org/mine"', "![gamma](plots/gamma.png)"):
        assert part in card
    results = json.loads((checkpoint / "results.json").read_text())
    value = data["model-index"][0]["results"][0]["metrics"][0]["value"]
    assert value == pytest.approx(results["variants"]["equivariant"]["errors"]["position"], rel=1e-3)


def test_a_dry_run_lists_the_files_and_sends_nothing(hub, capsys):
    assert publish(SMALL, "--repo", "org/x", "--dry-run") == 0
    out = capsys.readouterr().out
    for path in ("README.md", "config.json", "partial/model.safetensors", "results.json", "nothing was sent"):
        assert path in out
    assert hub.requests == []


def test_a_second_commit_removes_what_is_gone(hub, files):
    push(files, "org/x")
    fewer = {path: content for path, content in files.items() if not path.startswith("partial/")}
    push(fewer, "org/x")
    repo = hub.repos["org/x"]
    assert set(repo.commits[repo.branches["main"]]) == {".gitattributes", *fewer}


def test_a_branch_and_a_private_repository(hub, files):
    push(files, "org/x", private=True, revision="v2")
    repo = hub.repos["org/x"]
    assert repo.private
    assert "config.json" not in repo.commits[repo.branches["main"]]
    assert read_config(locate("org/x", [], HubOptions(revision="v2"))).name == SMALL


def test_private_never_goes_to_a_public_repository(hub, files):
    push(files, "org/x")
    commits = len(hub.repos["org/x"].commits)
    with pytest.raises(errors.PublishError, match="public"):
        push(files | {"results.json": b"{}"}, "org/x", private=True)
    assert len(hub.repos["org/x"].commits) == commits


def test_an_interrupted_upload_leaves_no_commit_and_can_be_repeated(hub, files):
    hub.refuse_uploads = True
    with pytest.raises(errors.PublishError, match=r"broke off.*whole or not at all"):
        push(files, "org/x")
    repo = hub.repos["org/x"]
    assert set(repo.commits[repo.branches["main"]]) == {".gitattributes"}
    hub.refuse_uploads = False
    push(files, "org/x")
    assert {path: repo.commits[repo.branches["main"]][path] for path in files} == files


@pytest.mark.parametrize(
    ("repo", "token", "said"),
    [
        ("org/x", "wrong", r"does not know who publishes 'org/x' \(401\)"),
        ("others/x", "right", r"no right to write to 'others/x' \(403\)"),
    ],
)
def test_a_token_that_may_not_write(hub, repo, token, said):
    with pytest.raises(errors.PublishError, match=said):
        push({"README.md": b"---\n---\n"}, repo, token=token)
    assert hub.repos == {}


def test_offline_and_unreachable(hub, monkeypatch):
    hub.server_close()
    with pytest.raises(errors.PublishError, match="broke off"):
        push({}, "org/x")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(errors.PublishError, match="HF_HUB_OFFLINE"):
        push({}, "org/x")


def test_a_card_that_is_stale_is_refused(checkpoint):
    path = checkpoint / "results.json"
    results = json.loads(path.read_text())
    results["variants"]["equivariant"]["errors"]["position"] *= 0.9
    path.write_text(json.dumps(results))
    with pytest.raises(errors.CheckpointError, match=r"equizoo\.hub\.cards"):
        collect(checkpoint, "org/x")
    (checkpoint / "README.md").unlink()
    assert collect(checkpoint, "org/x")["results.json"] == path.read_bytes()


def test_a_downloaded_checkpoint_can_be_published_elsewhere(hub, files):
    push(files, "org/x")
    again = collect(locate("org/x", ["equivariant", "partial"]), "org/y")
    assert b'from_pretrained("org/y")' in again["README.md"]


def damage_weights(folder):
    path = folder / "equivariant" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (damage_weights, errors.DigestMismatch),
        (lambda folder: shutil.rmtree(folder / "partial"), errors.CheckpointNotFound),
        (lambda folder: edit(folder, lambda c: c["config"].update(hidden=4)), errors.WeightMismatch),
        (lambda folder: (folder / "results.json").write_text('{"name":'), errors.ConfigError),
    ],
)
def test_what_does_not_load_is_refused(hub, checkpoint, damage, error, capsys):
    damage(checkpoint)
    with pytest.raises(error):
        collect(checkpoint, "org/x")
    assert publish(checkpoint, "--repo", "org/x") == 1
    assert hub.repos == {}


def test_a_bundled_checkpoint_must_be_the_registered_one(hub, zoo, folder, capsys):
    (folder / "results.json").write_text("{}")
    zoo.register(folder)
    (zoo.zoo / "tiny-qm9" / "results.json").write_text('{"changed": 1}')
    assert publish("tiny-qm9", "--repo", "org/x") == 1
    assert "not the registered file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such", "--repo", "org/x"], "is no bundled name"),
        ([SMALL, "--repo", "x"], "'org/name', got 'x'"),
    ],
)
def test_usage(hub, capsys, arguments, said):
    assert publish(*arguments) == 1
    assert said in capsys.readouterr().err


def test_a_checkpoint_without_results_is_not_published(hub, checkpoint, capsys):
    (checkpoint / "results.json").unlink()
    assert publish(checkpoint, "--repo", "org/x") == 1
    assert "equizoo evaluate" in capsys.readouterr().err


def test_a_run_is_made_a_checkpoint_first(hub, tmp_path, monkeypatch, capsys):
    from equizoo.training import publish as training

    def made(run, out, recipe):
        assert recipe == "mine.yaml"
        shutil.copytree(bundled().folder(SMALL), out)
        (out / "README.md").unlink()
        return out

    monkeypatch.setattr(training, "publish", made)
    (tmp_path / "run" / "plots").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").write_text("")
    (tmp_path / "run" / "plots" / "losses.png").write_bytes(b"\x89PNG")
    assert publish(tmp_path / "run", "--repo", "org/x", "--recipe", "mine.yaml") == 0
    repo = hub.repos["org/x"]
    assert repo.commits[repo.branches["main"]]["plots/losses.png"] == b"\x89PNG"
    assert hashlib.sha256(b"\x89PNG").hexdigest()[:16] in capsys.readouterr().out

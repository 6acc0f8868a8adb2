import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
                "allow_patterns": ["config.json", "partial/model.safetensors"],
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
    with pytest.raises(errors.HubUnavailable, match="hf download org/tiny"):
        locate("org/tiny", ["equivariant"], HubOptions(cache_dir=tmp_path, local_files_only=True))


class _Hub(BaseHTTPRequestHandler):
    """The part of the Hub that a download uses, for one repository ``org/tiny`` served from ``root``."""

    root: Path
    commit = "0" * 39 + "1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        files = {p.relative_to(self.root).as_posix(): p for p in self.root.rglob("*") if p.is_file()}
        if path.startswith("/api/models/org/tiny/tree"):
            tree = [
                {"type": "file", "path": name, "size": p.stat().st_size, "oid": "0" * 40}
                for name, p in files.items()
            ]
            self._send(200, json.dumps(tree).encode())
        elif path.startswith("/api/models/org/tiny"):
            siblings = [{"rfilename": name} for name in files]
            self._send(200, json.dumps({"id": "org/tiny", "sha": self.commit, "siblings": siblings}).encode())
        elif path.startswith(f"/org/tiny/resolve/{self.commit}/"):
            content = (self.root / path.split(self.commit + "/")[1]).read_bytes()
            self._send(200, content, {"ETag": f'"{hash(content):x}"', "X-Repo-Commit": self.commit})
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _send(self, status, content, headers=None):
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


_CLIENT = """
import sys
from pathlib import Path
from equizoo.hub.errors import UnknownModel
from equizoo.hub.locate import HubOptions, locate

cache = Path(sys.argv[1])
folder = locate("org/tiny", ["equivariant"], HubOptions(cache_dir=cache))
print(sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()))
assert locate("org/tiny", ["equivariant"], HubOptions(cache_dir=cache, local_files_only=True)) == folder
try:
    locate("org/absent", [], HubOptions(cache_dir=cache))
except UnknownModel as error:
    print(error)
print("torch" in sys.modules)
"""


def test_real_client_against_a_loopback_hub(folder, tmp_path):
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    handler = type("Handler", (_Hub,), {"root": folder})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = os.environ | {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HOME": str(tmp_path / "home"),
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _CLIENT, str(tmp_path / "cache")],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        server.shutdown()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "['config.json', 'equivariant/model.safetensors']"
    assert "no model named 'org/absent'" in lines[1]
    assert lines[2] == "False"

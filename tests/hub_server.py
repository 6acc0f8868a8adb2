"""A Hub on loopback: the endpoints that huggingface_hub uses to push and pull models, and ways to misbehave.

Repositories are kept in memory; a commit is a mapping from paths to contents and never changes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

Files = dict[str, bytes]
BAD_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105


def oid_of(content: bytes) -> str:
    """Return the git object id of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324


@dataclass
class Repo:
    private: bool = False
    gated: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: Files) -> str:
        parts = [f"{len(self.commits)}", *(f"{path} {oid_of(files[path])}" for path in sorted(files))]
        sha = hashlib.sha1("\n".join(parts).encode()).hexdigest()  # noqa: S324
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.branches.get(revision)


class Hub(ThreadingHTTPServer):
    """The server.

    Attributes:
        repos: Repositories by ``"org/name"``.
        token: The one token that may write and read what is private.
        cut: Files whose body is cut: path -> bytes that are still sent, for each request to come.
        corrupt: Files that arrive with their last byte changed, and how many times.
        refuse_uploads: Whether the storage of large files breaks the connection.
        requests: Method and path of every request.
        agents: User agents seen.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, Repo] = {}
        self.token = "right"  # noqa: S105
        self.large: dict[str, bytes] = {}
        self.cut: dict[str, list[int]] = {}
        self.corrupt: dict[str, int] = {}
        self.refuse_uploads = False
        self.requests: list[str] = []
        self.agents: set[str] = set()
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def running() -> Iterator[Hub]:
    """Give a server that runs until the end of the block."""
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    do_GET = do_POST = do_PUT = do_HEAD

    def _answer(self):
        path = unquote(self.path.split("?")[0])
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(f"{self.command} {path}")
        self.server.agents.add(self.headers.get("User-Agent", ""))
        self.known = self.headers.get("Authorization") == f"Bearer {self.server.token}"
        if "Authorization" in self.headers and not self.known and "/storage/" not in path:
            self._send(401, headers={"X-Error-Message": BAD_TOKEN})
            return
        for pattern, method in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found:
                getattr(self, method)(*found.groups())
                return
        self._send(404)

    def _send(self, status, content=b"", headers=None, length=None):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        fields = {"Content-Length": str(len(data) if length is None else length), **(headers or {})}
        for key, value in fields.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.close_connection = length is not None and length != len(data)

    def _repo(self, name, revision="main"):
        repo = self.server.repos.get(name)
        if repo is None or (repo.private and not self.known):
            self._send(404 if self.known else 401, headers={"X-Error-Code": "RepoNotFound"})
            return None, ""
        sha = repo.resolve(revision)
        if sha is None:
            self._send(404, headers={"X-Error-Code": "RevisionNotFound"})
            return None, ""
        return repo, sha

    def _writable(self):
        if not self.known:
            self._send(401)
        return self.known

    # reading

    def info(self, name, revision):
        repo, sha = self._repo(name, revision or "main")
        if repo is not None:
            siblings = [{"rfilename": path} for path in repo.commits[sha]]
            self._send(200, {"id": name, "sha": sha, "private": repo.private, "siblings": siblings})

    def tree(self, name, revision):
        repo, sha = self._repo(name, revision)
        if repo is not None:
            entries = []
            for path, content in repo.commits[sha].items():
                entry = {"type": "file", "path": path, "size": len(content), "oid": oid_of(content)}
                if path.endswith(".safetensors"):
                    digest = hashlib.sha256(content).hexdigest()
                    entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
                entries.append(entry)
            self._send(200, entries)

    def resolve(self, name, revision, path):
        repo, sha = self._repo(name, revision)
        if repo is None:
            return
        if repo.gated and not self.known:
            self._send(401, headers={"X-Error-Code": "GatedRepo"})
            return
        if path not in repo.commits[sha]:
            self._send(404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
            return
        content = repo.commits[sha][path]
        large = path.endswith(".safetensors")
        etag = hashlib.sha256(content).hexdigest() if large else oid_of(content)
        headers = {"X-Repo-Commit": sha, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        if large:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        if self.command == "GET" and self.server.corrupt.get(path, 0):
            self.server.corrupt[path] -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(found[1]) if found else 0
        if found:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        rest = content[start:]
        sent = len(rest)
        if self.command == "GET" and self.server.cut.get(path):
            sent = self.server.cut[path].pop(0)
        self._send(206 if found else 200, rest[:sent], headers, length=len(rest))

    # writing

    def create(self):
        if self._writable():
            data = json.loads(self.body)
            name = f"{data['organization']}/{data['name']}"
            if data["organization"] == "others":
                self._send(403, {"error": "no right to create a model there"})
                return
            exists = name in self.server.repos
            if not exists:
                private = data.get("private") is True or data.get("visibility") == "private"
                self.server.repos[name] = Repo(private)
                self.server.repos[name].commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"})
            self._send(409 if exists else 200, {"url": f"{self.server.url}/{name}", "name": name})

    def validate(self):
        good = json.loads(self.body)["content"].startswith("---\n")
        self._send(200 if good else 400, {"errors": [] if good else [{"message": "no front matter"}]})

    def branch(self, name, branch):
        repo, sha = self._repo(name)
        if repo is not None and self._writable():
            exists = branch in repo.branches
            repo.branches.setdefault(branch, sha)
            self._send(409 if exists else 200, {})

    def preupload(self, name, revision):
        repo, sha = self._repo(name, revision)
        if repo is not None and self._writable():
            modes = []
            for asked in json.loads(self.body)["files"]:
                path = asked["path"]
                mode = "lfs" if path.endswith((".safetensors", ".png")) else "regular"
                known = repo.commits[sha].get(path)
                oid = None
                if known is not None:
                    oid = hashlib.sha256(known).hexdigest() if mode == "lfs" else oid_of(known)
                modes.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
            self._send(200, {"files": modes})

    def batch(self, name):
        if self._writable():
            objects = []
            for asked in json.loads(self.body)["objects"]:
                href = f"{self.server.url}/storage/{asked['oid']}"
                new = asked["oid"] not in self.server.large
                objects.append(asked | ({"actions": {"upload": {"href": href}}} if new else {}))
            self._send(200, {"transfer": "basic", "objects": objects})

    def store(self, oid):
        if self.server.refuse_uploads:
            self.connection.close()
            self.close_connection = True
            return
        good = hashlib.sha256(self.body).hexdigest() == oid
        if good:
            self.server.large[oid] = self.body
        self._send(200 if good else 400)

    def commit(self, name, revision):
        repo, sha = self._repo(name, revision)
        if repo is None or not self._writable():
            return
        files = dict(repo.commits[sha])
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        new = repo.commit(revision, files)
        url = f"{self.server.url}/{name}/commit/{new}"
        self._send(200, {"success": True, "commitOid": new, "commitUrl": url})


_NAME = r"([\w.-]+/[\w.-]+)"
_ROUTES = [
    ("/api/repos/create", "create"),
    ("/api/validate-yaml", "validate"),
    (f"/api/models/{_NAME}(?:/revision/(.+))?", "info"),
    (f"/api/models/{_NAME}/tree/([^/]+)", "tree"),
    (f"/api/models/{_NAME}/branch/(.+)", "branch"),
    (f"/api/models/{_NAME}/preupload/(.+)", "preupload"),
    (f"/api/models/{_NAME}/commit/(.+)", "commit"),
    (f"/{_NAME}.git/info/lfs/objects/batch", "batch"),
    ("/storage/([0-9a-f]{64})", "store"),
    (f"/{_NAME}/resolve/([^/]+)/(.+)", "resolve"),
]

"""The demo as a server on loopback: every endpoint with good and bad input, and hostile uploads."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.demo import hostile

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what gradio_client imports
    gradio_client = pytest.importorskip("gradio_client")

pytestmark = pytest.mark.filterwarnings("ignore")  # of gradio_client, which runs in threads of its own
ROOT = Path(__file__).parents[2]
TRACE = re.compile(r"Traceback|File \"|site-packages|line \d+, in |\.py\b")
SECONDS = 10.0
START_SECONDS = 120.0


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Return a client of ``app.py``, which runs in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-u", str(ROOT / "app.py")],
            cwd=ROOT,
            env={**os.environ, **settings, "GRADIO_ANALYTICS_ENABLED": "False"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _connected(f"http://127.0.0.1:{port}/", process, log)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        process.wait()


def _connected(url, process, log):
    """Return a client as soon as the server answers."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=20).close()  # noqa: S310
            patient = {"timeout": START_SECONDS}
            connected = gradio_client.Client(
                url, verbose=False, analytics_enabled=False, httpx_kwargs=patient
            )
            connected.predict("C", api_name="/properties")  # what the first visitor waits for
            return connected
        time.sleep(0.5)
    state = "did not answer in time" if process.poll() is None else f"ended with {process.returncode}"
    pytest.fail(f"app.py {state}; it said: {log.read_text(errors='replace')[-3000:]}")


def refused(client, *args, **kwargs) -> str:
    """Return the message with which a request is refused; it shows no code and comes in time."""
    start = time.perf_counter()
    with pytest.raises(Exception) as caught:
        client.predict(*args, **kwargs)
    assert time.perf_counter() - start < SECONDS
    assert not TRACE.search(str(caught.value)), caught.value
    return str(caught.value).lower()


def test_models(client):
    names = {entry["name"] for entry in client.predict(api_name="/models")}
    assert {"schnet-qm9-ace", "segnn-nbody-cr", "vn-dgcnn-modelnet40-ace"} <= names


def test_properties(client):
    answer = client.predict("CCO", api_name="/properties")
    assert answer["ok"] and answer["properties"]["gap"]["unit"] == "eV"
    assert "not a valid smiles" in refused(client, "C1CC", api_name="/properties")
    assert "no model" in refused(client, "CCO", "../secret", api_name="/properties")
    assert "seed" in refused(client, "CCO", "schnet-qm9-ace", -1, api_name="/properties")


def test_classify(client):
    cloud = np.random.default_rng(0).normal(size=(300, 3))
    answer = client.predict(cloud.tolist(), api_name="/classify")
    assert answer["ok"] and len(answer["classes"]) == 5
    for bad in ([], [[1, 2]], [[1, 2, 3]] * 40, "points", [["a", 0, 0]], [[1e400, 0, 0]] * 30, None):
        assert refused(client, bad, api_name="/classify")


def test_forecast(client):
    rng = np.random.default_rng(0)
    pos, vel = rng.normal(size=(2, 5, 3)).tolist()
    answer = client.predict(pos, vel, [1, -1, 1, 1, -1], steps=2, api_name="/forecast")
    assert np.shape(answer["positions"]) == (3, 5, 3)
    assert "steps" in refused(client, pos, vel, [1] * 5, steps=99, api_name="/forecast")
    assert "(5,)" in refused(client, pos, vel, [1] * 4, api_name="/forecast")
    assert "2 to 12" in refused(client, pos * 5, vel * 5, [1] * 25, api_name="/forecast")


def test_motion(client):
    frames = np.random.default_rng(0).normal(size=(2, 31, 3)).tolist()
    if not client.predict("motion-forecasting", api_name="/models"):
        pytest.skip("no checkpoint for it is bundled")
    answer = client.predict(frames, api_name="/motion")
    assert np.shape(answer["positions"]) == (31, 31, 3) and not answer["in_domain"]
    assert "steps" in refused(client, frames, steps=9, api_name="/motion")
    assert "31, 3" in refused(client, [[[1, 2, 3]] * 30] * 2, api_name="/motion")


def test_equivariance(client):
    answer = client.predict(api_name="/equivariance")
    assert answer["relative_error"] < 1e-4
    assert "dtype" in refused(client, dtype="float8", api_name="/equivariance")
    assert "(3,)" in refused(client, angles=[1.0], api_name="/equivariance")
    assert "no variant" in refused(client, variant="partial", api_name="/equivariance")


def test_equivariance_of_a_body(client):
    if not client.predict("motion-forecasting", api_name="/models"):
        pytest.skip("no checkpoint for it is bundled")
    asked = {
        "kind": "body in motion",
        "choice": "0.35",
        "model": "egno-mocap-run-recm",
        "api_name": "/equivariance",
    }
    about_y, about_x = (client.predict(angles=angles, **asked) for angles in ([0, 40, 0], [40, 0, 0]))
    assert about_y["relative_error"] < about_y["round_off"] < 1e-6
    assert about_x["relative_error"] > 1e-3 and about_x["round_off"] is None
    assert "stride" in refused(client, **asked | {"choice": "2"})


def test_the_sketcher_is_served_and_no_file_beside_it(client):
    for path, kind in (
        ("sketcher.html", "html"),
        ("jsme/jsme.nocache.js", "javascript"),
        ("jsme/license.txt", "text"),
    ):
        with urllib.request.urlopen(client.src + path) as reply:  # noqa: S310
            assert reply.status == 200 and kind in reply.headers["content-type"]
    for path in (
        "jsme/",
        "jsme/../viewer.js",
        "jsme/%2e%2e/viewer.js",
        "jsme/..%2f..%2fpage.py",
        "viewer.js",
    ):
        assert _refusal(client.src + path) == 404
    for path in ("equizoo/demo/static/jsme/jsa.css", "equizoo/demo/static/sketcher.html"):
        assert _refusal(f"{client.src}gradio_api/file={path}") == 403


def _refusal(url, **asked):
    """Return the status with which a request is refused."""
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(url, **asked))  # noqa: S310
    error.value.close()
    return error.value.code


def test_nobody_gets_past_the_queue(client):
    asked = {"data": b'{"data": []}', "headers": {"Content-Type": "application/json"}}
    for way in ("run", "api"):
        assert _refusal(f"{client.src}gradio_api/{way}/models", **asked) == 404


def test_files_that_were_not_uploaded_are_not_served(client):
    for path in ("/etc/passwd", "pyproject.toml", "equizoo/hub/registry.json"):
        assert _refusal(f"{client.src}gradio_api/file={path}") in (403, 404)


def test_the_page_needs_nothing_from_elsewhere(client):
    with urllib.request.urlopen(client.src) as reply:  # noqa: S310
        page = reply.read().decode()
    assert "EquizooViewer" in page and "jsme.nocache" not in page
    assert not re.search(r"(?:src|href)=[\"']https?://(?!127\.0\.0\.1)", page)


def test_hostile_smiles_are_refused_or_answered(client):
    for text in hostile.smiles(200)[:20]:
        start = time.perf_counter()
        try:
            client.predict(text, api_name="/properties")
        except Exception as error:
            assert not TRACE.search(str(error)), (text, error)
        assert time.perf_counter() - start < SECONDS, text
    assert client.predict("CCO", api_name="/properties")["ok"]


def test_hostile_files_are_refused_or_answered(client, tmp_path):
    for path in hostile.files(tmp_path, 20):
        start, upload = time.perf_counter(), gradio_client.handle_file(str(path))
        try:
            if path.suffix in (".xyz", ".sdf"):
                shown = client.predict("", upload, "schnet-qm9-ace", 0, api_name="/molecule")
            else:
                shown = client.predict(
                    "chair", upload, 0, "vn-dgcnn-modelnet40-ace", "equivariant", 0, api_name="/cloud"
                )
            assert "<img" not in str(shown)
        except Exception as error:
            assert not TRACE.search(str(error)), (path.name, error)
        assert time.perf_counter() - start < SECONDS, path.name

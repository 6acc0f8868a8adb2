"""The sketcher: what is vendored of JSME, and that its page needs nothing else."""

import re
import tomllib
from pathlib import Path

import pytest

from equizoo.demo.sketcher import routes
from equizoo.demo.viewer import head, static

STATIC = Path(__file__).parents[2] / "equizoo" / "demo" / "static"
JSME = STATIC / "jsme"
BUILDS = sorted(path.name.removesuffix(".cache.js") for path in JSME.glob("*.cache.js"))


def test_the_readme_tells_what_is_vendored():
    about = (JSME / "README.md").read_text()
    assert "0.8.2" in about and "BSD-3-Clause" in about and len(BUILDS) == 2
    assert all(build in about for build in BUILDS)
    assert sum(path.stat().st_size for path in JSME.rglob("*") if path.is_file()) < 1_500_000


def test_the_licences_of_the_sketcher_and_its_parts_are_there_and_declared():
    for name, text in (
        ("license.txt", "Copyright (c) 2020, Novartis"),
        ("license-openchemlib.txt", "Actelion Pharmaceuticals Ltd."),
        ("license-apache-2.0.txt", "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"),
    ):
        assert text in (JSME / name).read_text() and f"`{name}`" in (JSME / "README.md").read_text()
    root = STATIC.parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert set(project["license"].split(" AND ")) == {"MIT", "BSD-3-Clause", "Apache-2.0"}
    declared = {path for pattern in project["license-files"] for path in root.glob(pattern)}
    assert declared == {root / "LICENSE", *JSME.glob("license*")}


@pytest.mark.parametrize("build", BUILDS)
def test_a_build_is_whole(build):
    parts = {path.name: path.read_text() for path in (JSME / "deferredjs" / build).iterdir()}
    assert set(parts) == {f"{k}.cache.js" for k in range(1, 12)}
    images = set(re.findall(r"[0-9A-F]{32}\.cache\.png", "".join(parts.values())))
    assert images == {path.name for path in JSME.glob("*.png")}
    assert build in (JSME / "jsme.nocache.js").read_text()


def test_the_styles_that_jsme_loads_are_there():
    loader = (JSME / "jsme.nocache.js").read_text()
    for name in ("jsa.css", "gwt/chrome/chrome.css", "gwt/chrome/mosaic.css", "clear.cache.gif"):
        assert name in loader and (JSME / name).exists()


def test_the_page_of_the_sketcher_may_load_nothing_from_elsewhere():
    page = static("sketcher.html")
    assert "default-src 'self' 'unsafe-inline' 'unsafe-eval' data:" in page and "://" not in page
    assert re.findall(r'src="([^"]*)"', page) == ["jsme/jsme.nocache.js"]


def test_nothing_of_the_sketcher_is_in_the_head_of_the_page():
    assert "jsme" not in head()
    assert [route.path for route in routes()] == ["/sketcher.html", "/jsme"]


def test_the_sketcher_is_part_of_the_package():
    settings = tomllib.loads((STATIC.parents[2] / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["equizoo.demo"]
    packed = {path for pattern in patterns for path in STATIC.parent.glob(pattern) if path.is_file()}
    packed |= {path for path in JSME.rglob("*") if path.is_file()} if "static/jsme/**" in patterns else set()
    assert packed == {path for path in STATIC.rglob("*") if path.is_file()}

"""What ``pyproject.toml`` asks for, and what ``constraints.txt`` pins."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_all_has_every_extra_but_those_of_developers():
    assert Requirement(EXTRAS["all"][0]).extras == set(EXTRAS) - {"all", "test", "dev"}


def test_every_requirement_is_pinned_to_a_version_that_it_allows():
    lines = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    asked = [Requirement(text) for part in (PROJECT["dependencies"], *EXTRAS.values()) for text in part]
    for requirement in asked:
        if requirement.name != "equizoo":
            assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement

import dataclasses

import pytest

from equizoo.hub import errors
from equizoo.hub.domain import PointCloudDomain, parse_domain

POINTS = {"points": 300, "classes": ["bed", "cup"], "rotations": "so3"}


def test_a_domain_of_point_clouds() -> None:
    domain = parse_domain("point-cloud-classification", POINTS, "domain")
    assert domain == PointCloudDomain(300, ("bed", "cup"), "so3")
    assert domain["temperature"] == domain.temperature == 1.0
    calibrated = parse_domain("point-cloud-classification", POINTS | {"temperature": 1.3}, "domain")
    assert calibrated.temperature == 1.3
    again = parse_domain("point-cloud-classification", dataclasses.asdict(calibrated), "domain")
    assert again == calibrated


@pytest.mark.parametrize(("rotations", "words"), [("z", "z up"), ("aligned", "z up, one heading")])
def test_it_says_how_clouds_were_turned(rotations: str, words: str) -> None:
    assert str(PointCloudDomain(9, ("bed", "cup"), rotations)) == f"2 classes, 9 points, {words}"


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"point": 5}, errors.UnknownConfigKey, "did you mean 'points'"),
        ({"points": "many"}, errors.ConfigError, "points must be int"),
        ({"points": 0}, errors.ConfigError, "points must be at least 1, got 0"),
        ({"classes": ["bed"]}, errors.ConfigError, "at least two different names"),
        ({"classes": ["bed", "bed"]}, errors.ConfigError, "at least two different names"),
        ({"rotations": "x"}, errors.ConfigError, "one of so3, z, aligned, got 'x'"),
        ({"temperature": 0}, errors.ConfigError, "temperature must be positive, got 0"),
        ({"temperature": "warm"}, errors.ConfigError, "temperature must be float"),
    ],
)
def test_what_no_point_clouds_are(changes: dict, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        parse_domain("point-cloud-classification", POINTS | changes, "domain")

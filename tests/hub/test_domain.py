"""What a checkpoint was trained on, by task."""

from __future__ import annotations

import dataclasses
import json

import pytest

from equizoo.hub import errors
from equizoo.hub.config import parse_config
from equizoo.hub.domain import ParticleDomain, parse_domain
from tests.hub.test_config import VALID

PARTICLES = {"particles": 5, "start_frame": 30, "end_frame": 40, "world": {"field": 0.5, "wall": None}}


def test_particles_are_read_by_attribute_and_by_key():
    card = parse_config(VALID | {"task": "particle-forecasting", "domain": PARTICLES})
    assert card.domain.particles == card.domain["particles"] == 5
    assert dict(card.domain) == PARTICLES
    assert "field" not in card.domain
    assert parse_config(json.loads(card.to_json())) == card
    assert str(card.domain) == "5 particles, frame 30 to 40, world: field 0.5"


def test_a_world_says_what_it_adds():
    world = {"drag": [0.1, 0.1, 0.5], "wall": 0.0, "field": 0.0}
    assert ParticleDomain(5, 30, 40, world).added == "drag 0.1 0.1 0.5, floor at 0"
    assert str(ParticleDomain(5, 30, 40)).endswith("world: charged")


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"particle": 5}, errors.UnknownConfigKey, "did you mean 'particles'"),
        ({"particles": 5.0}, errors.ConfigError, "particles must be int"),
        ({"particles": 1}, errors.ConfigError, "at least 2, got 1"),
        ({"start_frame": 40}, errors.ConfigError, "start_frame < end_frame, got 40 and 40"),
        ({"world": []}, errors.ConfigError, "world must be an object"),
    ],
)
def test_what_no_particles_are(changes, error, match):
    with pytest.raises(error, match=match):
        parse_domain("particle-forecasting", PARTICLES | changes, "domain")


def test_the_domain_of_another_task_may_hold_anything():
    assert parse_domain("point-cloud-classes", {"classes": 40}, "domain") == {"classes": 40}
    with pytest.raises(errors.ConfigError, match="domain must be an object"):
        parse_domain("point-cloud-classes", [40], "domain")


def test_a_domain_goes_into_a_config_as_plain_json():
    card = parse_config(VALID | {"task": "particle-forecasting", "domain": PARTICLES})
    assert dataclasses.asdict(card)["domain"] == PARTICLES

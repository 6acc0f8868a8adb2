import copy
import json

import pytest

from equizoo.hub import config, errors
from tests.hub.conftest import CARD

VALID = CARD | {
    "schema_version": 1,
    "config": {"width": 4},
    "variants": {"equivariant": {"sha256": "0" * 64, "gamma": None}, "partial": {"sha256": "1" * 64}},
}


def changed(**changes):
    """Return a valid config after ``a__b=value`` was set in it; None removes the key."""
    data = copy.deepcopy(VALID)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = data
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return data


def test_round_trip():
    card = config.parse_config(VALID)
    assert config.parse_config(json.loads(card.to_json())) == card
    assert card.domain.elements == ("H", "C")
    assert card.calibration["given"].mae["gap"] == 0.1


def test_optional_keys_may_be_left_out():
    card = config.parse_config(changed(calibration=None, training=None))
    assert card.calibration == {}
    assert card.training.command == ""


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"methd": "none"}, "unknown key 'methd'; did you mean 'method'?"),
        ({"domain__element": ["H"]}, "domain has an unknown key 'element'; did you mean 'elements'?"),
        ({"variants__partial__sha": "0"}, "variants.partial has an unknown key 'sha'"),
        ({"xyzzy": 1}, r"unknown key 'xyzzy'\. Known keys: schema_version, name"),
    ],
)
def test_unknown_key_names_the_nearest(changes, match):
    with pytest.raises(errors.UnknownConfigKey, match=match):
        config.parse_config(changed(**changes))


@pytest.mark.parametrize(
    "path", ["family", "targets", "domain__max_heavy_atoms", "variants__partial__sha256"]
)
def test_missing_key(path):
    with pytest.raises(errors.MissingConfigKey, match=f"lacks the key '{path.split('__')[-1]}'"):
        config.parse_config(changed(**{path: None}))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"family": 3}, "family must be str, got 3"),
        ({"domain__max_heavy_atoms": True}, "max_heavy_atoms must be int, got True"),
        ({"domain__elements": "HC"}, "elements must be a list"),
        ({"domain__elements": ["H", 6]}, r"elements\[1\] must be str"),
        ({"targets": ["gap"]}, r"targets\[0\] must be an object"),
        ({"variants": []}, "variants must be an object"),
        ({"variants": {}}, "variants is empty"),
        ({"variants__full": {"sha256": "0" * 64}}, "'full', which is none of equivariant, partial"),
        ({"variants__partial__sha256": "0123"}, "64 hexadecimal digits"),
        (
            {"calibration__dft": {"coverage": 0.9, "n": 1, "half_width": {}, "mae": {}}},
            "'dft', which is none of",
        ),
        ({"calibration__given__mae": {"gpa": 0.1}}, "'gpa', which is none of gap; did you mean 'gap'?"),
        ({"calibration__given__coverage": 1.5}, "0 < coverage < 1"),
        ({"config__relaxed": True}, "must not hold 'relaxed'"),
        ({"name": "../up"}, "name must be"),
        ({"schema_version": "1"}, "integer 'schema_version'"),
        ({"schema_version": 0}, "no equizoo has written"),
    ],
)
def test_impossible_value(changes, match):
    with pytest.raises(errors.ConfigError, match=match):
        config.parse_config(changed(**changes))


@pytest.mark.parametrize("data", [[], None, "config"])
def test_not_an_object(data):
    with pytest.raises(errors.ConfigError, match="must be an object"):
        config.parse_config(data)


def test_newer_schema():
    with pytest.raises(errors.NewerSchema, match=r"schema_version 2.*install a newer equizoo"):
        config.parse_config(changed(schema_version=2, something_new=1))


def test_migration_runs_every_step(monkeypatch):
    monkeypatch.setattr(config, "SCHEMA_VERSION", 3)
    monkeypatch.setitem(config.MIGRATIONS, 1, lambda data: data | {"old": data["method"]})
    monkeypatch.setitem(
        config.MIGRATIONS,
        2,
        lambda data: {k: v for k, v in data.items() if k != "old"} | {"method": data["old"] + "!"},
    )
    card = config.parse_config(VALID)
    assert (card.schema_version, card.method) == (3, "ace-equality!")


@pytest.mark.parametrize("text", ["{", '{"schema_version": NaN}', "\udcff"])
def test_file_that_is_not_json(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(errors.ConfigError, match="not valid JSON"):
        config.read_config(tmp_path)


def test_every_error_has_one_base():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 15
    assert all(issubclass(kind, errors.EquizooError) for kind in kinds)

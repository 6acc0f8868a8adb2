"""From parsed JSON to dataclasses, refusing everything that the dataclass does not declare."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from equizoo._nearest import did_you_mean
from equizoo.hub.errors import ConfigError, MissingConfigKey, UnknownConfigKey

T = TypeVar("T")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ConfigError: The file is not UTF-8 or not JSON (NaN and Infinity are not JSON).
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error


def parse(kind: type[T], data: Any, where: str) -> T:
    """Build the dataclass ``kind`` from parsed JSON.

    Args:
        kind: A dataclass whose fields are strings, numbers, booleans, dataclasses, ``tuple[X, ...]``,
            ``dict[str, X]``, ``X | None`` or ``Any``.
        data: Parsed JSON.
        where: What to call ``data`` in a message, such as ``"config.json"``.

    Returns:
        An instance of ``kind``.

    Raises:
        UnknownConfigKey: ``data`` has a key that ``kind`` has not; the message names the nearest.
        MissingConfigKey: ``data`` lacks a field without a default.
        ConfigError: A value has the wrong type.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{where} must be an object, got {_name(data)}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            raise UnknownConfigKey(
                f"{where} has an unknown key {key!r}{did_you_mean(key, fields) or '.'} "
                f"Known keys: {', '.join(fields)}"
            )
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in data:
            raise MissingConfigKey(f"{where} lacks the key {name!r}")
    hints = typing.get_type_hints(kind)
    return kind(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in data.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return parse(kind, value, where)  # type: ignore[arg-type]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _value(arguments[0], value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is kind:
        return value
    wanted = {tuple: "a list", dict: "an object"}.get(origin or kind, getattr(kind, "__name__", str(kind)))
    raise ConfigError(f"{where} must be {wanted}, got {_name(value)}")


def _name(value: Any) -> str:
    return f"{value!r:.60} ({type(value).__name__})"

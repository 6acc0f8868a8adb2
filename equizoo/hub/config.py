"""``config.json``: everything about a checkpoint that is not a tensor."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equizoo._nearest import did_you_mean
from equizoo.hub.domain import parse_domain
from equizoo.hub.errors import CheckpointNotFound, ConfigError, NewerSchema, UnknownVariant
from equizoo.hub.strict import parse, read_json

SCHEMA_VERSION = 1
VARIANTS = ("equivariant", "partial")
GEOMETRIES = ("given", "mmff", "xtb")

#: ``MIGRATIONS[n]`` turns a config of schema version n into one of version n + 1.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


@dataclass(frozen=True)
class Target:
    """One quantity that the model predicts: its name, its unit and what it is."""

    name: str
    unit: str
    description: str


@dataclass(frozen=True)
class Calibration:
    """Errors measured with one kind of geometry.

    Attributes:
        coverage: Share of the test answers that the interval contains by design, such as 0.9.
        n: Number of molecules that the half widths come from.
        half_width: Half width of the interval, by target [unit of the target].
        mae: Mean absolute test error, by target [unit of the target].
    """

    coverage: float
    n: int
    half_width: dict[str, float]
    mae: dict[str, float]


@dataclass(frozen=True)
class Variant:
    """One weight file.

    Attributes:
        sha256: Digest of ``<variant>/model.safetensors``.
        gamma: γ of each relaxed layer that is left, or None where there is none.
        folded: Names of the layers whose unconstrained term was folded away.
    """

    sha256: str
    gamma: dict[str, float] | None = None
    folded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Training:
    """How the weights were made: the command and the recipe."""

    command: str = ""
    recipe: str = ""


@dataclass(frozen=True)
class CheckpointConfig:
    """The contents of ``config.json``.

    Attributes:
        schema_version: Version of this layout.
        name: Name of the checkpoint: lower-case letters, digits, ``.``, ``_`` and ``-``.
        family: Model family, a key of :data:`equizoo.models.FAMILIES`.
        task: Task of :func:`equizoo.pipeline` that the model answers.
        dataset: Data set that it was trained on.
        method: Method that steered γ.
        config: Arguments of the family's config dataclass, without ``relaxed``.
        targets: What the model predicts, in the order of its output.
        domain: What it was trained on, see :data:`equizoo.hub.domain.DOMAINS`; by attribute or by key.
        variants: Weight files by variant (``"equivariant"``, ``"partial"``).
        calibration: Molecules only: measured errors by geometry (``"given"``, ``"mmff"``, ``"xtb"``).
        training: How it was made.
    """

    schema_version: int
    name: str
    family: str
    task: str
    dataset: str
    method: str
    config: dict[str, Any]
    targets: tuple[Target, ...]
    domain: Any
    variants: dict[str, Variant]
    calibration: dict[str, Calibration] = field(default_factory=dict)
    training: Training = field(default_factory=Training)

    def to_json(self) -> str:
        """Return the text of ``config.json``."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def variant(self, name: str) -> Variant:
        """Return one variant.

        Raises:
            UnknownVariant: The checkpoint does not hold it; the message names those it holds.
        """
        if name not in self.variants:
            raise UnknownVariant(
                f"{self.name!r} has no variant {name!r}; it has {', '.join(map(repr, self.variants))}"
            )
        return self.variants[name]


def parse_config(data: Any, where: str = "config.json") -> CheckpointConfig:
    """Check parsed JSON, migrate it to the present schema, and return it as a dataclass.

    Args:
        data: Parsed JSON.
        where: What to call it in a message.

    Returns:
        The checked config.

    Raises:
        NewerSchema: It was written by a later version of equizoo.
        UnknownConfigKey: It has a key that this version does not know.
        MissingConfigKey: It lacks a key.
        ConfigError: A value is of the wrong type or not a possible one.
    """
    config = parse(CheckpointConfig, _migrate(data, where), where)
    domain = parse_domain(config.task, config.domain, f"{where}: domain")
    config = dataclasses.replace(config, domain=domain)
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", config.name):
        raise ConfigError(
            f"{where}: name must be lower-case letters, digits, '.', '_', '-', got {config.name!r}"
        )
    if "relaxed" in config.config:
        raise ConfigError(f"{where}: config must not hold 'relaxed'; the variant decides it")
    if not config.variants:
        raise ConfigError(f"{where}: variants is empty")
    _check_names(config.variants, VARIANTS, f"{where}: variants")
    _check_names(config.calibration, GEOMETRIES, f"{where}: calibration")
    for name, variant in config.variants.items():
        if not re.fullmatch(r"[0-9a-f]{64}", variant.sha256):
            raise ConfigError(f"{where}: variants.{name}.sha256 must be 64 hexadecimal digits")
    targets = [target.name for target in config.targets]
    for geometry, calibration in config.calibration.items():
        place = f"{where}: calibration.{geometry}"
        if not 0 < calibration.coverage < 1 or calibration.n < 1:
            raise ConfigError(f"{place} needs 0 < coverage < 1 and n >= 1")
        _check_names(calibration.half_width, targets, f"{place}.half_width")
        _check_names(calibration.mae, targets, f"{place}.mae")
    return config


def read_config(folder: str | Path) -> CheckpointConfig:
    """Read and check ``config.json`` of a checkpoint folder.

    Raises:
        CheckpointNotFound: There is no such file.
        ConfigError: See :func:`parse_config`.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise CheckpointNotFound(f"{folder} is not a checkpoint: it has no config.json")
    return parse_config(read_json(path), str(path))


def _migrate(data: Any, where: str) -> Any:
    if not isinstance(data, dict) or type(data.get("schema_version")) is not int:
        raise ConfigError(f"{where} must be an object with an integer 'schema_version'")
    version = data["schema_version"]
    if version > SCHEMA_VERSION:
        raise NewerSchema(
            f"{where} has schema_version {version}, this equizoo reads up to {SCHEMA_VERSION}: "
            "install a newer equizoo (pip install -U equizoo)"
        )
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise ConfigError(f"{where} has schema_version {version}, which no equizoo has written")
        data, version = MIGRATIONS[version](data) | {"schema_version": version + 1}, version + 1
    return data


def _check_names(names: Mapping[str, Any], known: tuple[str, ...] | list[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(
                f"{where} has {name!r}, which is none of {', '.join(known)}{did_you_mean(name, known)}"
            )

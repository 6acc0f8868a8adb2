"""What a model card says that was not measured: the shape of a fact, and how to find it."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from equizoo._nearest import did_you_mean
from equizoo.hub.errors import ConfigError
from equizoo.hub.results import needs_its_terms

if TYPE_CHECKING:
    from equizoo.hub.card_published import Published
    from equizoo.hub.config import CheckpointConfig

F = TypeVar("F")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Facts:
    """What is said about an architecture or a method.

    Attributes:
        text: One or two sentences.
        papers: Keys of :data:`equizoo.hub.card_bibtex.BIBTEX`.
        limits: What it implies for the limitations of a model.
    """

    text: str
    papers: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


class Dataset:
    """What is said about a data set.

    A subclass states the attributes and says what the settings of one checkpoint, its ``config.json`` and
    ``results.json``, mean for its data.

    Attributes:
        text: One or two sentences.
        papers: Keys of :data:`equizoo.hub.card_bibtex.BIBTEX`.
        limits: What it implies for the limitations of a model.
        title: Its name in a text.
        sample: What one sample is called.
        measured: How the test error is taken; follows "on 2,000 test systems".
        norm: How the norm of an equivariance error is taken, and in which unit.
        exponent: Errors are shown in units of this power of ten.
        shows: What is shown in the place of the error, such as ``"accuracy"``; empty: the error.
        better: Where the better figures are: ``"below"`` or ``"above"``.
        sources: Module whose ``SOURCES`` name its files, where they are published and their licence.
        packages: Packages that its geometries are made or judged with; their versions are shown where they
            were recorded.
        counted: Whether it is said on how many targets the errors are on the better side of published ones.
    """

    text: ClassVar[str]
    papers: ClassVar[tuple[str, ...]] = ()
    limits: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[str]
    sample: ClassVar[str]
    measured: ClassVar[str]
    norm: ClassVar[str]
    exponent: ClassVar[int] = 0
    shows: ClassVar[str] = ""
    better: ClassVar[str] = "below"
    sources: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    counted: ClassVar[bool] = True

    def brief(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return the head of a card: how wrong the model is, in units of use, and when not to trust it."""
        return []

    def source(self, config: CheckpointConfig) -> Any:
        """Return the entry of ``SOURCES`` that the data are from."""
        return next(iter(importlib.import_module(self.sources).SOURCES.values()))

    def preparation(self, config: CheckpointConfig) -> str:
        """Return the command that makes the files of the training; empty if it reads the published ones."""
        return ""

    def exact(self, config: CheckpointConfig) -> str:
        """Return what the equivariant variant is exactly."""
        return "equivariant under rotations, mirrors and translations"

    def trust(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        """Return what a user of the partial variant has to know, if it is more than its task says."""
        return ""

    def stage(self, settings: Mapping[str, Any]) -> str:
        """Return what tells one stage of a training from the others.

        Args:
            settings: What its recipe says, by dotted key.
        """
        return ""

    def figure(self, error: float) -> float:
        """Return the figure that is shown for an error, in the unit in which it is shown."""
        return error / 10.0**self.exponent

    def by_checkpoint(self, targets: Collection[str]) -> bool:
        """Whether a table of checkpoints has a row for each of them, and not for each of the targets."""
        return len(targets) == 1

    def unit(self, unit: str) -> str:
        """Return the unit in which errors are shown.

        Args:
            unit: Unit of the errors in ``results.json``.
        """
        power = str(self.exponent).translate(_SUPERSCRIPT)
        return f"10{power} {unit}" if self.exponent else unit

    def tables(self, checkpoints: Sequence[tuple[CheckpointConfig, Mapping[str, Any]]]) -> list[str]:
        """Return further tables of the README, each after what it is about, in Markdown."""
        return []

    def split(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        """Return which samples are training, validation and test."""
        raise NotImplementedError

    def notes(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return further lines of the section on data."""
        return []

    def setting(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return what else tells the training from one that was published."""
        return []

    def unlike(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return limitations that follow from the settings."""
        return []

    def reading(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return what must be known to read the table of errors."""
        return []

    def caveats(
        self, config: CheckpointConfig, results: Mapping[str, Any], published: Published
    ) -> list[str]:
        """Return what must be known to read errors beside published ones."""
        return []

    def sections(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return further sections on what was measured."""
        return []

    def setting_name(self, config: CheckpointConfig) -> str:
        """Return the name of a setting that published figures are not about; empty for theirs."""
        return ""

    def part(self, settings: Mapping[str, Any]) -> str:
        """Return the part of the data set that has a published table of its own; empty if there is one table.

        Args:
            settings: The ``domain`` of a ``config.json`` or the ``data`` of a ``results.json``.
        """
        return ""

    def round_off(self, config: CheckpointConfig) -> str:
        """Say where the equivariance error of the equivariant variant is round-off."""
        return "What the `equivariant` variant shows is round-off."


def best_variant(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return the variant to use: the equivariant one, but for a network that needs its terms."""
    return "partial" if needs_its_terms(results) else next(iter(config.variants))


def strict(results: Mapping[str, Any]) -> bool:
    """Whether a network never had a γ."""
    return results["method"] == "none" and "partial" not in results["variants"]


def find(facts: Mapping[str, F], key: str, kind: str, where: str) -> F:
    """Return what is said about ``key``.

    Raises:
        ConfigError: Nothing is; the message says in which file of ``equizoo/hub`` to write it.
    """
    if key not in facts:
        hint = did_you_mean(key, facts) or ";"
        raise ConfigError(f"no card text for the {kind} {key!r}{hint} add it to equizoo/hub/{where}.py")
    return facts[key]

"""The bundled zoo: which checkpoints ship with the package, and the digest of each of their files."""

from __future__ import annotations

import fnmatch
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from equizoo._replacing import replacing, replacing_folder
from equizoo.hub.config import CheckpointConfig, read_config
from equizoo.hub.errors import CheckpointNotFound, ConfigError, DigestMismatch
from equizoo.hub.files import WEIGHTS, read_weights, sha256
from equizoo.hub.strict import parse, read_json


@dataclass(frozen=True)
class Entry:
    """What the registry says about one checkpoint.

    Attributes:
        family: Model family.
        task: Task of :func:`equizoo.pipeline`.
        dataset: Data set that it was trained on.
        method: Method that steered γ.
        summary: One line for a list.
        files: SHA-256 of each file, by its path in the checkpoint folder.
    """

    family: str
    task: str
    dataset: str
    method: str
    summary: str
    files: dict[str, str]


class Registry:
    """The checkpoints of one zoo: ``registry.json`` beside ``zoo``, which has a folder a checkpoint.

    Args:
        root: Folder that holds both.
    """

    def __init__(self, root: str | Path) -> None:
        self.path = Path(root) / "registry.json"
        self.zoo = Path(root) / "zoo"

    def entries(self) -> dict[str, Entry]:
        """Return every checkpoint by name, sorted; empty where nothing was registered.

        Raises:
            ConfigError: ``registry.json`` is not what :meth:`register` writes.
        """
        if not self.path.is_file():
            return {}
        data = read_json(self.path)
        if not isinstance(data, dict):
            raise ConfigError(f"{self.path} must be an object")
        return {name: parse(Entry, data[name], f"{self.path}: {name}") for name in sorted(data)}

    def folder(self, name: str) -> Path:
        """Return the folder of a registered checkpoint after checking its ``config.json``.

        The weights are checked against ``config.json`` when they are read, so that the digest of one small
        file pins all.

        Raises:
            CheckpointNotFound: The folder is not there (the package was installed without its data).
            DigestMismatch: ``config.json`` is not the registered one.
        """
        folder = self.zoo / name
        config = folder / "config.json"
        if not config.is_file():
            raise CheckpointNotFound(
                f"the bundled checkpoint {name!r} is not in {self.zoo}: install equizoo again"
            )
        digest = sha256(config.read_bytes())
        if digest != self.entries()[name].files.get("config.json"):
            raise DigestMismatch(f"{config} is not the registered file (its SHA-256 is {digest})")
        return folder

    def register(self, folder: str | Path, summary: str | None = None) -> Entry:
        """Check a checkpoint folder, copy it into the zoo and write it down with the digests of its files.

        Args:
            folder: A checkpoint folder; one that is in the zoo already is only written down.
            summary: One line for a list; by default it is put together from ``config.json``.

        Returns:
            The entry.

        Raises:
            CheckpointError: ``config.json`` or a weight file is not in order.
        """
        source = Path(folder).resolve()
        config = read_config(source)
        for name, variant in config.variants.items():
            read_weights(source, name, variant.sha256)
        paths = ["config.json", *(f"{variant}/{WEIGHTS}" for variant in config.variants)]
        paths += [name for name in ("README.md", "results.json") if (source / name).is_file()]
        target = self.zoo / config.name
        if source != target.resolve():
            _copy(source, target, paths)
        files = {path: sha256((target / path).read_bytes()) for path in sorted(paths)}
        entry = Entry(
            config.family, config.task, config.dataset, config.method, summary or _summary(config), files
        )
        entries = self.entries() | {config.name: entry}
        with replacing(self.path) as temporary:
            text = json.dumps(
                {name: asdict(entries[name]) for name in sorted(entries)}, indent=2, ensure_ascii=False
            )
            temporary.write_text(text + "\n", encoding="utf-8")
        return entry


def bundled() -> Registry:
    """Return the zoo that ships with the package."""
    return Registry(Path(__file__).parent)


def register(folder: str | Path, summary: str | None = None) -> Entry:
    """Add a checkpoint folder to the bundled zoo; see :meth:`Registry.register`."""
    return bundled().register(folder, summary)


def list_models(
    pattern: str | None = None,
    *,
    family: str | None = None,
    task: str | None = None,
    dataset: str | None = None,
    method: str | None = None,
) -> list[str]:
    """List the bundled checkpoints.

    Args:
        pattern: Glob pattern for the name, such as ``"*qm9*"``; None takes all.
        family: Only this model family.
        task: Only this task.
        dataset: Only this data set.
        method: Only this method.

    Returns:
        Names, sorted; each goes into :func:`equizoo.from_pretrained` and :func:`equizoo.model_info`.

    Example:
        >>> list_models("*", family="no such family")
        []
    """
    wanted = {"family": family, "task": task, "dataset": dataset, "method": method}
    return [
        name
        for name, entry in bundled().entries().items()
        if (pattern is None or fnmatch.fnmatchcase(name, pattern))
        and all(value is None or getattr(entry, key) == value for key, value in wanted.items())
    ]


def _summary(config: CheckpointConfig) -> str:
    targets = len(config.targets)
    what = config.targets[0].name if targets == 1 else f"{targets} targets"
    plain = "trained with a free γ" if "partial" in config.variants else "strictly equivariant"
    how = plain if config.method == "none" else f"trained with {config.method}"
    return f"{config.family} for {what} of {config.dataset}, {how}"


def _copy(source: Path, target: Path, paths: list[str]) -> None:
    with replacing_folder(target) as temporary:
        for path in paths:
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, temporary / path)

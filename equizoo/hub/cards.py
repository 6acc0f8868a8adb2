"""Model cards of the bundled zoo, and the tables of results in the README and on the page of experiments.

``python -m equizoo.hub.cards`` writes, from ``config.json`` and ``results.json`` of each bundled checkpoint,
its card ``model_cards/<name>.md``, the same text as ``README.md`` of its folder (with its digest in the
registry), and the tables between markers in ``README.md`` of the repository; and those of runs that are not
checkpoints in ``model_cards/README.md``. ``--check`` names what is stale instead.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from equizoo._replacing import replacing
from equizoo.hub.card_published import read_published
from equizoo.hub.card_text import WRITTEN, render_card
from equizoo.hub.config import read_config
from equizoo.hub.errors import CheckpointError, CheckpointNotFound, DigestMismatch, EquizooError
from equizoo.hub.experiments import fill_experiments
from equizoo.hub.files import sha256
from equizoo.hub.readme import fill_readme
from equizoo.hub.readme_tables import Checkpoint
from equizoo.hub.registry import Registry, bundled
from equizoo.hub.strict import read_json

__all__ = ["check_cards", "render_card", "write_cards"]

log = logging.getLogger(__name__)


def write_cards(registry: Registry, root: Path) -> list[Path]:
    """Write every card and the README's tables; remove cards of checkpoints that are gone.

    Args:
        registry: The zoo.
        root: Root of the repository.

    Returns:
        The files that were changed, written or removed.

    Raises:
        EquizooError: A checkpoint or the README is not in order; nothing was written.
    """
    stale = _stale(registry, root)
    for path, text in stale.items():
        if text is None:
            path.unlink()
        else:
            with replacing(path) as temporary:
                temporary.write_bytes(text.encode())
    for name, entry in registry.entries().items():
        card = registry.zoo / name / "README.md"
        if entry.files.get("README.md") != sha256(card.read_bytes()):
            registry.register(registry.zoo / name, entry.summary)
    return list(stale)


def check_cards(registry: Registry, root: Path) -> list[Path]:
    """Return the files that :func:`write_cards` would change.

    Args:
        registry: The zoo.
        root: Root of the repository.

    Raises:
        EquizooError: A checkpoint or the README is not in order.
    """
    unregistered = [
        registry.zoo / name / "README.md"
        for name, entry in registry.entries().items()
        if (registry.zoo / name / "README.md").is_file()
        and entry.files.get("README.md") != sha256((registry.zoo / name / "README.md").read_bytes())
    ]
    return list(dict.fromkeys([*_stale(registry, root), *unregistered]))


def _stale(registry: Registry, root: Path) -> dict[Path, str | None]:
    """Return the new text of each file that is not as it should be; None: the file should not be."""
    published = read_published(root / "model_cards" / "published.json")
    checkpoints = _checkpoints(registry)
    wanted: dict[Path, str | None] = {}
    for config, results in checkpoints:
        card = render_card(config, results, published)
        wanted[root / "model_cards" / f"{config.name}.md"] = card
        wanted[registry.zoo / config.name / "README.md"] = card
    for path in sorted((root / "model_cards").glob("*.md")):
        if path not in wanted and WRITTEN in path.read_text(encoding="utf-8"):
            wanted[path] = None
    readme, experiments = root / "README.md", root / "model_cards" / "README.md"
    wanted[readme] = fill_readme(readme.read_text(encoding="utf-8"), checkpoints, published)
    page = experiments.read_text(encoding="utf-8")
    wanted[experiments] = fill_experiments(page, published, experiments.parent)
    return {
        path: text
        for path, text in wanted.items()
        if text is None or not path.is_file() or path.read_bytes() != text.encode()
    }


def _checkpoints(registry: Registry) -> list[Checkpoint]:
    entries, found = registry.entries(), []
    for path in sorted(registry.zoo.glob("*/config.json")):
        if path.parent.name not in entries and not path.parent.name.startswith("."):
            raise CheckpointError(f"{path.parent} is not registered: call equizoo.hub.register on it")
    for name, entry in entries.items():
        folder = registry.folder(name)
        path = folder / "results.json"
        if not path.is_file():
            raise CheckpointNotFound(f"{path} does not exist: publish {name!r} with its results")
        if sha256(path.read_bytes()) != entry.files.get("results.json"):
            raise DigestMismatch(f"{path} is not the registered file: call equizoo.hub.register on {folder}")
        found.append((read_config(folder), read_json(path)))
    return found


def repository() -> Path:
    """Return the root of the checkout that this package runs from.

    Raises:
        EquizooError: It is installed without one.
    """
    root = Path(str(resources.files("equizoo.model_cards"))).parent
    if not (root / "pyproject.toml").is_file():
        raise EquizooError("cards are written in a checkout: install equizoo with `pip install --editable .`")
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m equizoo.hub.cards``.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0; 1 if ``--check`` finds a stale file; 2 if a checkpoint or the README is not in order.
    """
    options = argparse.ArgumentParser(
        prog="python -m equizoo.hub.cards", description="Write the model cards."
    )
    options.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    check = options.parse_args(argv).check
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        root = repository()
        paths = (check_cards if check else write_cards)(bundled(), root)
    except EquizooError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for path in paths:
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        log.info("%s %s", "stale:" if check else "wrote", shown)
    return 1 if check and paths else 0


if __name__ == "__main__":
    sys.exit(main())

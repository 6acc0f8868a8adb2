"""The digests that a publisher wrote into the card of a repository, and the files that differ from them.

The front matter of ``README.md`` holds ``equizoo: {name, sha256: {path: digest}}``; the digests of weights
are in ``config.json`` too, which every checkpoint has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from equizoo.hub.config import read_config
from equizoo.hub.files import WEIGHTS, sha256

FENCE = "---\n"
"""The line before and after the front matter of a card."""


def recorded_digests(card: str) -> dict[str, str]:
    """Return the digests that the front matter of a card holds.

    Args:
        card: Text of ``README.md``.

    Returns:
        ``{path in the repository: SHA-256}``; empty where the card holds none, as one written by hand.

    Example:
        >>> recorded_digests(f"{FENCE}equizoo: {{sha256: {{config.json: 12ab}}}}{chr(10)}{FENCE}# a card")
        {'config.json': '12ab'}
        >>> recorded_digests("# a card without front matter")
        {}
    """
    import yaml

    parts = card.split(FENCE, 2)
    if len(parts) < 3 or parts[0]:
        return {}
    try:
        found = yaml.safe_load(parts[1])["equizoo"]["sha256"]
        return {str(path): str(digest) for path, digest in found.items()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


def damaged_files(folder: Path, variants: Sequence[str]) -> list[str]:
    """Return the files of a downloaded checkpoint that differ from their digest.

    Args:
        folder: Its folder; weights that are not there are left out.
        variants: Variants whose weights are compared.

    Returns:
        Paths in the folder. If ``config.json`` differs, it and the card, since nothing else can be told then.

    Raises:
        ConfigError: ``config.json`` is the published one, or has no digest, and is not in order.
    """
    card = folder / "README.md"
    recorded = recorded_digests(card.read_text(encoding="utf-8", errors="replace")) if card.is_file() else {}
    if _differing(folder, {path: recorded[path] for path in ("config.json",) if path in recorded}):
        return ["config.json", "README.md"]
    digests = {path: recorded[path] for path in ("results.json",) if path in recorded}
    for variant, entry in read_config(folder).variants.items():
        if variant in variants:
            digests[f"{variant}/{WEIGHTS}"] = entry.sha256
    return _differing(folder, digests)


def discard(folder: Path, paths: Sequence[str]) -> None:
    """Remove files of a snapshot in the Hub cache, and the blobs that they are links to."""
    for path in paths:
        file = folder / path
        file.resolve().unlink(missing_ok=True)
        file.unlink(missing_ok=True)


def _differing(folder: Path, digests: Mapping[str, str]) -> list[str]:
    there = [path for path in digests if (folder / path).is_file()]
    return [path for path in there if sha256((folder / path).read_bytes()) != digests[path]]

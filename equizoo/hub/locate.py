"""From what a user calls a model to the folder that holds it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from equizoo._nearest import did_you_mean
from equizoo.hub.download import HubOptions, download
from equizoo.hub.errors import CheckpointNotFound, UnknownModel
from equizoo.hub.registry import bundled

__all__ = ["FOLDER", "HUB", "HUB_ID", "HubOptions", "locate"]

FOLDER, HUB = "local-dir:", "hf-hub:"
"""What a name may start with to be a folder, or a Hub id, and nothing else."""
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def locate(name: str | os.PathLike[str], variants: Sequence[str] = (), hub: HubOptions | None = None) -> Path:
    """Find the folder of a checkpoint.

    The order is: an existing local folder that holds ``config.json``, a bundled name, a Hub id
    ``"org/name"``. ``"local-dir:path"`` is a local folder and ``"hf-hub:org/name"`` a Hub id whatever else
    has that name.

    Args:
        name: A bundled name, a local folder or a Hub id.
        variants: Variants whose weights are fetched with ``config.json`` if the checkpoint is on the Hub.
        hub: How to ask the Hub.

    Returns:
        A local folder with ``config.json``.

    Raises:
        UnknownModel: It is none of the three; the message names the nearest bundled names.
        CheckpointNotFound: A local folder holds no ``config.json``.
        DigestMismatch: The ``config.json`` of a bundled checkpoint is not the registered one, or the Hub
            serves other files than were published.
        HubUnavailable: It is not in the local cache, and the Hub may not or cannot be reached.
    """
    text = os.fspath(name)
    if isinstance(name, str) and name.startswith(HUB):
        return _from_hub(name, name.removeprefix(HUB), variants, hub)
    if isinstance(name, str) and name.startswith(FOLDER):
        return _folder(name.removeprefix(FOLDER))
    folder = Path(os.path.expanduser(text))
    if text and os.path.isfile(folder / "config.json"):
        return folder
    registry = bundled()
    if text in registry.entries():
        return registry.folder(text)
    if text and os.path.isdir(folder):
        return _folder(text)
    return _from_hub(text, text if isinstance(name, str) else "", variants, hub)


def _folder(text: str) -> Path:
    folder = Path(os.path.expanduser(text))
    if not os.path.isdir(folder):
        raise CheckpointNotFound(f"there is no folder {text!r}")
    if not os.path.isfile(folder / "config.json"):
        raise CheckpointNotFound(f"the folder {text!r} is not a checkpoint: it has no config.json")
    return folder


def _from_hub(name: str, repo: str, variants: Sequence[str], hub: HubOptions | None) -> Path:
    if HUB_ID.fullmatch(repo):
        return download(repo, variants, hub or HubOptions())
    raise UnknownModel(
        f"no model named {name!r}{did_you_mean(name, bundled().entries()) or '.'} A model is a bundled name "
        "(`equizoo list` shows them), a local folder that holds config.json, or a Hub id 'org/name'; "
        f"{FOLDER} or {HUB} before it says which"
    )

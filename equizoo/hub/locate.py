"""From what a user calls a model to the folder that holds it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equizoo import __version__
from equizoo._nearest import did_you_mean
from equizoo.hub.errors import CheckpointNotFound, HubUnavailable, UnknownModel
from equizoo.hub.files import WEIGHTS
from equizoo.hub.registry import bundled

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class HubOptions:
    """How to ask the Hub; the names are those of ``huggingface_hub.snapshot_download``.

    Attributes:
        revision: Branch, tag or commit; None is the main branch.
        token: Access token, or None for the one that the Hub client has stored.
        cache_dir: Folder for downloads; None is the Hub client's.
        local_files_only: True never uses the network.
        force_download: True downloads again what is in the cache.
    """

    revision: str | None = None
    token: str | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    force_download: bool = False


def locate(name: str | os.PathLike[str], variants: Sequence[str] = (), hub: HubOptions | None = None) -> Path:
    """Find the folder of a checkpoint.

    The order is: an existing local folder that holds ``config.json``, a bundled name, a Hub id
    ``"org/name"``.

    Args:
        name: A bundled name, a local folder or a Hub id.
        variants: Variants whose weights are fetched with ``config.json`` if the checkpoint is on the Hub.
        hub: How to ask the Hub.

    Returns:
        A local folder with ``config.json``.

    Raises:
        UnknownModel: It is none of the three; the message names the nearest bundled names.
        CheckpointNotFound: A local folder holds no ``config.json``.
        DigestMismatch: The ``config.json`` of a bundled checkpoint is not the registered one.
        HubUnavailable: It is not in the local cache, and the Hub may not or cannot be reached.
    """
    text = os.fspath(name)
    folder = Path(os.path.expanduser(text))
    if text and os.path.isfile(folder / "config.json"):
        return folder
    registry = bundled()
    if text in registry.entries():
        return registry.folder(text)
    if text and os.path.isdir(folder):
        raise CheckpointNotFound(f"the folder {text!r} is not a checkpoint: it has no config.json")
    if isinstance(name, str) and _HUB_ID.fullmatch(text):
        return _download(text, variants, hub or HubOptions())
    raise UnknownModel(
        f"no model named {text!r}{did_you_mean(text, registry.entries()) or '.'} A model is a bundled name "
        "(`equizoo list` shows them), a local folder that holds config.json, or a Hub id 'org/name'"
    )


def _download(repo: str, variants: Sequence[str], hub: HubOptions) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    options: dict[str, Any] = vars(hub)
    try:
        folder = snapshot_download(
            repo,
            allow_patterns=["config.json", *(f"{variant}/{WEIGHTS}" for variant in variants)],
            library_name="equizoo",
            library_version=__version__,
            **options,
        )
    except GatedRepoError as error:
        raise HubUnavailable(f"{repo!r} is gated on the Hub: ask for access there and pass token=") from error
    except RevisionNotFoundError as error:
        raise UnknownModel(f"{repo!r} on the Hub has no revision {hub.revision!r}") from error
    except RepositoryNotFoundError as error:
        raise UnknownModel(
            f"no model named {repo!r}: there is no such local folder, it is no bundled name "
            "(`equizoo list` shows them), and the Hub has no such repository (a private one needs token=)"
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise HubUnavailable(
            f"{repo!r} is no local folder and no bundled name, and it is not in the local Hub cache while "
            "the Hub cannot be reached or local_files_only is set. Where there is a network, fetch it once "
            f"with `hf download {repo} --include config.json '*/{WEIGHTS}'`"
        ) from error
    if not (Path(folder) / "config.json").is_file():
        raise CheckpointNotFound(f"{repo!r} on the Hub is not an equizoo checkpoint: it has no config.json")
    return Path(folder)

"""From a Hub repository to a folder in the local cache, with every file checked against its digest."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equizoo import __version__
from equizoo.hub.digests import damaged_files, discard
from equizoo.hub.errors import (
    CheckpointError,
    CheckpointNotFound,
    DigestMismatch,
    HubUnavailable,
    UnknownModel,
)
from equizoo.hub.files import WEIGHTS

log = logging.getLogger(__name__)


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
    token: str | None = field(default=None, repr=False)
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    force_download: bool = False


def download(repo: str, variants: Sequence[str], hub: HubOptions) -> Path:
    """Return the folder of the local cache that holds a repository, after fetching what is not there.

    ``config.json``, ``results.json`` and ``README.md`` are fetched with the weights. Files are compared with
    the digests in the card and in ``config.json`` every time. One that differs is removed from the cache and
    fetched once more; if it still differs, it is removed again.

    Args:
        repo: ``"org/name"``.
        variants: Variants whose weights are needed; those that the checkpoint has not are left out.
        hub: How to ask the Hub.

    Returns:
        A folder with ``config.json``.

    Raises:
        UnknownModel: The Hub has no such repository or revision.
        CheckpointNotFound: The repository holds no checkpoint.
        HubUnavailable: It is not in the cache, and the Hub may not or cannot be reached, or does not let the
            user in.
        DigestMismatch: The Hub serves another file than its publisher wrote down.
        ConfigError: ``config.json`` is not in order.
    """
    folder = _fetch(repo, variants, hub)
    damaged = damaged_files(folder, variants)
    if not damaged:
        return folder
    log.warning("%s of %s is damaged in the local Hub cache: fetching it again", ", ".join(damaged), repo)
    discard(folder, damaged)
    try:
        folder = _fetch(repo, variants, hub)
    except HubUnavailable as error:
        raise DigestMismatch(
            f"{', '.join(damaged)} of {repo!r} was damaged in the local Hub cache and is removed. {error}"
        ) from error
    damaged = damaged_files(folder, variants)
    if damaged:
        discard(folder, damaged)
        raise DigestMismatch(
            f"{', '.join(damaged)} of {repo!r} is not the published file: its SHA-256 is not that of the "
            "card and config.json, not even when fetched again. It was not kept; ask its publisher, or pass "
            "a revision= that you trust"
        )
    return folder


def _fetch(repo: str, variants: Sequence[str], hub: HubOptions) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError

    weights = [f"{variant}/{WEIGHTS}" for variant in variants]
    options: dict[str, Any] = vars(hub)
    try:
        found = snapshot_download(
            repo,
            allow_patterns=["config.json", "results.json", "README.md", *weights],
            library_name="equizoo",
            library_version=__version__,
            **options,
        )
    except (HTTPError, OSError, ValueError) as error:
        raise _explained(error, repo, variants, hub) from error
    folder = Path(found)
    if not (folder / "config.json").is_file():
        raise CheckpointNotFound(f"{repo!r} on the Hub is not an equizoo checkpoint: it has no config.json")
    return folder


def _explained(error: Exception, repo: str, variants: Sequence[str], hub: HubOptions) -> CheckpointError:
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return HubUnavailable(f"{repo!r} is gated on the Hub: ask for access there and pass token=")
    if isinstance(error, RevisionNotFoundError):
        return UnknownModel(f"{repo!r} on the Hub has no revision {hub.revision!r}")
    if isinstance(error, RepositoryNotFoundError):
        return UnknownModel(
            f"no model named {repo!r}: there is no such local folder, it is no bundled name (`equizoo list` "
            "shows them), and the Hub has no such repository (a private one needs token= or `hf auth login`)"
        )
    if status_of(error) in (401, 403):
        return HubUnavailable(
            f"the Hub refused the access token for {repo!r} ({status_of(error)}): pass another token=, or "
            "log in with `hf auth login`"
        )
    if not isinstance(error, LocalEntryNotFoundError):
        return HubUnavailable(
            f"the download of {repo!r} broke off ({reason_of(error)}). The cache keeps whole files only: "
            "try again"
        )
    return HubUnavailable(
        f"{repo!r} is no local folder and no bundled name, and it is not complete in the local Hub cache, "
        f"while {_unreachable(error, hub)}. Where there is a network, fetch it once with "
        f"`{_command(repo, variants, hub)}`"
    )


def _unreachable(error: Exception, hub: HubOptions) -> str:
    from huggingface_hub import constants

    if hub.local_files_only:
        return "local_files_only keeps equizoo off the network"
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE keeps equizoo off the network"
    return f"the Hub cannot be reached ({reason_of(error.__cause__ or error)})"


def _command(repo: str, variants: Sequence[str], hub: HubOptions) -> str:
    revision = f" --revision {hub.revision}" if hub.revision else ""
    variant = f" --variant {variants[0]}" if len(variants) == 1 else ""
    return f"equizoo download {repo}{revision}{variant}"


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error of the Hub client stands for; None where there was no answer."""
    return getattr(getattr(error, "response", None), "status_code", None)


def reason_of(error: BaseException) -> str:
    """Return the first line of what an error of the Hub client says.

    Example:
        >>> reason_of(OSError("connection reset"))
        'connection reset'
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

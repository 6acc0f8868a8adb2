"""From a checkpoint folder to a Hub repository, in one commit, after everything was checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from equizoo import __version__
from equizoo.hub.checkpoint import load_checkpoint
from equizoo.hub.config import read_config
from equizoo.hub.digests import recorded_digests
from equizoo.hub.download import reason_of, status_of
from equizoo.hub.errors import CheckpointError, DigestMismatch, PublishError
from equizoo.hub.files import WEIGHTS, read_weights, sha256
from equizoo.hub.locate import HUB_ID
from equizoo.hub.repo_card import bundled_card, repo_card
from equizoo.hub.strict import read_json


def collect(
    folder: str | os.PathLike[str], repo: str, registered: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """Check a checkpoint folder and return what its Hub repository will hold.

    Every variant is loaded strictly, its digest compared, and the card written anew under the name of the
    repository, with the digest of every other file in its front matter.

    Args:
        folder: A checkpoint folder; ``results.json`` and ``plots/*.png`` are taken along where they are.
        repo: ``"org/name"``.
        registered: SHA-256 that files of the folder must have, by path: those of the registry for a bundled
            checkpoint.

    Returns:
        ``{path in the repository: content}``.

    Raises:
        PublishError: ``repo`` is no Hub id.
        DigestMismatch: A file is not the registered one, or weights are not those of ``config.json``.
        CheckpointError: The folder does not load, or its ``README.md`` is not the card that its results give.
    """
    if not HUB_ID.fullmatch(repo):
        raise PublishError(f"a repository on the Hub is called 'org/name', got {repo!r}")
    folder, registered = Path(folder), registered or {}
    for path, digest in registered.items():
        if not (folder / path).is_file() or sha256((folder / path).read_bytes()) != digest:
            raise DigestMismatch(f"{folder / path} is not the registered file: install equizoo again")
    config = read_config(folder)
    files = {"config.json": (folder / "config.json").read_bytes()}
    for variant, entry in config.variants.items():
        load_checkpoint(folder, variant)
        files[f"{variant}/{WEIGHTS}"] = read_weights(folder, variant, entry.sha256)
    for file in [folder / "results.json", *sorted((folder / "plots").glob("*.png"))]:
        if file.is_file():
            files[file.relative_to(folder).as_posix()] = file.read_bytes()
    results = read_json(folder / "results.json") if "results.json" in files else {}
    card = folder / "README.md"
    if results and card.is_file():
        text = card.read_text(encoding="utf-8")
        if not recorded_digests(text) and text != bundled_card(config, results):
            raise CheckpointError(
                f"{card} is not the card that config.json and results.json give: write it with `python -m "
                "equizoo.hub.cards` if the checkpoint is bundled, else remove it"
            )
    digests = {path: sha256(content) for path, content in files.items()}
    return {"README.md": repo_card(config, results, repo, digests).encode(), **files}


def push(
    files: Mapping[str, bytes],
    repo: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    token: str | None = None,
    message: str = "Publish a checkpoint with equizoo",
) -> str:
    """Send files to a Hub repository in one commit, making the repository and the branch where needed.

    Weights, plots and results of an earlier commit that ``files`` lack are removed in the same commit.

    Args:
        files: What :func:`collect` returned.
        repo: ``"org/name"``.
        private: True makes a new repository private; None leaves it to the organisation.
        revision: Branch; None is the main one.
        token: Access token with the right to write, or None for the one that the Hub client has stored.
        message: First line of the commit.

    Returns:
        Address of the commit.

    Raises:
        PublishError: The Hub cannot be reached, refuses the token or the files, or the repository is public
            although it was to be private. Without a commit nothing in the repository has changed.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.errors import HTTPError

    api = HfApi(token=token, library_name="equizoo", library_version=__version__)
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        if private and not api.repo_info(repo).private:
            raise PublishError(f"{repo!r} is there already and public: make it private in its settings first")
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        gone = [
            path for path in api.list_repo_files(repo, revision=revision) if _ours(path) and path not in files
        ]
        commit = api.create_commit(
            repo,
            [
                *(CommitOperationAdd(path, content) for path, content in files.items()),
                *(CommitOperationDelete(path) for path in gone),
            ],
            commit_message=message,
            revision=revision,
        )
    except (HTTPError, OSError, ValueError) as error:
        raise PublishError(_explained(error, repo)) from error
    except RuntimeError as error:  # what the client makes of an error while it sends weights
        raise PublishError(_explained(error.__cause__ or error, repo)) from error
    return str(commit.commit_url)


def _ours(path: str) -> bool:
    return path == "results.json" or path.startswith("plots/") or path.endswith(f"/{WEIGHTS}")


def _explained(error: BaseException, repo: str) -> str:
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return f"HF_HUB_OFFLINE keeps equizoo off the network: unset it to publish {repo!r}"
    if status_of(error) == 401:
        return (
            f"the Hub does not know who publishes {repo!r} (401): log in with `hf auth login`, or pass a "
            "token with the right to write"
        )
    if status_of(error) == 403:
        return f"the access token has no right to write to {repo!r} (403): ask its organisation for it"
    return (
        f"publishing {repo!r} broke off ({reason_of(error)}). A commit arrives whole or not at all; run the "
        "command again, and what was sent is not sent twice"
    )

"""``model.save_pretrained`` and ``model.push_to_hub`` of what :func:`equizoo.from_pretrained` returns."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from torch import nn

from equizoo.hub.checkpoint import save_checkpoint, weights_bytes
from equizoo.hub.config import CheckpointConfig, Training, read_config
from equizoo.hub.errors import CheckpointError
from equizoo.hub.files import sha256


class PretrainedModel(nn.Module):
    """What type checkers know of a loaded model; each is of its family's own class, and none is one of these.

    Attributes:
        card: Targets, units, domain, calibration and training of the checkpoint.
        save_pretrained: ``save_pretrained(folder)``, see :func:`save_pretrained`.
        push_to_hub: ``push_to_hub("org/name")``, see :func:`push_to_hub`.
    """

    card: CheckpointConfig
    save_pretrained: Callable[[str | os.PathLike[str]], None]
    push_to_hub: Callable[..., str]


def with_saving(model: nn.Module, variant: str, source: Path) -> PretrainedModel:
    """Give a loaded model its methods ``save_pretrained(folder)`` and ``push_to_hub(repo)``.

    Args:
        model: A model with the attribute ``card``.
        variant: Variant that it is.
        source: Checkpoint folder that it came from.

    Returns:
        ``model``.
    """
    # partial objects, because a bound method of an instance cannot be pickled with it
    setattr(model, "save_pretrained", partial(save_pretrained, model, variant, source))  # noqa: B010
    setattr(model, "push_to_hub", partial(push_to_hub, model, variant, source))  # noqa: B010
    return cast(PretrainedModel, model)


def save_pretrained(model: nn.Module, variant: str, source: Path, folder: str | os.PathLike[str]) -> None:
    """Write a loaded model as a checkpoint folder with this one variant, which ``from_pretrained`` loads.

    If its weights are still those of ``source``, so are the measured errors: ``results.json`` is copied. Else
    the calibration and the training command, which belong to other weights, are left out.

    Args:
        model: The model, perhaps trained further.
        variant: Variant that it is.
        source: Checkpoint folder that it came from.
        folder: Folder to write, whole or not at all.

    Raises:
        CheckpointError: ``folder`` exists and is not a checkpoint, or holds another variant, which would be
            lost; or a tensor holds NaN.
    """
    card: CheckpointConfig = model.card  # type: ignore[assignment]
    unchanged = sha256(weights_bytes(model, variant)) == card.variants[variant].sha256
    target, results = Path(folder), source / "results.json"
    if unchanged and target.resolve() == source.resolve():
        return
    if (target / "config.json").is_file() and read_config(target).variants.keys() - {variant}:
        raise CheckpointError(f"{target} holds another variant, which would be lost: choose another folder")
    if not unchanged:
        card = replace(card, calibration={}, training=Training())
    save_checkpoint(target, card, {variant: model})
    for name in ("results.json", "README.md"):
        (target / name).unlink(missing_ok=True)
    if unchanged and results.is_file():
        shutil.copyfile(results, target / results.name)


def push_to_hub(
    model: nn.Module,
    variant: str,
    source: Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    token: str | None = None,
    commit_message: str = "Publish a model with equizoo",
) -> str:
    """Publish a loaded model on the Hub, with the card that its results give, in one commit.

    Args:
        model: The model, perhaps trained further; then the card says that its errors are not known.
        variant: Variant that it is.
        source: Checkpoint folder that it came from.
        repo_id: ``"org/name"``.
        private: True makes a new repository private.
        revision: Branch; None is the main one.
        token: Access token with the right to write, or None for the one that the Hub client has stored.
        commit_message: First line of the commit.

    Returns:
        Address of the commit.

    Raises:
        PublishError: See :func:`equizoo.hub.upload.push`.
        CheckpointError: See :func:`equizoo.hub.upload.collect`.
    """
    from equizoo.hub.upload import collect, push

    with tempfile.TemporaryDirectory() as temporary:
        save_pretrained(model, variant, source, Path(temporary) / "checkpoint")
        files = collect(Path(temporary) / "checkpoint", repo_id)
    return push(files, repo_id, private=private, revision=revision, token=token, message=commit_message)

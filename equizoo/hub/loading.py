"""``from_pretrained``: one line from a name to a model."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from equizoo.hub.checkpoint import load_checkpoint
from equizoo.hub.locate import HubOptions, locate
from equizoo.hub.saving import PretrainedModel, with_saving


def from_pretrained(
    name_or_path: str | os.PathLike[str],
    variant: str = "equivariant",
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> PretrainedModel:
    """Load a trained model.

    A local folder that holds ``config.json`` comes first, then a bundled name, then a Hub id ``"org/name"``.
    ``"local-dir:path"`` and ``"hf-hub:org/name"`` say which. Only ``config.json`` and safetensors are read,
    their digests are checked, and every tensor must fit.

    Args:
        name_or_path: A bundled name (see :func:`equizoo.list_models`), a local folder or a Hub id.
        variant: ``"equivariant"``: the projected, exactly equivariant model. ``"partial"``: with the
            unconstrained terms that training left.
        device: Where the model goes.
        dtype: Floating-point type of the model; None keeps the stored one, and reads half
            precision as single.
        revision: Hub only: branch, tag or commit.
        token: Hub only: access token.
        cache_dir: Hub only: folder for downloads.
        local_files_only: Hub only: never use the network.
        force_download: Hub only: download again what is in the cache.

    Returns:
        The model in evaluation mode; ``model.card`` is its
        :class:`~equizoo.hub.config.CheckpointConfig` (targets, units, domain, test errors), and
        ``model.save_pretrained(folder)`` and ``model.push_to_hub("org/name")`` are those of
        :mod:`equizoo.hub.saving`.

    Raises:
        UnknownModel: The name is none of the three; the message names the nearest.
        UnknownVariant: The checkpoint has no such variant.
        HubUnavailable: The model is not in the cache, and the Hub may not or cannot be reached.
        CheckpointError: A file is missing, damaged, a pickle, of a newer version, or not the published one;
            see :mod:`equizoo.hub.errors` for the exception of each case.
        ValueError: ``dtype`` is no floating-point type.

    Example:
        >>> from equizoo.hub import list_models
        >>> models = [from_pretrained(name, dtype="float64") for name in list_models("schnet-qm9-*")[:1]]
    """
    hub = HubOptions(revision, token, cache_dir, local_files_only, force_download)
    folder = locate(name_or_path, [variant], hub)
    return with_saving(load_checkpoint(folder, variant, device, dtype), variant, folder)

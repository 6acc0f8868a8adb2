"""Writing a checkpoint folder, and reading one variant of it into a model, strictly."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from equizoo._nearest import did_you_mean
from equizoo._replacing import replacing_folder
from equizoo.hub.config import SCHEMA_VERSION, CheckpointConfig, Variant, parse_config, read_config
from equizoo.hub.errors import (
    CheckpointError,
    ConfigError,
    CorruptWeights,
    MissingKeys,
    NonFiniteWeights,
    ShapeMismatch,
    UnexpectedKeys,
)
from equizoo.hub.files import WEIGHTS, read_weights, sha256
from equizoo.hub.strict import parse


def load_checkpoint(
    folder: str | os.PathLike[str],
    variant: str = "equivariant",
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
) -> nn.Module:
    """Build the model of a checkpoint folder and load one variant of its weights.

    Only ``config.json`` and ``<variant>/model.safetensors`` are read. The state of torch's random number
    generators is left as it was.

    Args:
        folder: A checkpoint folder.
        variant: ``"equivariant"`` (projected) or ``"partial"`` (with the γ that training left).
        device: Where the model goes.
        dtype: Floating-point type of the model, such as ``torch.float64`` or ``"float64"``; None keeps the
            stored one, but for half precision, which is read as single.

    Returns:
        The model in evaluation mode; its attribute ``card`` is the :class:`CheckpointConfig`.

    Raises:
        CheckpointNotFound: The folder or a file is not there.
        ConfigError: ``config.json`` is not in order, or the family refuses its ``config``.
        UnknownVariant: The checkpoint has no such variant.
        PickleRefused: The weights are a pickle.
        CorruptWeights: The weight file is truncated.
        DigestMismatch: The weight file is not the published one.
        WeightMismatch: Its tensors are not those of the model.
        ValueError: ``dtype`` is no floating-point type.
    """
    import safetensors.torch

    folder = Path(folder)
    floating = _floating(dtype)
    card = read_config(folder)
    entry = card.variant(variant)
    try:
        state = safetensors.torch.load(read_weights(folder, variant, entry.sha256))
    except safetensors.SafetensorError as error:
        raise CorruptWeights(f"{folder / variant / WEIGHTS} is damaged: {error}") from error
    model = _build(card, variant)
    state = {key: value.float() if value.dtype == torch.float16 else value for key, value in state.items()}
    _check_state(model, state, f"{folder / variant / WEIGHTS}")
    model.load_state_dict(state, strict=True, assign=True)
    setattr(model, "card", card)  # noqa: B010  a plain attribute; nn.Module declares modules and tensors only
    return model.to(device=device, dtype=floating).eval()


def save_checkpoint(
    folder: str | os.PathLike[str],
    config: CheckpointConfig | Mapping[str, Any],
    models: Mapping[str, nn.Module],
) -> CheckpointConfig:
    """Write ``config.json`` and the weights of each variant, whole or not at all.

    Every variant is loaded back before the folder takes its name. Other files of a checkpoint that has the
    name already (``README.md``, ``results.json``) are kept, its weights are replaced.

    Args:
        folder: Checkpoint folder to write.
        config: What ``config.json`` says; ``config``, ``variants`` and, for a mapping, ``schema_version`` are
            filled in from the models.
        models: The model of each variant; ``"equivariant"`` has no relaxed layers, ``"partial"`` has some.

    Returns:
        The config as it was written.

    Raises:
        CheckpointError: ``folder`` exists and is not a checkpoint, the models disagree or hold NaN, or what
            was written would not load.
    """
    folder = Path(folder)
    if (
        folder.exists()
        and not (folder / "config.json").is_file()
        and (folder.is_file() or any(folder.iterdir()))
    ):
        raise CheckpointError(f"{folder} exists and is not a checkpoint: choose another folder")
    if not models:
        raise CheckpointError("no model to save")
    data = dataclasses.asdict(config) if isinstance(config, CheckpointConfig) else dict(config)
    data |= {"schema_version": data.get("schema_version", SCHEMA_VERSION), "config": _common_config(models)}
    weights = {variant: weights_bytes(model, variant) for variant, model in models.items()}
    data["variants"] = {
        variant: dataclasses.asdict(_variant(model, variant, data, sha256(weights[variant])))
        for variant, model in models.items()
    }
    card = parse_config(data)
    with replacing_folder(folder) as temporary:
        if folder.is_dir():
            shutil.copytree(folder, temporary, dirs_exist_ok=True)
        for variant in ("equivariant", "partial"):
            shutil.rmtree(temporary / variant, ignore_errors=True)
        for variant, content in weights.items():
            (temporary / variant).mkdir()
            (temporary / variant / WEIGHTS).write_bytes(content)
        (temporary / "config.json").write_text(card.to_json(), encoding="utf-8")
        for variant in weights:
            load_checkpoint(temporary, variant)
    return card


def _floating(dtype: str | torch.dtype | None) -> torch.dtype | None:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype is not None and not (isinstance(found, torch.dtype) and found.is_floating_point):
        raise ValueError(f"dtype must be a floating-point type such as 'float32' or 'float64', got {dtype!r}")
    return found


def _build(card: CheckpointConfig, variant: str) -> nn.Module:
    from equizoo.models import FAMILIES, build_model
    from equizoo.relaxation.project import drop

    if card.family not in FAMILIES:
        raise ConfigError(f"{card.name}: unknown family {card.family!r}{did_you_mean(card.family, FAMILIES)}")
    module, _, config_class = FAMILIES[card.family]
    relaxed = variant == "partial"
    try:
        parse(getattr(importlib.import_module(module), config_class), card.config, f"{card.name}: config")
        with torch.random.fork_rng(devices=[]):
            model = build_model(card.family, card.config, relaxed=relaxed)
        return drop(model, card.variants[variant].folded) if relaxed else model
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{card.name}: the {variant} model cannot be built: {error.args[0]}") from error


def _check_state(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    expected = model.state_dict()
    missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing:
        also = f", and has {_some(unexpected)} instead" if unexpected else ""
        raise MissingKeys(f"{where} lacks {_some(missing)}{also}: it is not the weights of this model")
    if unexpected:
        raise UnexpectedKeys(f"{where} has {_some(unexpected)}, which the model has not")
    for key, value in expected.items():
        if state[key].shape != value.shape:
            raise ShapeMismatch(
                f"{where}: {key!r} has shape {tuple(state[key].shape)}, the model's is {tuple(value.shape)}"
            )


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return f"{len(names)} tensor{'s' * (len(names) > 1)} ({shown}{', …' * (len(names) > 5)})"


def is_large(parameter: Tensor) -> bool:
    """Whether a parameter may be stored in half precision: a thousand values or more, in single precision."""
    return parameter.numel() >= 1000 and parameter.dtype == torch.float32


def weights_bytes(model: nn.Module, variant: str) -> bytes:
    """Return the weight file of a model, byte for byte as :func:`save_checkpoint` writes it.

    Where half precision holds every large parameter without loss (``evaluation.half`` of a training run sees
    to that), they are stored in it.

    Args:
        model: The model.
        variant: What to call it in a message.

    Raises:
        NonFiniteWeights: A tensor holds NaN or infinity.
    """
    import safetensors.torch

    # a clone a tensor: safetensors refuses tensors that share memory
    state = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise NonFiniteWeights(f"{variant}: {key!r} holds NaN or infinity; nothing was written")
    large = [key for key, value in model.named_parameters() if is_large(value)]
    if all(torch.equal(state[key], state[key].half().float()) for key in large):
        state |= {key: state[key].half() for key in large}
    return bytes(safetensors.torch.save(state, metadata={"format": "pt"}))


def _common_config(models: Mapping[str, nn.Module]) -> dict[str, Any]:
    configs = []
    for model in models.values():
        config = getattr(model, "config", None)
        if not dataclasses.is_dataclass(config) or isinstance(config, type):
            raise CheckpointError(
                f"{type(model).__name__} has no dataclass 'config', so it cannot be built again"
            )
        configs.append({key: value for key, value in dataclasses.asdict(config).items() if key != "relaxed"})
    if any(config != configs[0] for config in configs):
        raise CheckpointError("the variants have different configs: they are not the same model")
    return configs[0]


def _variant(model: nn.Module, variant: str, data: Mapping[str, Any], digest: str) -> Variant:
    from equizoo.models import build_model
    from equizoo.relaxation.layer import relaxations

    if variant != "partial":
        return Variant(digest)
    gamma = {name: float(term.gamma.detach()) for name, term in relaxations(model).items()}
    with torch.random.fork_rng(devices=[]):
        whole = relaxations(build_model(data["family"], data["config"], relaxed=True))
    return Variant(digest, gamma, tuple(sorted(whole.keys() - gamma.keys())))

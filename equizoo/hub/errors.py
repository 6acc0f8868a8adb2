"""One exception for each way in which finding, reading or writing a checkpoint can fail."""

from __future__ import annotations


class EquizooError(Exception):
    """Base of the errors whose message says what was wrong and what to do."""


class CheckpointError(EquizooError):
    """A checkpoint cannot be read or written as it is."""


class CheckpointNotFound(CheckpointError):
    """A folder or file of a checkpoint is not there."""


class UnknownModel(CheckpointNotFound):
    """A name is no bundled model, no local folder and no Hub repository."""


class UnknownVariant(CheckpointNotFound):
    """A checkpoint does not hold the variant asked for."""


class HubUnavailable(CheckpointNotFound):
    """A Hub repository is not in the local cache, and the Hub may not or cannot be reached."""


class ConfigError(CheckpointError):
    """A ``config.json`` does not say what it must say."""


class UnknownConfigKey(ConfigError):
    """A ``config.json`` has a key that this version does not know."""


class MissingConfigKey(ConfigError):
    """A ``config.json`` lacks a key."""


class NewerSchema(ConfigError):
    """A ``config.json`` was written by a later version of equizoo."""


class PickleRefused(CheckpointError):
    """A weight file is a pickle, which could run code when it is opened."""


class CorruptWeights(CheckpointError):
    """A weight file is truncated or is no safetensors file."""


class DigestMismatch(CheckpointError):
    """A file is not the one that was published."""


class WeightMismatch(CheckpointError):
    """The tensors of a weight file are not those of the model."""


class MissingKeys(WeightMismatch):
    """A weight file lacks tensors that the model has."""


class UnexpectedKeys(WeightMismatch):
    """A weight file has tensors that the model has not."""


class ShapeMismatch(WeightMismatch):
    """A tensor of a weight file has another shape than the model's."""


class NonFiniteWeights(WeightMismatch):
    """A tensor holds NaN or infinity."""


class PublishError(EquizooError):
    """A checkpoint cannot be published on the Hub."""


class ExportError(EquizooError):
    """A model cannot be exported, or the exported program does not compute what the model computes."""

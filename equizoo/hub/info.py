"""What is known about a checkpoint, read without loading it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equizoo.hub.config import CheckpointConfig, read_config
from equizoo.hub.files import WEIGHTS, weights_header
from equizoo.hub.locate import HubOptions, locate
from equizoo.hub.strict import read_json


@dataclass(frozen=True)
class ModelInfo:
    """A checkpoint as its folder describes it.

    Attributes:
        folder: Where it lies.
        config: Its checked ``config.json``.
        numbers: Count of the numbers stored in each variant (parameters and statistics).
        size: Bytes of the weight file of each variant.
        results: Contents of ``results.json``, as ``evaluate`` wrote them; empty where there are none.
    """

    folder: Path
    config: CheckpointConfig
    numbers: dict[str, int]
    size: dict[str, int]
    results: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the checkpoint."""
        return self.config.name


def model_info(name: str | os.PathLike[str], hub: HubOptions | None = None) -> ModelInfo:
    """Describe a checkpoint without loading it.

    Args:
        name: A bundled name, a local folder or a Hub id ``"org/name"``.
        hub: How to ask the Hub; see :class:`equizoo.hub.locate.HubOptions`.

    Returns:
        What its folder says. Weight files that are not there (those of a Hub repository are not fetched) have
        no entry in ``numbers`` and ``size``.

    Raises:
        CheckpointError: See :func:`equizoo.hub.locate.locate` and :func:`equizoo.hub.config.parse_config`.
    """
    folder = locate(name, hub=hub)
    config = read_config(folder)
    numbers, size = {}, {}
    for variant in config.variants:
        path = folder / variant / WEIGHTS
        if path.is_file():
            data = path.read_bytes()
            header = weights_header(data, str(path))
            numbers[variant] = sum(math.prod(entry["shape"]) for entry in header.values())
            size[variant] = len(data)
    results = folder / "results.json"
    return ModelInfo(folder, config, numbers, size, read_json(results) if results.is_file() else {})

"""The data sets that model cards know, and the published figures that each of their settings has."""

from __future__ import annotations

from collections.abc import Mapping

from equizoo.hub.card_conformers import ConformerEnsembles
from equizoo.hub.card_facts import Dataset, find
from equizoo.hub.card_mocap import MoCap
from equizoo.hub.card_modelnet40 import ModelNet40
from equizoo.hub.card_nbody import NBody
from equizoo.hub.card_published import Published
from equizoo.hub.card_qm9 import QM9
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.errors import ConfigError

DATASETS: dict[str, Dataset] = {
    "qm9": QM9(),
    "nbody": NBody(),
    "conformers": ConformerEnsembles(),
    "mocap": MoCap(),
    "modelnet40": ModelNet40(),
}


def dataset_of(config: CheckpointConfig) -> Dataset:
    """Return what is said about the data set of a checkpoint.

    Raises:
        ConfigError: Nothing is.
    """
    return find(DATASETS, config.dataset, "data set", "card_datasets")


def published_for(
    config: CheckpointConfig, published: Mapping[str, Mapping[str, Published]]
) -> Published | None:
    """Return the published table that the errors of a checkpoint stand beside.

    Args:
        config: Its ``config.json``.
        published: All tables, see :func:`equizoo.hub.card_published.read_published`.

    Returns:
        The table of its family on its part of the data set; None where there is none, or where the data set
        has another setting than the published one.
    """
    facts = dataset_of(config)
    if facts.setting_name(config):
        return None
    part = facts.part(config.domain)
    return published.get(config.dataset, {}).get(f"{config.family}-{part}" if part else config.family)


def check_units(name: str, units: Mapping[str, str], published: Published) -> None:
    """Refuse to put figures of different units beside one another.

    Args:
        name: Name of the checkpoint or run.
        units: Unit of the error of each target.
        published: What stands beside them.

    Raises:
        ConfigError: A target has another unit than the published table.
    """
    for target, unit in units.items():
        known = published.units.get(target, unit)
        if known != unit:
            raise ConfigError(f"{name}: the error of {target} is in {unit}, the published one in {known}")

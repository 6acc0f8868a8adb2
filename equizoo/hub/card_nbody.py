"""What a model card says about the trajectories of charged particles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from equizoo.hub.card_facts import Dataset, best_variant
from equizoo.hub.card_tables import number
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.errors import ConfigError
from equizoo.hub.results import test_errors
from equizoo.hub.strict import parse

if TYPE_CHECKING:
    from equizoo.data.nbody import World

_CENTRES = {
    "graph": "positions relative to the mean of their system",
    "none": "positions as they are",
    "node": "positions less the mean of each particle's coordinates",
}


def world_of(fields: Mapping[str, Any], where: str) -> World:
    """Return the world that a ``config.json`` or ``results.json`` describes.

    Args:
        fields: Fields of :class:`equizoo.data.nbody.World`; those left out have their defaults.
        where: What to call it in a message.

    Raises:
        ConfigError: They are not the fields of a world.
    """
    from equizoo.data.nbody import World

    try:
        return parse(World, dict(fields), where)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


class NBody(Dataset):
    """Simulated systems of charged particles, in the published world or in one with a broken symmetry."""

    text = (
        "N-body: simulated systems of charged particles (unit mass, charge +1 or −1, unit Coulomb constant). "
        "Positions start from a standard normal distribution, speeds are 0.5 in random directions; 5,000 "
        "semi-implicit Euler steps of 0.001 are kept every 100."
    )
    papers = ("nri", "egnn")
    limits = (
        "Everything is in the units of the simulation: unit mass, charges ±1, unit Coulomb constant. Other "
        "charges, masses, densities and speeds were never seen.",
        "The simulation cuts off each component of the acceleration at 100, so that near-collisions are not "
        "those of point charges and not exactly rotation-invariant.",
    )
    title, sample = "N-body", "system"
    measured = ", over all particles and coordinates"
    norm = (
        "over the coordinates of a particle, divided by the root mean square of a coordinate's displacement"
    )
    exponent = -3
    sources = "equizoo.data.nbody"

    def brief(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return the root mean square error of a coordinate, and what it is without a model."""
        variant, domain = best_variant(config, results), config.domain
        error = math.sqrt(test_errors(results, variant)["position"])
        without = ", ".join(
            f"{name} {number(math.sqrt(mse), 2)}" for name, mse in results.get("baselines", {}).items()
        )
        return [
            f"**How wrong**, as the root mean square of a coordinate over test systems, {self._time(config)} "
            f"later: {number(error, 2)} length{f'; without a model, {without}' if without else ''}.",
            f"**Do not trust it** for other numbers of particles than {domain.particles}, other charges, "
            "units and times, or where two particles meet: the largest errors are there.",
        ]

    def exact(self, config: CheckpointConfig) -> str:
        """Leave out what the way of centring breaks."""
        centre = config.config.get("centre", "graph")
        turns = "equivariant under rotations and mirrors"
        known = {"graph": super().exact(config), "none": turns, "node": "equivariant under permutations"}
        return known[centre]

    def trust(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        """Say that no orientation is like the training set's where that was turned at random."""
        if not results["data"].get("rotate"):
            return ""
        return (
            "a system that is turned or mirrored is another input to it. Training systems were turned at "
            "random, so it knows no orientation better than another: how much its answers differ between "
            "them is in the table of equivariance errors. Trust ends outside the distribution of the "
            "training set."
        )

    def split(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        """Return where in the sequence of simulated trajectories each part lies."""
        seed = results["data"].get("seed", 43)
        return (
            f"the first {results['counts']['train']:,} of the training trajectories, and the validation and "
            f"test trajectories that follow them, simulated in this order from seed {seed}"
        )

    def notes(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Name the frames, the world and the symmetry that is left in it."""
        domain, world = config.domain, self._world(config)
        rotated = ["Training systems are rotated at random"] if results["data"].get("rotate") else []
        return [
            f"Input: positions and velocities at frame {domain.start_frame}; target: positions at frame "
            f"{domain.end_frame}, {self._time(config)} later",
            f"World: {domain.added or world.name}, {world.particles} particles; "
            f"its symmetry: {world.symmetry}",
            *rotated,
        ]

    def setting(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say how the input is centred, what else a pair is told, and which loss was minimised."""
        parts = [_CENTRES[config.config["centre"]]] if "centre" in config.config else []
        if config.config.get("invariants") == "coulomb":
            parts.append("the Coulomb potential and force of each pair among the inputs of its message")
        if results["data"].get("loss") == "huber":
            parts.append("a Huber loss")
        return parts

    def unlike(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say which symmetries of the model are not those of its world."""
        world, centre, lines = self._world(config), config.config.get("centre"), []
        if world.symmetry != "E(3)":
            lines.append(
                f"This world has less symmetry than E(3) ({world.symmetry}): the `equivariant` variant "
                "cannot represent what breaks it, whatever it was trained on."
            )
        if world.wall is not None and centre == "graph":
            lines.append(
                "Positions enter relative to the mean of their system, so neither variant knows where the "
                "floor is."
            )
        if centre == "none":
            lines.append("Positions enter as they are, so no variant is translation-equivariant.")
        if centre == "node":
            lines.append(
                "The mean of each particle's three coordinates is taken off, so no variant is "
                "rotation-equivariant."
            )
        return lines

    def setting_name(self, config: CheckpointConfig) -> str:
        """Return what the world adds to the published one, and the number of particles if it is not 5."""
        particles = config.domain.particles
        parts = [config.domain.added, f"{particles} particles" if particles != 5 else ""]
        return ", ".join(part for part in parts if part)

    def _time(self, config: CheckpointConfig) -> str:
        time = (config.domain.end_frame - config.domain.start_frame) / 10
        return f"{time:g} time unit{'s' * (time != 1)}"

    def _world(self, config: CheckpointConfig) -> World:
        return world_of(config.domain.world, f"{config.name}: domain.world")

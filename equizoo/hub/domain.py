"""What a checkpoint was trained on, by task: what pipelines compare an input with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from equizoo.hub.errors import ConfigError
from equizoo.hub.strict import parse


@dataclass(frozen=True)
class _Domain(Mapping[str, Any]):
    """A checked ``domain``, read by attribute or by key."""

    def __getitem__(self, key: str) -> Any:
        if key not in self.__dataclass_fields__:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return (entry.name for entry in dataclasses.fields(self))

    def __len__(self) -> int:
        return len(dataclasses.fields(self))


@dataclass(frozen=True)
class MoleculeDomain(_Domain):
    """What a molecular model was trained on.

    Attributes:
        elements: Chemical elements.
        max_heavy_atoms: The largest number of heavy atoms.

    Example:
        >>> domain = MoleculeDomain(("H", "C"), 9)
        >>> domain["max_heavy_atoms"], str(domain)
        (9, 'elements H C, at most 9 heavy atoms')
    """

    elements: tuple[str, ...]
    max_heavy_atoms: int

    def __str__(self) -> str:
        return f"elements {' '.join(self.elements)}, at most {self.max_heavy_atoms} heavy atoms"


@dataclass(frozen=True)
class ParticleDomain(_Domain):
    """What a model of moving particles was trained on.

    Attributes:
        particles: Number of particles of a system.
        start_frame: Frame of the trajectory that is the input; frame k is time 0.1·(k + 1).
        end_frame: Frame of the trajectory that is predicted.
        world: Fields of :class:`equizoo.data.nbody.World`; those left out have their defaults.

    Raises:
        ConfigError: Fewer than two particles, or frames that are not in order.
    """

    particles: int
    start_frame: int
    end_frame: int
    world: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.particles < 2:
            raise ConfigError(f"domain: particles must be at least 2, got {self.particles}")
        if not 0 <= self.start_frame < self.end_frame:
            raise ConfigError(
                f"domain needs 0 <= start_frame < end_frame, got {self.start_frame} and {self.end_frame}"
            )

    @property
    def added(self) -> str:
        """What the world adds to the published one, with its strength; empty for the published one.

        Example:
            >>> ParticleDomain(5, 30, 40, {"field": 0.5, "wall": None}).added
            'field 0.5'
        """
        return added_to_world(self.world)

    def __str__(self) -> str:
        frames = f"frame {self.start_frame} to {self.end_frame}"
        return f"{self.particles} particles, {frames}, world: {self.added or 'charged'}"


#: How training clouds may have been turned, in words.
_ROTATIONS = {"so3": "any orientation", "z": "z up", "aligned": "z up, one heading"}


@dataclass(frozen=True)
class PointCloudDomain(_Domain):
    """What a classifier of point clouds was trained on.

    Attributes:
        points: Number of points of a cloud.
        classes: Names of the classes, in the order of the model's output.
        rotations: How the clouds were turned: ``"so3"``, ``"z"`` or ``"aligned"`` (not at all).
        temperature: What the logits are divided by for calibrated probabilities.

    Raises:
        ConfigError: Too few points, fewer than two classes or one twice, no such rotations, or a temperature
            that is not positive.

    Example:
        >>> str(PointCloudDomain(300, ("bed", "cup"), "so3"))
        '2 classes, 300 points, any orientation'
    """

    points: int
    classes: tuple[str, ...]
    rotations: str
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.points < 1:
            raise ConfigError(f"domain: points must be at least 1, got {self.points}")
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ConfigError("domain: classes must be at least two different names")
        if self.rotations not in _ROTATIONS:
            raise ConfigError(
                f"domain: rotations must be one of {', '.join(_ROTATIONS)}, got {self.rotations!r}"
            )
        if not 0 < self.temperature < float("inf"):
            raise ConfigError(f"domain: temperature must be positive, got {self.temperature}")

    def __str__(self) -> str:
        return f"{len(self.classes)} classes, {self.points} points, {_ROTATIONS[self.rotations]}"


def added_to_world(world: Mapping[str, Any]) -> str:
    """Return what fields of :class:`equizoo.data.nbody.World` add to the published world, in words."""
    field, drag, wall = world.get("field", 0), world.get("drag", ()), world.get("wall")
    parts = [
        f"field {field:g}" if field else "",
        f"drag {' '.join(f'{rate:g}' for rate in drag)}" if any(drag) else "",
        "" if wall is None else f"floor at {wall:g}",
    ]
    return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class MotionDomain(_Domain):
    """What a model of moving bodies was trained on; lengths are ASF units, y is up.

    Attributes:
        motion: ``run`` or ``walk``.
        joints: Names of the joints, in the order of the model.
        bones: Pairs of joints, (child, parent), by index.
        frame_rate: Frames a second.
        horizon: Frames from the input to the last predicted frame.
        frames: Number of predicted frames, the last ones up to the horizon.
        heading: Mean direction in which the bodies move, x and z.
        heading_spread: Largest angle from it [degrees].
        speed: Smallest and largest horizontal speed [length / frame].
        size: Smallest and largest height of a body [length].
        floor: Lowest and highest y of the lowest joint [length].
        place: Smallest and largest x, then z, of the centre of a body [length].
        symmetry_gap: Squared energy distance of the training data from their symmetrisation, relative to
            their size, and its standard error, by group.

    Raises:
        ConfigError: Bones that join no joints, frames that do not fit, or a range without two ends.
    """

    motion: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, ...], ...]
    frame_rate: int
    horizon: int
    frames: int
    heading: tuple[float, ...]
    heading_spread: float
    speed: tuple[float, ...]
    size: tuple[float, ...]
    floor: tuple[float, ...]
    place: tuple[tuple[float, ...], ...]
    symmetry_gap: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.joints)
        if any(len(bone) != 2 or not all(0 <= joint < count for joint in bone) for bone in self.bones):
            raise ConfigError(f"domain: a bone is a pair of joints, 0 to {count - 1}")
        if not 1 <= self.frames <= self.horizon or self.frame_rate < 1:
            raise ConfigError(
                f"domain needs 1 <= frames <= horizon and a frame rate, got {self.frames}, "
                f"{self.horizon} and "
                f"{self.frame_rate}"
            )
        pairs = (self.heading, self.speed, self.size, self.floor, self.place, *self.place)
        if any(len(pair) != 2 for pair in pairs):
            raise ConfigError("domain: heading, speed, size, floor and each part of place are two numbers")

    def __str__(self) -> str:
        first = self.horizon - self.frames + 1
        ahead = f"frames {first} to {self.horizon} at {self.frame_rate} Hz"
        return f"{self.motion}, {len(self.joints)} joints, {ahead}"


@dataclass(frozen=True)
class ConformerDomain(MoleculeDomain):
    """What a generator of conformers was trained on.

    Attributes:
        elements: Chemical elements.
        max_heavy_atoms: The largest number of heavy atoms.
        name: Name of the prepared sets of molecules.
        prior: What the flow starts from, ``harmonic``, ``etkdg`` or ``mmff``.
        steps: Steps of the sampler that its errors were measured with.
        molecules: Number of training molecules.
        pairs: Number of training pairs of a start and a conformer.

    Raises:
        ConfigError: A number below 1.
    """

    name: str
    prior: str
    steps: int
    molecules: int
    pairs: int

    def __post_init__(self) -> None:
        if min(self.steps, self.molecules, self.pairs) < 1:
            raise ConfigError("domain: steps, molecules and pairs must be at least 1")


#: What the ``domain`` of each task holds; that of a task without an entry may hold anything.
DOMAINS: dict[str, type[_Domain]] = {
    "molecule-properties": MoleculeDomain,
    "particle-forecasting": ParticleDomain,
    "motion-forecasting": MotionDomain,
    "point-cloud-classification": PointCloudDomain,
    "conformers": ConformerDomain,
}


def parse_domain(task: str, data: Any, where: str) -> Mapping[str, Any]:
    """Check the ``domain`` of a ``config.json``.

    Args:
        task: Task of the checkpoint.
        data: Parsed JSON.
        where: What to call it in a message.

    Returns:
        The dataclass of the task; a dict for a task that has none.

    Raises:
        ConfigError: It is no object, or not what a domain of the task holds.

    Example:
        >>> parse_domain("molecule-properties", {"elements": ["H"], "max_heavy_atoms": 9}, "domain").elements
        ('H',)
    """
    if task in DOMAINS:
        return parse(DOMAINS[task], data, where)
    if not isinstance(data, dict):
        raise ConfigError(f"{where} must be an object, got {data!r:.60}")
    return data

"""N-body: where charged particles are one time unit after their positions and velocities are known."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import LongTensor, Tensor, nn

from equizoo.data.nbody import NBodySet, World, load_nbody
from equizoo.symmetry import SO3, Vectors
from equizoo.training.config import ConfigError, from_dict, nearest
from equizoo.training.equivariance import GROUPS
from equizoo.training.tasks.base import Target, build_network, outputs_in_parts
from equizoo.training.tasks.synthetic_particles import synthetic_particles

if TYPE_CHECKING:
    from equizoo.hub.config import CheckpointConfig

LOSSES = ("mse", "huber")
FRAME = 0.1  # time between two frames of a trajectory [time units]


@dataclass
class NBodyOptions:
    """Options of the task.

    Attributes:
        world: Fields of :class:`equizoo.data.nbody.World` that differ from the published system.
        train_samples: Use the first so many training systems.
        seed: Seed of the data; 43 gives the published trajectories.
        start: Frame of the inputs.
        end: Frame of the targets.
        root: Folder of the trajectories; None: where :func:`equizoo.data.nbody.load_nbody` keeps them.
        loss: ``mse``, or ``huber``: quadratic in the length of a particle's error below ``delta``, linear
            above it, so that close encounters, which nobody can predict, do not rule the gradient. The metric
            is the mean squared error with either.
        delta: Scale of the Huber loss [length].
        rotate: Turn each training system by a random rotation about the origin, anew in every epoch.
        synthetic: Make up so many systems instead of simulating any.
    """

    world: dict[str, Any] = field(default_factory=dict)
    train_samples: int = 3000
    seed: int = 43
    start: int = 30
    end: int = 40
    root: str | None = None
    loss: str = "mse"
    delta: float = 0.1
    rotate: bool = False
    synthetic: int = 0


class NBodyTask:
    """N-body as a task of the engine; lengths and times are in the units of the simulation.

    Args:
        device: Where batches are put.

    References:
        V. G. Satorras, E. Hoogeboom, M. Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021,
        Section 5.1: the task. ACE, Section 5: 3,000 training systems, mean squared error.
    """

    task_name = "particle-forecasting"
    metric = "MSE"
    method_target_type = Vectors(1)
    groups = GROUPS

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def setup(self, data_cfg: dict[str, Any], seed: int) -> None:
        """Load the splits, which are simulated first if they are not on disk.

        Rotations are drawn from torch's global generator, which the resumable state of a run holds.

        Raises:
            ConfigError: Unknown option or field of the world, or a value that cannot be used.
        """
        self.options = from_dict(data_cfg, NBodyOptions, "data.")
        if self.options.loss not in LOSSES or self.options.delta <= 0:
            raise ConfigError(
                f"data.loss is one of {LOSSES} and data.delta is positive, "
                f"got {self.options.loss!r} and {self.options.delta}"
            )
        self.world = _world(self.options.world)
        self.duration = round(FRAME * (self.options.end - self.options.start), 10)
        units = "time unit" if self.duration == 1 else "time units"
        self.targets = [Target("position", "length", f"position after {self.duration:g} {units}")]
        self._splits: dict[str, NBodySet] = {}
        self.train = self.split("train")
        self.n_train = len(self.train)

    @staticmethod
    def checkpoint_options(card: CheckpointConfig) -> dict[str, Any]:
        """Return the world and the frames of a checkpoint."""
        domain: Mapping[str, Any] = card.domain
        return {"world": domain["world"], "start": domain["start_frame"], "end": domain["end_frame"]}

    def split(self, name: str) -> NBodySet:
        """Return the systems of ``train``, ``valid`` or ``test``."""
        if name not in self._splits:
            self._splits[name] = self._load(name)
        return self._splits[name]

    def _load(self, name: str) -> NBodySet:
        options = self.options
        if options.synthetic:
            part = ("train", "valid", "test").index(name)
            return synthetic_particles(options.synthetic, self.world.particles, part, self.duration)
        try:
            return load_nbody(
                options.root,
                world=self.world,
                split=name,
                samples=options.train_samples if name == "train" else None,
                seed=options.seed,
                start=options.start,
                end=options.end,
            )
        except ValueError as error:
            raise ConfigError(f"data: {error}") from None

    def data_hash(self) -> str:
        """Return the sha256 of the training systems and their targets."""
        digest = hashlib.sha256()
        for tensor in (self.train.pos, self.train.vel, self.train.charge, self.train.target):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def train_batch(self, indices: LongTensor) -> dict[str, Tensor]:
        """Return ``pos`` (N, 3), ``vel`` (N, 3), ``charge`` (N,), ``batch`` (N,) and ``y`` (N, 3) float32."""
        batch = self.batch(self.train, indices)
        if self.options.rotate:
            turns = SO3().sample(len(indices), dtype=batch["pos"].dtype, device=self.device)
            for name in ("pos", "vel", "y"):
                batch[name] = Vectors(1).act(turns, batch[name], batch["batch"])
        return batch

    def batch(self, samples: NBodySet, indices: Tensor) -> dict[str, Tensor]:
        """Return systems of a set as one batch, as :meth:`train_batch` does, but never turned."""
        chosen = samples.subset(indices)
        n = self.world.particles
        batch = {"pos": chosen.pos, "vel": chosen.vel, "charge": chosen.charge, "y": chosen.target}
        batch = {name: value.flatten(0, 1) for name, value in batch.items()}
        batch["batch"] = torch.arange(len(chosen)).repeat_interleave(n)
        return {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}

    def build_model(self, model_cfg: dict[str, Any], relaxed: bool) -> nn.Module:
        """Build the model.

        Raises:
            ConfigError: The family or one of its configuration keys is unknown.
        """
        return build_network(model_cfg, relaxed, self.device)

    def model_inputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``pos`` (N, 3), ``vel`` (N, 3), ``charge`` (N,) and ``batch`` (N,)."""
        return {name: batch[name] for name in ("pos", "vel", "charge", "batch")}

    def forward(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Return the predicted positions ``(N, 3)``."""
        return model(**self.model_inputs(batch), num_graphs=len(batch["y"]) // self.world.particles)

    def loss(self, model_output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean loss over systems, particles and axes [length²].

        References:
            Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for computed
            imaging", ICIP 1994: the smooth (pseudo-)Huber loss, here equal to the squared error near 0.
        """
        if self.options.loss == "mse":
            return nn.functional.mse_loss(model_output, batch["y"])
        square = (model_output - batch["y"]).square().sum(-1)
        delta = self.options.delta
        return (2 / 3 * delta**2 * ((1 + square / delta**2).sqrt() - 1)).mean()

    def method_targets(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the displacements ``(N, 3)`` from input to target."""
        return batch["y"] - batch["pos"]

    def predict(self, model: nn.Module, samples: NBodySet, batch_size: int = 512) -> Tensor:
        """Return float64 predictions ``(S, n, 3)`` for a set of systems."""
        return outputs_in_parts(self, model, samples, batch_size).unflatten(0, (-1, self.world.particles))

    def evaluate(
        self, model: nn.Module, split: str, *, batch_size: int = 512, limit: int | None = None
    ) -> dict[str, float]:
        """Return the mean squared error over all coordinates as ``mse/position`` and ``score`` [length²]."""
        samples = self.split(split)
        if limit is not None and limit < len(samples):
            samples = samples.subset(torch.arange(limit))
        error = _mse(self.predict(model, samples, batch_size), samples)
        return {"mse/position": error, "score": error}

    def baselines(self, split: str) -> dict[str, float]:
        """Return the error of particles that stay, and of particles that keep their velocity [length²]."""
        samples = self.split(split)
        return {
            "no motion": _mse(samples.pos, samples),
            "constant velocity": _mse(samples.pos + self.duration * samples.vel, samples),
        }

    def output_centre(self, split: str) -> Tensor:
        """Return 0: positions turn with the input, and have no mean to take off."""
        return torch.zeros(())

    def output_spread(self, split: str = "train") -> Tensor:
        """Return the root mean square ``()`` of a coordinate of the displacement on a split [length]."""
        samples = self.split(split)
        return (samples.target - samples.pos).double().square().mean().sqrt()

    def domain(self) -> dict[str, Any]:
        """Return the number of particles, the frames, and in what the world is not the published one."""
        world, plain = dataclasses.asdict(self.world), dataclasses.asdict(World())
        changed = {key: value for key, value in world.items() if value != plain[key]}
        return {
            "particles": self.world.particles,
            "start_frame": self.options.start,
            "end_frame": self.options.end,
            "world": {key: list(x) if isinstance(x, tuple) else x for key, x in changed.items()},
        }

    def check_publishable(self, name: str) -> None:
        """Accept every model."""


def _world(fields: dict[str, Any]) -> World:
    known = [f.name for f in dataclasses.fields(World)]
    for key in fields:
        if key not in known:
            raise ConfigError(f"unknown key 'data.world.{key}'; {nearest(str(key), known)}")
    try:
        return World(**{key: tuple(x) if isinstance(x, list) else x for key, x in fields.items()})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"data.world: {error}") from None


def _mse(predicted: Tensor, samples: NBodySet) -> float:
    return float((predicted.double() - samples.target.double()).square().mean())

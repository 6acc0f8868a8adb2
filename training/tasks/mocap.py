"""Motion capture: where the joints of a walking or running body are a quarter of a second later."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import LongTensor, Tensor, nn

from equizoo.data.mocap import FRAME_RATE, SKELETON, MotionSet, load_mocap
from equizoo.symmetry import SO2, Vectors
from equizoo.symmetry.groups import Group
from equizoo.training.config import ConfigError, from_dict
from equizoo.training.equivariance import GROUPS, HorizontalTranslations, VerticalReflections
from equizoo.training.tasks.base import Target, build_network, outputs_in_parts
from equizoo.training.tasks.motion_augmentation import ROTATIONS, augmented
from equizoo.training.tasks.motion_gaps import symmetry_gaps
from equizoo.training.tasks.synthetic_motion import synthetic_motion

if TYPE_CHECKING:
    from equizoo.hub.config import CheckpointConfig

JOINTS = len(SKELETON.joints)


@dataclass
class MocapOptions:
    """Options of the task.

    Attributes:
        motion: ``run`` (subject 9) or ``walk`` (subject 35).
        horizon: Frames from the input to the last target; the metric is taken there.
        frames: Number of target frames, the last ones up to the horizon.
        starts: Start frames of the training samples: ``published``, or ``all`` frames of the training trials.
            Validation and test samples are always the published ones.
        assignment: None: the published trials of each part; a number: seed of a random assignment.
        root: Folder of the data; None: ``$EQUIZOO_DATA``.
        rotate: Turn each training sample about the centre of its body, anew in every epoch: ``none``,
            ``vertical`` (about the vertical axis) or ``so3``.
        mirror: Mirror every other training sample in the vertical plane of its direction of motion. Joints
            keep their place in the order: a network that does not know left from right sees a mirrored body.
        standardise: Divide the loss by the mean squared displacement of the training set: 1 is then the loss
            of a body that stays where it is, and rates and prices of a method mean the same for any motion.
        synthetic: Make up so many samples instead of reading any.
    """

    motion: str = "run"
    horizon: int = 30
    frames: int = 5
    starts: str = "published"
    assignment: int | None = None
    root: str | None = None
    rotate: str = "none"
    mirror: bool = False
    standardise: bool = False
    synthetic: int = 0


class MocapTask:
    """CMU motion capture as a task of the engine; lengths are ASF units, velocities lengths per frame.

    Args:
        device: Where batches are put.

    References:
        W. Huang et al., "Equivariant Graph Mechanics Networks with Constraints", ICLR 2022: the task.
        M. Xu et al., "Equivariant Graph Neural Operator for Modeling 3D Dynamics", ICML 2024, Section 5.2:
        several target frames. ACE, Section 5: error of the last frame.
    """

    task_name = "motion-forecasting"
    metric = "MSE"
    method_target_type = Vectors(1)
    groups: Mapping[str, Group] = {
        "rotation about the vertical": SO2("y"),
        "mirror in a vertical plane": VerticalReflections(),
        "horizontal translation": HorizontalTranslations(),
        **GROUPS,
    }

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def setup(self, data_cfg: dict[str, Any], seed: int) -> None:
        """Load the splits.

        Rotations and reflections are drawn from torch's global generator, which the resumable state holds.

        Raises:
            ConfigError: Unknown option, or a value that cannot be used.
        """
        self.options = options = from_dict(data_cfg, MocapOptions, "data.")
        if options.rotate not in ROTATIONS:
            raise ConfigError(f"data.rotate is one of {tuple(ROTATIONS)}, got {options.rotate!r}")
        if not 1 <= options.frames <= options.horizon:
            raise ConfigError(
                f"data needs 1 <= frames <= horizon, got {options.frames} and {options.horizon}"
            )
        after = f"{options.horizon} frames ({options.horizon / FRAME_RATE:g} s)"
        self.targets = [Target("position", "length", f"position of each joint after {after}")]
        self._splits: dict[str, MotionSet] = {}
        self.train = self.split("train")
        self.n_train = len(self.train)
        still = (self.train.target - self.train.pos[:, None]).square().mean()
        self.loss_unit = float(still) if options.standardise else 1.0

    @staticmethod
    def checkpoint_options(card: CheckpointConfig) -> dict[str, Any]:
        """Return the motion and the target frames of a checkpoint."""
        domain: Mapping[str, Any] = card.domain
        return {key: domain[key] for key in ("motion", "horizon", "frames")}

    def split(self, name: str) -> MotionSet:
        """Return the samples of ``train``, ``valid`` or ``test``."""
        if name not in self._splits:
            self._splits[name] = self._load(name)
        return self._splits[name]

    def _load(self, name: str) -> MotionSet:
        options = self.options
        if options.synthetic:
            part = ("train", "valid", "test").index(name)
            return synthetic_motion(options.synthetic, part, options.horizon, options.frames)
        try:
            return load_mocap(
                options.root,
                motion=options.motion,
                split=name,
                horizon=options.horizon,
                frames=options.frames,
                assignment=options.assignment,
                starts=options.starts if name == "train" else "published",
            )
        except ValueError as error:
            raise ConfigError(f"data: {error}") from None

    def data_hash(self) -> str:
        """Return the sha256 of the training samples and their targets."""
        digest = hashlib.sha256()
        for tensor in (self.train.pos, self.train.vel, self.train.target):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def train_batch(self, indices: LongTensor) -> dict[str, Tensor]:
        """Return ``pos`` (N, 3), ``vel`` (N, 3), ``y`` (N, T, 3) float32 and ``batch`` (N,), N = 31 B."""
        samples, options = self.train.subset(indices), self.options
        return self._batch(augmented(samples, options.rotate, 0.5 if options.mirror else 0.0))

    def batch(self, samples: MotionSet, indices: Tensor) -> dict[str, Tensor]:
        """Return samples of a set as one batch, as :meth:`train_batch` does, but never turned."""
        return self._batch(samples.subset(indices))

    def _batch(self, chosen: MotionSet) -> dict[str, Tensor]:
        batch = {"pos": chosen.pos, "vel": chosen.vel, "y": chosen.target.transpose(1, 2)}
        batch = {name: value.flatten(0, 1) for name, value in batch.items()}
        batch["batch"] = torch.arange(len(chosen)).repeat_interleave(JOINTS)
        return {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}

    def build_model(self, model_cfg: dict[str, Any], relaxed: bool) -> nn.Module:
        """Build the model, with the skeleton of the data unless the recipe names another.

        Raises:
            ConfigError: The family or one of its configuration keys is unknown.
        """
        skeleton = {"bones": SKELETON.bones, "frames": self.options.frames}
        return build_network(skeleton | dict(model_cfg), relaxed, self.device)

    def model_inputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``pos`` (N, 3), ``vel`` (N, 3) and ``batch`` (N,)."""
        return {name: batch[name] for name in ("pos", "vel", "batch")}

    def forward(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Return the predicted positions ``(N, T, 3)``."""
        return model(**self.model_inputs(batch), num_graphs=len(batch["pos"]) // JOINTS)

    def loss(self, model_output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean squared error over samples, joints, frames and axes [length², or 1]."""
        return nn.functional.mse_loss(model_output, batch["y"]) / self.loss_unit

    def method_targets(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the displacements ``(N, 3)`` from the input to the last target frame."""
        return batch["y"][:, -1] - batch["pos"]

    def predict(self, model: nn.Module, samples: MotionSet, batch_size: int = 512) -> Tensor:
        """Return float64 predictions ``(S, T, J, 3)`` for a set of samples."""
        return outputs_in_parts(self, model, samples, batch_size).unflatten(0, (-1, JOINTS)).transpose(1, 2)

    def evaluate(
        self, model: nn.Module, split: str, *, batch_size: int = 512, limit: int | None = None
    ) -> dict[str, float]:
        """Return the mean squared error of the last frame as ``mse/position`` and ``score`` [length²].

        The mean is over samples, joints and axes, as published.
        """
        samples = self.split(split)
        if limit is not None and limit < len(samples):
            samples = samples.subset(torch.arange(limit))
        error = _mse(self.predict(model, samples, batch_size)[:, -1], samples)
        return {"mse/position": error, "score": error}

    def baselines(self, split: str) -> dict[str, float]:
        """Return the error of a body that stays, and of joints that keep their velocity [length²]."""
        samples = self.split(split)
        return {
            "no motion": _mse(samples.pos, samples),
            "constant velocity": _mse(samples.pos + self.options.horizon * samples.vel, samples),
        }

    def output_centre(self, split: str) -> Tensor:
        """Return 0: positions turn with the input, and have no mean to take off."""
        return torch.zeros(())

    def output_spread(self, split: str = "train") -> Tensor:
        """Return the root mean square ``()`` of a coordinate of the last displacement [length]."""
        samples = self.split(split)
        return (samples.target[:, -1] - samples.pos).double().square().mean().sqrt()

    def domain(self) -> dict[str, Any]:
        """Return motion, skeleton and target frames, and where, how fast and in which direction bodies move.

        Ranges are those of the training samples; a recipe that turns them about the vertical leaves no
        direction out.
        """
        samples, options = self.train, self.options
        velocity = samples.vel.double().mean(1)[:, [0, 2]]
        heading = nn.functional.normalize(velocity.mean(0), dim=0)
        cosine = nn.functional.normalize(velocity, dim=1) @ heading
        widest = math.degrees(float(cosine.clamp(-1, 1).acos().max())) if options.rotate == "none" else 180.0
        height = samples.pos[..., 1]
        place = samples.pos.mean(1)[:, [0, 2]]
        return {
            "motion": options.motion,
            "joints": list(SKELETON.joints),
            "bones": [list(bone) for bone in SKELETON.bones],
            "frame_rate": FRAME_RATE,
            "horizon": options.horizon,
            "frames": options.frames,
            "heading": [round(x, 4) for x in heading.tolist()],
            "heading_spread": round(widest, 1),
            "speed": _range(velocity.norm(dim=1), 3),
            "size": _range(height.amax(1) - height.amin(1), 2),
            "floor": _range(height.amin(1), 2),
            "place": [_range(place[:, 0], 1), _range(place[:, 1], 1)],
            "symmetry_gap": {
                name: [float(f"{x:.3g}") for x in gap] for name, gap in symmetry_gaps(samples).items()
            },
        }

    def check_publishable(self, name: str) -> None:
        """Refuse a model that was trained on another assignment of trials than the published one.

        Raises:
            ConfigError: It was; its errors are no errors on the published test trials.
        """
        if self.options.assignment is not None:
            raise ConfigError(
                f"{name} was trained with data.assignment={self.options.assignment}, a random assignment of "
                "trials; a checkpoint is trained on the published one (data.assignment=null)"
            )


def _range(values: Tensor, digits: int) -> list[float]:
    """Return the ends of the range of values, rounded outwards."""
    low, high = float(values.min()) * 10**digits, float(values.max()) * 10**digits
    return [math.floor(low) / 10**digits, math.ceil(high) / 10**digits]


def _mse(predicted: Tensor, samples: MotionSet) -> float:
    return float((predicted.double() - samples.target[:, -1].double()).square().mean())

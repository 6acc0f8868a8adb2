"""ModelNet40: what kind of object a cloud of points shows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import LongTensor, Tensor, nn
from torch.nn import functional

from equizoo.data.modelnet40 import CLASSES, SPLITS, PointCloudSet, load_modelnet40, to_unit_sphere
from equizoo.symmetry.groups import Group, Permutations
from equizoo.training.config import ConfigError, from_dict, nearest
from equizoo.training.equivariance import GROUPS
from equizoo.training.tasks.base import Target, build_network, outputs_in_parts
from equizoo.training.tasks.cloud_augmentation import ROTATIONS, Augmentation, dropped, redrawn, turned
from equizoo.training.tasks.synthetic_clouds import synthetic_clouds

if TYPE_CHECKING:
    from equizoo.hub.config import CheckpointConfig

SURFACE = 1024
"""Points of the surface of each object that ``resample`` draws from."""

LARGEST_PASS = 128
"""Clouds a forward pass of :meth:`ModelNet40Task.predict`, which bounds its memory."""


@dataclass
class ModelNet40Options:
    """Options of the task.

    Attributes:
        points: Points of a cloud: the first of each object, which are random points of its surface.
        rotations: How training clouds are turned, anew in every epoch: ``so3``, ``z`` (about the vertical) or
            ``aligned`` (not at all).
        test_rotations: How validation and test clouds are turned, the same in every evaluation.
        resample: Draw the points of each training cloud anew in every epoch from 1,024 of its surface.
        stretch: Largest factor on an axis of a training cloud, which is then centred and scaled again; each
            axis gets its own, from the inverse of this to this.
        scale: Ends of the range that a factor on the size of each training cloud is drawn from.
        shift: Half width of the range of a shift of each training cloud [radius of the cloud].
        jitter: Standard deviation of noise on the coordinates of training clouds [radius of the cloud].
        dropout: Largest share of points that is replaced by the first point of the cloud, in training,
            validation and test clouds; published for the experiment with dropped points: 0.875.
        label_smoothing: Share of the target that is spread evenly over the other classes.
        logit_adjustment: τ of the logit-adjusted loss: training adds τ·log(share of the class in the training
            part) to each logit, so that frequent classes are not favoured by being frequent. 0: plain cross
            entropy; 1: all classes count alike.
        valid_fraction: Share of the published training objects, in each class, that is for validation.
        valid_draws: Clouds of each validation object: the first points, and so many less one that are drawn
            from 1,024 of its surface, each turned by itself. With one cloud an object, which of two networks
            is better depends on the draw.
        split_seed: Seed of that choice.
        root: Folder of the data; None: ``$EQUIZOO_DATA``.
        synthetic: Make up so many clouds instead of reading any.
    """

    points: int = 300
    rotations: str = "so3"
    test_rotations: str = "so3"
    resample: bool = False
    stretch: float = 1.0
    scale: list[float] = field(default_factory=lambda: [1.0, 1.0])
    shift: float = 0.0
    jitter: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.2
    logit_adjustment: float = 0.0
    valid_fraction: float = 0.1
    valid_draws: int = 1
    split_seed: int = 0
    root: str | None = None
    synthetic: int = 0


class ModelNet40Task:
    """ModelNet40 as a task of the engine.

    The metric is the error rate [%], so that lower is better: 100 less the accuracy. ``instance`` is that of
    all objects, ``class`` the mean over the classes of the error rate in each.

    Args:
        device: Where batches are put.

    References:
        Z. Wu et al., "3D ShapeNets", CVPR 2015: the task. C. Deng et al., "Vector Neurons", ICCV 2021,
        Section 5.1: turned clouds. ACE, Section 5: 300 points.
    """

    task_name = "point-cloud-classification"
    metric = "error rate"
    method_target_type = None

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def setup(self, data_cfg: dict[str, Any], seed: int) -> None:
        """Load the training part.

        What happens to training clouds is drawn from torch's global generator, which the resumable state of
        a run holds.

        Raises:
            ConfigError: Unknown option, or a value that cannot be used.
        """
        self.options = options = from_dict(data_cfg, ModelNet40Options, "data.")
        for key in ("rotations", "test_rotations"):
            value = getattr(options, key)
            if value not in ROTATIONS:
                raise ConfigError(f"unknown data.{key} {value!r}; {nearest(value, ROTATIONS)}")
        if not 0 <= options.label_smoothing < 1 - 1 / len(CLASSES):
            raise ConfigError(
                f"data.label_smoothing must lie in 0 to {1 - 1 / len(CLASSES)}, where all classes are alike, "
                f"got {options.label_smoothing}"
            )
        if options.logit_adjustment < 0:
            raise ConfigError(f"data.logit_adjustment must not be negative, got {options.logit_adjustment}")
        if options.valid_draws < 1:
            raise ConfigError(f"data.valid_draws must be at least 1, got {options.valid_draws}")
        if (options.resample or options.valid_draws > 1) and not options.points <= SURFACE:
            raise ConfigError(
                f"data.resample and data.valid_draws draw from {SURFACE} points, got "
                f"data.points={options.points}"
            )
        if len(options.scale) != 2:
            raise ConfigError(f"data.scale holds two numbers, got {options.scale}")
        scale = (options.scale[0], options.scale[1])
        try:
            self.augment = Augmentation(
                options.stretch, scale, options.shift, options.jitter, options.dropout
            )
        except ValueError as error:
            raise ConfigError(f"data: {error}") from None
        self.targets = [
            Target("instance", "%", "over all objects"),
            Target("class", "%", "mean over the classes"),
        ]
        self.groups: Mapping[str, Group] = {**GROUPS, "permutation": Permutations(options.points)}
        self._splits: dict[str, PointCloudSet] = {}
        self.train = self._load("train", SURFACE if options.resample else options.points)
        self.n_train = len(self.train)
        counts = self.train.label.bincount(minlength=len(CLASSES))
        self.adjustment = options.logit_adjustment * (counts.clamp(min=1) / self.n_train).log()

    @staticmethod
    def checkpoint_options(card: CheckpointConfig) -> dict[str, Any]:
        """Return the number of points and the rotations of a checkpoint."""
        domain: Mapping[str, Any] = card.domain
        return {"points": domain["points"], "rotations": domain["rotations"]}

    def split(self, name: str) -> PointCloudSet:
        """Return the clouds of ``train``, ``valid`` or ``test`` as they are evaluated: turned and thinned."""
        if name not in self._splits:
            clouds = self.whole(name)
            if self.options.dropout:
                generator = torch.Generator().manual_seed(SPLITS.index(name))
                thinned = dropped(clouds.points, self.options.dropout, generator)
                clouds = PointCloudSet(thinned, clouds.label)
            self._splits[name] = clouds
        return self._splits[name]

    def whole(self, name: str) -> PointCloudSet:
        """Return the clouds of a part turned as :meth:`split` does, with all their points."""
        options = self.options
        draws = options.valid_draws if name == "valid" else 1
        wanted = SURFACE if draws > 1 else options.points
        clouds = self.train if name == "train" else self._load(name, wanted)
        points = clouds.points
        if points.shape[1] > options.points:
            points = to_unit_sphere(points[:, : options.points])
        generator = torch.Generator().manual_seed(SPLITS.index(name))
        parts = [turned(points, options.test_rotations, generator)]
        for _ in range(draws - 1):
            again = redrawn(clouds.points, options.points, generator)
            parts.append(turned(again, options.test_rotations, generator))
        return PointCloudSet(torch.cat(parts), clouds.label.repeat(draws))

    def surface(self, name: str) -> PointCloudSet:
        """Return the clouds of a part with 1,024 points, or with ``points`` if those are more, turned."""
        clouds = self._load(name, max(SURFACE, self.options.points))
        generator = torch.Generator().manual_seed(SPLITS.index(name))
        return PointCloudSet(turned(clouds.points, self.options.test_rotations, generator), clouds.label)

    def _load(self, name: str, points: int) -> PointCloudSet:
        options = self.options
        if options.synthetic:
            return synthetic_clouds(options.synthetic, points, SPLITS.index(name))
        try:
            return load_modelnet40(
                options.root,
                split=name,
                points=points,
                valid_fraction=options.valid_fraction,
                seed=options.split_seed,
            )
        except ValueError as error:
            raise ConfigError(f"data: {error}") from None

    def data_hash(self) -> str:
        """Return the sha256 of the training clouds and their labels."""
        digest = hashlib.sha256()
        for tensor in (self.train.points, self.train.label):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def train_batch(self, indices: LongTensor) -> dict[str, Tensor]:
        """Return ``points`` (B, N, 3) float32, ``batch`` (B·N,), the cloud of each point, and ``y`` (B,)."""
        chosen, options = self.train.subset(indices), self.options
        points = redrawn(chosen.points, options.points) if options.resample else chosen.points
        return self._batch(turned(self.augment(points), options.rotations), chosen.label)

    def batch(self, samples: PointCloudSet, indices: Tensor) -> dict[str, Tensor]:
        """Return clouds of a set as one batch, as :meth:`train_batch` does, but as they are."""
        chosen = samples.subset(indices)
        return self._batch(chosen.points, chosen.label)

    def _batch(self, points: Tensor, label: Tensor) -> dict[str, Tensor]:
        clouds = torch.arange(len(points)).repeat_interleave(points.shape[1])
        batch = {"points": points, "batch": clouds, "y": label}
        return {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}

    def build_model(self, model_cfg: dict[str, Any], relaxed: bool) -> nn.Module:
        """Build the model.

        Raises:
            ConfigError: The family or one of its configuration keys is unknown, or it has another number of
                classes.
        """
        model = build_network(model_cfg, relaxed, self.device)
        if model.output_type.dim != len(CLASSES):
            raise ConfigError(f"model.classes must be {len(CLASSES)}, got {model.output_type.dim}")
        return model

    def model_inputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``points`` (B, N, 3)."""
        return {"points": batch["points"]}

    def forward(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Return the logits ``(B, 40)``."""
        return model(batch["points"])

    def loss(self, model_output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean cross entropy over clouds [nat], with smoothed labels and adjusted logits.

        A share ε of the target goes to the other 39 classes, as published; torch spreads over all 40.

        References:
            Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, Equation 10.
        """
        classes = model_output.shape[1]
        smoothing = self.options.label_smoothing * classes / (classes - 1)
        logits = model_output + self.adjustment.to(model_output)
        return functional.cross_entropy(logits, batch["y"], label_smoothing=smoothing)

    def method_targets(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the labels ``(B, 40)``, 1 in the column of the class and 0 elsewhere."""
        return functional.one_hot(batch["y"], len(CLASSES)).to(batch["points"].dtype)

    def predict(self, model: nn.Module, samples: PointCloudSet, batch_size: int = LARGEST_PASS) -> Tensor:
        """Return float64 logits ``(S, 40)`` for a set of clouds."""
        return outputs_in_parts(self, model, samples, min(batch_size, LARGEST_PASS))

    def evaluate(
        self, model: nn.Module, split: str, *, batch_size: int = LARGEST_PASS, limit: int | None = None
    ) -> dict[str, float]:
        """Return ``error rate/instance``, ``error rate/class`` and ``score``, the mean of both [%]."""
        samples = self.split(split)
        if limit is not None and limit < len(samples):
            samples = samples.subset(torch.linspace(0, len(samples) - 1, limit).long())
        errors = error_rates(self.predict(model, samples, batch_size), samples.label)
        named = {f"{self.metric}/{name}": error for name, error in errors.items()}
        return named | {"score": sum(errors.values()) / len(errors)}

    def baselines(self, split: str) -> dict[str, float]:
        """Return nothing: to name any class without looking is no prediction."""
        return {}

    def output_centre(self, split: str) -> Tensor:
        """Return 0: a logit is measured as it is."""
        return torch.zeros(())

    def output_spread(self, split: str = "train") -> Tensor:
        """Return 1: a logit is measured as it is."""
        return torch.ones(())

    def domain(self) -> dict[str, Any]:
        """Return the number of points, the classes, and how the training clouds were turned."""
        return {
            "points": self.options.points,
            "classes": list(CLASSES),
            "rotations": self.options.rotations,
        }

    def check_publishable(self, name: str) -> None:
        """Refuse a model that was measured on thinned clouds.

        Raises:
            ConfigError: It was; the errors of a checkpoint are those of whole clouds.
        """
        if self.options.dropout:
            raise ConfigError(
                f"{name} was trained and measured with data.dropout={self.options.dropout}; a checkpoint is "
                "measured on whole clouds (data.dropout=0)"
            )


def error_rates(logits: Tensor, label: Tensor) -> dict[str, float]:
    """Return the share of wrong answers over all objects, and the mean over classes of the share in each [%].

    Args:
        logits: (S, C) scores of the classes.
        label: (S,) true classes; a class that has no object does not count.

    Returns:
        ``{"instance": …, "class": …}``.

    Example:
        >>> error_rates(torch.eye(2)[torch.tensor([0, 0, 0, 0])], torch.tensor([0, 0, 0, 1]))
        {'instance': 25.0, 'class': 50.0}
    """
    wrong = (logits.argmax(1) != label).double()
    counts = label.bincount()
    by_class = torch.zeros(len(counts), dtype=wrong.dtype).index_add(0, label, wrong) / counts
    return {"instance": 100 * float(wrong.mean()), "class": 100 * float(by_class[counts > 0].mean())}

"""QM9: from three-dimensional structure to up to twelve properties of a small molecule."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import LongTensor, Tensor, nn

from equizoo.data.molecules import MoleculeSet
from equizoo.data.qm9 import ELEMENTS as SYMBOLS
from equizoo.data.qm9 import ENERGIES, TARGET_NAMES, TARGETS, atom_reference, load_qm9
from equizoo.training.config import ConfigError, from_dict, nearest
from equizoo.training.equivariance import GROUPS
from equizoo.training.tasks.base import Target, build_network, outputs_in_parts
from equizoo.training.tasks.statistics import Statistics, fit_statistics
from equizoo.training.tasks.synthetic import synthetic_molecules

if TYPE_CHECKING:
    from equizoo.hub.config import CheckpointConfig

EXTENSIVE = ("alpha", "r2", "zpve", "U0", "U", "H", "G", "Cv")
ELEMENTS = 100
LOSSES = {
    "l1": nn.functional.l1_loss,
    "smooth_l1": nn.functional.smooth_l1_loss,
    "mse": nn.functional.mse_loss,
}


@dataclass
class Qm9Options:
    """Options of the task.

    Attributes:
        targets: ``all``, or a list of names.
        energies: ``atomization`` (relative to free atoms) or ``total`` for U0, U, H, G.
        standardise: Give the model per-element references and the scale of what they leave.
        loss: ``l1``, ``smooth_l1`` or ``mse``, on errors in units of the model's scale.
        weights: Weight of a target in the loss; 1 unless given.
        split_seed: None: the standard split; a number: a shuffled 80/10/10; ``run``: that of the run's seed.
        train_limit: Use only so many training molecules; None: all.
        root: Folder of the data; None: ``$EQUIZOO_DATA``.
        synthetic: Make so many molecules instead of reading QM9.
    """

    targets: str | list[str] = "all"
    energies: str = "atomization"
    standardise: bool = True
    loss: str = "smooth_l1"
    weights: dict[str, float] = field(default_factory=dict)
    split_seed: int | str | None = None
    train_limit: int | None = None
    root: str | None = None
    synthetic: int = 0


class Qm9Task:
    """QM9 as a task of the engine.

    Args:
        device: Where batches are put.
    """

    task_name = "molecule-properties"
    metric = "MAE"
    method_target_type = None
    groups = GROUPS

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def setup(self, data_cfg: dict[str, Any], seed: int) -> None:
        """Load the splits and compute the statistics of the training set.

        Raises:
            ConfigError: Unknown option, target, loss or kind of energies.
        """
        self.options = options = from_dict(data_cfg, Qm9Options, "data.")
        names = list(TARGET_NAMES)
        chosen = names if options.targets == "all" else options.targets
        chosen = [chosen] if isinstance(chosen, str) else chosen
        for name in [*chosen, *options.weights]:
            if name not in names:
                raise ConfigError(f"unknown target {name!r} in data; {nearest(name, names)}")
        if options.loss not in LOSSES:
            raise ConfigError(f"unknown data.loss {options.loss!r}; {nearest(options.loss, LOSSES)}")
        if options.energies not in ("atomization", "total"):
            raise ConfigError(f"data.energies must be 'atomization' or 'total', got {options.energies!r}")
        self.columns = [names.index(name) for name in chosen]
        self.targets = [Target(*TARGETS[c]) for c in self.columns]
        self.split_seed = seed if options.split_seed == "run" else options.split_seed
        if isinstance(self.split_seed, str):
            raise ConfigError(f"data.split_seed must be a number, 'run' or null, got {self.split_seed!r}")
        self._splits: dict[str, MoleculeSet] = {}
        self._source = None if options.synthetic else load_qm9(options.root)
        self.train = self.split("train")
        if options.train_limit is not None:
            self.train = self.train.subset(torch.arange(min(options.train_limit, len(self.train))))
        self.n_train = len(self.train)
        self.statistics = self._fit(
            ["sum" if t.name in EXTENSIVE else "mean" for t in self.targets], self.train.y
        )
        weights = torch.tensor([options.weights.get(t.name, 1.0) for t in self.targets])
        self.weights = (weights / weights.mean()).to(self.device)
        self.scale = torch.ones(len(self.targets), device=self.device)

    def split(self, name: str) -> MoleculeSet:
        """Return ``train``, ``valid`` or ``test`` with the chosen targets as the model predicts them."""
        if name not in self._splits:
            if self._source is None:
                molecules = synthetic_molecules(
                    self.options.synthetic, ("train", "valid", "test").index(name)
                )
            else:
                molecules = self._source.split(name, seed=self.split_seed)
            y = molecules.y
            if self._source is not None and self.options.energies == "atomization":
                y = y - _free_atoms(molecules)
            self._splits[name] = dataclasses.replace(molecules, y=y[:, self.columns])
        return self._splits[name]

    def smiles(self, split: str) -> list[str] | None:
        """Return the SMILES of a split's molecules, in their order, or None if the data has none."""
        if self._source is None or self._source.smiles is None:
            return None
        return [self._source.smiles[i] for i in self._source.rows(split, self.split_seed).tolist()]

    @staticmethod
    def checkpoint_options(card: CheckpointConfig) -> dict[str, Any]:
        """Return the targets of a checkpoint."""
        return {"targets": [target.name for target in card.targets]}

    def data_hash(self) -> str:
        """Return the sha256 of the training molecules and their targets."""
        digest = hashlib.sha256()
        for tensor in (self.train.z.to(torch.uint8), self.train.pos, self.train.ptr, self.train.y):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def train_batch(self, indices: LongTensor) -> dict[str, Tensor]:
        """Return ``z`` (n,), ``pos`` (n, 3) [Å], ``batch`` (n,) and ``y`` (B, T) float32."""
        return self.batch(self.train, indices)

    def batch(self, molecules: MoleculeSet, indices: Tensor) -> dict[str, Tensor]:
        """Return molecules of a set as one batch, as :meth:`train_batch` does."""
        batch = molecules.batch(indices)
        batch["y"] = batch["y"].float()
        return {key: value.to(self.device, non_blocking=True) for key, value in batch.items()}

    def build_model(self, model_cfg: dict[str, Any], relaxed: bool) -> nn.Module:
        """Build the model; with ``standardise``, give it the statistics of the training set.

        ``aggregations`` may be one entry for all targets, a list, or a mapping from target names
        (``sum`` for extensive, ``mean`` for intensive targets that are not in it). The scales of the
        loss become those of the model's statistics.

        Raises:
            ConfigError: The family or one of its configuration keys is unknown.
        """
        kinds = self._aggregations(model_cfg.get("aggregations", {}))
        model = build_network({**model_cfg, "aggregations": kinds}, relaxed, "cpu")
        if self.options.standardise:
            stats = self._fit(kinds, self.train.y - self._baseline(model))
            model.set_statistics(scale=stats.scale, shift=stats.shift, reference=stats.reference)
            self.scale = stats.scale.float().to(self.device)
        return model.to(self.device)

    def _aggregations(self, given: Any) -> list[str]:
        names = [t.name for t in self.targets]
        if isinstance(given, str):
            return [given] * len(names)
        if not isinstance(given, dict):
            if len(given) not in (1, len(names)):
                raise ConfigError(
                    f"model: {len(names)} targets need {len(names)} aggregations, got {len(given)}; "
                    "a mapping such as {mu: dipole, r2: extent} fits any targets"
                )
            return list(given) * (len(names) // len(given))
        for name in given:
            if name not in TARGET_NAMES:
                raise ConfigError(
                    f"unknown target {name!r} in model.aggregations; {nearest(name, TARGET_NAMES)}"
                )
        return [given.get(name, "sum" if name in EXTENSIVE else "mean") for name in names]

    def _baseline(self, model: nn.Module) -> Tensor:
        parts = []
        for indices in torch.arange(self.n_train).split(4096):
            batch = self.train.batch(indices)
            parts.append(
                model.readout.baseline(batch["z"], batch["pos"].double(), batch["batch"], len(indices))
            )
        return torch.cat(parts)

    def _fit(self, kinds: list[str], y: Tensor) -> Statistics:
        return fit_statistics(self.train.composition(ELEMENTS).double(), y, kinds)

    def model_inputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``z`` (n,), ``pos`` (n, 3) [Å] and ``batch`` (n,)."""
        return {name: batch[name] for name in ("z", "pos", "batch")}

    def forward(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Return the predictions ``(B, T)`` in the targets' units."""
        return model(**self.model_inputs(batch), num_graphs=batch["y"].shape[0])

    def loss(self, model_output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean over molecules and targets of the weighted loss of ``(prediction - y) / scale``."""
        error = (model_output - batch["y"]) / self.scale
        each = LOSSES[self.options.loss](error, torch.zeros_like(error), reduction="none")
        return (each * self.weights).mean()

    def method_targets(self, batch: dict[str, Tensor]) -> Tensor:
        """Return ``(B, T)`` targets in units of their standard deviation."""
        stats = self.statistics
        return ((batch["y"] - stats.shift.to(batch["y"])) / stats.scale.to(batch["y"])).float()

    def predict(self, model: nn.Module, molecules: MoleculeSet, batch_size: int = 512) -> Tensor:
        """Return float64 predictions ``(M, T)`` for a set of molecules."""
        return outputs_in_parts(self, model, molecules, batch_size)

    def evaluate(
        self, model: nn.Module, split: str, *, batch_size: int = 512, limit: int | None = None
    ) -> dict[str, float]:
        """Return the MAE of each target and ``score``, the mean of MAE / standard deviation."""
        molecules = self.split(split)
        if limit is not None and limit < len(molecules):
            molecules = molecules.subset(torch.arange(limit))
        mae = (self.predict(model, molecules, batch_size) - molecules.y).abs().mean(0)
        metrics = {f"mae/{t.name}": float(value) for t, value in zip(self.targets, mae, strict=True)}
        metrics["score"] = float((mae / self.statistics.scale).mean())
        return metrics

    def baselines(self, split: str) -> dict[str, float]:
        """Return nothing: no prediction without a model is in use for all targets."""
        return {}

    def output_centre(self, split: str) -> Tensor:
        """Return the mean ``(T,)`` of each target on a split."""
        return self.split(split).y.mean(0)

    def output_spread(self, split: str = "train") -> Tensor:
        """Return the standard deviation ``(T,)`` of each target on a split."""
        return self.split(split).y.std(0).clamp_min(1e-9)

    def domain(self) -> dict[str, Any]:
        """Return the elements and the largest number of heavy atoms."""
        return {"elements": list(SYMBOLS), "max_heavy_atoms": 9}

    def check_publishable(self, name: str) -> None:
        """Refuse total energies.

        Raises:
            ConfigError: The model predicts a total energy.
        """
        total = [target.name for target in self.targets if target.name in ENERGIES]
        if total and self.options.energies == "total":
            raise ConfigError(
                f"{name} predicts total {', '.join(total)}, but users of a checkpoint add the free atoms "
                "themselves; train with data.energies=atomization"
            )


def _free_atoms(molecules: MoleculeSet) -> Tensor:
    batch = torch.arange(len(molecules)).repeat_interleave(molecules.n_atoms)
    return atom_reference(molecules.z.long(), batch, len(molecules))

"""Conformers: a velocity field that carries a rough geometry of a molecule to a low-energy conformer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import LongTensor, Tensor, nn

from equizoo.data.conformer_metrics import best_rmsds, coverage
from equizoo.data.conformers import ConformerSet
from equizoo.data.graph_symmetry import graph_symmetries
from equizoo.data.molecule_graphs import MoleculeGraph
from equizoo.models.flow_matching import aligned, centred, conditional_path, follow, harmonic_modes
from equizoo.models.molecule_batch import Molecule, MoleculeBatch
from equizoo.symmetry import SO3, Vectors
from equizoo.symmetry.groups import Group
from equizoo.symmetry.measure import evaluating
from equizoo.training.equivariance import GROUPS
from equizoo.training.tasks.base import Target, build_network
from equizoo.training.tasks.conformer_sets import Pairs, pairs_of, read_options, read_set

if TYPE_CHECKING:
    from equizoo.hub.config import CheckpointConfig

MEASURED = ("amr_r", "amr_p")


class ConformersTask:
    """Conformers as a task of the engine; lengths are in Å.

    The metric is the average minimum RMSD of heavy atoms: over reference conformers, of the nearest generated
    one (recall), and over generated ones, of the nearest reference (precision), with two generated conformers
    a reference.

    Args:
        device: Where batches are put.

    References:
        Ganea et al., "GeoMol", NeurIPS 2021, Section 4: the metrics. ET-Flow, Section 3: the loss.
    """

    task_name = "conformers"
    metric = "AMR"
    method_target_type = Vectors(1)
    groups: Mapping[str, Group] = {name: GROUPS[name] for name in ("rotation", "translation")}

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def setup(self, data_cfg: dict[str, Any], seed: int) -> None:
        """Load the training part.

        Times, noise and rotations are drawn from torch's global generator, which the resumable state holds.

        Raises:
            ConfigError: Unknown option, or a value that cannot be used.
        """
        self.options = read_options(data_cfg)
        self.targets = [
            Target("recall", "Å", "mean over reference conformers of the RMSD of the nearest generated one"),
            Target("precision", "Å", "mean over generated conformers of the RMSD of the nearest reference"),
        ]
        self._sets: dict[str, ConformerSet] = {}
        self._splits: dict[str, Pairs] = {}
        self._modes: dict[bytes, Tensor] = {}
        self._symmetries: dict[tuple[str, int], np.ndarray] = {}
        self.train = self.split("train")
        self.n_train = len(self.train)

    @staticmethod
    def checkpoint_options(card: CheckpointConfig) -> dict[str, Any]:
        """Return the data and the prior of a checkpoint."""
        domain: Mapping[str, Any] = card.domain
        return {key: domain[key] for key in ("name", "prior", "steps")}

    def conformers(self, name: str) -> ConformerSet:
        """Return the molecules of ``train``, ``valid`` or ``test`` with all their conformers."""
        if name not in self._sets:
            self._sets[name] = read_set(self.options, name)
        return self._sets[name]

    def split(self, name: str) -> Pairs:
        """Return the starts and ends of ``train``, or one of each molecule of ``valid`` or ``test``."""
        if name not in self._splits:
            self._splits[name] = pairs_of(self.conformers(name), self.options, name)
        return self._splits[name]

    def data_hash(self) -> str:
        """Return the sha256 of the training geometries."""
        digest = hashlib.sha256()
        for x in (*self.train.start, *self.train.end):
            digest.update(np.ascontiguousarray(x, dtype=np.float32).tobytes())
        return digest.hexdigest()

    def train_batch(self, indices: LongTensor) -> dict[str, Tensor]:
        """Return points on paths at random times: ``pos``, ``y`` (N, 3), ``t`` (B,), and the molecules.

        Each molecule is turned by a random rotation: conformers lie in frames of their own, and an
        unconstrained branch would see them.
        """
        molecules, x0, x1 = self._chosen(self.train, indices, None)
        t = torch.rand(len(indices))
        least = self.options.earliest
        t = (1 - t.sqrt() if self.options.times == "early" else t).clamp(least, 1 - least)
        turns = SO3().sample(len(indices), dtype=x0.dtype)
        x0, x1 = (Vectors(1).act(turns, x, molecules.batch) for x in (x0, x1))
        return self._batch(molecules, x0, x1, t, None)

    def batch(self, samples: Pairs, indices: Tensor) -> dict[str, Tensor]:
        """Return pairs of a set in the middle of their paths, the same in every call."""
        generator = torch.Generator().manual_seed(0)
        molecules, x0, x1 = self._chosen(samples, indices, generator)
        return self._batch(molecules, x0, x1, torch.full((len(indices),), 0.5), generator)

    def _chosen(
        self, samples: Pairs, indices: Tensor, generator: torch.Generator | None
    ) -> tuple[MoleculeBatch, Tensor, Tensor]:
        chosen = indices.tolist()
        molecules = MoleculeBatch.of(samples.molecules[samples.molecule[i]] for i in chosen)
        count, batch = len(chosen), molecules.batch
        x1 = centred(_flat([samples.end[i] for i in chosen]), batch, count)
        if self.options.prior == "harmonic":
            x0 = self._harmonic([samples.molecules[samples.molecule[i]] for i in chosen], generator)
            return molecules, aligned(x0, x1, batch, count), x1
        return molecules, centred(_flat([samples.start[i] for i in chosen]), batch, count), x1

    def _harmonic(self, molecules: list[Molecule], generator: torch.Generator | None) -> Tensor:
        """Return samples of the harmonic prior; modes are kept for the molecules seen so far."""
        parts = []
        for molecule in molecules:
            key = molecule.kinds.tobytes()
            if key not in self._modes:
                self._modes[key] = torch.from_numpy(harmonic_modes(molecule))
            modes = self._modes[key]
            parts.append(modes @ torch.randn(modes.shape[1], 3, generator=generator))
        return torch.cat(parts)

    def _batch(
        self, molecules: MoleculeBatch, x0: Tensor, x1: Tensor, t: Tensor, generator: torch.Generator | None
    ) -> dict[str, Tensor]:
        times = t.index_select(0, molecules.batch).unsqueeze(1)
        pos, y = conditional_path(x0, x1, times, self.options.noise, generator)
        batch = {"pos": pos, "t": t, **molecules._asdict(), "y": centred(y, molecules.batch, len(t))}
        return {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}

    def build_model(self, model_cfg: dict[str, Any], relaxed: bool) -> nn.Module:
        """Build the model, with the prior of the data.

        Raises:
            ConfigError: The family or one of its configuration keys is unknown.
        """
        return build_network({"prior": self.options.prior} | dict(model_cfg), relaxed, self.device)

    def model_inputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``pos`` (N, 3), ``t`` (B,) and the fields of the molecules."""
        return {name: value for name, value in batch.items() if name != "y"}

    def forward(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Return the velocities ``(N, 3)`` [Å per unit of time]."""
        return model(**self.model_inputs(batch))

    def loss(self, model_output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean over molecules of the mean over atoms of the length of the error [Å].

        References:
            ET-Flow, Equation 6 and the released code: lengths, not their squares.
        """
        error = ((model_output - batch["y"]).square().sum(1) + 1e-12).sqrt()
        count = len(batch["t"])
        total = error.new_zeros(count).index_add(0, batch["batch"], error)
        return (total / batch["batch"].bincount(minlength=count)).mean()

    def method_targets(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the velocities ``(N, 3)``."""
        return batch["y"]

    def generate(
        self, model: nn.Module, split: str, molecule: int, count: int, steps: int | None = None
    ) -> np.ndarray:
        """Return ``(count, N, 3)`` conformers of a molecule of a split [Å], the same in every call."""
        one = self.conformers(split)[molecule]
        if self.options.prior == "harmonic":
            x0 = self.harmonic_starts(one.graph, count, molecule)
        else:
            x0 = one.starts[np.arange(count) % len(one.starts)]
        return self.carried(model, one.graph, x0, steps or self.options.steps)

    def harmonic_starts(self, graph: MoleculeGraph, count: int, seed: int) -> np.ndarray:
        """Return ``(count, N, 3)`` samples of the harmonic prior of a molecule [Å]."""
        generator = torch.Generator().manual_seed(seed)
        return self._harmonic([Molecule.of(graph)] * count, generator).unflatten(0, (count, -1)).numpy()

    def carried(self, model: nn.Module, graph: MoleculeGraph, starts: np.ndarray, steps: int) -> np.ndarray:
        """Return where a flow carries ``(P, N, 3)`` geometries of a molecule in so many steps [Å]."""
        count = len(starts)
        molecules = MoleculeBatch.of([Molecule.of(graph)] * count)
        inputs = {name: value.to(self.device) for name, value in molecules._asdict().items()}

        def field(x: Tensor, t: Tensor) -> Tensor:
            return model(pos=x, t=t, **inputs)

        x = follow(field, _flat(list(starts)).to(self.device), inputs["batch"], count, steps)
        return x.unflatten(0, (count, -1)).cpu().numpy()

    def evaluate(
        self, model: nn.Module, split: str, *, batch_size: int = 512, limit: int | None = None
    ) -> dict[str, float]:
        """Return ``amr/recall``, ``amr/precision`` and ``score``, their mean, over the molecules of a split.

        Molecules without a start are left out.
        """
        with evaluating(model):
            rows = [
                self.measure(self.generate(model, split, i, 2 * self._references(split, i)), split, i)
                for i in self._measured(split, limit)
            ]
        return self.summary(rows)

    def measure(self, generated: np.ndarray, split: str, molecule: int) -> dict[str, float]:
        """Return recall and precision of ``(P, N, 3)`` conformers of a molecule of a split."""
        conformers = self.conformers(split)
        one = conformers[molecule]
        heavy, key = one.graph.z > 1, (split, molecule)
        if key not in self._symmetries:
            self._symmetries[key] = graph_symmetries(one.graph)
        references = one.conformers[: self.options.references, heavy]
        rmsds = best_rmsds(generated[:, heavy], references, self._symmetries[key])
        return coverage(rmsds, self.options.threshold)

    def summary(self, rows: list[dict[str, float]]) -> dict[str, float]:
        """Return the errors of the task from the measurements of molecules."""
        mean = {key: float(np.mean([row[key] for row in rows])) for key in MEASURED}
        named = {"recall": mean["amr_r"], "precision": mean["amr_p"]}
        return {f"amr/{k}": v for k, v in named.items()} | {"score": sum(named.values()) / 2}

    def _references(self, split: str, molecule: int) -> int:
        return len(self.conformers(split).conformers(molecule)[: self.options.references])

    def _measured(self, split: str, limit: int | None) -> list[int]:
        """Return the molecules of a split that can be measured, at most ``limit``, spread over all."""
        conformers = self.conformers(split)
        needs_start = self.options.prior != "harmonic"
        able = [i for i in range(len(conformers)) if not needs_start or len(conformers.starts(i))]
        if limit is not None and limit < len(able):
            able = [able[i] for i in np.linspace(0, len(able) - 1, limit).astype(int)]
        return able

    def baselines(self, split: str) -> dict[str, float]:
        """Return nothing: :mod:`equizoo.training.ensembles` measures RDKit, recall and precision apart."""
        return {}

    def output_centre(self, split: str) -> Tensor:
        """Return 0: velocities turn with the input, and have no mean to take off."""
        return torch.zeros(())

    def output_spread(self, split: str = "train") -> Tensor:
        """Return the root mean square ``()`` of a coordinate of the velocity [Å per unit of time]."""
        samples = self.split(split)
        chosen = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))[:512]
        return self.batch(samples, chosen)["y"].double().square().mean().sqrt().cpu()

    def domain(self) -> dict[str, Any]:
        """Return the prior, the steps and what molecules were trained on."""
        from rdkit.Chem import GetPeriodicTable

        molecules, table = self.train.molecules, GetPeriodicTable()
        return {
            "elements": [
                table.GetElementSymbol(int(z)) for z in np.unique(np.concatenate([m.z for m in molecules]))
            ],
            "max_heavy_atoms": max(int((m.z > 1).sum()) for m in molecules),
            "name": self.options.name,
            "prior": self.options.prior,
            "steps": self.options.steps,
            "molecules": len(molecules),
            "pairs": len(self.train),
        }

    def check_publishable(self, name: str) -> None:
        """Accept every model."""


def _flat(parts: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))

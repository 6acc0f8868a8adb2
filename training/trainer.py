"""One run: its objects, how they advance by one step, and how they are saved."""

from __future__ import annotations

import logging
import math
import time

import torch
from torch import Tensor, nn

from equizoo.hub.checkpoint import is_large
from equizoo.relaxation.layer import projected, relaxations
from equizoo.relaxation.project import project_state
from equizoo.training.building import is_relaxed, make_method, prepare_torch
from equizoo.training.config import RunConfig
from equizoo.training.distributed import Processes
from equizoo.training.ema import WeightAverage
from equizoo.training.equivariance import rotation_error
from equizoo.training.optim import Optimisers
from equizoo.training.precision import mixed_precision
from equizoo.training.runfolder import RunFolder
from equizoo.training.sampler import Sampler
from equizoo.training.schedule import lr_factor
from equizoo.training.start import start_from
from equizoo.training.state import load_state, rng_state, save_state, seed_everything, set_rng_state
from equizoo.training.tasks import Task, build_task

log = logging.getLogger(__name__)
FIELDS = (
    "step", "rows", "best", "loss_sum", "penalty_sum", "loss_count", "first_loss", "seconds", "cpu_seconds",
)  # fmt: skip


class Diverged(RuntimeError):
    """The loss is not finite, or far above where it began."""


class Trainer:
    """One run: its objects, and how they advance by one step.

    Args:
        config: The run.
        folder: Where its files go.
        processes: The processes that train together.
        task: A task that is set up already; None builds the one of ``config.data``.
    """

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        processes: Processes | None = None,
        task: Task | None = None,
    ) -> None:
        self.device = device = prepare_torch(config)
        self.config, self.folder, self.processes = config, folder, processes or Processes()
        seed_everything(config.seed)
        self.task = task if task is not None else build_task(config.data, config.seed, device)
        self.model = self.task.build_model(config.model, is_relaxed(config))
        self.mixed = mixed_precision(config, self.model)
        if config.start_from is not None and not folder.state.is_file():
            start_from(self.model, config.start_from)
        self.model.train()
        self.method = make_method(config, self.model, self.task.method_target_type)
        self.optimisers = Optimisers(
            config.optimiser, self.model, self.method.parameters(), self.method.owned()
        )
        self.parameters = list(dict.fromkeys([*self.model.parameters(), *self.method.parameters()]))
        self.average = WeightAverage(self.model, config.evaluation.ema)
        size, (rank, world) = config.budget.batch_size, (self.processes.rank, self.processes.world)
        self.sampler = Sampler(self.task.n_train, size, config.seed, rank, world)
        self.total_steps = config.budget.epochs * self.sampler.steps_per_epoch
        lr_factor(config.schedule, 0, self.total_steps)
        seed_everything(config.seed, rank)
        self.step = 0
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, dict[str, float]] = {}
        self.loss_sum, self.penalty_sum, self.loss_count = 0.0, 0.0, 0
        self.first_loss: float | None = None
        self.seconds = self.cpu_seconds = 0.0

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self.step // self.sampler.steps_per_epoch

    def train_step(self, stop: bool = False) -> bool:
        """Take one step.

        Args:
            stop: Whether this process wants to stop after it.

        Returns:
            Whether any process wants to.

        Raises:
            Diverged: The loss is not finite or far above the first one; the weights have not moved.
        """
        batch = self.task.train_batch(self.sampler.batch(self.step))
        self.method.set_progress(self.step / self.total_steps)
        self.method.before_forward(self.task.method_targets(batch), batch.get("batch"))
        with torch.autocast(self.device, torch.bfloat16, enabled=self.mixed):
            loss = self.task.loss(self.task.forward(self.model, batch), batch)
        penalty = self.method.penalty()
        self.model.zero_grad(set_to_none=True)
        self.optimisers.zero_grad()
        (loss + penalty).backward()
        numbers = torch.stack([loss.detach(), penalty.detach().to(loss), loss.new_tensor(float(stop))])
        value, price, stopping = self.processes.average(self.parameters, numbers).tolist()
        self._check(value)
        self.method.after_backward()
        self.processes.average_values(self.method.estimates())
        if self.config.optimiser.clip is not None:
            nn.utils.clip_grad_norm_(self.optimisers.parameters, self.config.optimiser.clip)
        self.optimisers.step(lr_factor(self.config.schedule, self.step, self.total_steps))
        self.method.after_step()
        self.average.update()
        self.step += 1
        self.loss_sum += value
        self.penalty_sum += price
        self.loss_count += 1
        return stopping > 0

    def _check(self, loss: float) -> None:
        self.first_loss = loss if self.first_loss is None else self.first_loss
        ratio = self.config.budget.max_loss_ratio
        if not math.isfinite(loss):
            what = f"the loss is {loss}"
        elif loss > ratio * max(self.first_loss, 1e-6):
            what = f"the loss is {loss:.3g}, more than {ratio:g} times the first one ({self.first_loss:.3g})"
        else:
            return
        raise Diverged(
            f"{what} at step {self.step} (epoch {self.epoch}); the last good state is {self.folder.state}. "
            "A smaller optimiser.lr, more schedule.warmup_steps or optimiser.clip usually helps."
        )

    def evaluate(self) -> dict[str, float]:
        """Evaluate the averaged weights on validation data, keep the best of each variant, and add a row.

        With ``evaluation.equivariance``, the row has ``equivariance/rotation``: the mean error of the model
        with its branches on, relative to the size of its output.
        """
        config, started = self.config.evaluation, time.perf_counter()
        row: dict[str, float] = {
            "epoch": self.epoch,
            "step": self.step,
            "lr": self.config.optimiser.lr * lr_factor(self.config.schedule, self.step - 1, self.total_steps),
            "train/loss": self.loss_sum / max(self.loss_count, 1),
            "train/penalty": self.penalty_sum / max(self.loss_count, 1),
        }
        self.loss_sum, self.penalty_sum, self.loss_count = 0.0, 0.0, 0
        options = {"batch_size": config.batch_size, "limit": config.limit}
        with self.average.swapped():
            with projected(self.model):
                scores = {"equivariant": self.task.evaluate(self.model, "valid", **options)}
            if relaxations(self.model):
                scores["partial"] = self.task.evaluate(self.model, "valid", **options)
            if config.equivariance:
                row["equivariance/rotation"] = rotation_error(self.model, self.task, config.equivariance)
        for variant, metrics in scores.items():
            row |= {f"valid/{variant}/{key}": value for key, value in metrics.items()}
            if metrics["score"] < self.best.get(variant, {"score": math.inf})["score"]:
                self.best[variant] = {"epoch": self.epoch, "step": self.step, **metrics}
                weights = self.average.state_dict()
                weights = project_state(weights) if variant == "equivariant" else weights
                weights = _rounded(weights, self.model) if config.half else weights
                self.folder.write_best(variant, weights, self.best[variant])
        row |= self.method.log()
        row |= {"seconds": self.seconds, "evaluation_seconds": time.perf_counter() - started}
        self.rows.append(row)
        self.folder.write_metrics(self.rows)
        text = "  ".join(f"{variant} {metrics['score']:.5f}" for variant, metrics in scores.items())
        log.info("epoch %d  train %.5f  valid %s", self.epoch, row["train/loss"], text)
        return row

    def save(self) -> None:
        """Write the resumable state.

        Raises:
            Diverged: A weight is not finite; the state on disk stays as it was.
        """
        model = self.model.state_dict()
        bad = [k for k, v in model.items() if v.is_floating_point() and not bool(v.isfinite().all())]
        if bad:
            raise Diverged(
                f"{bad[0]} is not finite at step {self.step}; the last good state is {self.folder.state}"
            )
        state = {name: getattr(self, name) for name in FIELDS}
        state |= {
            "model": model,
            "average": self.average.state_dict(),
            "average_updates": self.average.updates,
            "optimisers": self.optimisers.state_dict(),
            "method": self.method.state_dict(),
            "rng": rng_state(),
        }
        save_state(self.folder.state, state)

    def load(self) -> None:
        """Continue from the state in the run folder.

        Raises:
            StateError: The file is damaged.
        """
        state = load_state(self.folder.state)
        for name in FIELDS:
            setattr(self, name, state[name])
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"], state["average_updates"])
        self.optimisers.load_state_dict(state["optimisers"])
        self.method.load_state_dict(state["method"])
        if self.processes.first:
            set_rng_state(state["rng"])
        else:
            seed_everything(self.config.seed + self.step, self.processes.rank)


def _rounded(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Return the weights with large parameters that half precision holds without loss."""
    large = {key for key, parameter in model.named_parameters() if is_large(parameter)} & weights.keys()
    return weights | {key: weights[key].half().to(weights[key]) for key in large}

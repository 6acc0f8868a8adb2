"""The training loop of every recipe."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tqdm import tqdm

from equizoo.training import distributed
from equizoo.training.building import prepare_torch
from equizoo.training.config import ConfigError, RunConfig
from equizoo.training.plots import plot_run
from equizoo.training.precision import on_device
from equizoo.training.runfolder import RunFolder, check_resumable, provenance
from equizoo.training.stop import StopRequest
from equizoo.training.tasks import Task
from equizoo.training.trainer import Diverged, Trainer

log = logging.getLogger(__name__)


@dataclass
class RunResult:
    """What came out of a run.

    Attributes:
        status: ``finished``, ``stopped`` (resumable) or, in ``result.json`` only, ``diverged``.
        reason: Why it stopped early, or None.
        folder: The run folder.
        epoch: Epochs done.
        step: Steps done.
        best: For each variant, ``epoch``, ``score`` and the other validation metrics of its best weights.
        minutes: Wall time of all calls together.
        cpu_hours: CPU time of all calls together (of the first process).
    """

    status: str
    reason: str | None
    folder: str
    epoch: int
    step: int
    best: dict[str, dict[str, float]] = field(default_factory=dict)
    minutes: float = 0.0
    cpu_hours: float = 0.0


def run(trainer: Trainer, stop: StopRequest, progress: bool = True) -> RunResult:
    """Train until the budget is spent or ``stop`` says so.

    Args:
        trainer: The run.
        stop: Asked before every step.
        progress: Show a progress bar.

    Returns:
        The result, also written to ``result.json``.
    """
    first, per_epoch = trainer.processes.first, trainer.sampler.steps_per_epoch
    config = trainer.config.evaluation
    wall, cpu = time.monotonic() - trainer.seconds, time.process_time() - trainer.cpu_seconds
    saved, reason = time.monotonic(), None
    bar = tqdm(
        total=trainer.total_steps,
        initial=trainer.step,
        unit="step",
        desc=trainer.config.name,
        disable=not (first and progress),
        mininterval=0.5 if sys.stderr.isatty() else 60.0,
        dynamic_ncols=True,
    )
    with bar:
        while trainer.step < trainer.total_steps:
            stopping = trainer.train_step(stop.reason is not None)
            trainer.seconds, trainer.cpu_seconds = time.monotonic() - wall, time.process_time() - cpu
            bar.update()
            at_end = trainer.step == trainer.total_steps
            evaluated = trainer.step % (per_epoch * config.every) == 0 or at_end
            if evaluated and first:
                bar.set_postfix(loss=f"{trainer.loss_sum / trainer.loss_count:.4f}", refresh=False)
                trainer.evaluate()
            if evaluated:
                trainer.processes.share(None)
                if not first:
                    trainer.loss_sum, trainer.penalty_sum, trainer.loss_count = 0.0, 0.0, 0
            due = time.monotonic() - saved >= 60 * config.state_minutes
            if first and (evaluated or due or stopping):
                trainer.save()
                saved = time.monotonic()
            if stopping and not at_end:
                reason = stop.reason or "another process was asked to stop"
                break
    return _finish(trainer, "stopped" if reason else "finished", reason)


def _finish(trainer: Trainer, status: str, reason: str | None) -> RunResult:
    result = RunResult(
        status, reason, str(trainer.folder.path), trainer.epoch, trainer.step, trainer.best,
        trainer.seconds / 60, trainer.cpu_seconds / 3600,
    )  # fmt: skip
    if trainer.processes.first:
        trainer.folder.write_result({"name": trainer.config.name, **asdict(result)})
        if trainer.rows:
            plot_run(trainer.folder)
    return result


def train(
    config: RunConfig,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    progress: bool = True,
    task: Task | None = None,
) -> RunResult:
    """Train a recipe.

    Args:
        config: The run; ``budget.max_minutes`` limits this call.
        out: Run folder; ``runs/<name>`` unless given.
        resume: Continue from the state in the folder, if there is one.
        progress: Show a progress bar.
        task: A task that is set up already, as for many runs on the same data.

    Returns:
        What came out; everything else is in the run folder.

    Raises:
        ConfigError: The recipe cannot be used, or the folder holds a run that is not to be resumed, or not
            with such a configuration or such data.
        Diverged: The loss is not finite or far above where it began; the last good state is kept.
    """
    folder = RunFolder(out or Path("runs") / config.name)
    device = prepare_torch(config)
    config = on_device(config, device)
    resuming = resume and folder.state.is_file()
    if folder.state.is_file() and not resume:
        raise ConfigError(
            f"{folder.path} holds a run already; pass --resume to continue it, or another --out"
        )
    before = folder.read_config() if resuming else None
    if before is not None:
        changed = check_resumable(before, config)
        if changed:
            log.warning("resuming with other values of %s", ", ".join(changed))
    stop = StopRequest(config.budget.max_minutes)
    processes = distributed.join(device)
    try:
        with stop:
            trainer = Trainer(config, folder, processes, task)
            processes.share(None)  # none looks for a state any more that the first one is about to write
            stamp = provenance(trainer.task.data_hash())
            if before is not None and before.provenance.get("data_sha256") != stamp["data_sha256"]:
                raise ConfigError(
                    f"{folder.path} was trained on other data (their SHA-256 differs): resume it with those, "
                    "or use a new --out"
                )
            if processes.first:
                folder.write_config(config.replace(provenance=stamp))
            if resuming:
                trainer.load()
                log.info("resumed %s at step %d (epoch %d)", folder.path, trainer.step, trainer.epoch)
            elif processes.first:
                trainer.save()
            return run(trainer, stop, progress)
    except Diverged as error:
        _finish(trainer, "diverged", str(error))
        raise
    finally:
        distributed.leave()

"""Measure trained weights: errors on a split, equivariance, and time, written as one JSON file."""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from equizoo.hub.errors import EquizooError
from equizoo.relaxation.layer import relaxations
from equizoo.training.config import ConfigError
from equizoo.training.equivariance import equivariance
from equizoo.training.runfolder import RunFolder, provenance, write_json
from equizoo.training.start import cost, method_name, stages
from equizoo.training.tasks import Task
from equizoo.training.tasks.base import error_units
from equizoo.training.variants import load_trained

log = logging.getLogger(__name__)

_TURN = 16  # samples that a forward pass is timed on in each repeat, at least


def evaluate(
    name: str | Path,
    split: str = "test",
    *,
    out: str | Path | None = None,
    data: Mapping[str, Any] | None = None,
    limit: int | None = None,
    batch_size: int | None = None,
) -> dict[str, Any]:
    """Measure every variant of a run or a checkpoint.

    Args:
        name: Run folder, checkpoint folder, bundled name or Hub id.
        split: ``train``, ``valid`` or ``test``.
        out: JSON file to write.
        data: Options of the task to change, such as ``{"root": …}``.
        limit: Use so many samples only; None: all.
        batch_size: Samples a forward pass; None: as in training's evaluations, since a published height is
            relative to its batch.

    Returns:
        What is written: ``metric``, ``units`` (of the errors), ``n``, and for each variant ``errors`` by
        target, ``score``, ``gamma``, ``equivariance`` (in standard deviations of the targets, by data type
        and transformation) and ``seconds_per_sample`` (CPU time) by batch size; ``baselines`` where the task
        has some.

    Raises:
        ConfigError: The run has no best weights yet, or ``limit`` is not positive.
        EquizooError: It is neither a run nor a checkpoint.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be a positive number of samples, got {limit}")
    trained = load_trained(name, data)
    task = trained.task
    samples, prefix = len(task.split(split)), f"{task.metric.lower()}/"
    report: dict[str, Any] = {
        "name": trained.name,
        "dataset": trained.config.data["task"],
        "split": split,
        "n": samples if limit is None else min(limit, samples),
        "counts": {"train": task.n_train} | {part: len(task.split(part)) for part in ("valid", "test")},
        "metric": task.metric,
        "units": error_units(task),
        "method": method_name(trained.config),
        "seed": trained.config.seed,
        "data": {key: value for key, value in trained.config.data.items() if key != "root"},
        "provenance": provenance(task.data_hash()),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "variants": {},
    }
    if trained.best:  # a run knows its budget; a checkpoint only names the recipe that it started from
        report["epochs"] = sum(stage.budget.epochs for stage in stages(trained.config))
        report["cost"] = cost(Path(name), trained.config)
        report["weights"] = RunFolder(name).digests()
    if baselines := task.baselines(split):
        report["baselines"] = baselines
    seconds = seconds_per_sample(trained.models, task, split)
    for variant, model in trained.models.items():
        log.info("measuring %s, %s", trained.name, variant)
        size = batch_size or trained.config.evaluation.batch_size
        metrics = task.evaluate(model, split, batch_size=size, limit=limit)
        report["variants"][variant] = {
            "errors": {k.removeprefix(prefix): v for k, v in metrics.items() if k.startswith(prefix)},
            "score": metrics["score"],
            "parameters": sum(p.numel() for p in model.parameters()),
            "best": trained.best.get(variant, {}),
            "gamma": {name: term.gamma.item() for name, term in relaxations(model).items()},
            "equivariance": equivariance(model, task, split),
            "seconds_per_sample": seconds[variant],
        }
    if out is not None:
        write_json(Path(out), report)
    return report


@torch.no_grad()
def seconds_per_sample(
    models: Mapping[str, nn.Module],
    task: Task,
    split: str,
    sizes: Sequence[int] = (1, 256),
    repeats: int = 10,
) -> dict[str, dict[str, float]]:
    """Return the median CPU time of a forward pass over the batch size, by model and batch size [s].

    It is the time of the process on all its threads together: what other processes take does not count, nor
    what a GPU does. Models and sizes take turns in each repeat, small batches several times, so that whatever
    slows the machine slows all alike.
    """
    samples = task.split(split)
    batches = {size: task.batch(samples, torch.arange(min(size, len(samples)))) for size in sizes}
    passes: dict[str, dict[int, list[float]]] = {name: {size: [] for size in sizes} for name in models}
    turn = [size for size in sizes for _ in range(max(1, _TURN // size))]
    for repeat in range(repeats + 1):  # the first one warms up
        for size in turn:
            for name, model in models.items():
                started = time.process_time()
                task.forward(model, batches[size]).sum().item()
                if repeat:
                    passes[name][size].append((time.process_time() - started) / min(size, len(samples)))
    return {
        name: {str(size): statistics.median(seconds) for size, seconds in by_size.items()}
        for name, by_size in passes.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m equizoo.training.evaluate`` (also ``equizoo evaluate``).

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0, or 2 if the folder or the data cannot be used.
    """
    options = argparse.ArgumentParser(prog="equizoo evaluate", description="Measure a run or a checkpoint.")
    options.add_argument("name", help="run folder, checkpoint folder, bundled name or Hub id")
    options.add_argument("--split", default="test", choices=("train", "valid", "test"))
    options.add_argument("--out", help="JSON file (default: results.json of a run, else NAME-SPLIT.json)")
    options.add_argument("--data", help="folder of the data set (default: $EQUIZOO_DATA)")
    options.add_argument("--limit", type=int, help="use so many samples only")
    arguments = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    folder = RunFolder(arguments.name)
    whole = arguments.split == "test" and arguments.limit is None
    usual = folder.path / "results.json" if folder.digests() and whole else None
    out = Path(arguments.out or usual or f"{folder.path.name}-{arguments.split}.json")
    data = {"root": arguments.data} if arguments.data else {}
    try:
        report = evaluate(arguments.name, arguments.split, out=out, data=data, limit=arguments.limit)
    except (EquizooError, ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for variant, figures in report["variants"].items():
        errors = "  ".join(f"{k} {v:.4g} {report['units'][k]}" for k, v in figures["errors"].items())
        log.info("%s (%d samples): %s of %s", variant, report["n"], report["metric"], errors)
    log.info("wrote %s", out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

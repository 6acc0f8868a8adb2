"""Measure trained weights: errors on a split, equivariance, and time, written as one JSON file."""

from __future__ import annotations

import argparse
import copy
import logging
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from equizoo.hub.errors import EquizooError
from equizoo.relaxation.layer import relaxations
from equizoo.symmetry.element import Element
from equizoo.symmetry.groups import SO3, Group, Translations
from equizoo.symmetry.measure import equivariance_error
from equizoo.training.runfolder import provenance, write_json
from equizoo.training.variants import load_trained

log = logging.getLogger(__name__)
TRANSLATION = 10.0
"""Width [Å] of the translations that equivariance is measured with."""


@dataclass(frozen=True)
class Reflections(Group):
    """The improper part of O(3): a random rotation times the inversion."""

    def sample(
        self, n: int | None = None, generator: Any = None, dtype: Any = None, device: Any = None
    ) -> Element:
        """Draw from the Haar measure; see :meth:`equizoo.symmetry.groups.Group.sample`."""
        proper = SO3().sample(n, generator, dtype, device)
        return Element(-proper.rotation, proper.translation)


GROUPS = {"rotation": SO3(), "reflection": Reflections(), "translation": Translations(TRANSLATION)}


class _Standardised(nn.Module):
    """A model with outputs in standard deviations, so that targets of different units can be averaged."""

    def __init__(self, model: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.model, self.input_types, self.output_type = model, model.input_types, model.output_type
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, **inputs: Tensor) -> Tensor:
        return (self.model(**inputs) - self.mean) / self.std


def evaluate(
    name: str | Path,
    split: str = "test",
    *,
    out: str | Path | None = None,
    data: Mapping[str, Any] | None = None,
    limit: int | None = None,
    batch_size: int = 512,
) -> dict[str, Any]:
    """Measure every variant of a run or a checkpoint.

    Args:
        name: Run folder, checkpoint folder, bundled name or Hub id.
        split: ``train``, ``valid`` or ``test``.
        out: JSON file to write.
        data: Options of the task to change, such as ``{"root": …}``.
        limit: Use so many samples only; None: all.
        batch_size: Samples a forward pass.

    Returns:
        What is written: ``metric``, ``units``, ``n``, and for each variant ``mae`` by target, ``score``,
        ``gamma``, ``equivariance`` (in standard deviations of the targets, by data type and transformation)
        and ``seconds_per_sample`` by batch size.

    Raises:
        ConfigError: The run has no best weights yet.
        EquizooError: It is neither a run nor a checkpoint.
    """
    trained = load_trained(name, data)
    task = trained.task
    samples = len(task.split(split))
    report: dict[str, Any] = {
        "name": trained.name,
        "dataset": trained.config.data["task"],
        "split": split,
        "n": samples if limit is None else min(limit, samples),
        "counts": {"train": task.n_train} | {part: len(task.split(part)) for part in ("valid", "test")},
        "metric": "MAE",
        "units": {target.name: target.unit for target in task.targets},
        "method": trained.config.method.get("name", "none"),
        "seed": trained.config.seed,
        "data": trained.config.data,
        "provenance": provenance(task.data_hash()),
        "threads": torch.get_num_threads(),
        "variants": {},
    }
    if trained.best:  # a run knows its budget; a checkpoint only names the recipe that it started from
        report["epochs"] = trained.config.budget.epochs
    for variant, model in trained.models.items():
        log.info("measuring %s, %s", trained.name, variant)
        metrics = task.evaluate(model, split, batch_size=batch_size, limit=limit)
        report["variants"][variant] = {
            "mae": {k.removeprefix("mae/"): v for k, v in metrics.items() if k.startswith("mae/")},
            "score": metrics["score"],
            "parameters": sum(p.numel() for p in model.parameters()),
            "best": trained.best.get(variant, {}),
            "gamma": {name: term.gamma.item() for name, term in relaxations(model).items()},
            "equivariance": equivariance(model, task, split),
            "seconds_per_sample": seconds_per_sample(model, task, split),
        }
    if out is not None:
        write_json(Path(out), report)
    return report


def equivariance(model: nn.Module, task: Any, split: str, n: int = 64) -> dict[str, Any]:
    """Return the equivariance error on random molecules of a split, by data type and transformation.

    Args:
        model: The model.
        task: Its task.
        split: Where the molecules come from.
        n: Number of molecules.

    Returns:
        ``{"float32" | "float64": {"rotation" | "reflection" | "translation": {"abs_mean", …}}}``, in standard
        deviations of the targets.
    """
    molecules = task.split(split)
    chosen = torch.randperm(len(molecules), generator=torch.Generator().manual_seed(0))[:n]
    batch = molecules.batch(chosen)
    y = molecules.y
    errors: dict[str, Any] = {}
    for dtype in (torch.float32, torch.float64):
        mean, std = y.mean(0).to(dtype), y.std(0).clamp_min(1e-9).to(dtype)
        whole = _Standardised(copy.deepcopy(model).cpu().to(dtype), mean, std)
        inputs = {"z": batch["z"], "pos": batch["pos"].to(dtype), "batch": batch["batch"]}
        name = str(dtype).removeprefix("torch.")
        errors[name] = {
            key: asdict(equivariance_error(whole, inputs, group, generator=torch.Generator().manual_seed(0)))
            for key, group in GROUPS.items()
        }
    return errors


@torch.no_grad()
def seconds_per_sample(
    model: nn.Module, task: Any, split: str, sizes: Sequence[int] = (1, 256), repeats: int = 10
) -> dict[str, float]:
    """Return the median time of a forward pass divided by the batch size, by batch size [s]."""
    molecules, times = task.split(split), {}
    for size in sizes:
        batch = task.batch(molecules, torch.arange(min(size, len(molecules))))
        passes = []
        for _ in range(repeats + 1):
            started = time.perf_counter()
            task.forward(model, batch).sum().item()
            passes.append((time.perf_counter() - started) / batch["y"].shape[0])
        times[str(size)] = statistics.median(passes[1:])
    return times


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
    options.add_argument("--out", help="JSON file (default: results.json in the folder, or NAME.json)")
    options.add_argument("--data", help="folder of the data set (default: $EQUIZOO_DATA)")
    options.add_argument("--limit", type=int, help="use so many samples only")
    arguments = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    folder = Path(arguments.name)
    out = Path(arguments.out or (folder / "results.json" if folder.is_dir() else f"{folder.name}.json"))
    data = {"root": arguments.data} if arguments.data else {}
    try:
        report = evaluate(arguments.name, arguments.split, out=out, data=data, limit=arguments.limit)
    except (EquizooError, ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for variant, figures in report["variants"].items():
        errors = "  ".join(f"{k} {v:.4g} {report['units'][k]}" for k, v in figures["mae"].items())
        log.info("%s (%d molecules): %s", variant, report["n"], errors)
    log.info("wrote %s", out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Many seeds of one recipe, and the tiny run that shows that a recipe works."""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from equizoo.training.config import ConfigError, RunConfig
from equizoo.training.loop import RunResult, train
from equizoo.training.runfolder import RunFolder, write_json
from equizoo.training.trainer import Diverged

log = logging.getLogger(__name__)
SMOKE = {
    "data.synthetic": 96,
    "budget.epochs": 2,
    "budget.batch_size": 16,
    "budget.max_minutes": None,
    "evaluation.every": 1,
    "evaluation.limit": 16,
    "schedule.warmup_steps": 2,
}


def parse_seeds(text: str) -> list[int]:
    """Parse ``0-4`` or ``0,2,5`` or a mixture.

    Raises:
        ConfigError: Not a list of numbers and ranges, or a range that runs backwards.

    Example:
        >>> parse_seeds("0-2,7")
        [0, 1, 2, 7]
    """
    seeds: list[int] = []
    for part in text.split(","):
        left, dash, right = part.partition("-")
        try:
            first, last = int(left), int(right if dash else left)
        except ValueError:
            raise ConfigError(
                f"--seeds takes numbers and ranges such as 0-4 or 0,2,5, got {text!r}"
            ) from None
        if last < first:
            raise ConfigError(f"--seeds {text!r}: the range {part.strip()} runs backwards, so holds no seed")
        seeds += range(first, last + 1)
    return list(dict.fromkeys(seeds))


def smoke(config: RunConfig) -> RunConfig:
    """Return the recipe cut down to seconds, on data that its task makes.

    Args:
        config: Any recipe.

    Returns:
        The same model and method with two short epochs, from fresh weights.
    """
    return config.replace(name=f"{config.name}-smoke", start_from=None, **SMOKE)


def sweep(
    config: RunConfig,
    seeds: Iterable[int],
    out: str | Path | None = None,
    *,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train a recipe once a seed, in ``out/seed-<n>``, and write ``out/summary.json``.

    A run that is stopped, by a signal or by the clock, ends the sweep; ``resume`` continues it. One that
    diverges does not: the other seeds are trained, and the error is raised at the end.

    Args:
        config: The recipe; its seed is replaced. ``budget.max_minutes`` limits all runs together.
        seeds: The seeds.
        out: Folder of the runs; ``runs/<name>`` unless given.
        resume: Continue unfinished runs; finished ones are kept as they are.
        progress: Show progress bars.

    Returns:
        For each variant and validation metric at the best epoch: ``mean``, ``std`` (of the sample; 0 for one
        seed), ``n`` and ``values``, over the runs that came to their end; and all runs.

    Raises:
        Diverged: A run diverged; ``summary.json`` is written, and says which.
    """
    folder = Path(out or Path("runs") / config.name)
    results: dict[int, RunResult] = {}
    limit, started = config.budget.max_minutes, time.monotonic()
    for seed in (seeds := list(seeds)):
        log.info("seed %d", seed)
        left = None if limit is None else max(0.0, limit - (time.monotonic() - started) / 60)
        one = config.replace(seed=seed, budget__max_minutes=left)
        try:
            results[seed] = train(one, folder / f"seed-{seed}", resume=resume, progress=progress)
        except Diverged as error:
            results[seed] = _diverged(folder / f"seed-{seed}", error)
            log.warning("seed %d diverged: %s", seed, error)
            continue
        if results[seed].status != "finished":
            log.warning("stopped at seed %d of %s; --resume goes on", seed, seeds)
            break
    summary = summarise(results)
    summary["name"] = config.name
    write_json(folder / "summary.json", summary)
    lost = {seed: result.reason for seed, result in results.items() if result.status == "diverged"}
    if lost:
        reasons = "; ".join(f"seed {seed}: {reason}" for seed, reason in lost.items())
        raise Diverged(f"{reasons} ({len(lost)} of {len(results)} runs diverged)")
    return summary


def _diverged(path: Path, error: Diverged) -> RunResult:
    """Return the result of a run that diverged, which is in its folder."""
    folder = RunFolder(path)
    kept = json.loads(folder.result.read_text(encoding="utf-8")) if folder.result.is_file() else {}
    known = {key: kept[key] for key in ("epoch", "step", "best", "minutes", "cpu_hours") if key in kept}
    return RunResult("diverged", str(error), str(path), **({"epoch": 0, "step": 0} | known))


def summarise(results: dict[int, RunResult]) -> dict[str, Any]:
    """Return mean ± std over seeds of every validation metric of the best weights.

    Args:
        results: One result a seed; those of runs that did not come to their end are left out of the means.
    """
    variants: dict[str, dict[str, Any]] = {}
    finished = [result for result in results.values() if result.status == "finished"]
    for variant in dict.fromkeys(v for result in finished for v in result.best):
        best = [result.best[variant] for result in finished if variant in result.best]
        variants[variant] = {}
        for metric in best[0]:
            values = [b[metric] for b in best]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            variants[variant][metric] = {
                "mean": statistics.fmean(values), "std": spread, "n": len(values), "values": values,
            }  # fmt: skip
    return {"variants": variants, "runs": {str(seed): asdict(result) for seed, result in results.items()}}

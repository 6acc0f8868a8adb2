"""How a classifier of point clouds fares on clouds that are worse than those it was trained on.

Test clouds lose points, get noise on their coordinates or another size; and probabilities are compared with
the share of right answers. What is measured is written into the folder as ``robustness.json``::

    split, points, seed
    n            {"whole": test clouds as they are, "changed": those that are changed in each way}
    temperature  fitted to the first variant on validation clouds; all variants are scaled by it
    variants     {variant: {"calibration": {"ece", "ece_scaled", "nll", "nll_scaled"},
                  "conditions": [{"change", "level", "errors": {"instance": %, "class": %},
                                  "answers": {"instance": %, "class": %}}, …],
                  "surface": {"points", "votes", "answers", "ece", "nll"}}}

The first condition is on all test clouds, the second on those that are changed in the others, as they are.
``errors`` are those of the network as it is, ``answers`` those of the pipeline, which leaves out points that
are given twice, centres and scales, and takes fewer neighbours in smaller clouds; of the whole ``surface`` it
makes several clouds.

References:
    C. R. Qi, L. Yi, H. Su, L. J. Guibas, "PointNet++", NeurIPS 2017, Section 4.1: dropped points. ACE,
    Figure 7: replaced points, in training and test.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from equizoo.data.modelnet40 import PointCloudSet, drop_points
from equizoo.hub.domain import PointCloudDomain
from equizoo.hub.errors import EquizooError
from equizoo.pipelines.point_clouds import TASK, PointCloudClassificationPipeline
from equizoo.training.confidence import calibration, fit_temperature
from equizoo.training.config import ConfigError
from equizoo.training.runfolder import RunFolder
from equizoo.training.tasks.modelnet40 import error_rates
from equizoo.training.variants import load_trained

log = logging.getLogger(__name__)

FILE = "robustness.json"
DROPPED = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.87)
JITTER = (0.01, 0.02, 0.05)
SCALES = (0.5, 0.8, 1.25, 2.0)


def worsened(points: Tensor, seed: int = 0) -> Iterator[tuple[str, float, Tensor]]:
    """Yield clouds changed in every way that is measured.

    Args:
        points: (S, N, 3) clouds in the unit sphere, whose points are in random order.
        seed: Seed of the changes.

    Yields:
        Name of the change, its level and the clouds: ``replaced``, each point with a probability by
        the first of its cloud, as published; ``removed``, that share of the points taken out, so that the
        clouds are smaller; ``jitter``, normal noise of that standard deviation on each coordinate [radius of
        the cloud]; ``scale``, all coordinates times that factor.

    Example:
        >>> sizes = {name: x.shape[1] for name, level, x in worsened(torch.randn(2, 40, 3)) if level == 0.75}
        >>> sizes
        {'replaced': 40, 'removed': 10}
    """
    generator = torch.Generator().manual_seed(seed)
    for ratio in DROPPED:
        yield "replaced", ratio, drop_points(points, torch.full((len(points),), ratio), generator)
    for ratio in DROPPED:
        yield "removed", ratio, points[:, round(ratio * points.shape[1]) :]
    for sigma in JITTER:
        yield "jitter", sigma, points + sigma * torch.randn(points.shape, generator=generator)
    for factor in SCALES:
        yield "scale", factor, factor * points


def robustness(
    name: str | Path, data: Mapping[str, Any] | None = None, *, limit: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """Measure every variant of a run or a checkpoint on worse and worse test clouds.

    Clouds are whole before they are changed, also for a run that was trained on thinned ones.

    Args:
        name: Run folder, checkpoint folder, bundled name or Hub id.
        data: Options of the task to change, such as ``{"root": …}``.
        limit: Change so many test clouds only, spread over the classes; None: all. Clouds as they are, and
            with them the calibration, are always measured on all.
        seed: Seed of the changes.

    Returns:
        What is written, see the head of this module.

    Raises:
        ConfigError: The model does not classify point clouds, or the run has no best weights yet.
        EquizooError: It is neither a run nor a checkpoint.
    """
    from tqdm import tqdm

    trained = load_trained(name, data)
    task: Any = trained.task
    if task.task_name != TASK:
        raise ConfigError(f"robustness is measured for {TASK} only, not for {task.task_name}")
    valid, whole = task.whole("valid"), task.whole("test")
    count = len(whole) if limit is None else min(limit, len(whole))
    changed = whole.subset(torch.linspace(0, len(whole) - 1, count).long())
    first = next(iter(trained.models.values()))
    temperature = fit_temperature(task.predict(first, valid), valid.label)
    report: dict[str, Any] = {
        "split": "test",
        "n": {"whole": len(whole), "changed": count},
        "points": whole.points.shape[1],
        "seed": seed,
        "temperature": temperature,
        "variants": {},
    }
    surface = task.surface("test")
    for variant, model in trained.models.items():
        log.info("measuring %s, %s", trained.name, variant)
        pipe = _pipeline(task, model, temperature)
        logits = task.predict(model, whole)
        conditions = [{"change": "none", "level": 0.0, "errors": error_rates(logits, whole.label)}]
        worse = itertools.chain([("none", 0.0, changed.points)], worsened(changed.points, seed))
        for change, level, points in tqdm(worse, leave=False, disable=None):
            clouds = PointCloudSet(points, changed.label)
            errors, answers = (
                error_rates(scores, changed.label)
                for scores in (task.predict(model, clouds), _answers(pipe, clouds))
            )
            conditions.append({"change": change, "level": level, "errors": errors, "answers": answers})
        answers = _answers(pipe, surface)
        sure = calibration(answers.log(), surface.label, 1.0)
        report["variants"][variant] = {
            "calibration": calibration(logits, whole.label, temperature),
            "conditions": conditions,
            "surface": {
                "points": surface.points.shape[1],
                "votes": pipe.votes,
                "answers": error_rates(answers, surface.label),
                "ece": sure["ece"],
                "nll": sure["nll"],
            },
        }
    return report


def _pipeline(task: Any, model: nn.Module, temperature: float) -> PointCloudClassificationPipeline:
    """Return the pipeline that a checkpoint of this model would get."""
    known = task.domain()
    domain = PointCloudDomain(known["points"], tuple(known["classes"]), known["rotations"], temperature)
    model.card = SimpleNamespace(task=TASK, domain=domain)  # type: ignore[assignment]
    return PointCloudClassificationPipeline(model)


def _answers(pipe: PointCloudClassificationPipeline, clouds: PointCloudSet) -> Tensor:
    """Return the probabilities ``(S, C)`` that the pipeline answers; what it refuses counts as wrong."""
    scores = torch.zeros(len(clouds), len(pipe.classes), dtype=torch.float64)
    for row, answer in enumerate(pipe.classify(clouds.points)):
        if answer.scores is None:
            scores[row, (int(clouds.label[row]) + 1) % len(pipe.classes)] = 1.0
        else:
            scores[row] = torch.from_numpy(answer.scores)
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m equizoo.training.robustness``.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0, or 2 if the folder or the data cannot be used.
    """
    options = argparse.ArgumentParser(prog="python -m equizoo.training.robustness", description=__doc__)
    options.add_argument("folder", help="run folder or checkpoint folder")
    options.add_argument("--data", help="folder of the data set (default: $EQUIZOO_DATA)")
    options.add_argument("--limit", type=int, help="change so many test clouds only")
    arguments = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    data = {"root": arguments.data} if arguments.data else {}
    try:
        report = robustness(arguments.folder, data, limit=arguments.limit)
    except (EquizooError, ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for variant, figures in report["variants"].items():
        for condition in figures["conditions"]:
            for what in ("errors", "answers"):
                rates = "  ".join(f"{name} {rate:.2f} %" for name, rate in condition.get(what, {}).items())
                log.info("%s, %s %g, %s: %s", variant, condition["change"], condition["level"], what, rates)
    RunFolder(arguments.folder).write_measured(FILE, report)
    log.info("wrote %s", Path(arguments.folder) / FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main())

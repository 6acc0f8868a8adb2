"""How a classifier of point clouds fares on clouds that are worse than those it was trained on.

Test clouds lose points, get noise on their coordinates or another size; and probabilities are compared with
the share of right answers. What is measured is written into the folder as ``robustness.json``::

    split, points, seed
    n            {"whole": test clouds as they are, "changed": those that are changed in each way}
    temperature  fitted to the first variant on validation clouds; all variants are scaled by it
    variants     {variant: {"calibration": {"ece", "ece_scaled", "nll", "nll_scaled"},
                  "conditions": [{"change", "level", "errors": {"instance": %, "class": %}}, …],
                  "views": {"surface", "count", "errors", "ece", "nll"}}}

``views`` is what the pipeline does with clouds of more points: it takes the mean of the logits over several
clouds that it makes of one.

References:
    C. R. Qi, L. Yi, H. Su, L. J. Guibas, "PointNet++", NeurIPS 2017, Section 4.1: dropped points. ACE,
    Figure 7: replaced points, in training and test.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equizoo.data.modelnet40 import PointCloudSet, drop_points, to_unit_sphere
from equizoo.hub.errors import EquizooError
from equizoo.training.confidence import calibration, fit_temperature
from equizoo.training.config import ConfigError
from equizoo.training.runfolder import RunFolder
from equizoo.training.tasks.modelnet40 import error_rates
from equizoo.training.variants import load_trained

log = logging.getLogger(__name__)

TASK = "point-cloud-classification"
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
    views = _views(surface, whole.points.shape[1])
    for variant, model in trained.models.items():
        log.info("measuring %s, %s", trained.name, variant)
        logits = task.predict(model, whole)
        scale = calibration(logits, whole.label, temperature)
        conditions = [{"change": "none", "level": 0.0, "errors": error_rates(logits, whole.label)}]
        for change, level, points in tqdm(worsened(changed.points, seed), leave=False, disable=None):
            logits = task.predict(model, PointCloudSet(points, changed.label))
            errors = error_rates(logits, changed.label)
            conditions.append({"change": change, "level": level, "errors": errors})
        logits = torch.stack([task.predict(model, view) for view in views]).mean(0)
        scores = calibration(logits, whole.label, temperature)
        report["variants"][variant] = {
            "calibration": scale,
            "conditions": conditions,
            "views": {
                "surface": surface.points.shape[1],
                "count": len(views),
                "errors": error_rates(logits, whole.label),
                "ece": scores["ece_scaled"],
                "nll": scores["nll_scaled"],
            },
        }
    return report


def _views(clouds: PointCloudSet, points: int) -> list[PointCloudSet]:
    """Return the views of each cloud that the pipeline would answer from."""
    from equizoo.pipelines.point_clouds import VIEWS
    from equizoo.pipelines.point_clouds_input import several_views

    found = [several_views(cloud.double().numpy(), points, VIEWS) for cloud in clouds.points]
    views = to_unit_sphere(torch.from_numpy(np.stack(found, 1))).to(clouds.points)
    return [PointCloudSet(view, clouds.label) for view in views]


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
            errors = "  ".join(f"{name} {rate:.2f} %" for name, rate in condition["errors"].items())
            log.info("%s, %s %g: error rate %s", variant, condition["change"], condition["level"], errors)
    RunFolder(arguments.folder).write_measured(FILE, report)
    log.info("wrote %s", Path(arguments.folder) / FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main())

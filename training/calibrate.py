"""Split-conformal intervals for each source of geometry, and whether they hold what they promise.

The half width of a target is the ⌈(n + 1)·coverage⌉-th smallest absolute error on n validation molecules: on
new molecules of the same kind the interval holds the truth with at least that probability. Test molecules
check it.

References:
    J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, "Distribution-Free Predictive Inference for
    Regression", JASA 113, 1094 (2018), Section 2.2.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from equizoo.hub.errors import EquizooError
from equizoo.training.config import ConfigError
from equizoo.training.runfolder import RunFolder
from equizoo.training.tasks.geometries import molecules_with_geometry
from equizoo.training.variants import load_trained

log = logging.getLogger(__name__)
COVERAGE = 0.9
SOURCES = ("given", "mmff", "xtb")


def half_widths(errors: Tensor, coverage: float = COVERAGE) -> Tensor:
    """Return the split-conformal half width of each target.

    Args:
        errors: ``(n, T)`` absolute errors on molecules that were not trained on.
        coverage: Share of new molecules that the interval is to hold.

    Returns:
        ``(T,)`` half widths, in the units of the errors.

    Raises:
        ConfigError: Too few molecules for that coverage.

    Example:
        >>> import torch
        >>> half_widths(torch.arange(1.0, 100.0).unsqueeze(1), 0.9).tolist()
        [90.0]
    """
    n = errors.shape[0]
    rank = math.ceil((n + 1) * coverage)
    if rank > n:
        raise ConfigError(f"{n} molecules are too few for a coverage of {coverage}")
    return errors.sort(dim=0).values[rank - 1]


def calibrate(
    model: nn.Module,
    task: Any,
    sources: Sequence[str] = SOURCES,
    *,
    n: int = 1000,
    cache: str | Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Calibrate the intervals of a model on validation molecules and check them on test molecules.

    Args:
        model: The model, in evaluation mode.
        task: Its task, with data that has SMILES (but for ``given``).
        sources: ``given`` (all molecules, with the geometries of the data set), ``mmff``, ``xtb``.
        n: Validation molecules and test molecules for which ``mmff`` and ``xtb`` geometries are made.
        cache: Folder that keeps the made geometries.

    Returns:
        For each source ``coverage``, ``n``, ``half_width``, ``mae`` (on test), ``n_test``, ``test_coverage``,
        and ``refused``, how many test molecules got no geometry.

    Raises:
        ConfigError: The task is not about molecules, or there are too few of them.
    """
    if task.task_name != "molecule-properties":
        raise ConfigError(f"intervals are calibrated for molecule-properties only, not for {task.task_name}")
    names = [target.name for target in task.targets]
    calibration: dict[str, dict[str, Any]] = {}
    for source in sources:
        errors = {}
        for split in ("valid", "test"):
            molecules = task.split(split)
            if source != "given":
                molecules = molecules_with_geometry(task, split, source, n, cache)
            errors[split] = (task.predict(model, molecules) - molecules.y).abs()
        width = half_widths(errors["valid"])
        covered = (errors["test"] <= width).double().mean(0)
        calibration[source] = {
            "coverage": COVERAGE,
            "n": errors["valid"].shape[0],
            "half_width": dict(zip(names, width.tolist(), strict=True)),
            "mae": dict(zip(names, errors["test"].mean(0).tolist(), strict=True)),
            "n_test": errors["test"].shape[0],
            "refused": 0 if source == "given" else min(n, len(task.split("test"))) - errors["test"].shape[0],
            "test_coverage": dict(zip(names, covered.tolist(), strict=True)),
        }
        log.info("%s: measured coverage %.3f to %.3f", source, float(covered.min()), float(covered.max()))
    return calibration


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m equizoo.training.calibrate``.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0, or 2 if the folder or the data cannot be used.
    """
    options = argparse.ArgumentParser(prog="python -m equizoo.training.calibrate", description=__doc__)
    options.add_argument("folder", help="run folder or checkpoint folder")
    options.add_argument("--sources", nargs="+", default=list(SOURCES), choices=SOURCES)
    options.add_argument("--n", type=int, default=1000, help="molecules with made geometries, in each split")
    options.add_argument("--cache", help="folder that keeps the made geometries")
    options.add_argument("--data", help="folder of the data set (default: $EQUIZOO_DATA)")
    arguments = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        trained = load_trained(arguments.folder, {"root": arguments.data} if arguments.data else {})
        measured = {
            variant: calibrate(model, trained.task, arguments.sources, n=arguments.n, cache=arguments.cache)
            for variant, model in trained.models.items()
        }
    except (EquizooError, ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    RunFolder(arguments.folder).write_measured("calibration.json", measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``results.json``: what was measured on a checkpoint, and how cards read it.

It is what :func:`equizoo.training.evaluate.evaluate` returns, with what publishing adds::

    name, dataset, split, n, method, seed, epochs, threads
    instructions optional: the vector instructions that times were taken with, such as "AVX2"
    counts       {"train" | "valid" | "test": samples}
    metric       "MAE", "MSE" or "error rate"
    units        {target: unit of its error}
    data         the options of the task
    provenance   {"versions": {package: version}, "data_sha256"}
    variants     {variant: {"errors": {target: error}, "score", "parameters", "best", "gamma": {layer: γ},
                  "equivariance": {data type: {transformation: {"abs_mean", "abs_max", …}}},
                  "seconds_per_sample": {batch size: CPU time in s}}}
    weights      of a run only: {variant: SHA-256 of the best weights that were measured}
    cost         optional: {"status", "parts", "epoch", "step", "minutes", "cpu_hours", and of a training
                 in parts "stages"}; {} if unknown
    half         optional: true where large parameters are stored in half precision
    calibration  optional, molecules only: {variant: {geometry: {"coverage", "n", "half_width", …}}}
    robustness   optional, point clouds only: see equizoo.training.robustness
    ensembles    optional, conformers only: see equizoo.training.ensembles
    baselines    optional: {name: error of a prediction that needs no model}
    seeds        optional: [{"seed": 42, "errors": {variant: {target: error}}}, …], one entry for every run of
                 the recipe that differs in its seed only, the one that is shipped among them
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from equizoo.hub.errors import CheckpointError
from equizoo.hub.strict import read_json


class Spread(NamedTuple):
    """Mean and sample deviation of a test error over ``n`` seeds."""

    mean: float
    deviation: float
    n: int


_FAR = 2.0


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """Return the ``results.json`` of every run that is kept in a folder, in the order of the file names.

    Raises:
        ConfigError: A file is not JSON.
    """
    return [read_json(path) for path in sorted(folder.glob("*.json"))]


def needs_its_terms(results: Mapping[str, Any]) -> bool:
    """Whether projecting a network leaves more than twice the error of its partial variant.

    Example:
        >>> needs_its_terms({"variants": {"equivariant": {"score": 34.7}, "partial": {"score": 0.18}}})
        True
    """
    variants = results["variants"]
    if "partial" not in variants:
        return False
    return bool(variants["equivariant"]["score"] > _FAR * variants["partial"]["score"])


def test_errors(results: Mapping[str, Any], variant: str) -> dict[str, float]:
    """Return the test error of each target; empty if the variant was not measured."""
    return dict(results["variants"].get(variant, {}).get("errors", {}))


def spread(results: Mapping[str, Any], variant: str, target: str) -> Spread | None:
    """Return the spread of a test error over the seeds of ``results["seeds"]``.

    Args:
        results: ``results.json``.
        variant: ``"equivariant"`` or ``"partial"``.
        target: Name of the target.

    Returns:
        The spread; None where fewer than two seeds were measured.

    Raises:
        CheckpointError: A seed is there twice.

    Example:
        >>> runs = [{"seed": s, "errors": {"equivariant": {"gap": g}}} for s, g in ((0, 0.06), (1, 0.08))]
        >>> found = spread({"seeds": runs}, "equivariant", "gap")
        >>> f"{found.mean:.3f} ± {found.deviation:.3f} ({found.n})"
        '0.070 ± 0.014 (2)'
    """
    runs = results.get("seeds", [])
    seeds = [run["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        raise CheckpointError(f"seeds of results.json must differ, got {', '.join(map(str, seeds))}")
    values = [run["errors"][variant][target] for run in runs if target in run["errors"].get(variant, {})]
    if len(values) < 2:
        return None
    return Spread(statistics.mean(values), statistics.stdev(values), len(values))


def method_key(results: Mapping[str, Any]) -> str:
    """Return the method by which a model was trained, with the name ``augment`` for a free γ.

    ``none`` is the strict model; with relaxed layers it is a model whose γ is a weight like any other.

    Example:
        >>> method_key({"method": "none", "variants": {"equivariant": {}, "partial": {}}})
        'augment'
    """
    free = results["method"] == "none" and "partial" in results["variants"]
    return "augment" if free else str(results["method"])


def largest_gamma(results: Mapping[str, Any]) -> float | None:
    """Return the largest |γ| of the ``partial`` variant as it was measured, or None where there is none."""
    gamma = results["variants"].get("partial", {}).get("gamma", {})
    return max(map(abs, gamma.values())) if gamma else None


def rotation_error(results: Mapping[str, Any]) -> float | None:
    """Return how far the ``partial`` variant is from the symmetry of its task, or None where there is none.

    It is the mean error under the first group that was measured (rotations; about the vertical, where the
    vertical is an input), relative to the size of the output, in float32. Unlike γ it compares across methods
    and branches.
    """
    measured = results["variants"].get("partial", {}).get("equivariance", {}).get("float32", {})
    return next((float(errors["rel_mean"]) for errors in measured.values()), None)

"""The measured sections of a model card: errors, geometries and intervals, symmetry, time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from equizoo.hub import card_tables as tables
from equizoo.hub.card_facts import DATASETS, Published, find
from equizoo.hub.config import CheckpointConfig


def errors(config: CheckpointConfig, results: Mapping[str, Any], published: Published | None) -> str:
    """Return the section on test errors, beside the published ones."""
    parts = [
        f"## Errors\n\n{results['metric']} on {results['n']:,} test molecules, at the geometries of the "
        "data set.",
        tables.errors_table(config, results, published),
    ]
    if not published or not published.columns:
        return "\n\n".join(parts)
    targets = [target.name for target in config.targets]
    best = published.columns[-1]
    mae = results["variants"]["equivariant"]["mae"] if "equivariant" in config.variants else {}
    lower = [name for name in targets if name in mae and name in best.mae and mae[name] < best.mae[name][0]]
    notes = [
        f"Columns {' and '.join(c.label for c in published.columns)}: {published.authors}, "
        f"[{published.paper}]({published.url}), {published.table}. {published.rows}",
        f"**Not the same experiment.** Published: mean ± deviation of {published.seeds} seeds, "
        f"{published.models}, {published.energies} energies, {published.epochs:,} epochs on "
        f"{published.train_molecules:,} training molecules, {published.split}. Here: "
        f"{_experiment(config, results)}.",
        f"The `equivariant` variant is below the mean of {best.label} on {len(lower)} of "
        f"{count(len(targets), 'target')}.",
    ]
    energies = relative_energies(config, results)
    if energies and published.energies == "total":
        others = [name for name in targets if name not in energies]
        notes.append(
            f"{', '.join(energies)}: the published models had to learn an offset of about −10⁴ eV, this one "
            "did not; these rows compare recipes, not methods. Without them it is "
            f"{len(set(lower) & set(others))} of {len(others)}."
        )
    return "\n\n".join([*parts, *notes])


def _experiment(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    data, cost = results["data"], results.get("cost", {})
    return ", ".join(
        [
            f"one seed ({results['seed']})",
            f"one model for {count(len(config.targets), 'target')}",
            "atom references and standardised targets" if data.get("standardise") else "no standardisation",
            "total energies" if data.get("energies") == "total" else "energies relative to free atoms",
            *([count(cost["epoch"], "epoch")] if cost else []),
            split_of(config, results),
        ]
    )


def geometries(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return the section on errors by kind of geometry, and on the intervals."""
    calibration = calibration_of(results)
    if not calibration:
        return (
            "## Geometries and intervals\n\nNot measured: there is no calibration, so there are no intervals."
        )
    counts = []
    for source, figures in calibration.items():
        left = "" if source == "given" else f", refused {figures['refused']}"
        counts.append(
            f"- {tables.GEOMETRY_LABELS[source]}: calibrated on {figures['n']:,}, tested on "
            f"{figures['n_test']:,} molecules{left}"
        )
    share = "/".join(sorted({f"{100 * figures['coverage']:g}" for figures in calibration.values()}))
    return "\n\n".join(
        [
            "## Geometries and intervals",
            "A molecule that comes as SMILES has no reference geometry. Test MAE of the `equivariant` "
            "variant when the geometry is made with MMFF94 or GFN2-xTB instead (in brackets, the factor to "
            "the reference geometry; the targets stay those of the reference geometry):",
            tables.geometry_table(config, calibration),
            "\n".join(counts),
            "Refused are molecules for which no geometry could be made; they are left out. Made geometries "
            "are tested on a random part of the test molecules, so the factors carry some sampling error.",
            f"Intervals of the `equivariant` variant at {share} %, split-conformal: half width from "
            "validation molecules, and in brackets the share of test molecules whose true value lies "
            "inside. They hold for molecules like those of the data set only.",
            tables.interval_table(config, calibration),
        ]
    )


def symmetry(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return the section on equivariance errors and γ."""
    parts = [
        "## Symmetry",
        "Equivariance error on random test molecules, mean (largest) norm of f(g·x) − g·f(x) over the "
        "targets, in standard deviations of the targets. What the `equivariant` variant shows is round-off.",
        tables.symmetry_table(config, results),
    ]
    partial, left = config.variants.get("partial"), results["variants"].get("partial", {}).get("gamma", {})
    if partial is not None:
        gamma = {**dict.fromkeys(partial.folded, 0.0), **left, **(partial.gamma or {})}
        rows = [
            [f"`{name}`", "term dropped" if name in partial.folded else "kept", tables.number(gamma[name])]
            for name in sorted(gamma)
        ]
        parts += ["γ of each layer of the `partial` variant:", tables.table(["layer", "branch", "γ"], rows)]
        if left.keys() != (partial.gamma or {}).keys():
            parts.append(
                "The figures of `partial` on this card were measured before the negligible terms were "
                "dropped."
            )
    elif left:
        largest = tables.number(max(map(abs, left.values())), 2)
        parts.append(f"Training left no |γ| above {largest} in any layer, so there is no `partial` variant.")
    return "\n\n".join(parts)


def timing(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return the section on size and time."""
    threads = count(results["threads"], "thread")
    return f"## Time\n\nMedian forward pass on a CPU with {threads}.\n\n{tables.time_table(config, results)}"


def calibration_of(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the calibration of the equivariant variant, by kind of geometry; empty where there is none."""
    return dict(results.get("calibration", {}).get("equivariant", {}))


def count(n: int, noun: str) -> str:
    """Return ``"1 thread"``, ``"2 threads"``."""
    return f"{n} {noun}{'s' * (n != 1)}"


def split_of(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return which split of the data set was used."""
    seed = results["data"].get("split_seed")
    if seed is None:
        return find(DATASETS, config.dataset, "data set").standard_split
    return f"a shuffled 80/10/10 split with seed {results['seed'] if seed == 'run' else seed}"


def relative_energies(config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
    """Return the targets that the model predicts relative to free atoms."""
    if results["data"].get("energies") == "total":
        return []
    energies = find(DATASETS, config.dataset, "data set").energies
    return [target.name for target in config.targets if target.name in energies]

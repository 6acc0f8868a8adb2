"""The measured sections of a model card: errors, symmetry, time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from equizoo.hub import card_tables as tables
from equizoo.hub.card_facts import Dataset
from equizoo.hub.card_published import Column, Published
from equizoo.hub.card_recipe import kept_weights, optimisation, stages
from equizoo.hub.card_tables import count
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.results import largest_gamma, method_key, spread, test_errors


def errors(
    config: CheckpointConfig, results: Mapping[str, Any], published: Published | None, facts: Dataset
) -> str:
    """Return the section on test errors, beside the published ones."""
    metric = facts.shows.capitalize() or results["metric"]
    title = metric if facts.shows else "Errors"
    parts = [
        f"## {title}\n\n{metric} on {results['n']:,} test {facts.sample}s{facts.measured}.",
        tables.errors_table(config, results, published, facts),
        *facts.reading(config, results),
    ]
    if not published:
        return "\n\n".join(parts)
    several, best = len(config.targets) > 1, _compared(results, published)
    compared = [target.name for target in config.targets if target.name in best.errors]
    measured = _compared_errors(config, results, best.variant)
    lower = [name for name in compared if name in measured and measured[name] < best.errors[name][0]]
    notes = [
        f"{_columns(published) if several else 'Published'}: {published.authors}, "
        f"[{published.paper}]({published.url}), {published.table}. {published.rows}",
        f"**Not the same experiment.** Published: mean ± deviation of {published.seeds} seeds, "
        f"{_published_setting(published)}, {published.lengths()} on {published.train_samples:,} "
        f"training {facts.sample}s, {published.split}. Here: {_setting(config, results, published, facts)}.",
    ]
    if measured and facts.counted:
        targets = count(len(compared), "target")
        share = f" on {len(lower) or 'any'} of {targets}" if several else ""
        below = facts.better if lower else f"not {facts.better}"
        notes.append(f"The `{best.variant}` variant is {below} the mean of {best.label}{share}.")
    return "\n\n".join([*parts, *notes, *facts.caveats(config, results, published)])


def _compared(results: Mapping[str, Any], published: Published) -> Column:
    """Return the published column of the same method, or the last one."""
    own = (published.column(method_key(results), variant) for variant in ("equivariant", "partial"))
    return next(filter(None, own), published.columns[-1])


def _compared_errors(config: CheckpointConfig, results: Mapping[str, Any], variant: str) -> dict[str, float]:
    """Return the errors of a variant, or their means over the seeds; none if it is not shipped."""
    if variant not in config.variants:
        return {}
    found = {name: spread(results, variant, name) for name in results["units"]}
    means = {name: one.mean for name, one in found.items() if one is not None}
    return test_errors(results, variant) | means


def _columns(published: Published) -> str:
    *most, last = [column.label for column in published.columns]
    return f"Columns {', '.join(most)} and {last}" if most else f"Column {last}"


def _published_setting(published: Published) -> str:
    energies = [f"{published.energies} energies"] if published.energies else []
    return ", ".join([published.models, *energies])


def _setting(
    config: CheckpointConfig, results: Mapping[str, Any], published: Published, facts: Dataset
) -> str:
    cost, found = results.get("cost", {}), spread(results, "equivariant", config.targets[0].name)
    return "; ".join(
        [
            f"{found.n} seeds" if found else f"one seed ({results['seed']})",
            *facts.setting(config, results),
            *_parameters(results, published),
            *optimisation(stages(config)),
            *([count(cost["epoch"], "epoch")] if cost else []),
            facts.split(config, results),
        ]
    )


def _parameters(results: Mapping[str, Any], published: Published) -> list[str]:
    """Return the size of the projected network, if the published one is known and another."""
    known = (column.parameters for column in published.columns if column.variant == "equivariant")
    mine, theirs = results["variants"]["equivariant"]["parameters"], next(filter(None, known), None)
    return [f"{mine:,} parameters (published: {theirs:,})"] if theirs and theirs != mine else []


def symmetry(config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset) -> str:
    """Return the section on equivariance errors and γ."""
    parts = [
        "## Symmetry",
        f"Equivariance error on random test {facts.sample}s, mean (largest) norm of f(g·x) − g·f(x) "
        f"{facts.norm}. {facts.round_off(config)}",
        tables.symmetry_table(config, results),
    ]
    partial, left = config.variants.get("partial"), results["variants"].get("partial", {}).get("gamma", {})
    if partial is not None:
        gamma = {**dict.fromkeys(partial.folded, 0.0), **left, **(partial.gamma or {})}
        rows = [
            [f"`{name}`", "term dropped" if name in partial.folded else "kept", tables.number(gamma[name])]
            for name in sorted(gamma)
        ]
        kept = kept_weights(config, results, "partial")
        parts += [
            f"γ of each layer of the `partial` variant, that is of {kept}:",
            tables.table(["layer", "branch", "γ"], rows),
        ]
        if left.keys() != (partial.gamma or {}).keys():
            parts.append(
                "The figures of `partial` on this card were measured before the negligible terms were "
                "dropped."
            )
    elif left:
        largest = tables.number(largest_gamma(results) or 0.0, 2)
        kept = kept_weights(config, results, "partial")
        parts.append(
            f"No |γ| is above {largest} in {kept}, so there is no `partial` variant: it would be the "
            "`equivariant` one."
        )
    return "\n\n".join(parts)


def timing(config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset) -> str:
    """Return the section on size and time."""
    threads = count(results["threads"], "thread")
    if "instructions" in results:
        threads += f" and {results['instructions']} instructions"
    times = tables.time_table(config, results, facts.sample)
    added = ", the time of all threads added up" if results["threads"] > 1 else ""
    return f"## Time\n\nMedian CPU time of a forward pass with {threads}{added}.\n\n{times}"

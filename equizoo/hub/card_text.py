"""A model card from a checkpoint's ``config.json`` and ``results.json``: front matter and sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from equizoo.hub.card_bibtex import BIBTEX
from equizoo.hub.card_datasets import check_units, dataset_of, published_for
from equizoo.hub.card_facts import Dataset, Facts, find, strict
from equizoo.hub.card_geometries import calibration_of, geometries
from equizoo.hub.card_measured import errors, symmetry, timing
from equizoo.hub.card_models import FAMILIES
from equizoo.hub.card_published import Published
from equizoo.hub.card_recipe import kept_weights
from equizoo.hub.card_tables import count
from equizoo.hub.card_tasks import TASKS, Task
from equizoo.hub.card_training import method_facts, method_text, training
from equizoo.hub.card_usage import usage
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.errors import CheckpointError
from equizoo.hub.results import needs_its_terms, spread, test_errors

WRITTEN = (
    "<!-- Written by `python -m equizoo.hub.cards` from config.json and results.json; edits are lost. -->"
)
PublishedTables = Mapping[str, Mapping[str, Published]]


def render_card(config: CheckpointConfig, results: Mapping[str, Any], published: PublishedTables) -> str:
    """Return the model card of a checkpoint.

    Args:
        config: Its ``config.json``.
        results: Its ``results.json``, see :mod:`equizoo.hub.results`.
        published: Published figures, see :func:`equizoo.hub.card_published.read_published`.

    Returns:
        Markdown with a YAML front matter that the Hub reads (``model-index`` holds the test errors).

    Raises:
        CheckpointError: The results are not those of this checkpoint on the test split of its data set, or
            lack a variant or a target.
        ConfigError: There is no text for its task, data set, family or method, or units disagree.

    References:
        M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
    """
    _check(config, results)
    table, facts, task = published_for(config, published), dataset_of(config), _task(config)
    if table is not None:
        check_units(config.name, results["units"], table)
    sections = [
        _what(config, results, facts, task),
        usage(config, results),
        _data(config, results, facts),
        training(config, results, facts),
        errors(config, results, table, facts),
        *([geometries(config, results)] if task.made_geometries else []),
        *facts.sections(config, results),
        symmetry(config, results, facts),
        timing(config, results, facts),
        _limitations(config, results, facts, task),
        _citation(config, results, facts, table),
    ]
    return "\n\n".join([front_matter(config, results) + WRITTEN, f"# {config.name}", *sections]) + "\n"


def front_matter(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return the YAML block at the head of a card, between its ``---`` lines."""
    from huggingface_hub import EvalResult, ModelCardData

    facts = dataset_of(config)
    metric = facts.shows or results["metric"]
    evaluations = [
        EvalResult(
            task_type="graph-ml",
            task_name=config.task,
            dataset_type=config.dataset,
            dataset_name=facts.title,
            dataset_split=results["split"],
            metric_type=metric.lower(),
            metric_name=f"{metric} of {target.name} [{results['units'][target.name]}], {variant}",
            metric_value=_unscaled(facts, test_errors(results, variant)[target.name]),
        )
        for variant in config.variants
        for target in config.targets
    ]
    data = ModelCardData(
        license="mit",
        library_name="equizoo",
        pipeline_tag="graph-ml",
        tags=["equizoo", config.family, config.task, config.dataset, "equivariance", config.method],
        datasets=[config.dataset],
        model_name=config.name,
        eval_results=evaluations,
    )
    return f"---\n{yaml.safe_dump(data.to_dict(), allow_unicode=True)}---\n"


def _unscaled(facts: Dataset, error: float) -> float:
    """Return the figure that is shown for an error, without the power of ten, rounded."""
    return float(f"{facts.figure(error) * 10.0**facts.exponent:.4g}")


def _check(config: CheckpointConfig, results: Mapping[str, Any]) -> None:
    if results["name"] != config.name or results["split"] != "test":
        raise CheckpointError(
            f"results.json of {config.name!r} is of {results['name']!r} on {results['split']!r}; it must be "
            "of the checkpoint on 'test'"
        )
    if results["data"].get("synthetic"):
        raise CheckpointError(f"{config.name!r} was trained on made-up samples, not on {config.dataset}")
    for target in config.targets:
        unit = target.unit + "²" * (results["metric"] == "MSE")
        if results["units"].get(target.name) != unit:
            raise CheckpointError(
                f"results.json of {config.name!r} has the {results['metric']} of {target.name} in "
                f"{results['units'].get(target.name)!r}, by config.json it is {unit!r}; evaluate it again"
            )
    for variant in config.variants:
        measured = test_errors(results, variant)
        missing = [target.name for target in config.targets if target.name not in measured]
        if missing:
            raise CheckpointError(
                f"results.json of {config.name!r} has no error of {', '.join(missing)} for {variant!r}; "
                "evaluate it"
            )


def _task(config: CheckpointConfig) -> Task:
    return find(TASKS, config.task, "task", "card_tasks")


def _family(config: CheckpointConfig) -> Facts:
    return find(FAMILIES, config.family, "family", "card_models")


def _what(config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset, task: Task) -> str:
    about = ", ".join(filter(None, (facts.part(config.domain), facts.setting_name(config))))
    title = f"{facts.title} ({about})" if about else facts.title
    (first, *others), one = config.targets, len(config.targets) == 1
    targets = f"{count(len(others) + 1, 'target')} of {title}"
    targets = f"one target of {title}: {first.description}" if one else targets
    predicts = task.predicts.format(title=title) or targets
    return "\n\n".join(
        [
            "\n".join(f"- {line}" for line in facts.brief(config, results)),
            f"{_family(config).text}; {method_text(config, results)}. It predicts {predicts}.",
            "\n".join(f"- `{name}`: {_variant(name, config, results, facts)}." for name in config.variants),
            f"**For:** {task.purpose} It was trained on {task.trained_on(config.domain)}.",
            f"**Not for:** {task.not_for}",
        ]
    )


def _variant(name: str, config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset) -> str:
    """Return what a variant is, in a few words."""
    if name == "partial":
        kind, *_ = facts.exact(config).split()
        return f"with its branches, at the γ of {kept_weights(config, results, name)}; not exactly {kind}"
    exact = f"exactly {facts.exact(config)}"
    if strict(results):
        return f"{exact}; there are no relaxed layers"
    if needs_its_terms(results):
        return f"without its branches (γ = 0): {exact}, but of no use here, see Limitations"
    return f"without branches (γ = 0): {exact}, as cheap as the plain network"


def _data(config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset) -> str:
    source = facts.source(config)
    known = {"train": "training", "valid": "validation", "test": "test"}
    parts = [f"{results['counts'][key]:,} {label}" for key, label in known.items()]
    lines = [
        f"Source: [{source.name}]({source.url}); licence: {source.licence}",
        f"Split: {facts.split(config, results)}",
        f"{facts.sample.capitalize()}s: {', '.join(parts)}",
        f"SHA-256 of the training data: `{results['provenance']['data_sha256']}`",
        *facts.notes(config, results),
    ]
    return f"## Data\n\n{facts.text}\n\n" + "\n".join(f"- {line}" for line in lines)


def _limitations(config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset, task: Task) -> str:
    lines = [
        task.beyond(config.domain),
        *facts.limits,
        *_family(config).limits,
        *method_facts(results).limits,
        *facts.unlike(config, results),
    ]
    if "partial" in config.variants:
        kind, *_ = facts.exact(config).split()
        lines.append(f"`partial` is not exactly {kind}: {facts.trust(config, results) or task.partial}")
        if needs_its_terms(results):
            lines.append(_needed(config, results))
    if spread(results, next(iter(config.variants)), config.targets[0].name) is None:
        lines.append("One seed: the spread between seeds was not measured.")
    if calibration_of(results).keys() - {"given"}:
        lines.append(
            "With made geometries the errors are those of the table above, not those of the test set."
        )
    return "## Limitations\n\n" + "\n".join(f"- {line}" for line in lines)


def _needed(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Say that a network is of no use without its branches, and what is better than that without a model."""
    error = results["variants"]["equivariant"]["score"]
    better = [name for name, other in results.get("baselines", {}).items() if other < error]
    worse = f" (worse than {' and than '.join(better)}, without a model)" if better else ""
    return (
        f"The network was trained to keep its branches, and without them it is of no use{worse}: the "
        "`equivariant` variant shows what they do. For an equivariant network take one that was trained with "
        "`ace-equality` or without relaxed layers."
    )


def _citation(
    config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset, published: Published | None
) -> str:
    cited = (*method_facts(results).papers, *_family(config).papers, *facts.papers)
    keys = dict.fromkeys((*((published.cite,) if published else ()), *cited))
    return (
        "## Licence and citation\n\nCode and weights: MIT.\n\n```bibtex\n"
        + "\n\n".join(BIBTEX[key] for key in keys)
        + "\n```"
    )

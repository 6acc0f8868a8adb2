"""A model card from a checkpoint's ``config.json`` and ``results.json``: front matter and sections."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import yaml

from equizoo.hub.card_bibtex import BIBTEX
from equizoo.hub.card_datasets import check_units, dataset_of, published_for
from equizoo.hub.card_facts import Dataset, Facts, find
from equizoo.hub.card_geometries import calibration_of, geometries
from equizoo.hub.card_measured import count, errors, symmetry, timing
from equizoo.hub.card_models import FAMILIES, METHODS
from equizoo.hub.card_published import Published
from equizoo.hub.card_tables import number
from equizoo.hub.card_tasks import TASKS, Task
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.errors import CheckpointError
from equizoo.hub.results import method_key, needs_its_terms, spread, test_errors

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
        _usage(config, results, task),
        _data(config, results, facts),
        _training(config, results),
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


def _method(results: Mapping[str, Any]) -> Facts:
    return find(METHODS, method_key(results), "method", "card_models")


def _what(config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset, task: Task) -> str:
    variants = {
        "equivariant": "- `equivariant`: every γ is 0; exactly equivariant, as cheap as the plain network.",
        "partial": "- `partial`: with the γ that training left; more flexible, not exactly equivariant.",
    }
    about = ", ".join(filter(None, (facts.part(config.domain), facts.setting_name(config))))
    title = f"{facts.title} ({about})" if about else facts.title
    targets = task.predicts or count(len(config.targets), "target")
    one = f": {config.targets[0].description}" if len(config.targets) == 1 else ""
    return "\n\n".join(
        [
            f"{_family(config).text}; {_method(results).text}. It predicts {targets} of {title}{one}.",
            "\n".join(variants[variant] for variant in config.variants),
            f"**For:** {task.purpose} It was trained on {task.trained_on(config.domain)}.",
            f"**Not for:** {task.not_for}",
        ]
    )


def _usage(config: CheckpointConfig, results: Mapping[str, Any], task: Task) -> str:
    variant = "" if "partial" not in config.variants else '  # or variant="partial"'
    chosen = ', variant="partial"' if needs_its_terms(results) else ""
    variant = "" if chosen else variant
    imports = "equizoo, torch" if "torch" in task.pipeline else "equizoo"
    return f"""## Use

```python
import {imports}
predict = equizoo.pipeline("{config.task}", model="{config.name}"{chosen})
{task.pipeline}
```

```python
import equizoo, torch
model = equizoo.from_pretrained("{config.name}"{chosen}){variant}
{task.model}
```

Inputs of the model:

{chr(10).join(f"- {line}" for line in task.inputs)}

Output: {task.output(config)}"""


def _data(config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset) -> str:
    source = next(iter(importlib.import_module(facts.sources).SOURCES.values()))
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


def _training(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    others = [str(run["seed"]) for run in results.get("seeds", []) if run["seed"] != results["seed"]]
    runs = f"the same recipe was run with {', '.join(others)} too" if others else "one run"
    cost, lines = results.get("cost"), [f"- Seed: {results['seed']} ({runs})"]
    if cost:
        lines.append(
            f"- Length: {count(cost['epoch'], 'epoch')}, {cost['step']:,} steps ({cost['status']}); "
            f"{number(cost['cpu_hours'])} CPU-hours"
        )
    part = " of the last part" if (cost or {}).get("parts", 1) > 1 else ""
    for variant in config.variants:
        best = results["variants"][variant].get("best", {})
        if "epoch" in best:
            lines.append(f"- Weights of `{variant}`: best validation score, epoch {best['epoch']:g}{part}")
    if results.get("half"):
        lines.append("- Large parameters are stored in half precision; every figure was measured with them")
    versions = ", ".join(f"{name} {version}" for name, version in results["provenance"]["versions"].items())
    lines.append(f"- Measured with {versions}")
    return f"## Training\n\n```bash\n{config.training.command}\n```\n\n" + "\n".join(lines)


def _limitations(config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset, task: Task) -> str:
    lines = [
        task.beyond(config.domain),
        *facts.limits,
        *_family(config).limits,
        *_method(results).limits,
        *facts.unlike(config, results),
    ]
    if "partial" in config.variants:
        lines.append(f"`partial` is not exactly equivariant: {task.partial}")
        if needs_its_terms(results):
            lines.append(
                "The network was trained to keep its terms, and projected it is of no use: the `equivariant` "
                "variant shows what they do. For an equivariant network take one that was trained with "
                "`ace-equality` or without relaxed layers."
            )
    if spread(results, next(iter(config.variants)), config.targets[0].name) is None:
        lines.append("One seed: the spread between seeds was not measured.")
    if calibration_of(results).keys() - {"given"}:
        lines.append(
            "With made geometries the errors are those of the table above, not those of the test set."
        )
    return "## Limitations\n\n" + "\n".join(f"- {line}" for line in lines)


def _citation(
    config: CheckpointConfig, results: Mapping[str, Any], facts: Dataset, published: Published | None
) -> str:
    cited = (*_method(results).papers, *_family(config).papers, *facts.papers)
    keys = dict.fromkeys((*((published.cite,) if published else ()), *cited))
    return (
        "## Licence and citation\n\nCode and weights: MIT.\n\n```bibtex\n"
        + "\n\n".join(BIBTEX[key] for key in keys)
        + "\n```"
    )

"""A model card from a checkpoint's ``config.json`` and ``results.json``: front matter and sections."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import yaml

from equizoo.hub.card_facts import BIBTEX, DATASETS, FAMILIES, METHODS, TASKS, Published, find
from equizoo.hub.card_measured import (
    calibration_of,
    count,
    errors,
    geometries,
    relative_energies,
    split_of,
    symmetry,
    timing,
)
from equizoo.hub.card_tables import check_units, number
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.errors import CheckpointError

WRITTEN = (
    "<!-- Written by `python -m equizoo.hub.cards` from config.json and results.json; edits are lost. -->"
)
PublishedTables = Mapping[str, Mapping[str, Published]]


def render_card(config: CheckpointConfig, results: Mapping[str, Any], published: PublishedTables) -> str:
    """Return the model card of a checkpoint.

    Args:
        config: Its ``config.json``.
        results: Its ``results.json``, as :func:`equizoo.training.publish.publish` writes it.
        published: Published figures, see :func:`equizoo.hub.card_facts.read_published`.

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
    table = published.get(config.dataset, {}).get(config.family)
    if table is not None:
        check_units(config, table)
    sections = [
        _what(config),
        _usage(config),
        _data(config, results),
        _training(config, results),
        errors(config, results, table),
        geometries(config, results),
        symmetry(config, results),
        timing(config, results),
        _limitations(config, results),
        _citation(config, table),
    ]
    return "\n\n".join([front_matter(config, results) + WRITTEN, f"# {config.name}", *sections]) + "\n"


def front_matter(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return the YAML block at the head of a card, between its ``---`` lines."""
    from huggingface_hub import EvalResult, ModelCardData

    metric = results["metric"]
    evaluations = [
        EvalResult(
            task_type="graph-ml",
            task_name=config.task,
            dataset_type=config.dataset,
            dataset_name=config.dataset.upper(),
            dataset_split=results["split"],
            metric_type=metric.lower(),
            metric_name=f"{metric} of {target.name} [{target.unit}], {variant}",
            metric_value=float(f"{results['variants'][variant]['mae'][target.name]:.4g}"),
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


def _check(config: CheckpointConfig, results: Mapping[str, Any]) -> None:
    if results["name"] != config.name or results["split"] != "test":
        raise CheckpointError(
            f"results.json of {config.name!r} is of {results['name']!r} on {results['split']!r}; it must be "
            "of the checkpoint on 'test'"
        )
    if results["data"].get("synthetic"):
        raise CheckpointError(f"{config.name!r} was trained on made-up samples, not on {config.dataset}")
    for variant in config.variants:
        measured = results["variants"].get(variant, {}).get("mae", {})
        missing = [target.name for target in config.targets if target.name not in measured]
        if missing:
            raise CheckpointError(
                f"results.json of {config.name!r} has no error of {', '.join(missing)} for {variant!r}; "
                "evaluate it"
            )


def _what(config: CheckpointConfig) -> str:
    task = find(TASKS, config.task, "task")
    family, method = find(FAMILIES, config.family, "family"), find(METHODS, config.method, "method")
    variants = {
        "equivariant": "- `equivariant`: every γ is 0; exactly equivariant, as cheap as the plain network.",
        "partial": "- `partial`: with the γ that training left; more flexible, not exactly equivariant.",
    }
    domain = config.domain
    return "\n\n".join(
        [
            f"{family.text}; {method.text}. It predicts {count(len(config.targets), 'target')} of "
            f"{config.dataset.upper()}.",
            "\n".join(variants[variant] for variant in config.variants),
            f"**For:** {task.purpose} It was trained on molecules of {', '.join(domain.elements)} with up to "
            f"{domain.max_heavy_atoms} heavy atoms; the pipeline refuses other elements and flags larger "
            "molecules.",
            f"**Not for:** {task.not_for}",
        ]
    )


def _usage(config: CheckpointConfig) -> str:
    task = find(TASKS, config.task, "task")
    variant = "" if "partial" not in config.variants else '  # or variant="partial"'
    shape = f"(B, {len(config.targets)})"
    outputs = [f"- {i}: `{t.name}` [{t.unit}], {t.description}" for i, t in enumerate(config.targets)]
    return f"""## Use

```python
import equizoo
predict = equizoo.pipeline("{config.task}", model="{config.name}")
print(predict({task.example})["properties"])
```

```python
import equizoo, torch
model = equizoo.from_pretrained("{config.name}"){variant}
y = model({task.arguments})
```

Inputs of the model:

{chr(10).join(f"- {line}" for line in task.inputs)}

Output: `{shape}`, in this order:

{chr(10).join(outputs)}"""


def _data(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    facts = find(DATASETS, config.dataset, "data set")
    source = next(iter(importlib.import_module(facts.sources).SOURCES.values()))
    known = {"train": "training", "valid": "validation", "test": "test"}
    parts = [f"{results['counts'][key]:,} {label}" for key, label in known.items()]
    return f"""## Data

{facts.text}

- Source: [{source.name}]({source.url}); licence: {source.licence}
- Split: {split_of(config, results)}
- Molecules: {", ".join(parts)}
- SHA-256 of the training data: `{results["provenance"]["data_sha256"]}`{_energies(config, results)}"""


def _energies(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    relative = relative_energies(config, results)
    if not relative:
        return ""
    return (
        f"\n- Energies: the model predicts {', '.join(relative)} relative to free atoms; the pipeline adds "
        "the free atoms in float64 and returns both"
    )


def _training(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    cost, lines = results.get("cost"), [f"- Seed: {results['seed']} (one run)"]
    if cost:
        lines.append(
            f"- Length: {count(cost['epoch'], 'epoch')}, {cost['step']:,} steps ({cost['status']}); "
            f"{number(cost['cpu_hours'])} CPU-hours"
        )
    for variant in config.variants:
        best = results["variants"][variant].get("best", {})
        if "epoch" in best:
            lines.append(f"- Weights of `{variant}`: best validation score, epoch {best['epoch']:g}")
    versions = ", ".join(f"{name} {version}" for name, version in results["provenance"]["versions"].items())
    lines.append(f"- Measured with {versions}")
    return f"## Training\n\n```bash\n{config.training.command}\n```\n\n" + "\n".join(lines)


def _limitations(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    facts = (find(DATASETS, config.dataset, "data set"), find(FAMILIES, config.family, "family"))
    domain, calibration = config.domain, calibration_of(results)
    lines = [
        f"Its errors were not measured outside {', '.join(domain.elements)} and up to "
        f"{domain.max_heavy_atoms} heavy atoms.",
        *(limit for fact in facts for limit in fact.limits),
        "One seed: the spread between seeds was not measured.",
    ]
    if calibration.keys() - {"given"}:
        lines.append(
            "With made geometries the errors are those of the table above, not those of the test set."
        )
    return "## Limitations\n\n" + "\n".join(f"- {line}" for line in lines)


def _citation(config: CheckpointConfig, published: Published | None) -> str:
    facts = (METHODS[config.method], FAMILIES[config.family], DATASETS[config.dataset])
    keys = dict.fromkeys(
        (*((published.cite,) if published else ()), *(key for fact in facts for key in fact.papers))
    )
    return (
        "## Licence and citation\n\nCode and weights: MIT.\n\n```bibtex\n"
        + "\n\n".join(BIBTEX[key] for key in keys)
        + "\n```"
    )

"""A model card from a checkpoint's ``config.json`` and ``results.json``: front matter and sections."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from equizoo.hub import card_tables as tables
from equizoo.hub.card_facts import BIBTEX, DATASETS, FAMILIES, METHODS, TASKS, Published, find
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.errors import CheckpointError

WRITTEN = "<!-- Written by `python -m equizoo.hub.cards` from config.json and results.json; edits are lost. -->"
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
        tables.check_units(config, table)
    sections = [
        _what(config),
        _usage(config),
        _data(config, results),
        _training(config, results),
        _errors(config, results, table),
        _geometries(config, results),
        _symmetry(config, results),
        _time(config, results),
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
    return f"---\n{data.to_yaml()}\n---\n"


def _check(config: CheckpointConfig, results: Mapping[str, Any]) -> None:
    if results["name"] != config.name or results["split"] != "test":
        raise CheckpointError(
            f"results.json of {config.name!r} is of {results['name']!r} on {results['split']!r}; it must be of the "
            "checkpoint on 'test'"
        )
    if results["data"].get("synthetic"):
        raise CheckpointError(f"{config.name!r} was trained on made-up samples, not on {config.dataset}")
    for variant in config.variants:
        measured = results["variants"].get(variant, {}).get("mae", {})
        missing = [target.name for target in config.targets if target.name not in measured]
        if missing:
            raise CheckpointError(
                f"results.json of {config.name!r} has no error of {', '.join(missing)} for {variant!r}; evaluate it"
            )


def _what(config: CheckpointConfig) -> str:
    task = find(TASKS, config.task, "task")
    family, method = find(FAMILIES, config.family, "family"), find(METHODS, config.method, "method")
    variants = {
        "equivariant": "- `equivariant`: every γ set to 0; exactly equivariant, at the cost of the plain network.",
        "partial": "- `partial`: with the γ that training left; more flexible, not exactly equivariant.",
    }
    domain = config.domain
    return "\n\n".join(
        [
            f"{family.text}; {method.text}. It predicts {_count(len(config.targets), 'target')} of "
            f"{config.dataset.upper()}.",
            "\n".join(variants[variant] for variant in config.variants),
            f"**For:** {task.purpose} It was trained on molecules of {', '.join(domain.elements)} with up to "
            f"{domain.max_heavy_atoms} heavy atoms; the pipeline refuses other elements and flags larger molecules.",
            f"**Not for:** {task.not_for}",
        ]
    )


def _usage(config: CheckpointConfig) -> str:
    task = find(TASKS, config.task, "task")
    variant = "" if "partial" not in config.variants else '  # or variant="partial"'
    shape = f"(B, {len(config.targets)})"
    outputs = [f"  - {i}: `{t.name}` [{t.unit}], {t.description}" for i, t in enumerate(config.targets)]
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
    seed = results["data"].get("split_seed")
    seed = results["seed"] if seed == "run" else seed
    split = facts.standard_split if seed is None else f"shuffled 80/10/10 with seed {seed}"
    counts = {"test": results["n"], **results.get("counts", {})}
    given = _calibration(results).get("given")
    if given:
        counts.setdefault("valid", given["n"])
    known = {"train": "training", "valid": "validation", "test": "test"}
    parts = [f"{counts[key]:,} {label}" if key in counts else f"{label}: not recorded" for key, label in known.items()]
    return f"""## Data

{facts.text}

- Source: [{source.name}]({source.url}); licence: {source.licence}
- Split: {split}
- Molecules: {", ".join(parts)}
- SHA-256 of the training molecules and targets: `{results["provenance"]["data_sha256"]}`{_energies(results)}"""


def _energies(results: Mapping[str, Any]) -> str:
    if results["data"].get("energies") != "atomization":
        return ""
    return (
        "\n- Energies: U0, U, H and G are relative to free atoms (what `model(…)` returns); the pipeline adds the free "
        "atoms in float64 and returns both"
    )


def _training(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    cost, lines = results.get("cost"), [f"- Seed: {results['seed']} (one run)"]
    if cost:
        lines.append(
            f"- Length: {cost['epoch']} epochs, {cost['step']:,} steps ({cost['status']}); "
            f"{tables.number(cost['cpu_hours'])} CPU-hours"
        )
    for variant in config.variants:
        best = results["variants"][variant].get("best", {})
        if "epoch" in best:
            lines.append(f"- Weights of `{variant}`: best validation score, epoch {best['epoch']:g}")
    versions = ", ".join(f"{name} {version}" for name, version in results["provenance"]["versions"].items())
    lines.append(f"- Measured with {versions}")
    return f"## Training\n\n```bash\n{config.training.command}\n```\n\n" + "\n".join(lines)


def _errors(config: CheckpointConfig, results: Mapping[str, Any], published: Published | None) -> str:
    parts = [
        f"## Errors\n\n{results['metric']} on {results['n']:,} test molecules, at the geometries of the data set.",
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
        "**Not the same experiment.** Published: mean ± deviation of "
        f"{published.seeds} seeds, {published.models}, {published.epochs:,} epochs on {published.train_molecules:,} "
        f"training molecules, {published.split}, {published.energies} energies. Here: one seed, one model for "
        f"{_count(len(targets), 'target')}, and the split, length and energies above, so the test molecules are not "
        "the same either.",
        f"The `equivariant` variant is below the mean of {best.label} on {len(lower)} of {len(targets)} targets.",
    ]
    energies = [name for name in targets if name in ("U0", "U", "H", "G")]
    if energies and results["data"].get("energies") == "atomization" and published.energies == "total":
        notes.append(
            f"{', '.join(energies)}: the published models had to learn an offset of about −10⁴ eV, this one did not; "
            "these rows compare recipes, not methods."
        )
    return "\n\n".join([*parts, *notes])


def _geometries(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    calibration = _calibration(results)
    if not calibration:
        return "## Geometries and intervals\n\nNot measured: this checkpoint has no calibration, so no intervals."
    counts = []
    for source, figures in calibration.items():
        refused = figures.get("refused")
        left = "" if source == "given" else f", {'an unrecorded number' if refused is None else refused} left out"
        counts.append(
            f"- {tables.GEOMETRY_LABELS[source]}: calibrated on {figures['n']:,}, tested on "
            f"{figures['n_test']:,} molecules{left}"
        )
    share = "/".join(sorted({f"{100 * figures['coverage']:g}" for figures in calibration.values()}))
    return "\n\n".join(
        [
            "## Geometries and intervals",
            "A molecule that comes as SMILES has no reference geometry. Test MAE of the `equivariant` variant when the "
            "geometry is made with MMFF94 or GFN2-xTB instead (in brackets, the factor to the reference geometry; the "
            "targets stay those of the reference geometry):",
            tables.geometry_table(config, calibration),
            "\n".join(counts),
            "Molecules for which no geometry could be made are left out. Made geometries are tested on a random part "
            "of the test molecules, so the factors carry some sampling error.",
            f"Intervals at {share} %, split-conformal: half width from validation molecules, and in brackets the share "
            "of test molecules whose true value lies inside. They hold for molecules like those of the data set only.",
            tables.interval_table(config, calibration),
        ]
    )


def _symmetry(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    parts = [
        "## Symmetry",
        "Equivariance error on random test molecules, mean (largest) norm of f(g·x) − g·f(x) over the targets, in "
        "standard deviations of the targets. What the `equivariant` variant shows is round-off.",
        tables.symmetry_table(config, results),
    ]
    partial = config.variants.get("partial")
    if partial is not None:
        gamma = {**{name: 0.0 for name in partial.folded}, **(partial.gamma or {})}
        rows = [
            [f"`{name}`", "term dropped" if name in partial.folded else "kept", tables.number(gamma[name])]
            for name in sorted(gamma)
        ]
        parts += ["γ of each layer of the `partial` variant:", tables.table(["layer", "branch", "γ"], rows)]
        if results["variants"]["partial"]["gamma"].keys() != (partial.gamma or {}).keys():
            parts.append("The figures of `partial` on this card were measured before the negligible terms were dropped.")
    return "\n\n".join(parts)


def _time(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    threads = _count(results["threads"], "thread")
    return f"## Time\n\nMedian forward pass on a CPU with {threads}.\n\n{tables.time_table(config, results)}"


def _limitations(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    facts = (find(DATASETS, config.dataset, "data set"), find(FAMILIES, config.family, "family"))
    domain, calibration = config.domain, _calibration(results)
    lines = [
        f"Nothing is known about its errors outside {', '.join(domain.elements)} and "
        f"{domain.max_heavy_atoms} heavy atoms; they grow with size.",
        *(limit for fact in facts for limit in fact.limits),
        "One seed: the spread between seeds was not measured.",
    ]
    if calibration.keys() - {"given"}:
        lines.append("With made geometries the errors are those of the table above, not those of the test set.")
    return "## Limitations\n\n" + "\n".join(f"- {line}" for line in lines)


def _citation(config: CheckpointConfig, published: Published | None) -> str:
    facts = (METHODS[config.method], FAMILIES[config.family], DATASETS[config.dataset])
    keys = dict.fromkeys((*(("ace",) if published else ()), *(key for fact in facts for key in fact.papers)))
    return "## Citation\n\n```bibtex\n" + "\n\n".join(BIBTEX[key] for key in keys) + "\n```"


def _calibration(results: Mapping[str, Any]) -> dict[str, Any]:
    return dict(results.get("calibration", {}).get("equivariant", {}))


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"

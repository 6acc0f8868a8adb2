"""The blocks between markers in the repository's ``README.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from equizoo.hub.card_datasets import DATASETS, dataset_of, published_for
from equizoo.hub.card_published import Published
from equizoo.hub.marked import fill
from equizoo.hub.readme_tables import Checkpoint, zoo_table
from equizoo.hub.results import spread

MARKERS = tuple(f"results:{dataset}" for dataset in DATASETS)
"""Names of the blocks, each with the checkpoints of one data set."""


def fill_readme(
    text: str, checkpoints: Sequence[Checkpoint], published: Mapping[str, Mapping[str, Published]]
) -> str:
    """Return the README with every marked block as it should be.

    Args:
        text: The README.
        checkpoints: ``config.json`` and ``results.json`` of every checkpoint.
        published: Published figures, see :func:`equizoo.hub.card_published.read_published`.

    Raises:
        EquizooError: A marker is missing or there twice.
    """
    blocks = (_results(dataset, checkpoints, published) for dataset in DATASETS)
    return fill(text, dict(zip(MARKERS, blocks, strict=True)), "README.md")


def _results(
    dataset: str, checkpoints: Sequence[Checkpoint], published: Mapping[str, Mapping[str, Published]]
) -> str:
    facts = DATASETS[dataset]
    groups: dict[tuple[str, str], list[Checkpoint]] = {}
    for config, results in checkpoints:
        if config.dataset == dataset:
            about = ", ".join(filter(None, (facts.part(config.domain), facts.setting_name(config))))
            groups.setdefault((config.family, about), []).append((config, results))
    blocks = []
    for (_, about), members in groups.items():
        known = published_for(members[0][0], published)
        title = [f"{facts.title}, {about}:"] if about else []
        blocks += [*title, zoo_table(members, known, facts), _source(members, known), *facts.tables(members)]
    return "\n\n".join([f"### {facts.title}", *blocks]) if blocks else ""


def _source(members: Sequence[Checkpoint], published: Published | None) -> str:
    several = any(
        spread(results, variant, target.name)
        for config, results in members
        for variant in ("equivariant", "partial")
        for target in config.targets
    )
    facts = dataset_of(members[0][0])
    by_checkpoint = facts.by_checkpoint({target.name for config, _ in members for target in config.targets})
    ours = "" if by_checkpoint else "γ = 0, "
    seeds = "mean ± deviation where there are several seeds, else one seed" if several else "one seed"
    if published is None:
        return f"Checkpoints: {ours}{seeds}."
    length = f"{published.lengths()}, " if by_checkpoint else ""
    return (
        f"Checkpoints: {ours}{seeds}. Published: {published.authors}, "
        f"[{published.paper}]({published.url}), {published.table}, mean ± deviation of {published.seeds} "
        f"seeds, {length}{published.models}, {published.split}. The protocols differ; the cards say how."
    )

"""The blocks between markers in the repository's ``README.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from equizoo.hub.assignments import assignments_table
from equizoo.hub.card_datasets import DATASETS, dataset_of, published_for
from equizoo.hub.card_published import Published
from equizoo.hub.errors import EquizooError
from equizoo.hub.paper_protocol import protocol_table
from equizoo.hub.readme_tables import Checkpoint, zoo_table
from equizoo.hub.results import spread
from equizoo.hub.samples import samples_table
from equizoo.hub.worlds import worlds_table

MARKERS = (*(f"results:{dataset}" for dataset in DATASETS), "assignments", "samples", "worlds", "protocol")
"""Names of the blocks; ``results:…`` has the checkpoints of one data set."""


def fill_readme(
    text: str,
    checkpoints: Sequence[Checkpoint],
    published: Mapping[str, Mapping[str, Published]],
    reports: Path,
) -> str:
    """Return the README with every marked block as it should be.

    Args:
        text: The README.
        checkpoints: ``config.json`` and ``results.json`` of every checkpoint.
        published: Published figures, see :func:`equizoo.hub.card_published.read_published`.
        reports: Folder that holds ``assignments``, ``samples``, ``worlds`` and ``paper_protocol``.

    Raises:
        EquizooError: A marker is missing or there twice, or a report is not in order.
    """
    for dataset in DATASETS:
        text = _marked(text, f"results:{dataset}", _results(dataset, checkpoints, published))
    text = _marked(text, "assignments", _assignments(reports / "assignments"))
    text = _marked(text, "samples", _samples(reports / "samples"))
    text = _marked(text, "worlds", _worlds(reports / "worlds"))
    return _marked(text, "protocol", protocol_table(reports / "paper_protocol", published))


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
        blocks += [*title, zoo_table(members, known, facts), _source(members, known)]
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
    length = f"{published.epochs:,} epochs, " if by_checkpoint else ""
    return (
        f"Checkpoints: {ours}{seeds}. Published: {published.authors}, "
        f"[{published.paper}]({published.url}), {published.table}, mean ± deviation of {published.seeds} "
        f"seeds, {length}{published.models}, {published.split}. The protocols differ; the cards say how."
    )


def _assignments(folder: Path) -> str:
    found = assignments_table(folder)
    if not found:
        return ""
    return (
        "### Random assignments of walks\n\nWhich recordings the published sets of the walking body hold is "
        "assumed. The same recipes with the recordings assigned at random (a column an assignment, named by "
        f"its seed), one seed of the network.\n\n{found}"
    )


def _samples(folder: Path) -> str:
    found = samples_table(folder)
    if not found:
        return ""
    return (
        "### Sample efficiency\n\nTest error with every γ at 0 by the number of training systems; one seed, "
        f"short budgets.\n\n{found}"
    )


def _worlds(folder: Path) -> str:
    found = worlds_table(folder)
    if not found:
        return ""
    return (
        "### Broken worlds\n\nThe same kind of systems in a world that adds something whose symmetry is "
        "known, over the frames that are stated, and not turned in training: these errors do not compare "
        "with those above. A method has to find out by itself how much symmetry is left: γ returns to 0 "
        "where all of it is, and the branch lowers the error where some is lost. One seed a row; `strict / "
        "branch on` is the error of the strictly equivariant model of the same world and budget over that of "
        "the partial variant. Positions are centred, but for worlds with a floor, whose height would be "
        "lost.\n\n"
        f"{found}"
    )


def _marked(text: str, name: str, block: str) -> str:
    opening, closing = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, begin, rest = text.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end or opening in rest or closing in after:
        raise EquizooError(f"README.md must have {opening} and, after it, {closing}, once each")
    return f"{before}{begin}\n{block + chr(10) if block else ''}{end}{after}"

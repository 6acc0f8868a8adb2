"""Tables of conformer models beside what RDKit makes of the same molecules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from equizoo.hub.card_facts import best_variant
from equizoo.hub.card_models import method_place
from equizoo.hub.card_tables import MISSING, table
from equizoo.hub.readme_tables import Checkpoint, link
from equizoo.hub.results import method_key

FORCE_FIELD = "ETKDG + MMFF94"
#: Means over molecules: key, head, factor and digits; the medians stand in brackets.
FIGURES = (
    ("cov_r", "COV-R [%]", 100.0, 1),
    ("amr_r", "AMR-R [Å]", 1.0, 3),
    ("cov_p", "COV-P [%]", 100.0, 1),
    ("amr_p", "AMR-P [Å]", 1.0, 3),
)


def cells(row: Mapping[str, Any]) -> list[str]:
    """Return a cell for each of :data:`FIGURES`: the mean, and the median in brackets.

    Args:
        row: Figures of one way to make conformers, see ``ensembles`` of a ``results.json``.
    """
    return [
        f"{factor * row[key]['mean']:.{digits}f} ({factor * row[key]['median']:.{digits}f})"
        for key, _, factor, digits in FIGURES
    ]


def ensemble_tables(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """Return, for each set of molecules, RDKit's ways and the flows of all checkpoints, a row each.

    Args:
        checkpoints: ``config.json`` and ``results.json`` of each.

    Returns:
        A sentence and a Markdown table in turn; nothing for sets that no checkpoint was measured on. The
        rows of RDKit are those of the first checkpoint that was: all are given the same embeddings.
    """
    measured = [one for one in checkpoints if one[1].get("ensembles")]
    measured.sort(key=lambda one: method_place(method_key(one[1])))
    titles = dict.fromkeys(part["title"] for _, results in measured for part in results["ensembles"]["sets"])
    return [text for title in titles for text in _one_set(title, measured)]


def _one_set(title: str, measured: Sequence[Checkpoint]) -> list[str]:
    about, body = "", dict[str, list[str]]()
    for config, results in measured:
        parts = {one["title"]: one for one in results["ensembles"]["sets"]}
        if title not in parts:
            continue
        relaxed = {one["title"]: one for one in results["ensembles"].get("validity", ())}
        part, validity = parts[title], relaxed.get(title, {"rows": {}})
        about = about or _about(part, validity)
        names = {way: f"{way}, no model" for way in part["rows"] if not way.startswith("`")}
        names[f"`{best_variant(config, results)}`"] = link(config)
        for way, name in names.items():
            body.setdefault(name, [name, *_figures(way, part["rows"], validity["rows"])])
    head = ["mean (median)", *(title for _, title, _, _ in FIGURES), "strain [kcal/mol]", "time"]
    without = [i for i, name in enumerate(head) if all(row[i] == MISSING for row in body.values())]
    shown = [[cell for i, cell in enumerate(row) if i not in without] for row in (head, *body.values())]
    return [about, table(shown[0], shown[1:])]


def _figures(way: str, rows: Mapping[str, Any], relaxed: Mapping[str, Any]) -> list[str]:
    """Return the figures of one way, its strain and its time, dashes for what was not measured."""
    energy, of = relaxed.get(way, {}).get("energy"), rows.get(FORCE_FIELD)
    strain = f"{energy['strain']['mean']:.1f}" if energy else MISSING
    time = f"{rows[way]['seconds'] / of['seconds']:.1f}" if of else MISSING
    return [*cells(rows[way]), strain, time]


def _about(part: Mapping[str, Any], validity: Mapping[str, Any]) -> str:
    relaxed = any("energy" in row for row in validity["rows"].values())
    strain = f"strain that GFN2-xTB takes off, of {validity['molecules']:,}; " if relaxed else ""
    return (
        f"{part['title']} ({part['molecules']:,}), from new embeddings; COV at {part['threshold']:g} Å; "
        f"{strain}time a conformer on one thread, with that of the start, over that of {FORCE_FIELD} in the "
        "same run:"
    )

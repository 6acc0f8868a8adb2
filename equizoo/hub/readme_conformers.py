"""Tables for the README of conformer models beside what RDKit makes of the same molecules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from equizoo.hub.card_facts import best_variant
from equizoo.hub.card_models import method_place
from equizoo.hub.card_tables import MISSING, table
from equizoo.hub.config import CheckpointConfig
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


def ensemble_tables(checkpoints: Sequence[tuple[CheckpointConfig, Mapping[str, Any]]]) -> list[str]:
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


def _one_set(title: str, measured: Sequence[tuple[CheckpointConfig, Mapping[str, Any]]]) -> list[str]:
    body: dict[str, list[str]] = {}
    about = ""
    for config, results in measured:
        ensembles = results["ensembles"]
        part = next((part for part in ensembles["sets"] if part["title"] == title), None)
        if part is None:
            continue
        relaxed = {one["title"]: one for one in ensembles.get("validity", ())}
        validity = relaxed.get(title, {"rows": {}})
        about = about or _about(part, validity)
        mine = f"`{best_variant(config, results)}`"
        for way, row in part["rows"].items():
            if not way.startswith("`"):
                name = f"{way}, no model"
            elif way == mine:
                name = f"[{config.name}](model_cards/{config.name}.md)"
            else:
                continue
            energy = validity["rows"].get(way, {}).get("energy")
            strain = f"{energy['strain']['mean']:.1f}" if energy else MISSING
            of = part["rows"].get(FORCE_FIELD)
            time = f"{row['seconds'] / of['seconds']:.1f}" if of else MISSING
            body.setdefault(name, [name, *cells(row), strain, time])
    head = ["mean (median)", *(title for _, title, _, _ in FIGURES), "strain [kcal/mol]", "time"]
    without = [i for i, name in enumerate(head) if all(row[i] == MISSING for row in body.values())]
    shown = [[cell for i, cell in enumerate(row) if i not in without] for row in (head, *body.values())]
    return [about, table(shown[0], shown[1:])]


def _about(part: Mapping[str, Any], validity: Mapping[str, Any]) -> str:
    relaxed = any("energy" in row for row in validity["rows"].values())
    strain = f"strain that GFN2-xTB takes off, of {validity['molecules']:,}; " if relaxed else ""
    return (
        f"{part['title']} ({part['molecules']:,}), from new embeddings; COV at {part['threshold']:g} Å; "
        f"{strain}time a conformer on one thread, with that of the start, over that of {FORCE_FIELD} in the "
        "same run:"
    )

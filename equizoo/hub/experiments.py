"""The tables of ``model_cards/README.md``: runs that are not checkpoints.

What is kept of each is the JSON that ``equizoo evaluate`` wrote, in a folder of ``model_cards`` with the name
of the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from equizoo.hub.assignments import assignments_table
from equizoo.hub.card_published import Published
from equizoo.hub.dropped_points import dropped_points_table
from equizoo.hub.marked import fill
from equizoo.hub.paper_protocol import protocol_table
from equizoo.hub.samples import samples_table
from equizoo.hub.worlds import worlds_table

TABLES = {
    "worlds": worlds_table,
    "samples": samples_table,
    "assignments": assignments_table,
    "dropped_points": dropped_points_table,
}
MARKERS = (*TABLES, "paper_protocol")
"""Names of the blocks."""


def fill_experiments(text: str, published: Mapping[str, Mapping[str, Published]], reports: Path) -> str:
    """Return the page of experiments with every marked block as it should be.

    Args:
        text: The page.
        published: Published figures, see :func:`equizoo.hub.card_published.read_published`.
        reports: Folder that holds a folder a block.

    Raises:
        EquizooError: A marker is missing or there twice, or a report is not in order.
    """
    blocks = {name: write(reports / name) for name, write in TABLES.items()}
    blocks["paper_protocol"] = protocol_table(reports / "paper_protocol", published)
    return fill(text, blocks, "model_cards/README.md")

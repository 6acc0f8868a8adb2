"""The section of a molecular model's card on kinds of geometry, and on intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from equizoo.hub.card_tables import number, table
from equizoo.hub.config import GEOMETRIES, CheckpointConfig

GEOMETRY_LABELS = {"given": "reference geometry", "mmff": "MMFF94", "xtb": "GFN2-xTB"}


def geometries(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return the section on errors by kind of geometry, and on the intervals."""
    calibration = calibration_of(results)
    if not calibration:
        return (
            "## Geometries and intervals\n\nNot measured: there is no calibration, so there are no intervals."
        )
    counts = []
    for source, figures in calibration.items():
        left = "" if source == "given" else f", refused {figures['refused']}"
        counts.append(
            f"- {GEOMETRY_LABELS[source]}: calibrated on {figures['n']:,}, tested on "
            f"{figures['n_test']:,} molecules{left}"
        )
    share = "/".join(sorted({f"{100 * figures['coverage']:g}" for figures in calibration.values()}))
    return "\n\n".join(
        [
            "## Geometries and intervals",
            "A molecule that comes as SMILES has no reference geometry. Test MAE of the `equivariant` "
            "variant when the geometry is made with MMFF94 or GFN2-xTB instead (in brackets, the factor to "
            "the reference geometry; the targets stay those of the reference geometry):",
            _geometry_table(config, calibration),
            "\n".join(counts),
            "Refused are molecules for which no geometry could be made; they are left out. Made geometries "
            "are tested on a random part of the test molecules, so the factors carry some sampling error.",
            f"Intervals of the `equivariant` variant at {share} %, split-conformal: half width from "
            "validation molecules, and in brackets the share of test molecules whose true value lies "
            "inside. They hold for molecules like those of the data set only.",
            _interval_table(config, calibration),
        ]
    )


def calibration_of(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the calibration of the equivariant variant, by kind of geometry; empty where there is none."""
    return dict(results.get("calibration", {}).get("equivariant", {}))


def _geometry_table(config: CheckpointConfig, calibration: Mapping[str, Any]) -> str:
    sources = [source for source in GEOMETRIES if source in calibration]

    def cell(target: str, source: str) -> str:
        mae = calibration[source]["mae"][target]
        if source == "given" or "given" not in calibration:
            return number(mae)
        return f"{number(mae)} (× {number(mae / calibration['given']['mae'][target], 2)})"

    return table(
        ["target", "unit", *(GEOMETRY_LABELS[source] for source in sources)],
        ([t.name, t.unit, *(cell(t.name, source) for source in sources)] for t in config.targets),
    )


def _interval_table(config: CheckpointConfig, calibration: Mapping[str, Any]) -> str:
    sources = [source for source in GEOMETRIES if source in calibration]

    def cell(target: str, source: str) -> str:
        figures = calibration[source]
        return f"± {number(figures['half_width'][target])} ({100 * figures['test_coverage'][target]:.1f} %)"

    return table(
        ["target", "unit", *(GEOMETRY_LABELS[source] for source in sources)],
        ([t.name, t.unit, *(cell(t.name, source) for source in sources)] for t in config.targets),
    )

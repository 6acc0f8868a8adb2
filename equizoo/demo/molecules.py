"""Properties of molecules for the page and its API."""

from __future__ import annotations

import copy
import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equizoo.demo import chemistry, limits, models
from equizoo.demo.answering import upload, whole_number
from equizoo.demo.charts import minus, table
from equizoo.demo.chemistry import Drawn
from equizoo.demo.viewer import balls, widest
from equizoo.pipelines.molecules import Molecule
from equizoo.pipelines.quantities import decimals, rows

TASK = "molecule-properties"
FILES = (".xyz", ".sdf")
EXAMPLES = {
    "ethanol": "CCO",
    "benzene": "c1ccccc1",
    "uracil": "O=c1cc[nH]c(=O)[nH]1",
    "caffeine": "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "cubane": "C12C3C4C1C5C2C3C45",
}
COLOURS = {1: "#e9edf2", 6: "#5a6675", 7: "#3f73d8", 8: "#dc4b41", 9: "#43b17c"}
_RADII = {1: 0.27, 6: 0.41, 7: 0.39, 8: 0.38, 9: 0.36}  # [Å], about a quarter of the van der Waals radii
_GEOMETRIES = {"given": "coordinates as given", "mmff": "geometry by ETKDGv3 and MMFF94"}


@dataclass(frozen=True)
class _Ready:
    """Takes the place of a pipeline's preparation for a molecule that is prepared already."""

    molecule: Molecule

    def prepare(self, entry: Any) -> Molecule:
        """Return the molecule."""
        return self.molecule


def read(model: str, smiles: str | None, file: str | Path | None, seed: Any = 0) -> Drawn:
    """Return the molecule of a request: of the file if there is one, or else of the SMILES string.

    Args:
        model: Name of a bundled model; its elements are the ones that are read.
        smiles: SMILES string.
        file: Path of an uploaded ``.xyz`` or ``.sdf`` file.
        seed: Seed of the embedding.

    Raises:
        Declined: It cannot be answered; the message says why.
    """
    models.check(TASK, model)
    elements = tuple(models.info(model).config.domain.elements)
    number = whole_number(seed, 0, limits.SEED, "the seed")
    if file is not None:
        return chemistry.from_file(upload(file, FILES, limits.MOLECULE_FILE), elements, number)
    return chemistry.from_smiles(smiles or "", elements, number)


def properties(drawn: Drawn, model: str) -> dict[str, Any]:
    """Return what the pipeline answers for a molecule; its ``input`` is the canonical SMILES or the formula.

    Args:
        drawn: The molecule.
        model: Name of a bundled model.

    Raises:
        Declined: The model is not offered, or has no finite answer.
    """
    pipe = copy.copy(models.predictor(TASK, model))
    pipe.preparation = _Ready(drawn.molecule)
    result = pipe("molecule")
    if not result["ok"]:
        raise models.Declined(result["error"])
    return {**result, "input": result["smiles"] or result["formula"], "name": drawn.name}


def scene(drawn: Drawn) -> dict[str, Any]:
    """Return the scene of a molecule, centred."""
    molecule = drawn.molecule
    pos = facing(molecule.pos)
    return {
        "key": f"molecule {molecule.formula} {len(pos)}",
        "label": f"ball-and-stick model of {molecule.formula}",
        "radius": float(np.linalg.norm(pos, axis=1).max()) + 0.6,
        "front": True,
        "points": atoms(molecule.z, pos),
        "bonds": [list(bond) for bond in drawn.bonds],
    }


def facing(pos: np.ndarray) -> np.ndarray:
    """Return positions (N, 3) centred and turned: longest axis across, thinnest in depth.

    Example:
        >>> facing(np.array([[0.0, 0, 0], [0, 0, 2], [0, 1, 0.5]])).std(0).argsort().tolist()
        [2, 1, 0]
    """
    return (pos - pos.mean(0)) @ widest(pos).T


def atoms(z: np.ndarray, pos: np.ndarray) -> list[list[Any]]:
    """Return the points of a scene for (N,) atomic numbers and (N, 3) positions [Å]."""
    colours = [COLOURS.get(int(k), "#b08bd0") for k in z]
    return balls(pos, [_RADII.get(int(k), 0.42) for k in z], colours)


def property_table(result: dict[str, Any]) -> str:
    """Return an answer as an HTML table: value, the interval around it, and the error to expect."""
    digits = decimals([result])
    lines = []
    for row in rows(result, "properties"):
        places = digits[row.name]
        half = "" if row.half_width is None else f" <small>± {row.half_width:.{places}f}</small>"
        expected = "–" if row.test_mae is None else f"{row.test_mae:.2g}"
        lines.append(
            [
                f"{html.escape(row.description)} <small>{html.escape(row.name)}</small>",
                minus(f"{row.value:,.{places}f}") + half,
                f'<span class="unit">{html.escape(row.unit)}</span>',
                expected,
            ]
        )
    head = ("property", "prediction", "unit", "expected error")
    return table(head, lines, numeric=(1, 3)) + notes(result)


def notes(result: dict[str, Any]) -> str:
    """Return what to know about an answer, as HTML."""
    parts = []
    if not result["in_domain"]:
        parts.append(
            f'<p class="ez-warn">Outside the training set: {html.escape(str(result["domain_reason"]))}. '
            "How large the error is there was not measured, so there is no interval.</p>"
        )
    about = [html.escape(result["formula"]), _GEOMETRIES.get(result["geometry"], result["geometry"])]
    if result["smiles"]:
        about.insert(0, f"<code>{html.escape(result['smiles'])}</code>")
    text = " · ".join(about)
    if result["coverage"]:
        share = f"{100 * result['coverage']:.0f} %"
        text += f". ± holds the DFT value for {share} of molecules like those of the training set"
        text += "; the expected error is the mean over test molecules whose geometry was made in this way"
    return f'{"".join(parts)}<p class="ez-note">{text}.</p>'

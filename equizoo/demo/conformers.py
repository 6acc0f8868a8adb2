"""Conformers of molecules for the page and its API, made in a process that can be stopped."""

from __future__ import annotations

import base64
import html
import threading
from pathlib import Path
from typing import Any

import numpy as np

from equizoo.demo import limits, models
from equizoo.demo.answering import Declined, upload, whole_number
from equizoo.demo.charts import minus, table
from equizoo.demo.molecules import COLOURS, atoms
from equizoo.demo.processes import Worker
from equizoo.demo.viewer import balls, widest

TASK = "conformers"
FILES = (".sdf",)
_OTHERS = "#9fb4c9"
_WORKER = Worker("equizoo.demo.conformer_worker", "molecule", limits.CONFORMER_SECONDS)
_TURN = threading.Lock()
_asking: list[str] = []


def make(
    visitor: str,
    smiles: str | None,
    file: str | Path | None,
    model: str,
    count: Any,
    seed: Any,
    steps: Any,
) -> dict[str, Any]:
    """Return conformers, see :func:`equizoo.demo.conformer_worker.answer`; one request at a time.

    Args:
        visitor: Who asks: the one who may stop it.
        smiles: SMILES string.
        file: Path of an uploaded ``.sdf`` file; its first molecule is answered.
        model: Name of a bundled model.
        count: Number of conformers.
        seed: Seed of the samples.
        steps: Evaluations of the model a conformer.

    Raises:
        Declined: It cannot be answered, took too long, or was stopped; the message says which.
    """
    models.check(TASK, model)
    request: dict[str, Any] = {
        "model": model,
        "n": whole_number(count, 1, limits.CONFORMERS, "the number of conformers"),
        "seed": whole_number(seed, 0, limits.SEED, "the seed"),
        "steps": whole_number(steps, 1, limits.FLOW_STEPS, "the number of steps"),
    }
    text = str(smiles or "").strip()
    if file is not None:
        request["path"] = str(upload(file, FILES, limits.MOLECULE_FILE))
    elif not text or len(text) > limits.SMILES_LENGTH:
        raise Declined(f"type a SMILES string of at most {limits.SMILES_LENGTH} characters, such as CCCO")
    else:
        request["smiles"] = text
    with _TURN:
        _asking.append(visitor)
        try:
            return _WORKER.ask(request)
        finally:
            _asking.clear()


def stop(visitor: str) -> None:
    """End what a visitor asked for, if it is being made; the requests of others go on."""
    if visitor in _asking:
        _WORKER.interrupt()


def scene(reply: dict[str, Any]) -> dict[str, Any]:
    """Return the scene of conformers laid over each other: the lowest in its colours, the others pale."""
    pos, z = np.array(reply["positions"]), np.array(reply["z"])
    pos = pos @ widest(pos[0]).T
    heavy = np.flatnonzero(z > 1)
    place = {int(atom): k for k, atom in enumerate(heavy)}
    points, bonds = atoms(z, pos[0]), [list(bond) for bond in reply["bonds"]]
    tints = [COLOURS[k] if k in (7, 8, 9) else _OTHERS for k in z[heavy].tolist()]
    for other in pos[1:]:
        first = len(points)
        points += balls(other[heavy], [0.09] * len(heavy), tints)
        bonds += [
            [first + place[i], first + place[j], 1] for i, j, _ in reply["bonds"] if i in place and j in place
        ]
    return {
        "key": f"conformers {reply['smiles']}",
        "label": f"{len(pos)} conformers of {reply['smiles']}, laid over each other",
        "radius": float(np.linalg.norm(pos, axis=-1).max()) + 0.6,
        "front": True,
        "points": points,
        "bonds": bonds,
    }


def summary(reply: dict[str, Any]) -> str:
    """Return the energies as an HTML table, what became of the samples, and a link to the SDF file."""
    tally, energies = reply["tally"], reply["energies"]
    shown = ""
    if energies is not None:
        first = np.array(reply["positions"][0])
        heavy = np.array(reply["z"]) > 1
        away = [np.sqrt(np.square(np.array(p) - first)[heavy].sum(1).mean()) for p in reply["positions"]]
        rows = [
            [str(k + 1), minus(f"{energy:.2f}"), f"{apart:.2f}"]
            for k, (energy, apart) in enumerate(zip(energies, away, strict=True))
        ]
        shown = table(("conformer", "energy [kcal/mol]", "from the first [Å]"), rows, numeric=(1, 2))
    about = (
        f"{tally['made']} conformers from {tally['sampled']} samples: {tally['duplicates']} copies left out"
    )
    rejected = sum(tally[key] for key in ("not_embedded", "wrong_stereo", "clashes", "not_relaxed"))
    about += f", {rejected} rejected ({tally['wrong_stereo']} of other stereochemistry)."
    if reply["method"]:
        about += f" Energies above the lowest: {html.escape(reply['method'])}."
    if reply["chosen"]:
        about += f" {reply['chosen']} stereo elements were left open and chosen."
    warning = ""
    if reply["domain_reason"]:
        reason = html.escape(reply["domain_reason"])
        warning = (
            f'<p class="ez-warn">Outside the training set: {reason}; errors were not measured there.</p>'
        )
    data = base64.b64encode(reply["sdf"].encode()).decode()
    link = (
        '<a class="ez-link" download="conformers.sdf" href="data:chemical/x-mdl-sdfile;base64,'
        f'{data}">Download SDF</a>'
    )
    return f'{shown}{warning}<p class="ez-note">{about}</p>{link}'

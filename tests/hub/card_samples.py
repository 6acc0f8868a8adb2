"""Checkpoints that the engine trained, measured and published, for the tests of their cards."""

from __future__ import annotations

import functools
import json
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY / "model_cards" / "published.json"


@functools.cache
def trained_checkpoint(temporary: Path) -> Path:
    """Return a checkpoint as ``publish`` writes it, but for saying that its molecules were made up."""
    from equizoo.training.calibrate import main as calibrate
    from equizoo.training.config import load_recipe
    from equizoo.training.loop import train
    from equizoo.training.publish import publish
    from equizoo.training.runfolder import write_json
    from tests.training.conftest import TINY

    run = temporary / "trained-checkpoint"
    changes = {"data.targets": ["gap", "U0"], "budget.epochs": 1}
    train(load_recipe("schnet-qm9-ace").replace(**{**TINY, **changes}), run, progress=False)
    assert calibrate([str(run), "--sources", "given"]) == 0
    folder = publish(run, run / "schnet-tiny", name="schnet-tiny", recipe="schnet-qm9-ace")
    results = json.loads((folder / "results.json").read_text())
    del results["data"]["synthetic"]
    given = results["calibration"]["equivariant"]["given"]
    mae = {name: 2.5 * value for name, value in given["mae"].items()}
    mmff = {**given, "n": 61, "n_test": 60, "refused": 4, "mae": mae}
    results["calibration"]["equivariant"]["mmff"] = mmff
    write_json(folder / "results.json", results)
    return folder


TINY_PARTICLES = {
    "data.synthetic": 32,
    "model.hidden": 8,
    "model.layers": 1,
    "budget.epochs": 1,
    "budget.batch_size": 16,
    "schedule.warmup_steps": 1,
    "evaluation.every": 1,
    "evaluation.equivariance": 0,
}


@functools.cache
def particle_checkpoint(temporary: Path) -> Path:
    """Return a checkpoint on particles as ``publish`` writes it, but for saying that they were made up."""
    from equizoo.training.config import load_recipe
    from equizoo.training.loop import train
    from equizoo.training.publish import publish
    from equizoo.training.runfolder import write_json

    run = temporary / "particle-checkpoint"
    train(load_recipe("segnn-nbody-ace").replace(**TINY_PARTICLES), run, progress=False)
    folder = publish(run, run / "segnn-tiny", name="segnn-tiny", recipe="segnn-nbody-ace")
    results = json.loads((folder / "results.json").read_text())
    del results["data"]["synthetic"]
    write_json(folder / "results.json", results)
    return folder


def row(text: str, *starts: str) -> list[str]:
    """Return the cells of the table row whose first cells are ``starts``."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]
    (found,) = [cells for cells in rows if cells[: len(starts)] == list(starts)]
    return found[len(starts) :]

"""From a run folder to a checkpoint folder that can be shipped."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from equizoo.data.qm9 import ENERGIES
from equizoo.relaxation.project import fold
from equizoo.training.config import ConfigError, RunConfig, load_recipe
from equizoo.training.evaluate import evaluate
from equizoo.training.runfolder import flatten, write_json
from equizoo.training.variants import load_trained

log = logging.getLogger(__name__)
TASK_NAMES = {"qm9": "molecule-properties"}
DOMAINS = {"qm9": {"elements": ["H", "C", "N", "O", "F"], "max_heavy_atoms": 9}}
HOUSEKEEPING = ("name", "provenance", "threads", "device")
CALIBRATION_KEYS = ("coverage", "n", "half_width", "mae")


def training_command(config: RunConfig, recipe: str) -> str:
    """Return the command that repeats a run: the recipe and every value in which the run differs from it."""
    before, after = flatten(load_recipe(recipe).to_dict()), flatten(config.to_dict())
    settings = [
        f"{key}={json.dumps(value)}"
        for key, value in after.items()
        if key.split(".")[0] not in HOUSEKEEPING and value != before.get(key)
    ]
    return shlex.join(["python", "-m", "equizoo.training", recipe, *(f"--set={s}" for s in settings)])


def publish(
    run: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    recipe: str | None = None,
    command: str | None = None,
    data: dict[str, Any] | None = None,
    tolerance: float = 1e-3,
) -> Path:
    """Write a checkpoint folder from a run.

    ``results.json`` (:func:`equizoo.training.evaluate.evaluate`) and ``calibration.json``
    (:mod:`equizoo.training.calibrate`) of the run are used; the first is measured if it is not there.

    Args:
        run: Run folder.
        out: Checkpoint folder to write.
        name: Name of the checkpoint; the run's unless given.
        recipe: Name of the bundled recipe that the run started from; ``name`` unless given.
        command: What made the run, if it was not one command; from recipe and configuration unless given.
        data: Options of the task to change, such as ``{"root": …}``.
        tolerance: Layers of the partial variant with a smaller |γ| lose their branch.

    Returns:
        ``out``.

    Raises:
        ConfigError: The folder holds no run with best weights, no such recipe, or the run learned total
            energies, which checkpoints do not hold.
    """
    from equizoo.hub import save_checkpoint

    run, out = Path(run), Path(out)
    trained = load_trained(run, data)
    config, name = trained.config, name or trained.name
    total = [target.name for target in trained.task.targets if target.name in ENERGIES]
    if total and config.data.get("energies") == "total":
        raise ConfigError(
            f"{name} predicts total {', '.join(total)}, but users of a checkpoint add the free atoms "
            "themselves; train with data.energies=atomization"
        )
    recipe = recipe or name
    results = _read_or(run / "results.json", lambda: evaluate(run, out=run / "results.json", data=data))
    calibration = _read_or(run / "calibration.json", dict)
    models = {"equivariant": trained.models["equivariant"]}
    if "partial" in trained.models:
        models["partial"] = fold(trained.models["partial"], tolerance)
        if not any("relaxation" in key.split(".") for key in models["partial"].state_dict()):
            log.warning("every |γ| is below %g: the partial variant would be the equivariant one", tolerance)
            del models["partial"]
    dataset = config.data["task"]
    shipped = calibration.get("equivariant", {})
    save_checkpoint(
        out,
        {
            "name": name,
            "family": config.model["family"],
            "task": TASK_NAMES[dataset],
            "dataset": dataset,
            "method": config.method.get("name", "none"),
            "targets": [asdict(target) for target in trained.task.targets],
            "domain": DOMAINS[dataset],
            "calibration": {s: {k: v[k] for k in CALIBRATION_KEYS} for s, v in shipped.items()},
            "training": {"command": command or training_command(config, recipe), "recipe": recipe},
        },
        models,
    )
    run_result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    cost = {key: run_result[key] for key in ("status", "epoch", "step", "minutes", "cpu_hours")}
    write_json(out / "results.json", {**results, "name": name, "cost": cost, "calibration": calibration})
    return out


def _read_or(path: Path, make: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else make()


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m equizoo.training.publish``.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0, or 2 if the run cannot be published.
    """
    options = argparse.ArgumentParser(prog="python -m equizoo.training.publish", description=__doc__)
    options.add_argument("run", help="run folder")
    options.add_argument("out", help="checkpoint folder to write")
    options.add_argument("--name", help="name of the checkpoint (default: the run's)")
    options.add_argument("--recipe", help="bundled recipe that the run started from (default: the name)")
    options.add_argument("--command", help="what made the run, if it was not one command, as when resumed")
    options.add_argument("--data", help="folder of the data set (default: $EQUIZOO_DATA)")
    arguments = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    data = {"root": arguments.data} if arguments.data else {}
    try:
        publish(
            arguments.run,
            arguments.out,
            name=arguments.name,
            recipe=arguments.recipe,
            command=arguments.command,
            data=data,
        )
    except (ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    log.info("wrote %s; to bundle it, call equizoo.hub.register on it", arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

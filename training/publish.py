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

from torch import nn

from equizoo.hub.errors import EquizooError
from equizoo.relaxation.layer import relaxations
from equizoo.relaxation.project import fold
from equizoo.training.config import ConfigError, RunConfig, load_recipe, recipe_path
from equizoo.training.evaluate import evaluate
from equizoo.training.runfolder import RunFolder, flatten, write_json
from equizoo.training.start import cost, method_name, stages
from equizoo.training.variants import Trained, load_trained

log = logging.getLogger(__name__)
HOUSEKEEPING = ("name", "provenance", "threads", "device", "data.root")
CHANGE = 0.01
"""Largest relative change of the validation score by branches that are left out."""

CALIBRATION_KEYS = ("coverage", "n", "half_width", "mae")


def training_command(config: RunConfig, recipe: str) -> str:
    """Return the command that repeats a run: the recipe and every value in which the run differs from it."""
    before, after = flatten(load_recipe(recipe).to_dict()), flatten(config.to_dict())
    settings = [
        f"{key}={json.dumps(value)}"
        for key, value in after.items()
        if not {key, key.split(".")[0]} & set(HOUSEKEEPING) and value != before.get(key)
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
    tolerance: float = 0.01,
    others: Sequence[str | Path] = (),
) -> Path:
    """Write a checkpoint folder from a run.

    ``results.json`` (:func:`equizoo.training.evaluate.evaluate`), ``calibration.json``
    (:mod:`equizoo.training.calibrate`), ``robustness.json`` (:mod:`equizoo.training.robustness`) and
    ``ensembles.json`` (:mod:`equizoo.training.ensembles`) of the run are used; the first is measured if it
    is not there or of other weights.

    Args:
        run: Run folder.
        out: Checkpoint folder to write.
        name: Name of the checkpoint; the run's unless given.
        recipe: Name of the bundled recipe that the run started from; ``name`` unless given.
        command: What made the run, if it was not one command; from recipe and configuration unless given.
        data: Options of the task to change, such as ``{"root": …}``.
        tolerance: Layers of the partial variant with a smaller |γ| lose their branch, if the validation score
            stays the same to 1 % without them.
        others: Folders of runs that differ in their seed only; the card then shows mean and deviation.

    Returns:
        ``out``.

    Raises:
        ConfigError: The folder holds no run with best weights, no such recipe, the run learned something
            that checkpoints of its task do not hold, such as total energies, one of ``others`` is another
            experiment, or one of the other files was measured on other weights.
    """
    from equizoo.hub import save_checkpoint

    run, out = Path(run), Path(out)
    trained = load_trained(run, data)
    config, name = trained.config, name or trained.name
    trained.task.check_publishable(name)
    recipe = _known(recipe or name)
    folder, results = RunFolder(run), _measured(run, data)
    seeds = [_seed(results), *(_seed(_same_experiment(other, run, data)) for other in others)]
    parts = ("calibration", "robustness", "ensembles")
    calibration, robustness, ensembles = (folder.read_measured(f"{part}.json") for part in parts)
    models = {"equivariant": trained.models["equivariant"]} | _partial(trained, tolerance)
    shipped = calibration.get("equivariant", {})
    save_checkpoint(
        out,
        {
            "name": name,
            "family": config.model["family"],
            "task": trained.task.task_name,
            "dataset": config.data["task"],
            "method": method_name(config),
            "targets": [asdict(target) for target in trained.task.targets],
            "domain": trained.task.domain() | _temperature(robustness),
            "calibration": {s: {k: v[k] for k in CALIBRATION_KEYS} for s, v in shipped.items()},
            "training": {"command": command or _commands(run, config, recipe), "recipe": recipe},
        },
        models,
    )
    added = {"name": name, "cost": cost(run, config), "calibration": calibration}
    added |= ({"seeds": seeds} if others else {}) | ({"half": True} if config.evaluation.half else {})
    more = {"robustness": robustness, "ensembles": ensembles}
    added |= {part: measured for part, measured in more.items() if measured}
    write_json(out / "results.json", results | added)
    return out


def _known(recipe: str) -> str:
    try:
        recipe_path(recipe)
    except ConfigError as error:
        raise ConfigError(f"{error} For a run of a file of your own, give it: --recipe FILE.yaml") from None
    return recipe


def _partial(trained: Trained, tolerance: float) -> dict[str, nn.Module]:
    """Return the partial variant without branches that do nothing; nothing where none does anything."""
    if "partial" not in trained.models:
        return {}
    whole = trained.models["partial"]
    folded = fold(whole, tolerance)
    if len(relaxations(folded)) == len(relaxations(whole)):
        return {"partial": whole}
    options = {key: getattr(trained.config.evaluation, key) for key in ("batch_size", "limit")}
    before, after = (trained.task.evaluate(model, "valid", **options)["score"] for model in (whole, folded))
    if not abs(after - before) <= CHANGE * abs(before):
        log.warning("branches with |γ| below %g change the validation score from %g to %g and stay",
                    tolerance, after, before)  # fmt: skip
        return {"partial": whole}
    if not relaxations(folded):
        log.warning("no branch does anything: the partial variant would be the equivariant one")
        return {}
    return {"partial": folded}


def _commands(run: Path, config: RunConfig, recipe: str) -> str:
    """Return the commands of all stages, each into the folder that the next begins with.

    Stages before the last are named after their recipes. The last is given a folder of its own where that of
    its recipe is another stage's.
    """
    parts = stages(config)
    recipes = [*(part.name for part in parts[:-1]), recipe]
    usual = [Path("runs", name) for name in recipes]
    folders = [Path(str(part.start_from)) for part in parts[1:]]
    folders.append(Path("runs", run.name) if usual[-1] in folders else usual[-1])
    commands = list(map(training_command, parts, recipes))
    for i in range(len(parts)):
        if folders[i] != usual[i]:
            commands[i] += " " + shlex.quote(f"--out={folders[i]}")
    return " && ".join(commands)


def _temperature(robustness: dict[str, Any]) -> dict[str, float]:
    return {"temperature": float(f"{robustness['temperature']:.5g}")} if robustness else {}


def _measured(run: Path, data: dict[str, Any] | None) -> dict[str, Any]:
    """Return the errors on all test data, measured anew if those at hand are of other weights or data."""
    path, digests = run / "results.json", RunFolder(run).digests()
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    fits = results.get("weights") == digests and results["split"] == "test"
    if not fits or results["n"] != results["counts"]["test"]:
        results = evaluate(run, out=path, data=data)
    return {key: value for key, value in results.items() if key != "weights"}


def _same_experiment(other: str | Path, run: Path, data: dict[str, Any] | None) -> dict[str, Any]:
    one, two = (flatten(RunFolder(Path(folder)).read_config().to_dict()) for folder in (run, other))
    ignored = {*HOUSEKEEPING, "seed"}
    differing = [
        key for key in {*one, *two} if not {key, key.split(".")[0]} & ignored and one.get(key) != two.get(key)
    ]
    if differing or one["seed"] == two["seed"]:
        what = ", ".join(sorted(differing)) or "nothing, not even its seed"
        raise ConfigError(f"{other} is not another seed of {run}: it differs in {what}")
    return _measured(Path(other), data)


def _seed(results: dict[str, Any]) -> dict[str, Any]:
    errors = {variant: figures["errors"] for variant, figures in results["variants"].items()}
    return {"seed": results["seed"], "errors": errors}


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
    options.add_argument("--recipe", help="its recipe, bundled or a file (default: the name)")
    options.add_argument("--command", help="what made the run, if it was not one command, as when resumed")
    options.add_argument("--others", nargs="*", default=[], help="runs that differ in their seed only")
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
            others=arguments.others,
        )
    except (EquizooError, ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    log.info("wrote %s; to bundle it, call equizoo.hub.register on it", arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

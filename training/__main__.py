"""``python -m equizoo.training RECIPE``: train a recipe."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence

from equizoo.training.config import ConfigError, load_recipe

STOPPED = 3


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog="python -m equizoo.training",
        description="Train a recipe. Under torchrun, the processes share each batch.",
    )
    options.add_argument("recipe", help="a YAML file, or the name of a bundled recipe")
    options.add_argument("--set", action="append", default=[], metavar="A.B=C", dest="overrides",
                         help="change one value of the recipe; may be repeated")  # fmt: skip
    options.add_argument("--out", help="run folder (default: runs/NAME)")
    options.add_argument(
        "--resume", action="store_true", help="continue the run in the folder, if there is one"
    )
    options.add_argument("--seeds", help="train several seeds, such as 0-4, and write summary.json")
    options.add_argument("--max-minutes", type=float, help="stop cleanly after so many minutes; resumable")
    options.add_argument("--smoke", action="store_true", help="seconds, on data that the task makes")
    options.add_argument("--quiet", action="store_true", help="no progress bar")
    return options


def exit_code(status: str, reason: str | None) -> int:
    """Return the exit code of a run, so that what follows ``&&`` only ever sees a whole one.

    Args:
        status: ``finished`` or ``stopped``.
        reason: Why it stopped: the name of a signal, or anything else.

    Example:
        >>> exit_code("finished", None), exit_code("stopped", "max_minutes"), exit_code("stopped", "SIGINT")
        (0, 3, 130)
    """
    others_wait_for_the_first = os.environ.get("RANK", "0") != "0"  # torchrun ends all once one has failed
    if status == "finished" or others_wait_for_the_first:
        return 0
    return 128 + signal.Signals[reason] if reason in signal.Signals.__members__ else STOPPED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0 finished, 1 diverged, 2 the recipe or the data cannot be used; stopped before its end, resumable:
        3 by ``--max-minutes``, 130 by Ctrl-C, 143 by SIGTERM.
    """
    arguments = parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    from tqdm.contrib.logging import logging_redirect_tqdm

    try:
        with logging_redirect_tqdm():
            return _run(arguments)
    except (ConfigError, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _run(arguments: argparse.Namespace) -> int:
    config = load_recipe(arguments.recipe, arguments.overrides)
    from equizoo.training.loop import train
    from equizoo.training.state import StateError
    from equizoo.training.sweep import parse_seeds, smoke, sweep
    from equizoo.training.trainer import Diverged

    config = smoke(config) if arguments.smoke else config
    if arguments.max_minutes is not None:
        config = config.replace(budget__max_minutes=arguments.max_minutes)
    options = {"resume": arguments.resume, "progress": not arguments.quiet}
    try:
        if arguments.seeds is not None:
            summary = sweep(config, parse_seeds(arguments.seeds), arguments.out, **options)
            return max(exit_code(run["status"], run["reason"]) for run in summary["runs"].values())
        result = train(config, arguments.out, **options)
        logging.getLogger("equizoo.training").info(
            "%s: %s at epoch %d", result.folder, result.status, result.epoch
        )
        return exit_code(result.status, result.reason)
    except (Diverged, StateError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())

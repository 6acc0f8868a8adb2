"""``python -m equizoo.training RECIPE``: train a recipe."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from equizoo.training.config import ConfigError, load_recipe


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments; ``sys.argv`` unless given.

    Returns:
        0 finished or stopped cleanly, 1 diverged, 2 the recipe or the data cannot be used.
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
            sweep(config, parse_seeds(arguments.seeds), arguments.out, **options)
        else:
            result = train(config, arguments.out, **options)
            logging.getLogger("equizoo.training").info(
                "%s: %s at epoch %d", result.folder, result.status, result.epoch
            )
    except (Diverged, StateError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

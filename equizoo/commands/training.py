"""``equizoo train`` and ``equizoo evaluate``: the commands of :mod:`equizoo.training`, by a shorter name."""

from __future__ import annotations

from typing import Any

from equizoo.commands.output import OK

HELP = {
    "train": "train a model from a recipe (all options of `python -m equizoo.training`)",
    "evaluate": "measure a model on its data set and write one JSON file",
}


def add_training(commands: Any) -> None:
    """Declare both commands; their options are those of :mod:`equizoo.training`."""
    for name, text in HELP.items():
        commands.add_parser(name, help=text, add_help=False)


def run_training(command: str, arguments: list[str]) -> int:
    """Hand the arguments over to :mod:`equizoo.training`."""
    if command == "train":
        from equizoo.training.__main__ import main
    else:
        from equizoo.training.evaluate import main
    return int(main(arguments) or OK)

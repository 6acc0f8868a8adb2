"""``equizoo predict --task conformers``."""

from __future__ import annotations

import argparse
from typing import Any

from equizoo.commands.output import expand_inputs, print_json

_OPTIONS = ("n", "seed", "steps", "polish", "rmsd")


def add_conformer_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``equizoo predict`` that belong to conformers."""
    parser.add_argument("--n", type=int, metavar="N", help="conformers: so many a molecule (default: 10)")
    parser.add_argument(
        "--polish",
        choices=["mmff", "xtb"],
        help="conformers: relax with MMFF94 or GFN2-xTB (default: neither)",
    )
    parser.add_argument(
        "--rmsd",
        type=float,
        metavar="RMSD",
        help="conformers: those nearer to each other are one, in Angstrom (default: 0.1)",
    )
    parser.add_argument("--out", metavar="FILE", help="conformers: write them (.sdf or .xyz)")


def predict_conformers(predict: Any, args: argparse.Namespace) -> tuple[int, int]:
    """Answer molecules; return how many were answered, and how many there are."""
    from equizoo.pipelines.conformer_files import write_conformers
    from equizoo.pipelines.conformer_report import format_conformers, write_table

    given = {name: getattr(args, name) for name in _OPTIONS if getattr(args, name) is not None}
    answers = predict(expand_inputs(args.inputs), **given)
    if args.csv:
        write_table(answers, args.csv)
    answered = sum(answer.ok for answer in answers)
    if args.out and answered:
        write_conformers(answers, args.out)
    if args.json:
        print_json([answer.record() | {"caution": predict.caution} for answer in answers])
    else:
        print(format_conformers(answers, predict.caution))
    return answered, len(answers)

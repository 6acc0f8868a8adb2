"""``equizoo predict --task conformers``."""

from __future__ import annotations

import argparse
from typing import Any

from equizoo.commands.output import expand_inputs, print_json


def add_conformer_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``equizoo predict`` that belong to conformers."""
    parser.add_argument(
        "--n", type=int, default=10, metavar="N", help="conformers: so many a molecule (default: %(default)s)"
    )
    parser.add_argument(
        "--polish",
        choices=["mmff", "xtb"],
        help="conformers: relax with MMFF94 or GFN2-xTB (default: neither)",
    )
    parser.add_argument(
        "--rmsd",
        type=float,
        default=0.1,
        metavar="RMSD",
        help="conformers: those nearer to each other are one, in Angstrom (default: %(default)s)",
    )
    parser.add_argument("--out", metavar="FILE", help="conformers: write them (.sdf or .xyz)")


def predict_conformers(predict: Any, args: argparse.Namespace) -> tuple[int, int]:
    """Answer molecules; return how many were answered, and how many there are."""
    from equizoo.pipelines.conformer_files import check_name, write_conformers
    from equizoo.pipelines.conformer_report import format_conformers, write_table

    if args.plot:
        raise ValueError("conformers are not plotted; write them with --out FILE.sdf for a viewer")
    if args.out:
        check_name(args.out)
    inputs, seed = expand_inputs(args.inputs), args.seed or 0
    answers = predict(inputs, args.n, seed, steps=args.steps, polish=args.polish, rmsd=args.rmsd)
    if args.json:
        print_json([answer.record() | {"caution": predict.caution} for answer in answers])
    else:
        print(format_conformers(answers, predict.caution))
    if args.csv:
        write_table(answers, args.csv)
    answered = sum(answer.ok for answer in answers)
    if args.out and answered:
        write_conformers(answers, args.out)
    return answered, len(answers)

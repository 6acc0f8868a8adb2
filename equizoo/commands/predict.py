"""``equizoo predict``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from equizoo.commands.output import FAILED, OK, PARTLY, print_json


def add_predict(commands: Any) -> None:
    """Declare ``equizoo predict``."""
    parser = commands.add_parser(
        "predict",
        help="predict for SMILES strings or files",
        description="Predict the properties of molecules, with units, test errors and 90 %% intervals. "
        "An input that cannot be answered says why and does not end the others.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="SMILES, or a file .xyz, .sdf, .smi or .csv; '-' reads SMILES lines",
    )
    parser.add_argument("--task", default="molecule-properties", help="default: %(default)s")
    parser.add_argument("--model", help="bundled name, local folder or Hub id (default: the task's)")
    parser.add_argument(
        "--geometry", choices=["mmff", "xtb"], default="mmff", help="3-D geometry from SMILES"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the 3-D embedding (default: %(default)s)"
    )
    parser.add_argument("--device", default="cpu", help="such as cpu, cuda, cuda:1 (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--csv", metavar="FILE", help="also write one line an input")
    parser.add_argument("--plot", metavar="FILE", help="also draw the results (.png, .svg or .pdf)")
    parser.set_defaults(run=run_predict)


def run_predict(args: argparse.Namespace) -> int:
    """Predict, print, and say by the exit code whether every input was answered."""
    for path in filter(None, (args.csv, args.plot)):
        if not Path(path).absolute().parent.is_dir():
            raise FileNotFoundError(f"cannot write {path}: there is no such folder")
    from equizoo.pipelines import pipeline
    from equizoo.pipelines.report import format_table, plot_results, write_csv

    predict = pipeline(
        args.task, model=args.model, device=args.device, geometry=args.geometry, seed=args.seed
    )
    results = predict(_inputs(args.inputs))
    if args.json:
        print_json(results)
    else:
        print(format_table(results))
    if args.csv:
        write_csv(results, args.csv)
    if args.plot:
        plot_results(results, args.plot)
    answered = sum(result["ok"] for result in results)
    if answered == len(results):
        return OK
    print(f"equizoo: {len(results) - answered} of {len(results)} inputs have no answer", file=sys.stderr)
    return PARTLY if answered else FAILED


def _inputs(arguments: list[str]) -> list[str]:
    inputs: list[str] = []
    for argument in arguments:
        inputs += [line.strip() for line in sys.stdin if line.strip()] if argument == "-" else [argument]
    return inputs

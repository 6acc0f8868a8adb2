"""``equizoo report``."""

from __future__ import annotations

import argparse
from typing import Any

from equizoo.commands.output import OK


def add_report(commands: Any) -> None:
    """Declare ``equizoo report``."""
    parser = commands.add_parser(
        "report",
        help="write one HTML page about a training run",
        description="Write report.html, one page that needs no other file, and its figures as PNG: losses, "
        "γ, λ and u of every layer, projected against partial, the equivariance error beside its bound, and "
        "the symmetry of each layer.",
    )
    parser.add_argument("folder", metavar="RUN", help="a run folder")
    parser.add_argument("--out", metavar="FOLDER", help="where to write (default: report in the run folder)")
    parser.add_argument("--data", help="folder of the data set (default: the run's, or $EQUIZOO_DATA)")
    parser.set_defaults(run=run_report)


def run_report(args: argparse.Namespace) -> int:
    """Write the report and print where it is."""
    from equizoo.training.report import write_report

    print(write_report(args.folder, args.out, {"root": args.data} if args.data else None))
    return OK

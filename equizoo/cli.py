"""The command line ``equizoo``: models are listed, fetched, used, trained, measured and published.

Errors are one line on standard error, without a traceback (``--debug`` shows it). Exit codes: 0 every
input was answered, 1 failed, 2 wrong usage, 3 some inputs were answered and some refused.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from equizoo import __version__
from equizoo._interrupts import interrupts_kept
from equizoo.commands.export import add_export
from equizoo.commands.hub import add_download, add_publish
from equizoo.commands.output import EXIT_CODES, FAILED, OK
from equizoo.commands.predict import add_predict
from equizoo.commands.report import add_report
from equizoo.commands.training import add_training, run_training
from equizoo.commands.zoo import add_info, add_list


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="equizoo",
        description="Pretrained relaxed-equivariant networks.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"equizoo {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        add_list,
        add_info,
        add_download,
        add_predict,
        add_training,
        add_report,
        add_export,
        add_publish,
    ):
        add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        The exit code.

    Raises:
        SystemExit: Wrong usage (code 2), ``--help`` or ``--version``.

    Example:
        >>> main(["list", "no-such-model"])
        no bundled model matches
        0
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a stream that is not UTF-8 has no γ, and no Å
    args, rest = build_parser().parse_known_args(argv)
    try:
        if args.command in ("train", "evaluate"):
            return run_training(args.command, rest)
        if rest:
            build_parser().error(f"unrecognized arguments: {' '.join(rest)}")
        with interrupts_kept():
            return int(args.run(args))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        print("equizoo: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if args.debug:
            raise
        print(f"equizoo: error: {_message(error)}", file=sys.stderr)
        return FAILED


def _message(error: Exception) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())

"""``equizoo export``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from equizoo.commands.output import OK

FORMATS = {".pt2": "torch", ".onnx": "onnx"}


def add_export(commands: Any) -> None:
    """Declare ``equizoo export``."""
    parser = commands.add_parser(
        "export",
        help="write a model as a torch.export or ONNX program",
        description="Write a model as one file that runs without equizoo. The program is run on two batches "
        "of different size, and the file is written only if its answers are the model's.",
    )
    parser.add_argument("model", help="bundled name, local folder or Hub id org/name")
    parser.add_argument("path", help="file to write: .pt2 (torch.export) or .onnx")
    parser.add_argument("--variant", default="equivariant", choices=["equivariant", "partial"])
    parser.add_argument("--device", default="cpu", help="where the program will run (default: %(default)s)")
    parser.set_defaults(run=run_export)


def run_export(args: argparse.Namespace) -> int:
    """Export a model and say what was written."""
    form = FORMATS.get(Path(args.path).suffix)
    if form is None:
        raise ValueError(f"{args.path!r} must end in .pt2 (torch.export) or .onnx")
    from equizoo.hub.export import export
    from equizoo.hub.loading import from_pretrained

    report = export(from_pretrained(args.model, args.variant, args.device), args.path, form)
    print(
        f"{report.path}: {report.format}, inputs {', '.join(report.inputs)}; largest deviation from the "
        f"model {report.deviation:.1e} of the largest output, at {' and '.join(map(str, report.sizes))} atoms"
    )
    return OK

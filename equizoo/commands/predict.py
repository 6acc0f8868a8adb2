"""``equizoo predict``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from equizoo.commands.conformers import add_conformer_options, predict_conformers
from equizoo.commands.output import FAILED, OK, PARTLY, expand_inputs, print_json

_OPTIONS = ("device", "geometry", "seed", "variant", "votes")
#: The options that not every task has.
_TASK_OPTIONS = {
    "molecule-properties": ("geometry", "seed"),
    "particle-forecasting": ("steps",),
    "point-cloud-classification": ("seed", "top_k", "votes"),
    "motion-forecasting": ("steps", "start", "skeleton"),
    "conformers": ("seed", "steps", "n", "polish", "rmsd", "out"),
}
_CLASSES = 5


def add_predict(commands: Any) -> None:
    """Declare ``equizoo predict``."""
    parser = commands.add_parser(
        "predict",
        help="predict for SMILES strings or files",
        description="Predict the properties of molecules, with units, test errors and 90 % intervals; "
        "or, with --task particle-forecasting, where charged particles will be; "
        "or, with --task point-cloud-classification, what clouds of points show; "
        "or, with --task motion-forecasting, how a body moves on; "
        "or, with --task conformers, the conformers of molecules. "
        "An input that cannot be answered says why and does not end the others.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="molecules: SMILES, or a file .xyz, .sdf, .smi or .csv; '-' reads lines of a SMILES and a name. "
        "particles: a file .npz (pos, vel, charge) or .csv (system,particle,x,y,z,vx,vy,vz,q). "
        "point clouds: a file .ply, .off, .obj, .xyz, .npy or .pcd, or a folder, with those in it. "
        "motions: a recording .npz (pos) or .amc",
    )
    parser.add_argument(
        "--task",
        default="molecule-properties",
        help="molecule-properties, particle-forecasting, point-cloud-classification, motion-forecasting or "
        "conformers (default: %(default)s)",
    )
    parser.add_argument("--model", help="bundled name, local folder or Hub id (default: the task's)")
    parser.add_argument("--variant", choices=["equivariant", "partial"], help="default: equivariant")
    parser.add_argument(
        "--geometry", choices=["mmff", "xtb"], help="molecules: 3-D geometry from SMILES (default: mmff)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        help="molecules: seed of the 3-D embedding; point clouds: of the points drawn; conformers: of the "
        "samples (default: 0)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        help="particles, motions: roll out so many steps (default: 1); conformers: evaluations of the model "
        "(default: those that its errors were measured with)",
    )
    parser.add_argument(
        "--start",
        type=int,
        help="motions: start frame, from 0; what follows it is the truth (default: at the end)",
    )
    parser.add_argument("--skeleton", metavar="ASF", help="motions: skeleton of .amc recordings")
    parser.add_argument(
        "--top-k",
        type=int,
        metavar="K",
        help=f"point clouds: show K classes (default: {_CLASSES})",
    )
    parser.add_argument(
        "--votes",
        type=int,
        metavar="V",
        help="point clouds: take the mean over V parts of a large cloud (default: 3)",
    )
    add_conformer_options(parser)
    parser.add_argument("--device", default="cpu", help="such as cpu, cuda, cuda:1 (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--csv", metavar="FILE", help="also write the results as CSV")
    parser.add_argument(
        "--plot", metavar="FILE", help="also draw the results (.png, .svg or .pdf; motions: .html, .gif)"
    )
    parser.set_defaults(run=run_predict)


def run_predict(args: argparse.Namespace) -> int:
    """Predict, print, and say by the exit code whether every input was answered."""
    _check_options(args)
    _check_files(args)
    from equizoo.pipelines import pipeline

    names = [name for name in _OPTIONS if name != "seed" or args.task != "conformers"]
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    predict = pipeline(args.task, model=args.model, **options)
    answer = {
        "particle-forecasting": _particles,
        "point-cloud-classification": _clouds,
        "motion-forecasting": _motions,
        "conformers": predict_conformers,
    }
    answered, total = answer.get(args.task, _molecules)(predict, args)
    if answered == total:
        return OK
    print(f"equizoo: {total - answered} of {total} inputs have no answer", file=sys.stderr)
    return PARTLY if answered else FAILED


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options that the task does not have."""
    known = _TASK_OPTIONS.get(args.task, vars(args))  # the pipeline says that there is no such task
    for name in dict.fromkeys(name for names in _TASK_OPTIONS.values() for name in names):
        if name not in known and getattr(args, name) is not None:
            owners = " or ".join(task for task, names in _TASK_OPTIONS.items() if name in names)
            option = name.replace("_", "-")
            raise ValueError(f"{args.task!r} has no option {option!r}: --{option} is for --task {owners}")


def _check_files(args: argparse.Namespace) -> None:
    """Refuse files that cannot be written, before the work is done."""
    for path in filter(None, (args.csv, args.plot, args.out)):
        if not Path(path).absolute().parent.is_dir():
            raise FileNotFoundError(f"cannot write {path}: there is no such folder")
        if Path(path).is_dir():
            raise IsADirectoryError(f"cannot write {path}: it is a folder; name a file in it")
        if not os.access(Path(path).absolute().parent, os.W_OK):
            raise PermissionError(f"cannot write {path}: its folder is read-only")
    from equizoo.pipelines.writing import FIGURES, MOTION_FIGURES, check_ending

    if args.plot and args.task == "conformers":
        raise ValueError("conformers are not plotted; write them with --out FILE.sdf for a viewer")
    if args.plot:
        check_ending(args.plot, MOTION_FIGURES if args.task == "motion-forecasting" else FIGURES)
    if args.out:
        from equizoo.pipelines.conformer_files import WRITERS

        check_ending(args.out, WRITERS)


def _molecules(predict: Any, args: argparse.Namespace) -> tuple[int, int]:
    """Answer molecules; return how many inputs were answered, and how many there are."""
    from equizoo.pipelines.report import format_table, plot_results, write_csv

    results = predict(expand_inputs(args.inputs))
    if args.csv:
        write_csv(results, args.csv)
    if args.plot:
        plot_results(results, args.plot)
    if args.json:
        print_json(results)
    else:
        print(format_table(results))
    return sum(result["ok"] for result in results), len(results)


def _particles(predict: Any, args: argparse.Namespace) -> tuple[int, int]:
    """Answer files of particle systems; return how many files were answered, and how many there are."""
    from equizoo.pipelines.particles_figure import plot_forecasts
    from equizoo.pipelines.particles_report import format_forecasts, write_forecasts
    from equizoo.pipelines.particles_systems import BadSystems

    forecasts, records = [], []
    for path in args.inputs:
        try:
            forecast = predict.rollout(path, steps=_steps(args))
        except BadSystems as error:
            records.append({"input": path, "ok": False, "error": str(error)})
            print(f"equizoo: no answer: {error}", file=sys.stderr)
        else:
            forecasts.append((Path(path).name, forecast))
            records += [{"input": path, "ok": True, "error": None} | one for one in forecast.records()]
    if args.csv:
        write_forecasts(forecasts, args.csv)
    if args.plot:
        plot_forecasts(forecasts, args.plot)
    if args.json:
        print_json(records)
    elif forecasts:
        print(format_forecasts(forecasts))
    return len(forecasts), len(args.inputs)


def _motions(predict: Any, args: argparse.Namespace) -> tuple[int, int]:
    """Answer recordings of bodies; return how many were answered, and how many there are."""
    from equizoo.pipelines.motion_figure import plot_motions
    from equizoo.pipelines.motion_report import format_motions, write_motions
    from equizoo.pipelines.motion_windows import BadMotion

    forecasts, records = [], []
    for path in args.inputs:
        skeleton = args.skeleton if path.lower().endswith(".amc") else None
        try:
            forecast = predict.forecast(path, start=args.start, steps=_steps(args), skeleton=skeleton)
        except BadMotion as error:
            records.append({"input": path, "ok": False, "error": str(error)})
            print(f"equizoo: no answer: {error}", file=sys.stderr)
        else:
            forecasts.append(forecast)
            records.append({"input": path, "ok": True, "error": None} | forecast.record())
    if args.csv:
        write_motions(forecasts, args.csv)
    if args.plot:
        plot_motions(forecasts, args.plot)
    if args.json:
        print_json(records)
    elif forecasts:
        print(format_motions(forecasts))
    return len(forecasts), len(args.inputs)


def _clouds(predict: Any, args: argparse.Namespace) -> tuple[int, int]:
    """Answer files and folders of clouds; return how many clouds were answered, and how many there are."""
    from equizoo.pipelines.point_clouds_figure import plot_classes
    from equizoo.pipelines.point_clouds_report import format_classes, write_classes

    top_k = _CLASSES if args.top_k is None else args.top_k
    if top_k < 1:
        raise ValueError(f"--top-k must be at least 1, got {top_k}")
    answers = predict.classify(args.inputs)
    if args.csv:
        write_classes(answers, args.csv, top_k)
    if args.plot:
        plot_classes(answers, args.plot, top_k)
    if args.json:
        print_json([answer.record(top_k) | {"caution": predict.caution} for answer in answers])
    else:
        print(format_classes(answers, top_k, predict.test_error, predict.caution))
    return sum(answer.ok for answer in answers), len(answers)


def _steps(args: argparse.Namespace) -> int:
    return 1 if args.steps is None else args.steps

"""The relaxed SEGNN of the N-body recipe beside that of the released ACE code: same batch, threads, process.

    python benchmarks/segnn_step.py --reference ACE/Steerable-E3-GNN [--threads 1] [--quick] [--compile]

``--reference`` is the ``Steerable-E3-GNN`` folder of a checkout of github.com/andreimano/ACE, commit 8d6d2ad;
without it only our figures are printed. Both models hold the same weights (937,960 parameters, γ = 1) and
centre nothing, as released; their outputs are compared before anything is timed.

A training step is the forward pass from positions (graph features included), the mean squared error, the
backward pass and Adam: ``ACE`` with branches, dual term and ascent on λ, ``strict`` without. Inference is the
forward pass without gradients: ``plain`` of the projected model, ``partial`` with branches. Times are medians
of alternating repeats. CPU time counts every thread; trust its ratio on a machine that does other work. With
a GPU the first table is printed for it too. ``--compile`` adds our model under ``torch.compile``, with CUDA
graphs on a GPU; expect minutes before its first figure.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from _processor import processor
from _segnn_steps import Batch, Models, Shape, Step, inference, systems, training
from schnet_step import measure

GROWTH = {
    "lmax": [Shape(lmax=n) for n in (1, 2, 3)],
    "width": [Shape(hidden=n) for n in (32, 64, 128)],
    "particles": [Shape(particles=n) for n in (5, 10, 20)],
}
"""What each table of growth varies."""

LABEL = 56
"""Width of the first column."""

TRAINING = {"training step, ACE": True, "training step, strict": False}
INFERENCE = {"inference, plain": False, "inference, partial": True}
"""What is timed, and whether with branches."""


class Table:
    """Prints a line for each of our variants of each comparison.

    Args:
        title: What the table shows.
        repeats: How often a training step is timed; a forward pass three times as often.
        growth: Add the CPU time relative to the first line of the same kind.
        wait: Called after each step, before its time is taken.
    """

    def __init__(
        self, title: str, repeats: int, *, growth: bool = False, wait: Callable[[], None] | None = None
    ) -> None:
        self.repeats, self.growth, self.wait = repeats, growth, wait
        self.first: dict[str, dict[str, tuple[float, float]]] = {}
        times, width = "  released   equizoo ratio", LABEL
        print(f"\n{title}\n{'':{width}s}{'CPU [ms]':>26s}{'wall [ms]':>26s}", end="")
        print("   growth of CPU time" if growth else "")
        print(f"{'':{width}s}{times}{times}{'   released  equizoo' if growth else ''}")

    def add(self, kind: str, label: str, steps: dict[str, Step]) -> None:
        """Time the steps in turn and print their lines."""
        repeats = self.repeats if kind.startswith("training") else 3 * self.repeats
        medians = measure({name: self._timed(step) for name, step in steps.items()}, repeats)
        first = self.first.setdefault(kind, dict(medians))
        released = medians.pop("released", None)
        for name, ours in medians.items():
            line = f"{kind}, {label}{'' if name == 'equizoo' else f', {name}'}".ljust(LABEL)
            for k in (0, 1):
                a, b = (f"{1e3 * released[k]:.2f}", f"{released[k] / ours[k]:.1f}") if released else "--"
                line += f"{a:>10s}{1e3 * ours[k]:>10.2f}{b:>6s}"
            if self.growth:
                a = f"{released[0] / first['released'][0]:.1f}" if released else "-"
                line += f"{a:>11s}{ours[0] / first[name][0]:>9.1f}"
            print(line, flush=True)

    def _timed(self, step: Step) -> Step:
        if self.wait is None:
            return step

        def waited() -> None:
            step()
            self.wait()

        return waited


def compare(models: Models, batch: Batch) -> None:
    """Print how far the predicted positions are apart, in both precisions, if there is a released model.

    Raises:
        SystemExit: By more than 1e-5 in float32 or 1e-6 in float64.
    """
    if models.released is None:
        return
    for name, branches in (("plain", False), ("partial", True)):
        single = models.difference(batch, branches=branches)
        models.to(torch.float64)
        double = models.difference(batch.double(), branches=branches)
        models.to(torch.float32)
        print(f"  largest difference of the positions, {name}: float32 {single:.1e}, float64 {double:.1e}")
        if not (single < 1e-5 and double < 1e-6):
            raise SystemExit("the outputs differ")


def main_table(options: argparse.Namespace, device: str, mode: str | None) -> None:
    """Print the table of the published size on one device."""
    models, particles = Models(Shape(), options.reference, device, mode), Shape().particles
    batch, single = (systems(count, particles).to(device) for count in (options.batch, 1))
    print(f"\n{Shape()}, {models.parameters:,} parameters")
    compare(models, batch)
    wait = torch.cuda.synchronize if device == "cuda" else None
    table = Table(f"published size on the {device}", options.repeats, wait=wait)
    for kind, branches in TRAINING.items():
        table.add(kind, f"batch {batch.count}", training(models, batch, branches=branches))
    for chosen in (single, batch):
        for kind, branches in INFERENCE.items():
            table.add(kind, f"batch {chosen.count}", inference(models, chosen, branches=branches))


def growth_table(options: argparse.Namespace, what: str, shapes: list[Shape]) -> None:
    """Print how both grow with one size."""
    cases = []
    for shape in shapes:
        models, batch = Models(shape, options.reference), systems(options.batch, shape.particles)
        cases.append((shape, models, batch))
        print(f"{'' if len(cases) > 1 else chr(10)}{shape}, {models.parameters:,} parameters")
        compare(models, batch)
    table = Table(f"growth with {what}, batch {options.batch}", max(3, options.repeats // 3), growth=True)
    for shape, models, batch in cases:
        for kind, branches in TRAINING.items():
            table.add(kind, str(shape), training(models, batch, branches=branches))
        table.add("inference, plain", str(shape), inference(models, batch, branches=False))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, help="Steerable-E3-GNN folder of the released code")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="five repeats, and nothing grows")
    parser.add_argument("--compile", action="store_true", help="our model under torch.compile too")
    parser.add_argument("--flush-denormal", action="store_true", help="for both; off by default, as in torch")
    options = parser.parse_args()
    options.repeats = 5 if options.quick else options.repeats
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(options.flush_denormal)
    warnings.filterwarnings("ignore", module=r"models\.segnn|e3nn|torch\.jit")
    versions = {name: importlib.metadata.version(name) for name in ("torch", "e3nn")}
    versions["numba"] = (
        "none" if importlib.util.find_spec("numba") is None else importlib.metadata.version("numba")
    )
    print(f"{processor()}, {options.threads} thread(s), {', '.join(map(' '.join, versions.items()))}")
    print(f"flush-denormal {'on' if options.flush_denormal else 'off'} for both")
    main_table(options, "cpu", "default" if options.compile else None)
    if torch.cuda.is_available():
        print(f"\n{torch.cuda.get_device_name()}")
        main_table(options, "cuda", "reduce-overhead" if options.compile else None)
    if not options.quick:
        for what, shapes in GROWTH.items():
            growth_table(options, what, shapes)


if __name__ == "__main__":
    main()

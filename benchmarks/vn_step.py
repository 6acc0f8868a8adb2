"""VN-DGCNN beside that of the released ACE code: same batch, threads, process.

    python benchmarks/vn_step.py --reference ACE/vnn [--threads 1] [--batch 8] [--repeats 3]

``--reference`` is the ``vnn`` folder of a checkout of github.com/andreimano/ACE, commit 8d6d2ad; without it
only our figures are printed. Both models hold the same weights (8,831,612 parameters, γ = 1). Logits are
compared first, with the layout of the released branches on points put right: as released they mix points with
channels. Clouds are random, 300 points each.

A training step is the forward pass (neighbours included), cross entropy, the backward pass and SGD, with the
branches (ACE) and without (strict). Times are medians of alternating repeats; CPU time counts every thread.
Memory is by how much an ACE step raises the largest resident set of a process of its own (Linux).
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from _processor import processor
from _vn_reference import released, use_right_layout
from schnet_step import measure
from torch import Tensor, nn

from equizoo.models.vn_dgcnn import VNDGCNN, VNDGCNNConfig
from equizoo.relaxation import projected

POINTS = 300


def clouds(count: int) -> tuple[Tensor, Tensor]:
    """Return centred ``points (B, 300, 3)`` in the unit sphere, and labels ``(B,)``."""
    points = torch.randn(count, POINTS, 3, generator=torch.Generator().manual_seed(0))
    points = points - points.mean(1, keepdim=True)
    return points / points.norm(dim=-1).amax(1)[:, None, None], torch.arange(count) % 40


def our_forward(model: VNDGCNN, points: Tensor, relaxed: bool) -> Tensor:
    """Return our logits."""
    if relaxed:
        return model(points)
    with projected(model):
        return model(points)


def their_forward(model: nn.Module, points: Tensor, relaxed: bool) -> Tensor:
    """Return the released logits."""
    return model(points.mT.contiguous(), relaxed)[0]


Forward = Callable[[nn.Module, Tensor, bool], Tensor]


def training_step(model: nn.Module, forward: Forward, count: int, relaxed: bool) -> Callable[[], None]:
    """Return a training step."""
    points, labels = clouds(count)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-6)

    def step() -> None:
        model.train()
        optimiser.zero_grad()
        nn.functional.cross_entropy(forward(model, points, relaxed), labels).backward()
        optimiser.step()

    return step


def inference(model: nn.Module, forward: Forward, count: int, relaxed: bool) -> Callable[[], None]:
    """Return a forward pass without gradients."""
    points, _ = clouds(count)

    @torch.no_grad()
    def step() -> None:
        model.eval()
        forward(model, points, relaxed)

    return step


def models(reference: Path | None) -> dict[str, tuple[nn.Module, Forward]]:
    """Return the released model, if it is there, and ours, with equal weights."""
    torch.manual_seed(0)
    ours = VNDGCNN(VNDGCNNConfig(relaxed=True))
    found: dict[str, tuple[nn.Module, Forward]] = {"equizoo": (ours, our_forward)}
    return found if reference is None else {"released": (released(reference, ours), their_forward), **found}


def step_memory(name: str, reference: Path | None, count: int) -> float:
    """Return by how much [MiB] an ACE step of a model raises the largest resident set of this process."""
    torch.set_num_threads(1)
    model, forward = models(reference)[name]
    step = training_step(model, forward, count, True)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _resident()
    step()
    return _resident() - before


def _resident() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def compare(pair: dict[str, tuple[nn.Module, Forward]], count: int) -> None:
    """Print the largest difference of the logits; refuse to go on if it is large."""
    points, _ = clouds(count)
    for relaxed in (False, True):
        logits = []
        for model, forward in pair.values():
            with torch.no_grad():
                logits.append(forward(model.eval(), points, relaxed))
        difference = float((logits[0] - logits[1]).abs().max() / logits[0].abs().max())
        print(f"largest difference of the logits, {'ACE' if relaxed else 'strict'}: {difference:.1e}")
        if not difference <= 1e-4:  # NaN too
            raise SystemExit("the logits differ")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, help="vnn folder of the released code")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    print(
        f"{processor()}, {options.threads} thread(s), torch {torch.__version__}, flush-denormal on for both"
    )
    found = models(options.reference)
    if options.reference:
        use_right_layout(found["released"][0])
        compare(found, 2)
    kinds = {"training step": training_step, "inference": inference}
    print(f"{'':34s}{'released':>10s}{'equizoo':>10s}{'ratio':>7s}   CPU [ms], batch {options.batch}")
    for kind, make in kinds.items():
        for relaxed in (True, False):
            steps = {name: make(*pair, options.batch, relaxed) for name, pair in found.items()}
            times = {name: 1e3 * cpu for name, (cpu, _) in measure(steps, options.repeats).items()}
            _print(f"{kind}, {'ACE' if relaxed else 'strict'}", times)
    with ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        memory = {
            name: pool.submit(step_memory, name, options.reference, options.batch).result() for name in found
        }
    _print("memory of an ACE step [MiB]", memory)


def _print(title: str, values: dict[str, float]) -> None:
    theirs = values.get("released")
    left = f"{theirs:10.0f}" if theirs is not None else f"{'':10s}"
    ratio = f"{theirs / values['equizoo']:7.1f}" if theirs is not None else ""
    print(f"{title:34s}{left}{values['equizoo']:10.0f}{ratio}")


if __name__ == "__main__":
    main()

"""A training step of the relaxed SchNet beside that of the released ACE code: same batch, threads, process.

    python benchmarks/schnet_step.py --reference ACE/SchNet [--threads 1] [--batch 256] [--repeats 15]

``--reference`` is the ``SchNet`` folder of a checkout of github.com/andreimano/ACE (commit 8d6d2ad); without
it only our figures are printed. Both models hold the same weights (153,543 parameters, branch on) and take
the ACE step: forward, L1 loss with dual term, backward, Adam on weights and γ, ascent on λ. The reference has
ready-made edges for nothing, since its neighbour search needs a package without wheels. Molecules are QM9's
from ``EQUIZOO_DATA``, or random clusters of 9 to 27 atoms. Flush-denormal is on for both, then off for both.
CPU time counts every thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from _processor import processor
from torch import Tensor, nn

from equizoo.models.schnet import SchNet, SchNetConfig
from equizoo.nn.pairs import pairs_within
from equizoo.relaxation import build_method, relaxations
from equizoo.training.tasks.synthetic import synthetic_molecules


def molecules(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``z (N,)``, centred ``pos (N, 3)`` and ``batch (N,)`` of ``count`` molecules."""
    from equizoo.data.qm9 import load_qm9

    try:
        data = load_qm9().split("train")
    except FileNotFoundError:
        data = synthetic_molecules(count, 0)
    batch = data.batch(torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:count])
    z, pos, index = batch["z"].long(), batch["pos"], batch["batch"]
    mean = torch.zeros(count, 3).index_add_(0, index, pos) / torch.bincount(index).unsqueeze(1)
    return z, pos - mean[index], index


def reference_model(folder: Path, ours: SchNet) -> nn.Module:
    """Build the released model with our weights; edges come from our pair search."""
    sys.path.insert(0, str(folder))
    from layers.schnet import SchNet as Released

    def edges(pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        i, j, distance, _ = pairs_within(pos, batch, int(batch[-1]) + 1, 10.0)
        return torch.stack([torch.cat([i, j]), torch.cat([j, i])]), torch.cat([distance, distance])

    options = SimpleNamespace(disable_equi=True, n_gammas="layer")
    model = Released(64, 64, 6, 50, 10.0, interaction_graph=edges, args=options)
    names = {"conv.nn.0": "filter.lin1", "conv.nn.2": "filter.lin2", "conv.lin1": "lin1", "conv.lin2": "lin2"}
    names |= {"mlp.0": "filter.lin1", "mlp.2": "filter.lin2", "lin": "lin"}
    heads = {
        "lin1": "readout.hidden",
        "lin2": "readout",
        "pos_linear": "relaxation",
        "embedding": "embedding",
    }
    state = ours.state_dict()
    new = {}
    for key, value in model.state_dict().items():
        part = key.split(".")
        if part[0] == "interactions":
            source = f"interactions.{part[1]}.{names['.'.join(part[2:-1])]}.{part[-1]}"
        elif part[0] == "pos_interactions":
            source = f"interactions.{part[1]}.relaxation.branch.{'.'.join(part[2:])}"
        elif part[0] == "gammas":
            source = f"interactions.{part[1]}.relaxation.gamma"
        else:
            source = f"{heads[part[0]]}.{part[-1]}" if part[0] in heads else None
        new[key] = value if source is None else state[source]
    model.load_state_dict(new)
    return model


def reference_step(model: nn.Module, batch: tuple[Tensor, ...], target: Tensor) -> Callable[[], None]:
    """Return the released training step, with Adam on the dual variables."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    duals = [torch.zeros(()) for _ in model.gammas]
    dual_optimiser = torch.optim.Adam(duals, lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        out = model(*batch, disable_equivariance=True)
        loss = (out.view(-1) - target).abs().mean()
        for dual, gamma in zip(duals, model.gammas, strict=True):
            loss = loss + dual * gamma
            dual.grad = -gamma.detach()
        loss.backward()
        optimiser.step()
        dual_optimiser.step()

    return step


def our_step(model: SchNet, batch: tuple[Tensor, ...], target: Tensor) -> Callable[[], None]:
    """Return our training step with the same method and the same rates."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    method = build_method("ace-equality", relaxations(model), dual_lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        method.before_forward()
        loss = (model(*batch).view(-1) - target).abs().mean() + method.penalty()
        loss.backward()
        method.after_backward()
        optimiser.step()
        method.after_step()

    return step


def measure(steps: dict[str, Callable[[], None]], repeats: int) -> dict[str, tuple[float, float]]:
    """Run the steps in turn, each for a tenth of a second; return the median CPU and wall seconds of each."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    calls = dict.fromkeys(steps, 1)
    for k in range(repeats + 2):
        for name, step in steps.items():
            count, cpu, wall = calls[name], time.process_time(), time.perf_counter()
            for _ in range(count):
                step()
            seconds = (time.process_time() - cpu) / count, (time.perf_counter() - wall) / count
            if k >= 2:
                times[name].append(seconds)
            elif k == 1:
                calls[name] = max(1, round(0.1 / seconds[1]))
    return {
        name: tuple(statistics.median(column) for column in zip(*rows, strict=True))
        for name, rows in times.items()
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, help="SchNet folder of the released code")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    batch = molecules(options.batch)
    target = torch.randn(options.batch)
    print(f"{processor()}, {options.threads} thread(s), torch {torch.__version__}")
    print(f"{options.batch} molecules, {len(batch[0])} atoms")
    for flush in (True, False):
        torch.set_flush_denormal(flush)
        ours = SchNet(SchNetConfig(relaxed=True, branch="positions"))
        steps = {}
        if options.reference:
            reference = reference_model(options.reference, ours)
            ours.train()
            reference.train()
            a, b = ours(*batch).detach(), reference(*batch, disable_equivariance=True).detach()
            difference = float((a - b).abs().max() / b.abs().max())
            print(f"largest difference of the outputs, relative: {difference:.1e}")
            if not difference <= 1e-5:  # NaN too
                raise SystemExit("the outputs differ")
            steps["released"] = reference_step(reference, batch, target)
        steps["equizoo"] = our_step(ours, batch, target)
        medians = measure(steps, options.repeats)
        print(f"flush-denormal {'on' if flush else 'off'}")
        for name, (cpu, wall) in medians.items():
            print(f"  {name:10s} {1e3 * cpu:8.1f} ms CPU {1e3 * wall:8.1f} ms wall a step")
        if options.reference:
            cpu, wall = (a / b for a, b in zip(medians["released"], medians["equizoo"], strict=True))
            print(f"  ratio      {cpu:8.1f}        {wall:8.1f}")


if __name__ == "__main__":
    main()

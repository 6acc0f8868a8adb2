"""The relaxed EGNO of the motion recipe beside that of the released ACE code: same batch, threads, process.

    python benchmarks/egno_step.py --reference ACE/EGNO [--threads 1] [--batch 12] [--repeats 15]

``--reference`` is the ``EGNO`` folder of a checkout of github.com/andreimano/ACE, commit 8d6d2ad; without it
only our figures are printed. Both models hold the same weights (1,304,762 parameters, γ = 1, branches and
height as released); their predictions are compared before anything is timed. Bodies are made up, 31 joints
each.

A training step is the forward pass from positions (graph features included), the mean squared error over five
frames, the backward pass, clipping and Adam: ``ACE`` with branches, dual term and ascent on λ, ``strict``
without. Inference is the forward pass without gradients: ``plain`` without branches, ``partial`` with them.
Times are medians of alternating repeats. CPU time counts every thread; trust its ratio on a machine that does
other work.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from _egno_reference import Released
from _processor import processor
from schnet_step import measure
from torch import Tensor, nn

from equizoo.data.mocap import SKELETON
from equizoo.models.egno import EGNO, EGNOConfig
from equizoo.relaxation import build_method, project, relaxations

Step = Callable[[], object]
Forward = Callable[[Tensor, Tensor], Tensor]
RATE, DUAL_RATE, CLIP = 5e-4, 2e-4, 1.0


def bodies(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return positions, velocities ``(N, 3)`` and targets ``(N, 5, 3)`` of made-up bodies, in ASF units."""
    generator = torch.Generator().manual_seed(0)
    joints = len(SKELETON.joints)
    pos = torch.tensor([0.0, 17.0, 0.0]).repeat(count, joints, 1)
    bones = nn.functional.normalize(torch.randn(count, joints, 3, generator=generator), dim=-1)
    for child, parent in SKELETON.bones:
        pos[:, child] = pos[:, parent] + 2.5 * bones[:, child]
    vel = torch.tensor([0.0, 0.0, 0.5]) + 0.2 * torch.randn(count, joints, 3, generator=generator)
    frames = torch.arange(26.0, 31.0).view(1, 1, -1, 1)
    target = pos.unsqueeze(2) + frames * vel.unsqueeze(2)
    return pos.flatten(0, 1), vel.flatten(0, 1), target.flatten(0, 1)


def our_step(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Step:
    """Return our training step, of the method ``ace-equality`` if the model is relaxed."""
    pos, vel, target = batch
    terms = relaxations(model)
    method = build_method("ace-equality", terms, dual_lr=DUAL_RATE) if terms else build_method("none", terms)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        method.before_forward()
        loss = nn.functional.mse_loss(model(pos, vel), target)
        (loss + method.penalty() if terms else loss).backward()
        method.after_backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        method.after_step()

    return step


def released_step(released: Released, batch: tuple[Tensor, Tensor, Tensor], branches: bool) -> Step:
    """Return the released training step; with branches, λ is a tensor a layer and has its own Adam."""
    pos, vel, target = batch
    model = released.model
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    duals = [torch.zeros(()) for _ in released.gammas]
    dual_optimiser = torch.optim.Adam(duals, lr=DUAL_RATE, eps=1e-4)

    def step() -> None:
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(released(pos, vel, branches=branches), target)
        if branches:
            for dual, gamma in zip(duals, released.gammas, strict=True):
                loss = loss + dual * gamma
                dual.grad = -gamma.detach()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        if branches:
            dual_optimiser.step()

    return step


def compare(released: Released, ours: dict[bool, EGNO], batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Print how far the predictions are apart.

    Raises:
        SystemExit: By more than 1e-5 of the largest coordinate.
    """
    for branches, model in ours.items():
        with torch.no_grad():
            mine, theirs = model(*batch[:2]), released(*batch[:2], branches=branches)
        difference = float((mine - theirs).abs().max() / theirs.abs().max())
        name = "partial" if branches else "plain"
        print(f"  largest difference of the positions relative to the largest, {name}: {difference:.1e}")
        if not difference < 1e-5:
            raise SystemExit("the outputs differ")


def report(name: str, steps: dict[str, Step], repeats: int) -> None:
    """Time the steps in turn and print a line."""
    medians = measure(steps, repeats)
    ours, line = medians["equizoo"], f"{name:28s}"
    for k in (0, 1):
        theirs = medians["released"][k] if "released" in medians else None
        line += f"{1e3 * theirs:>11.2f}" if theirs else f"{'--':>11s}"
        line += f"{1e3 * ours[k]:>10.2f}" + (f"{theirs / ours[k]:>7.2f}" if theirs else f"{'--':>7s}")
    print(line, flush=True)


def inference(
    name: str, forwards: Iterable[tuple[str, Forward]], batch: tuple[Tensor, ...], repeats: int
) -> None:
    """Time forward passes without gradients and print a line."""

    def step(forward: Forward) -> Step:
        return torch.no_grad()(lambda: forward(*batch[:2]))

    report(name, {key: step(forward) for key, forward in forwards}, 3 * repeats)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, help="EGNO folder of the released code")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    relaxed = EGNO(EGNOConfig(SKELETON.bones, height="published", relaxed=True, branch="published"))
    released = Released(options.reference, relaxed) if options.reference else None
    ours = {True: relaxed, False: project(relaxed)}
    batch, single = bodies(options.batch), bodies(1)
    print(f"{processor()}, {options.threads} thread(s), torch {torch.__version__}")
    print(f"{sum(x.numel() for x in relaxed.parameters()):,} parameters, batch {options.batch}")
    if released is not None:
        released.model.eval()
        compare(released, {key: model.eval() for key, model in ours.items()}, batch)
    print(f"{'':28s}{'CPU [ms]':>28s}{'wall [ms]':>28s}\n{'':28s}{'   released   equizoo  ratio' * 2}")
    for branches, model in ours.items():
        name = f"inference, {'partial' if branches else 'plain'}"
        for count, chosen in ((1, single), (options.batch, batch)):
            forwards: list[tuple[str, Forward]] = [("equizoo", model)]
            if released is not None:
                forwards.append(("released", lambda pos, vel, on=branches: released(pos, vel, branches=on)))
            inference(f"{name}, batch {count}", forwards, chosen, options.repeats)
    for branches, model in ours.items():
        steps = {"equizoo": our_step(model.train(), batch)}
        if released is not None:
            released.model.train()
            steps["released"] = released_step(released, batch, branches)
        report(f"training step, {'ACE' if branches else 'strict'}", steps, options.repeats)


if __name__ == "__main__":
    main()

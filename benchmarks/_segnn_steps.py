"""Models, batches and the steps that ``segnn_step.py`` times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import _segnn_reference as reference
import torch
from torch import Tensor, nn

from equizoo.data.nbody import World, simulate
from equizoo.models.segnn_particles import ParticleSEGNN, ParticleSEGNNConfig
from equizoo.relaxation import build_method, project, relaxations

Step = Callable[[], object]


@dataclass(frozen=True)
class Shape:
    """What is varied: size of the network and of the systems."""

    lmax: int = 1
    hidden: int = 64
    particles: int = 5

    def __str__(self) -> str:
        return f"lmax {self.lmax}, hidden {self.hidden}, {self.particles} particles"


@dataclass(frozen=True)
class Batch:
    """Systems of particles, one after another.

    Attributes:
        pos, vel: ``(N, 3)`` positions [length unit] and velocities at frame 30.
        target: ``(N, 3)`` positions at frame 40, one time unit later.
        charge: ``(N,)`` charges.
        index: ``(N,)`` system of each particle.
        edges: ``(2, E)`` edges of the complete graphs, for the released code.
        count: Number of systems.
    """

    pos: Tensor
    vel: Tensor
    target: Tensor
    charge: Tensor
    index: Tensor
    edges: Tensor
    count: int

    def to(self, device: str) -> Batch:
        """Return the batch on another device."""
        return replace(self, **{k: x.to(device) for k, x in vars(self).items() if isinstance(x, Tensor)})

    def double(self) -> Batch:
        """Return the batch in float64."""
        names = ("pos", "vel", "target", "charge")
        return replace(self, **{name: getattr(self, name).double() for name in names})


def systems(count: int, particles: int) -> Batch:
    """Return ``count`` charged systems of the recipe."""
    paths = simulate(World(particles=particles), count, seed=0)
    frames = (paths.pos[:, 30], paths.vel[:, 30], paths.pos[:, 40])
    pos, vel, target = (x.reshape(-1, 3).float() for x in frames)
    index = torch.arange(count).repeat_interleave(particles)
    edges = reference.complete_edges(count, particles)
    return Batch(pos, vel, target, paths.charge.reshape(-1).float(), index, edges, count)


class Models:
    """Our relaxed and plain model and, if there is a checkout, the released one with the same weights.

    Args:
        shape: Size of the networks.
        folder: The checkout, or None.
        device: Where the models are.
        mode: Mode of ``torch.compile``, or None to compile nothing.
    """

    def __init__(
        self, shape: Shape, folder: Path | None, device: str = "cpu", mode: str | None = None
    ) -> None:
        torch.manual_seed(0)
        sizes = {"lmax_hidden": shape.lmax, "lmax_attributes": shape.lmax}
        config = ParticleSEGNNConfig(hidden=shape.hidden, centre="none", relaxed=True, **sizes)
        self.relaxed, self.released = ParticleSEGNN(config), None
        if folder is not None:
            self.released = reference.load(folder, hidden=shape.hidden, lmax=shape.lmax)
            empty = {name: x for name, x in self.relaxed.state_dict().items() if x.numel() == 0}
            self.relaxed.load_state_dict(empty | reference.our_state(self.released))
            self.released.model.to(device)
        self.relaxed.to(device)
        self.plain = project(self.relaxed)
        self.mode = mode

    @property
    def parameters(self) -> int:
        """Number of parameters of the relaxed model."""
        return sum(x.numel() for x in self.relaxed.parameters())

    def variants(self, *, branches: bool) -> dict[str, tuple[nn.Module, nn.Module]]:
        """Return, by name, each model of ours and the module that runs it."""
        model = self.relaxed if branches else self.plain
        found = {"equizoo": (model, model)}
        if self.mode:
            found["compiled"] = (model, torch.compile(model, mode=self.mode))
        return found

    def run_released(self, batch: Batch, *, branches: bool) -> Tensor:
        """Return the released prediction ``(N, 3)``."""
        self.released.model.set_equivariance(branches)
        return self.released(batch.pos, batch.vel, batch.charge, batch.edges, batch.index)

    @torch.no_grad()
    def difference(self, batch: Batch, *, branches: bool) -> float:
        """Return how far the outputs are apart at most [length]."""
        ours = run(self.relaxed if branches else self.plain, batch)
        return float((ours - self.run_released(batch, branches=branches)).abs().max())

    def to(self, dtype: torch.dtype) -> None:
        """Change the precision of every model."""
        for model in (self.relaxed, self.plain, self.released.model):
            model.to(dtype)


def run(model: nn.Module, batch: Batch) -> Tensor:
    """Return our prediction ``(N, 3)``."""
    return model(batch.pos, batch.vel, batch.charge, batch.index, num_graphs=batch.count)


def inference(models: Models, batch: Batch, *, branches: bool) -> dict[str, Step]:
    """Return the forward passes to compare, without gradients."""

    def released() -> Tensor:
        return models.run_released(batch, branches=branches)

    steps = {} if models.released is None else {"released": torch.no_grad()(released)}
    for name, (_, module) in models.variants(branches=branches).items():
        steps[name] = torch.no_grad()(lambda module=module: run(module, batch))
    return steps


def training(models: Models, batch: Batch, *, branches: bool) -> dict[str, Step]:
    """Return the training steps to compare: of the method ``ace-equality`` with branches, else plain."""
    steps = {} if models.released is None else {"released": _released_step(models, batch, branches)}
    for name, (model, module) in models.variants(branches=branches).items():
        steps[name] = _our_step(model, module, batch)
    return steps


def _our_step(model: nn.Module, module: nn.Module, batch: Batch) -> Step:
    terms = relaxations(model)
    method = build_method("ace-equality", terms, dual_lr=8e-4) if terms else build_method("none", terms)
    optimiser = torch.optim.Adam(model.parameters(), lr=9e-4, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        method.before_forward()
        loss = (run(module, batch) - batch.target).square().mean()
        (loss + method.penalty() if terms else loss).backward()
        method.after_backward()
        optimiser.step()
        method.after_step()

    return step


def _released_step(models: Models, batch: Batch, branches: bool) -> Step:
    """Return the released training step; with branches, λ is a tensor a layer and has its own Adam."""
    model, gammas = models.released.model, models.released.model.get_gammas()
    optimiser = torch.optim.Adam(model.parameters(), lr=9e-4)
    duals = [torch.zeros((), device=batch.pos.device) for _ in gammas]
    dual_optimiser = torch.optim.Adam(duals, lr=8e-4)

    def step() -> None:
        optimiser.zero_grad()
        loss = (models.run_released(batch, branches=branches) - batch.target).square().mean()
        if branches:
            for dual, gamma in zip(duals, gammas, strict=True):
                loss = loss + dual * gamma
                dual.grad = -gamma.detach()
        loss.backward()
        optimiser.step()
        if branches:
            dual_optimiser.step()

    return step

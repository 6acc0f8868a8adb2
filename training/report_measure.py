"""What a report measures on the best weights of a run: constants of the bounds, and symmetry by layer."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from equizoo.relaxation.bounds import equivariance_bound
from equizoo.relaxation.layer import Relaxation, projected, relaxations
from equizoo.symmetry.gap import symmetry_gap
from equizoo.symmetry.groups import Group
from equizoo.symmetry.measure import equivariance_error, evaluating, layer_equivariance_errors
from equizoo.training.equivariance import sample_batch, sample_inputs
from equizoo.training.tasks import Task

_GAIN_SAMPLES, _POWER_ROUNDS = 32, 6


@dataclass(frozen=True)
class Layer:
    """What was measured on one relaxed layer.

    Attributes:
        name: Its name in the model.
        gamma: γ.
        growth: Largest ``‖f_neq(z)‖ / ‖z‖``, by which B is measured [1].
        norm: Largest ‖z‖ of the inputs of its branch.
        gain: Largest ratio by which a small change of its output changes the output of the projected model.
        error: Relative equivariance error of its term, None where the types of its features are not stated.
        gap: Symmetry gap of its branch input and output relative to their size, with its standard error;
            None likewise.
    """

    name: str
    gamma: float
    growth: float
    norm: float
    gain: float
    error: float | None
    gap: tuple[float, float] | None


@dataclass(frozen=True)
class Measured:
    """What was measured on the relaxed model.

    Attributes:
        layers: Its relaxed layers, in the order of the forward pass.
        samples: Number of validation samples.
        error: Equivariance error under rotations, relative to the size of the output.
        size: Root mean square norm of a sample's output, by which errors are relative.
    """

    layers: tuple[Layer, ...]
    samples: int
    error: float
    size: float

    @property
    def growth(self) -> float:
        """B of Theorem 4.2: the largest of the layers."""
        return max(layer.growth for layer in self.layers)

    @property
    def norm(self) -> float:
        """‖x‖ of Theorem 4.2: that of the input of the first branch."""
        return self.layers[0].norm

    @property
    def lipschitz(self) -> float:
        """M of Theorem 4.2: the smallest rate a layer that explains every measured gain and norm."""
        depth, last = len(self.layers), max(self.layers[-1].gain, 1e-12)
        rates = [(layer.gain / last) ** (1 / (depth - 1 - k)) for k, layer in enumerate(self.layers[:-1])]
        rates += [(layer.norm / self.norm) ** (1 / k) for k, layer in enumerate(self.layers) if k]
        return max(rates, default=1.0)

    def bound(self, gammas: dict[str, float]) -> float:
        """Return the bound of Theorem 4.2, times the gain behind the last layer, relative to the output."""
        values = [gammas[layer.name] for layer in self.layers]
        bound = equivariance_bound(values, self.lipschitz, self.growth, self.norm)
        return bound * self.layers[-1].gain / self.size

    def layer_bound(self, gammas: dict[str, float]) -> float:
        """Return ``Σ_i 2 |γ_i| B_i ‖z_i‖ G_i`` relative to the output: the sum in its proof."""
        return sum(2 * abs(gammas[x.name]) * x.growth * x.norm * x.gain for x in self.layers) / self.size


def measure(model: nn.Module, task: Task, samples: int = 256) -> Measured:
    """Measure a relaxed model on validation samples, in float64.

    The constants of the theorems are suprema; these are the largest values at the samples, so the bounds are
    estimates that hold near the data, not for every input.

    Args:
        model: A model with relaxed layers.
        task: Its task.
        samples: Number of validation samples; the gains are measured on the first 32 of them.

    Returns:
        Constants, errors and gaps.

    Raises:
        ValueError: No relaxed layer adds its term by itself, as a call of its ``Relaxation``.
    """
    model = copy.deepcopy(model).cpu().double().requires_grad_(False)
    batch = sample_batch(task, "valid", samples)
    inputs, few = _float64(task.model_inputs(batch)), _float64(sample_inputs(task, "valid", _GAIN_SAMPLES))
    terms = relaxations(model)
    index = batch["batch"].cpu()
    generator = torch.Generator().manual_seed(0)
    rotations = next(iter(task.groups.values()))
    with evaluating(model):
        seen, output = _record(model, terms, inputs)
        if not seen:
            raise ValueError("no relaxed layer of this model adds its term by itself")
        errors = layer_equivariance_errors(model, inputs, rotations, generator=generator)
        error = equivariance_error(model, inputs, rotations, generator=generator).rel_mean
        layers = []
        for name, found in seen.items():
            *values, term, after = (_node_first(x, index) for x in (*found[0], *found[1:]))
            sizes = _graph_norms(torch.cat([v.flatten(1) for v in values], 1), index)
            layers.append(
                Layer(
                    name,
                    terms[name].gamma.item(),
                    float((_graph_norms(term, index) / sizes.clamp_min(1e-12)).max()),
                    float(sizes.max()),
                    _gain(model, terms[name], few, generator),
                    errors[name].rel_mean if name in errors else None,
                    _gap(terms[name], values[0], after, index, rotations, generator),
                )
            )
    size = float(_graph_norms(output, index).square().mean().sqrt())
    return Measured(tuple(layers), int(index[-1]) + 1, error, size)


def relative_errors(model: nn.Module, task: Task, samples: int = 64) -> dict[str, float]:
    """Return a model's equivariance errors relative to the size of its output, by transformation, in float64.

    The transformations are the task's ``groups``.
    """
    model = copy.deepcopy(model).cpu().double().requires_grad_(False)
    inputs = _float64(sample_inputs(task, "valid", samples))
    return {
        name: equivariance_error(model, inputs, group, generator=torch.Generator().manual_seed(0)).rel_mean
        for name, group in task.groups.items()
    }


def _float64(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: x.cpu().double() if x.is_floating_point() else x.cpu() for k, x in inputs.items()}


Seen = dict[str, tuple[list[Tensor], Tensor, Tensor]]


def _record(model: nn.Module, terms: dict[str, Relaxation], inputs: dict[str, Any]) -> tuple[Seen, Tensor]:
    """Return each layer's branch inputs, branch output and output, in order, and the model's output."""
    seen: Seen = {}

    def hook(name: str) -> Callable[..., None]:
        def remember(term: Relaxation, args: tuple[Any, ...], after: Tensor) -> None:
            floats = [x for x in args[1:] if isinstance(x, Tensor) and x.is_floating_point()]
            nodes = [x for x in floats if len(x) == len(floats[0])]
            seen[name] = (nodes, term.branch(*args[1:]), after)

        return remember

    handles = [term.register_forward_hook(hook(name)) for name, term in terms.items()]
    try:
        with torch.no_grad():
            output = model(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return seen, output


def _node_first(x: Tensor, index: Tensor) -> Tensor:
    """Return rows ``(N, T, C)`` of features ``(T, N, C)`` at several times; others as they are."""
    return x.transpose(0, 1) if x.ndim == 3 and len(x) != len(index) == x.shape[1] else x


def _graph_norms(x: Tensor, index: Tensor) -> Tensor:
    """Return the norm over all features of each graph, (B,), of rows a node or a graph."""
    squares = x.flatten(1).square().sum(1)
    if len(x) != len(index):
        return squares.sqrt()
    return torch.zeros(int(index[-1]) + 1, dtype=x.dtype).index_add(0, index, squares).sqrt()


def _gain(model: nn.Module, term: Relaxation, inputs: dict[str, Any], generator: torch.Generator) -> float:
    """Return the largest singular value of the Jacobian of the projected model's output by a layer's output.

    Graphs do not see each other, so this is the largest over the graphs: power iteration on ``JᵀJ``, with
    ``Jv`` by a finite difference and ``Jᵀu`` by backpropagation.
    """
    ((_, _, after),) = _record(model, {"": term}, inputs)[0].values()
    direction = torch.randn(after.shape, generator=generator, dtype=after.dtype)
    step = 1e-6 * float(after.norm()) / math.sqrt(len(after)) + 1e-9
    gain = 0.0
    with projected(model):
        for _ in range(_POWER_ROUNDS):
            direction = direction / direction.norm().clamp_min(1e-300)
            with torch.no_grad(), _shifted(term, step * direction):
                ahead = model(**inputs)
            shift = torch.zeros_like(after, requires_grad=True)
            with torch.enable_grad(), _shifted(term, shift):
                here = model(**inputs)
            image = (ahead - here.detach()) / step
            gain = max(gain, float(image.norm()))
            (direction,) = torch.autograd.grad(here, shift, image)
    return gain


@contextmanager
def _shifted(term: Relaxation, shift: Tensor) -> Iterator[None]:
    """Add ``shift`` to the output of a relaxed layer."""
    handle = term.register_forward_hook(lambda module, args, output: output + shift)
    try:
        yield
    finally:
        handle.remove()


def _gap(
    term: Relaxation, x: Tensor, y: Tensor, index: Tensor, group: Group, generator: torch.Generator
) -> tuple[float, float] | None:
    """Return the squared energy distance of a layer's features from their symmetrisation, relative to size.

    One node of each graph is taken, so that the rows are independent.
    """
    if term.in_type is None or isinstance(term.in_type, (tuple, list)) or term.out_type is None:
        return None
    first = torch.cat([torch.zeros(1, dtype=torch.long), (index.diff() > 0).nonzero().flatten() + 1])
    if len(first) < 8:
        return None
    x, y = x[first], y[first]
    gap = symmetry_gap(x, y, term.in_type, term.out_type, group, generator=generator)
    size = float(torch.cat([x, y], -1).flatten(1).norm(dim=1).mean())
    return gap.value / size, gap.standard_error / size

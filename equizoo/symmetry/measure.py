"""How far a network is from commuting with a group.

The equivariance error of ``f`` is ``‖f(ρ_in(g) x) − ρ_out(g) f(x)‖``, averaged over Haar samples g and over
the rows of the output.

References:
    Manolache et al. (ACE), Section 4: the equivariance error, reported there over five random elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from equizoo.symmetry.derivative import lie_derivative
from equizoo.symmetry.featuretype import FeatureType
from equizoo.symmetry.gap import GapEstimate, symmetry_gap, witness_gap
from equizoo.symmetry.groups import Group

if TYPE_CHECKING:
    from equizoo.relaxation.layer import Relaxation

__all__ = [
    "EquivarianceError",
    "GapEstimate",
    "equivariance_error",
    "layer_equivariance_errors",
    "lie_derivative",
    "symmetry_gap",
    "witness_gap",
]


@dataclass(frozen=True)
class EquivarianceError:
    """Equivariance error over group elements and rows of the output.

    Args:
        abs_mean: Mean of ``‖f(gx) − g f(x)‖``, the norm taken over the feature axis [units of the output].
        abs_max: Largest of the same [units of the output].
        rel_mean: ``abs_mean`` over the root mean square of ``‖f(x)‖`` [1].
        rel_max: ``abs_max`` over the same [1].
    """

    abs_mean: float
    abs_max: float
    rel_mean: float
    rel_max: float


def equivariance_error(
    model: nn.Module,
    inputs: Mapping[str, Any],
    group: Group,
    n: int = 5,
    *,
    generator: torch.Generator | None = None,
    input_types: Mapping[str, FeatureType | None] | None = None,
    output_type: FeatureType | None = None,
) -> EquivarianceError:
    """Measure the equivariance error of a whole model, in evaluation mode.

    Args:
        model: Called as ``model(**inputs)``; returns one tensor. Its training flags are left as they were.
        inputs: Arguments of the model by name.
        group: Where the elements come from.
        n: Number of elements; each acts on the whole batch.
        generator: Source of randomness.
        input_types: Feature type of each input, None for what is passed untouched; by default
            ``model.input_types``.
        output_type: Feature type of the output; by default ``model.output_type``.

    Returns:
        The error, in the units of the output and relative to its size.

    Raises:
        ValueError: ``n < 1``, or a feature type is not stated.

    Example:
        >>> from equizoo.symmetry import SO3, Vectors
        >>> class Double(nn.Module):
        ...     def forward(self, v):
        ...         return 2 * v
        >>> types = dict(input_types={"v": Vectors()}, output_type=Vectors())
        >>> equivariance_error(Double(), {"v": torch.randn(8, 3)}, SO3(), **types).rel_max < 1e-5
        True
    """
    if n < 1:
        raise ValueError(f"the error needs at least one group element, got n = {n}")
    input_types = input_types if input_types is not None else getattr(model, "input_types", None)
    output_type = output_type if output_type is not None else getattr(model, "output_type", None)
    if input_types is None or output_type is None:
        raise ValueError(
            f"{type(model).__name__} does not state how its inputs and output transform; "
            "give it input_types and output_type, or pass them here"
        )
    if missing := [name for name in inputs if name not in input_types]:
        raise ValueError(f"no feature type for inputs {missing}; use None for what is passed untouched")
    types = [input_types[name] for name in inputs]

    def call(*values: Any) -> Tensor:
        return model(**dict(zip(inputs, values, strict=True)))

    with evaluating(model), torch.no_grad():
        values = tuple(inputs.values())
        return _compare(call, values, types, output_type, group, n, generator, call(*values))


def layer_equivariance_errors(
    model: nn.Module,
    inputs: Mapping[str, Any],
    group: Group,
    n: int = 5,
    *,
    generator: torch.Generator | None = None,
) -> dict[str, EquivarianceError]:
    """Measure what each relaxed layer adds to the equivariance error.

    ``f_eq`` commutes with the group, so the error of a layer is that of its term ``γ·f_neq`` on the inputs
    it sees in a forward pass.

    Args:
        model: A relaxed network, called as ``model(**inputs)``.
        inputs: Arguments of the model by name.
        group: Where the elements come from.
        n: Number of elements.
        generator: Source of randomness.

    Returns:
        The error of each relaxed layer by name, relative to the layer's whole output. Layers that do not
        state both feature types are left out: how their inputs transform is not known.

    Raises:
        ValueError: The forward pass does not reach a layer.
    """
    from equizoo.relaxation.layer import relaxations

    terms = {
        name: term
        for name, term in relaxations(model).items()
        if term.in_type is not None and term.out_type is not None
    }
    with evaluating(model), torch.no_grad():
        seen = _record(model, terms, inputs)
        return {
            name: _layer_error(name, term, seen.get(name), group, n, generator)
            for name, term in terms.items()
        }


def _record(
    model: nn.Module, terms: Mapping[str, Relaxation], inputs: Mapping[str, Any]
) -> dict[str, tuple[tuple[Any, ...], Tensor]]:
    """Branch inputs and layer output of every relaxed layer in one forward pass."""
    seen: dict[str, tuple[tuple[Any, ...], Tensor]] = {}

    def remember(name: str) -> Callable[..., None]:
        return lambda module, args, output: seen.__setitem__(name, (args[1:], output))

    handles = [term.register_forward_hook(remember(name)) for name, term in terms.items()]
    try:
        model(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _layer_error(
    name: str,
    term: Relaxation,
    seen: tuple[tuple[Any, ...], Tensor] | None,
    group: Group,
    n: int,
    generator: torch.Generator | None,
) -> EquivarianceError:
    if seen is None:
        raise ValueError(f"the forward pass did not reach relaxed layer {name!r}")
    values, output = seen
    gamma = (term.gamma if term.modulation is None else term.modulation) * term.enabled

    def call(*values: Any) -> Tensor:
        return gamma * term.branch(*values)

    return _compare(call, values, branch_types(term, len(values)), term.out_type, group, n, generator, output)


def branch_types(term: Relaxation, n: int) -> list[FeatureType | None]:
    """Return the feature type of each of the ``n`` inputs of a branch.

    A tuple or list in ``in_type`` names them all; a single type is that of the first input, and the others
    are context that is passed untouched.

    Raises:
        ValueError: ``in_type`` names another number of inputs.
    """
    if not isinstance(term.in_type, (tuple, list)):
        return [term.in_type, *[None] * (n - 1)]
    if len(term.in_type) != n:
        raise ValueError(f"in_type names {len(term.in_type)} inputs, the branch takes {n}")
    return list(term.in_type)


def _compare(
    call: Callable[..., Tensor],
    values: tuple[Any, ...],
    types: list[FeatureType | None],
    out_type: FeatureType,
    group: Group,
    n: int,
    generator: torch.Generator | None,
    scale_from: Tensor,
) -> EquivarianceError:
    """Error of ``call`` over ``n`` elements, relative to the root-mean-square row norm of ``scale_from``."""
    output = call(*values)
    errors = []
    for _ in range(n):
        element = group.sample(generator=generator, dtype=torch.float64, device=output.device)
        moved = [
            value if kind is None else kind.act(element, value)
            for value, kind in zip(values, types, strict=True)
        ]
        difference = call(*moved) - out_type.act(element, output)
        errors.append(_row_norms(difference, out_type))
    error = torch.stack(errors).double()
    scale = float(_row_norms(scale_from, out_type).double().square().mean().sqrt())
    mean, largest = float(error.mean()), float(error.max())
    relative = [value / scale if scale else (float("inf") if value else 0.0) for value in (mean, largest)]
    return EquivarianceError(mean, largest, *relative)


def _row_norms(x: Tensor, kind: FeatureType) -> Tensor:
    return x.flatten(-kind.feature_axes).norm(dim=-1) if kind.feature_axes else x.abs()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Put ``model`` in evaluation mode; on leaving, every training flag is as it was."""
    flags = {module: module.training for module in model.modules()}
    try:
        yield model.eval()
    finally:
        for module, flag in flags.items():
            module.training = flag

"""The relaxed layer, ``y = f_eq(x) + γ·f_neq(x)``.

Manolache et al., "Learning (Approximately) Equivariant Networks via Constrained Optimization" (ACE),
Section 3.

A layer is relaxed by giving it one submodule named ``relaxation``. The parameters of ``f_eq`` keep their
names, so the state dict of a plain model is the state dict of the relaxed one without every key that has a
``relaxation`` segment: projecting is dropping.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Relaxation(nn.Module):
    """The unconstrained term ``γ·f_neq(x)`` of one relaxed layer.

    Args:
        branch: ``f_neq``, any module; its output has the shape of the layer's output.
        in_type: Feature type of the branch's input (see :mod:`equizoo.symmetry.features`), or None.
        out_type: Feature type of the layer's output, or None.
        gamma: Initial γ; the published experiments start at 1.
        chained: Whether the branches of other layers need the output of this one, so that such terms can
            only be dropped together.

    Attributes:
        gamma: Scalar parameter γ.
        modulation: A tensor that takes the place of ``gamma`` in the forward pass while it is set
            (methods that compute γ, such as RECM, set it), else None.
        enabled: False takes the term out of the forward pass; see :func:`projected`.
        record: True keeps the branch's detached inputs of the last forward pass in ``last_inputs``.

    Example:
        >>> term = Relaxation(nn.Linear(4, 4), gamma=0.0)
        >>> x = torch.randn(2, 4)
        >>> torch.equal(term(x, x), x)
        True
    """

    def __init__(
        self,
        branch: nn.Module,
        in_type: Any = None,
        out_type: Any = None,
        gamma: float = 1.0,
        chained: bool = False,
    ) -> None:
        super().__init__()
        self.branch, self.chained = branch, chained
        self.gamma = nn.Parameter(torch.tensor(float(gamma)))
        self.in_type, self.out_type = in_type, out_type
        self.modulation: Tensor | None = None
        self.enabled = True
        self.record = False
        self.last_inputs: tuple[Any, ...] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # what belongs to one forward pass is not copied: a modulation may carry a graph
        return {**self.__dict__, "modulation": None, "last_inputs": None}

    def forward(self, y: Tensor, *inputs: Any) -> Tensor:
        """Return ``y + γ·f_neq(*inputs)``, or ``y`` itself while the term is not enabled.

        Args:
            y: Output of ``f_eq``, of any shape.
            *inputs: What the branch takes.

        Returns:
            A tensor of the shape of ``y``.
        """
        if not self.enabled:
            return y
        self.see(*inputs)
        return self.add(y, self.branch(*inputs))

    def see(self, *inputs: Any) -> None:
        """Keep the inputs while ``record`` is set; for a layer that computes the term by itself."""
        if self.record:
            self.last_inputs = tuple(x.detach() if isinstance(x, Tensor) else x for x in inputs)

    def add(self, y: Tensor, term: Tensor) -> Tensor:
        """Return ``y + γ·term`` for a branch output that is at hand already, or ``y`` while not enabled."""
        if not self.enabled:
            return y
        return y + (self.gamma if self.modulation is None else self.modulation) * term


def relaxations(model: nn.Module) -> dict[str, Relaxation]:
    """Return the relaxed layers of ``model``, by the name of the layer that holds each.

    Raises:
        ValueError: A term is not called ``relaxation``: projecting would not find it.

    Example:
        >>> layer = nn.Linear(4, 4)
        >>> _ = relax(nn.Sequential(layer), {"0": nn.Linear(4, 4)})
        >>> list(relaxations(nn.Sequential(layer)))
        ['0']
    """
    terms = {name: module for name, module in model.named_modules() if isinstance(module, Relaxation)}
    for name in terms:
        if name.rpartition(".")[2] != "relaxation":
            raise ValueError(f"the layer's attribute that holds a Relaxation is 'relaxation', not {name!r}")
    return {name.removesuffix("relaxation").removesuffix("."): term for name, term in terms.items()}


def _add_relaxation(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    return output if layer.relaxation is None else layer.relaxation(output, *inputs)


def relax(
    model: nn.Module,
    branches: Mapping[str, nn.Module],
    *,
    in_types: Mapping[str, Any] | None = None,
    out_types: Mapping[str, Any] | None = None,
    gamma: float = 1.0,
) -> nn.Module:
    """Relax layers of any ``nn.Module`` in place: each computes ``f_eq(x) + γ·f_neq(x)`` from now on.

    A layer that has an attribute ``relaxation`` (None) applies the term in its own forward pass; to any
    other layer the term is added from outside when the layer is called, and its branch takes the positional
    inputs of the layer. A layer whose weights are used without calling it, such as ``out_proj`` of
    ``nn.MultiheadAttention``, cannot be relaxed: relax the module around it.

    Args:
        model: The equivariant network.
        branches: ``f_neq`` for each layer to relax, keyed by the layer's name in ``model.named_modules()``.
        in_types: Feature types of the layers' inputs, by the same names (optional).
        out_types: Feature types of the layers' outputs, by the same names (optional).
        gamma: Initial γ of every layer.

    Returns:
        ``model``.

    Raises:
        KeyError: A name is not a layer of ``model``.
        ValueError: A layer is relaxed already.
        TypeError: A layer is a container such as ``nn.Sequential``, which would run the term as an element.

    Example:
        >>> from equizoo.relaxation import build_method
        >>> net = nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 1))
        >>> net = relax(net, {"0": nn.Linear(3, 8)})
        >>> method = build_method("ace-equality", relaxations(net))
    """
    layers = dict(model.named_modules())
    for name in branches:
        if name not in layers:
            raise KeyError(f"no layer {name!r} in {type(model).__name__}; its layers are {sorted(layers)}")
        if getattr(layers[name], "relaxation", None) is not None:
            raise ValueError(f"layer {name!r} is relaxed already; project it first")
        if isinstance(layers[name], (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
            raise TypeError(f"layer {name!r} is a container; relax a layer inside it or a module around it")
    for name, branch in branches.items():
        layer = layers[name]
        term = Relaxation(branch, (in_types or {}).get(name), (out_types or {}).get(name), gamma)
        parameter = next(layer.parameters(), None)
        if not hasattr(layer, "relaxation"):
            layer.register_forward_hook(_add_relaxation)
        layer.relaxation = term if parameter is None else term.to(parameter.device)
    return model


@contextmanager
def projected(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluate ``model`` as if every γ were 0; on leaving, the terms are as they were.

    Example:
        >>> net = relax(nn.Sequential(nn.Linear(3, 8)), {"0": nn.Linear(3, 8)})
        >>> with projected(net):
        ...     y = net(torch.randn(2, 3))
    """
    terms = list(relaxations(model).values())
    before = [term.enabled for term in terms]
    try:
        for term in terms:
            term.enabled = False
        yield model
    finally:
        for term, enabled in zip(terms, before, strict=True):
            term.enabled = enabled

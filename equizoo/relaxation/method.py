"""What every method that steers γ has in common, and the way to build one by name.

A method is built on the relaxed layers of a model and is called at fixed points of a training step::

    method.before_forward(targets, index)
    loss = task_loss(model(...), targets) + method.penalty()
    loss.backward()
    method.after_backward()
    optimiser.step()
    method.after_step()

The optimiser holds ``[p for p in model.parameters() if p not in method.owned()]`` and
``method.parameters()``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from equizoo._nearest import did_you_mean
from equizoo.relaxation.layer import Relaxation

METHODS = {
    "none": "equizoo.relaxation.method:Plain",
    "ace-equality": "equizoo.relaxation.ace:AceEquality",
    "ace-resilient": "equizoo.relaxation.ace:AceResilient",
    "cr": "equizoo.relaxation.schedule:ScheduledRelaxation",
    "recm": "equizoo.relaxation.recm:RecmStyle",
}
"""Name of each method and where its class is."""


class Method(nn.Module):
    """Base class: a method that steers the γ of a set of relaxed layers.

    The parameters of the module are the method's own trainable parameters and join the primal optimiser;
    its buffers are the rest of its state. Together they are the whole state: a run resumed from the state
    dicts of model, optimiser and method continues bit for bit.

    Args:
        layers: The relaxed layers, as :func:`equizoo.relaxation.relaxations` returns them.

    Raises:
        TypeError: ``layers`` is not a mapping from names to :class:`~equizoo.relaxation.Relaxation`.
    """

    def __init__(self, layers: Mapping[str, Relaxation]) -> None:
        super().__init__()
        if not isinstance(layers, Mapping) or not all(isinstance(x, Relaxation) for x in layers.values()):
            raise TypeError("layers must be a dict of Relaxation modules; call relaxations(model) to get it")
        self.layers = dict(layers)
        self.register_buffer("done", torch.zeros(()))

    @property
    def progress(self) -> float:
        """Fraction of the training that is done."""
        return float(self.done)

    @property
    def gammas(self) -> Tensor:
        """γ of every layer, ``(L,)``, with its gradient."""
        return torch.stack([term.gamma for term in self.layers.values()])

    def owned(self) -> set[nn.Parameter]:
        """Return the parameters of the layers that the method sets itself; keep them out of the optimiser."""
        return set()

    def set_progress(self, fraction: float) -> None:
        """Tell the method how much of the training is done.

        Args:
            fraction: 0 at the start, 1 at the end.

        Raises:
            ValueError: ``fraction`` is outside [0, 1].
        """
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"progress is a fraction of the training in [0, 1], got {fraction}")
        self.done.fill_(fraction)

    def before_forward(self, targets: Tensor | None = None, index: Tensor | None = None) -> None:
        """Prepare the layers for the forward pass of one batch.

        Args:
            targets: Labels of the batch ``(B, T)``; only RECM needs them.
            index: Graph of each node ``(N,)``, or None when each row of the features is a sample.
        """

    def penalty(self) -> Tensor:
        """Return the scalar to add to the task loss of this batch."""
        term = next(iter(self.layers.values()), None)
        return torch.zeros(()) if term is None else term.gamma.new_zeros(())

    def after_backward(self) -> None:
        """Update what the method owns; the primal optimiser has not moved yet."""

    def estimates(self) -> list[Tensor]:
        """Return what ``after_backward`` estimated on a batch: parallel processes average it in place."""
        return []

    def after_step(self) -> None:
        """Restore the method's invariants once the primal optimiser has moved."""

    def log(self) -> dict[str, float]:
        """Return the state worth plotting: ``gamma/<layer>`` and what the method adds."""
        return self._named("gamma", self.gammas) if self.layers else {}

    def _named(self, quantity: str, values: Tensor) -> dict[str, float]:
        return {f"{quantity}/{name}": x for name, x in zip(self.layers, values.tolist(), strict=True)}


class Plain(Method):
    """The method ``none``: γ is an ordinary parameter and nothing pulls it to zero.

    On a model without relaxed layers this is the strictly equivariant baseline.
    """


def _require_layers(layers: Mapping[str, Relaxation], method: str) -> None:
    if not layers:
        raise ValueError(
            f"{method} needs a relaxed layer; build the model with relaxed=True or call relax(model, ...)"
        )


def declared_types(name: str, term: Relaxation, *which: str) -> list[Any]:
    """Return the named feature types of a layer, or say how to declare them."""
    for attribute in which:
        if getattr(term, attribute) is None:
            raise ValueError(
                f"layer {name!r} has no {attribute}: declare it with Relaxation(branch, in_type, out_type) "
                f"or relax(model, branches, {attribute}s={{{name!r}: ...}}), with a type of equizoo.symmetry"
            )
        if isinstance(getattr(term, attribute), (tuple, list)):
            raise ValueError(
                f"layer {name!r} has several {attribute}s: give its branch one tensor, of a DirectSum type"
            )
    return [getattr(term, attribute) for attribute in which]


def recorded_inputs(name: str, term: Relaxation) -> tuple[Any, ...]:
    """Return the branch inputs that a layer recorded in this forward pass."""
    if not term.last_inputs:
        raise RuntimeError(
            f"layer {name!r} recorded no input: call before_forward() first, and run every relaxed layer by "
            "calling its Relaxation in the forward pass"
        )
    return term.last_inputs


def nearest(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown name, with the nearest known one.

    Example:
        >>> nearest("method", "ace-equalty", METHODS)
        "unknown method 'ace-equalty'; did you mean 'ace-equality'?"
    """
    known = sorted(known)
    return f"unknown {kind} {name!r}{did_you_mean(name, known) or f'; choose from {known}'}"


def build_method(name: str, layers: Mapping[str, Relaxation], **options: Any) -> Method:
    """Build a method by its name.

    Args:
        name: One of ``METHODS``.
        layers: The relaxed layers, as :func:`equizoo.relaxation.relaxations` returns them.
        **options: Options of the method's class.

    Returns:
        The method. What it keeps for each layer is on the device of the layers; its counters, which are
        read as numbers in each step, stay on the CPU.

    Raises:
        ValueError: No method has that name, an option has a bad value, or there is no relaxed layer.
        TypeError: The method has no such option.

    Example:
        >>> from equizoo.relaxation import relax, relaxations
        >>> net = relax(nn.Sequential(nn.Linear(3, 8)), {"0": nn.Linear(3, 8)})
        >>> method = build_method("ace-equality", relaxations(net), dual_lr=1e-3)
        >>> method.log()
        {'gamma/0': 1.0, 'dual/0': 0.0}
    """
    if name not in METHODS:
        raise ValueError(nearest("method", name, METHODS))
    module, cls = METHODS[name].split(":")
    chosen: type[Method] = getattr(importlib.import_module(module), cls)
    known = list(inspect.signature(chosen).parameters)[1:]
    for option in options:
        if option not in known:
            raise TypeError(nearest(f"option of method {name!r}", option, known))
    return chosen(layers, **options)

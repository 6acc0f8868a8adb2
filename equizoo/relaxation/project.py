"""Projection: from a relaxed network to the exactly equivariant one inside it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from equizoo.relaxation.layer import _add_relaxation, relaxations


def project_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop every γ and ``f_neq`` from a state dict.

    Args:
        state: State dict of a relaxed model.

    Returns:
        The state dict of the plain model with the same ``f_eq``.
    """
    return {key: value for key, value in state.items() if "relaxation" not in key.split(".")}


def project(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` without its unconstrained terms, exactly equivariant.

    Args:
        model: A relaxed network; it is left as it is. A network without relaxed layers is copied.

    Returns:
        The plain network. It costs what a network built without relaxation costs; if the model has a
        dataclass ``config`` with a field ``relaxed``, that field is False in the copy.

    Example:
        >>> import torch
        >>> from equizoo.relaxation import relax
        >>> net = project(relax(nn.Sequential(nn.Linear(3, 8)), {"0": nn.Linear(3, 8)}))
        >>> sorted(net.state_dict())
        ['0.bias', '0.weight']

    References:
        ACE, Section 3.1: "projection" sets every γ to 0.
    """
    return _without(copy.deepcopy(model), set(relaxations(model)), whole=True)


def fold(model: nn.Module, tolerance: float = 1e-3) -> nn.Module:
    """Return a copy of ``model`` in which layers with ``|γ| <= tolerance`` have lost their term.

    Terms whose branches are a chain are lost together or not at all.

    Args:
        model: A relaxed network; it is left as it is.
        tolerance: Largest ``|γ|`` that counts as zero [1].

    Returns:
        The partially equivariant network that is worth shipping.

    Raises:
        ValueError: ``tolerance`` is negative.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance must not be negative, got {tolerance}")
    terms = relaxations(model)
    small = {name for name, term in terms.items() if abs(term.gamma.item()) <= tolerance}
    if not _chain(model) <= small:
        small -= _chain(model)
    return _without(copy.deepcopy(model), small, whole=small == set(terms))


def drop(model: nn.Module, names: Iterable[str]) -> nn.Module:
    """Return a copy of ``model`` in which the named layers have lost their unconstrained term.

    Args:
        model: A relaxed network; it is left as it is.
        names: Names of relaxed layers, as :func:`equizoo.relaxation.relaxations` gives them.

    Returns:
        The network with the other unconstrained terms.

    Raises:
        KeyError: A name is not a relaxed layer of ``model``.
        ValueError: Only some terms of a chain are named.

    Example:
        >>> from equizoo.relaxation import relax
        >>> net = relax(nn.Sequential(nn.Linear(3, 8)), {"0": nn.Linear(3, 8)})
        >>> list(relaxations(drop(net, ["0"])))
        []
    """
    names, known = set(names), set(relaxations(model))
    if names - known:
        raise KeyError(
            f"no relaxed layer named {sorted(names - known)}; the relaxed layers are {sorted(known)}"
        )
    if names & _chain(model) and not _chain(model) <= names:
        raise ValueError(f"the branches of {sorted(_chain(model))} are a chain: drop all of them or none")
    return _without(copy.deepcopy(model), names, whole=names == known)


def _chain(model: nn.Module) -> set[str]:
    return {name for name, term in relaxations(model).items() if term.chained}


def _without(model: nn.Module, names: set[str], *, whole: bool) -> nn.Module:
    for name, module in list(model.named_modules()):
        if not isinstance(getattr(module, "relaxation", None), nn.Module) or not (whole or name in names):
            continue
        module.relaxation = None
        for key, hook in list(module._forward_hooks.items()):
            if hook is _add_relaxation:
                del module._forward_hooks[key], module.relaxation
    config = getattr(model, "config", None)
    if whole and dataclasses.is_dataclass(config) and hasattr(config, "relaxed"):
        model.config = dataclasses.replace(config, relaxed=False)
    return model

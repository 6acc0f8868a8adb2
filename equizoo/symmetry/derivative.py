"""The Lie derivative of a map: its equivariance error to first order in the group element."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from equizoo.symmetry.featuretype import FeatureType
from equizoo.symmetry.groups import Group


def lie_derivative(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    in_type: FeatureType,
    out_type: FeatureType,
    group: Group,
) -> Tensor:
    """Return ``d/dt [ρ_out(exp(−tA)) f(ρ_in(exp(tA)) x)]`` at t = 0 for each generator A of the group.

    It is 0 for every generator and every x exactly if ``f`` commutes with the connected part of the group.
    It can be differentiated with respect to the parameters of ``f``.

    Args:
        f: A map from the shape of ``x`` to features of ``out_type``.
        x: (..., in_type.dim) features.
        in_type: How ``x`` transforms.
        out_type: How ``f(x)`` transforms.
        group: A Lie group.

    Returns:
        (k, ..., out_type.dim), one derivative a generator.

    Raises:
        ValueError: The group is discrete.

    Example:
        >>> from equizoo.symmetry import SO3, Vectors
        >>> x = torch.randn(4, 3, dtype=torch.float64)
        >>> stretch = lambda v: v * v.norm(dim=-1, keepdim=True)
        >>> float(lie_derivative(stretch, x, Vectors(), Vectors(), SO3()).norm()) < 1e-10
        True

    References:
        Gruver et al., "The Lie derivative for measuring learned equivariance", ICLR 2023, Eq. 3.
        Pertigkiozoglou et al., "Improving equivariant model training via constraint relaxation",
        NeurIPS 2024.
    """
    algebra = group.lie_algebra(torch.float64, x.device)
    if not len(algebra):
        raise ValueError(f"{group} is discrete: it has no Lie algebra")
    derivatives = []
    for generator in algebra:
        y, change = _jvp(f, x, in_type.lie(generator, x))
        derivatives.append(change - out_type.lie(generator, y))
    return torch.stack(derivatives)


def _jvp(f: Callable[[Tensor], Tensor], x: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor]:
    with warnings.catch_warnings():
        # torch's own decompositions still go through torch.jit when forward mode is used for the first time
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        return torch.func.jvp(f, (x,), (tangent,))

"""How much projecting a relaxed network can change it, and how far it can be from equivariance.

A network of L layers ``f_i = f_eq_i + γ_i f_neq_i`` with ``f_i(0) = 0`` is assumed, where f_eq_i and f_neq_i
have Lipschitz constant M and ``‖f_neq_i(z)‖ ≤ B‖z‖``. The constants are measured with
:func:`lipschitz_constant` and :func:`growth_constant`; the errors themselves with :func:`projection_error`
and :func:`equizoo.symmetry.equivariance_error`.

References:
    Manolache et al. (ACE), Theorems 4.1 and 4.2. The sum over layers in the proof of 4.1 telescopes,
    ``Σ_i |γ_i| Π_{j<i} (1 + |γ_j|) = Π_i (1 + |γ_i|) − 1``, which gives the product forms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from equizoo.relaxation.layer import projected

# Lipschitz constants of activations with value 0 at 0: the largest slope
_ACTIVATIONS: dict[type[nn.Module], float] = {
    nn.Identity: 1.0,
    nn.ReLU: 1.0,
    nn.Tanh: 1.0,
    nn.GELU: 1.1290,
    nn.SiLU: 1.0999,
}


def projection_bound(
    gammas: Sequence[float] | Tensor, lipschitz: float, growth: float, norm: float = 1.0
) -> float:
    """Bound ``‖f_{θ,γ}(x) − f_{θ,0}(x)‖`` by Theorem 4.1 as printed, which sees the largest γ only.

    Args:
        gammas: (L,) γ of the layers.
        lipschitz: M.
        growth: B.
        norm: ‖x‖, in the unit of the input.

    Returns:
        ``Σ_{k<L} (1 + γ̄)^k · γ̄ B M^{L−1} ‖x‖`` with γ̄ = max |γ_i|.

    Raises:
        ValueError: A constant is negative or not a number.

    Example:
        >>> round(projection_bound([0.1, 0.1], lipschitz=2.0, growth=1.0), 6)
        0.42

    References:
        ACE, Theorem 4.1.
    """
    sizes = _check(gammas, lipschitz, growth, norm)
    largest = max(sizes, default=0.0)
    powers = sum((1 + largest) ** k for k in range(len(sizes)))
    return powers * largest * growth * lipschitz ** max(len(sizes) - 1, 0) * norm


def projection_product_bound(
    gammas: Sequence[float] | Tensor, lipschitz: float, growth: float, norm: float = 1.0
) -> float:
    """Bound the same by ``B M^{L−1} (Π_i (1 + |γ_i|) − 1) ‖x‖``, which sees every γ and is never larger.

    Args:
        gammas: (L,) γ of the layers.
        lipschitz: M.
        growth: B.
        norm: ‖x‖, in the unit of the input.

    Returns:
        The bound, in the unit of the output.

    Raises:
        ValueError: A constant is negative or not a number.

    Example:
        >>> round(projection_product_bound([0.1, 0.0], lipschitz=2.0, growth=1.0), 6)
        0.2
    """
    sizes = _check(gammas, lipschitz, growth, norm)
    product = math.expm1(sum(math.log1p(size) for size in sizes))
    return growth * lipschitz ** max(len(sizes) - 1, 0) * product * norm


def projection_layer_bound(
    gammas: Sequence[float] | Tensor,
    lipschitz: Sequence[float],
    growth: Sequence[float],
    norm: float = 1.0,
) -> float:
    """Bound the same with the constants of each layer: ``(Π_i (M_i + |γ_i| B_i) − Π_i M_i) ‖x‖``.

    Args:
        gammas: (L,) γ of the layers.
        lipschitz: (L,) Lipschitz constants M_i of f_eq_i.
        growth: (L,) growth constants B_i of f_neq_i.
        norm: ‖x‖, in the unit of the input.

    Returns:
        The bound, in the unit of the output. Equal constants M = B give Theorem 4.1's product form.

    Raises:
        ValueError: The lengths differ, or a constant is negative or not a number.

    References:
        The proof of ACE, Theorem 4.1, with ``‖f_i(z)‖ ≤ (M_i + |γ_i| B_i)‖z‖``; the sum telescopes.
    """
    sizes = _check(gammas, *lipschitz, *growth, norm)
    if not len(sizes) == len(lipschitz) == len(growth):
        raise ValueError(f"{len(sizes)} γ need as many constants, got {len(lipschitz)} and {len(growth)}")
    whole = math.prod(m + size * b for size, m, b in zip(sizes, lipschitz, growth, strict=True))
    return (whole - math.prod(lipschitz)) * norm


def equivariance_bound(
    gammas: Sequence[float] | Tensor,
    lipschitz: float,
    growth: float,
    norm: float = 1.0,
    action: float = 1.0,
) -> float:
    """Bound ``‖ρ(g) f(x) − f(ρ(g) x)‖`` by Theorem 4.2.

    Args:
        gammas: (L,) γ of the layers.
        lipschitz: M.
        growth: B.
        norm: ‖x‖, in the unit of the input.
        action: A with ``‖ρ(g) z‖ ≤ A‖z‖`` for every layer; 1 for rotations, reflections and permutations.
            The theorem as printed has one constant B for the growth and the action: pass it as both.

    Returns:
        ``2 γ̄ L A B (M + C γ̄)^{L−1} ‖x‖`` with γ̄ = max |γ_i| and C = max(B, M), in the unit of the output.

    Raises:
        ValueError: A constant is negative or not a number.

    Example:
        >>> equivariance_bound([0.0, 0.0, 0.0], lipschitz=2.0, growth=1.0)
        0.0

    References:
        ACE, Theorem 4.2.
    """
    sizes = _check(gammas, lipschitz, growth, norm, action)
    largest, depth = max(sizes, default=0.0), len(sizes)
    rate = lipschitz + max(growth, lipschitz) * largest
    return 2 * largest * depth * action * growth * rate ** max(depth - 1, 0) * norm


def lipschitz_constant(module: nn.Module) -> float:
    """Return an upper bound of the Lipschitz constant of a map, exact for a linear one.

    Args:
        module: A Linear (whose relaxation, if it carries one, is not counted), an activation of known slope
            (ReLU, LeakyReLU, Tanh, GELU, SiLU), or a Sequential of these.

    Returns:
        The spectral norm of a Linear; the product over a Sequential.

    Raises:
        TypeError: The constant of this module is not known.

    Example:
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
        >>> round(lipschitz_constant(nn.Sequential(layer, nn.ReLU(), layer)), 5)
        9.0
    """
    if isinstance(module, nn.Linear):
        return float(torch.linalg.matrix_norm(module.weight.detach().double(), 2))
    if isinstance(module, nn.Sequential):
        return math.prod(lipschitz_constant(part) for part in module)
    if isinstance(module, nn.LeakyReLU):
        return max(1.0, abs(module.negative_slope))
    if type(module) in _ACTIVATIONS:
        return _ACTIVATIONS[type(module)]
    raise TypeError(
        f"the Lipschitz constant of {type(module).__name__} is not known here; pass a number you have derived"
    )


def growth_constant(module: nn.Module) -> float:
    """Return B with ``‖f(z)‖ ≤ B‖z‖``: the Lipschitz constant of a map without biases.

    Args:
        module: As for :func:`lipschitz_constant`, with no bias or only biases that are 0.

    Returns:
        B.

    Raises:
        TypeError: The constant of this module is not known.
        ValueError: A bias moves 0, so that no such B exists.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear) and part.bias is not None and part.bias.any():
            raise ValueError(
                f"layer {name or 'itself'!r} has a bias: f(0) is not 0 and ‖f(z)‖ ≤ B‖z‖ has no B"
            )
    return lipschitz_constant(module)


@torch.no_grad()
def projection_error(model: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
    """Measure ``‖f_{θ,γ}(x) − f_{θ,0}(x)‖`` for each row of the output.

    Args:
        model: A relaxed network that returns one tensor, in evaluation mode if it has batch statistics.
        *args: Its inputs.
        **kwargs: Its named inputs.

    Returns:
        (...) the norm over the last axis, in the unit of the output.

    Example:
        >>> from equizoo.relaxation import relax
        >>> net = relax(nn.Sequential(nn.Linear(3, 4)), {"0": nn.Linear(3, 4)}, gamma=0.0)
        >>> projection_error(net, torch.ones(2, 3))
        tensor([0., 0.])
    """
    relaxed = model(*args, **kwargs)
    with projected(model):
        plain = model(*args, **kwargs)
    return (relaxed - plain).norm(dim=-1)


def _check(gammas: Sequence[float] | Tensor, *constants: float) -> list[float]:
    sizes = [abs(float(gamma.detach() if isinstance(gamma, Tensor) else gamma)) for gamma in gammas]
    if any(not value >= 0 for value in (*sizes, *constants)):
        raise ValueError(
            f"γ must be numbers and constants at least 0, got γ = {sizes}, constants {constants}"
        )
    return sizes

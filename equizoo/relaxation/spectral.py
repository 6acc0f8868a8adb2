"""Spectral normalisation of the unconstrained branches.

The bounds on what projection changes assume ``‖f_neq(x)‖ <= B‖x‖`` with a known B. A branch made of
normalised linear maps and 1-Lipschitz activations that vanish at 0 has ``B = 1``, up to its biases.
"""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

_LINEAR_MAPS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
Branch = TypeVar("Branch", bound=nn.Module)


def spectral_normalise(branch: Branch, power_iterations: int = 5) -> Branch:
    """Divide the weight of every linear map in ``branch`` by its largest singular value, in place.

    The singular value comes from power iteration, a few rounds in each training step. For a convolution it
    is that of the kernel written as a matrix ``(out, in * positions)``: the norm of the map is then at most
    the square root of the number of kernel positions. Normalisation layers in the branch stay unbounded.

    Args:
        branch: The branch ``f_neq``.
        power_iterations: Rounds of power iteration for each forward pass in training.

    Returns:
        ``branch``. Its parameters are now named ``….parametrizations.weight.original``;
        :func:`bake_spectral_norm` restores the names.

    Raises:
        ValueError: The branch has no linear map, or is normalised already.

    Example:
        >>> import torch
        >>> branch = spectral_normalise(nn.Linear(8, 8), power_iterations=50).eval()
        >>> bool((torch.linalg.matrix_norm(branch.weight, 2) - 1).abs() < 1e-2)
        True

    References:
        ACE, Appendix A.5; Miyato et al., "Spectral normalization for generative adversarial networks" (2018).
    """
    maps = [module for module in branch.modules() if isinstance(module, _LINEAR_MAPS)]
    if not maps:
        raise ValueError(f"{type(branch).__name__} has no linear map to normalise")
    if any(parametrize.is_parametrized(module, "weight") for module in maps):
        raise ValueError(f"{type(branch).__name__} has parametrised weights already")
    for module in maps:
        spectral_norm(module, n_power_iterations=power_iterations)
    return branch


def bake_spectral_norm(branch: Branch) -> Branch:
    """Replace each normalised weight in ``branch`` by its present value, in place, and stop normalising it.

    The outputs in evaluation mode stay the same; the state dict is that of a branch that was never
    normalised, ready to be shipped.

    Args:
        branch: A branch from :func:`spectral_normalise`.

    Returns:
        ``branch``.

    Example:
        >>> sorted(bake_spectral_norm(spectral_normalise(nn.Linear(3, 3))).state_dict())
        ['bias', 'weight']
    """
    training = branch.training
    branch.eval()
    for module in branch.modules():
        if isinstance(module, _LINEAR_MAPS) and parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return branch.train(training)

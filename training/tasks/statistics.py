"""Statistics of a training set that turn a network's outputs into the targets' units."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PER_ATOM = ("sum", "extent")
SHIFTED = ("mean", "attention")


@dataclass(frozen=True)
class Statistics:
    """What a model is given of the training set, in float64.

    Attributes:
        scale: ``(T,)`` standard deviations of what references and shift leave [units of the targets].
        shift: ``(T,)`` means of the targets that are averaged over atoms; 0 for the others.
        reference: ``(E, T)`` contribution of an atom of each element to the targets that are summed; else 0.
    """

    scale: Tensor
    shift: Tensor
    reference: Tensor


def fit_statistics(counts: Tensor, y: Tensor, kinds: list[str]) -> Statistics:
    """Fit references by least squares on the composition, and means.

    Args:
        counts: ``(M, E)`` atoms of each element.
        y: ``(M, T)`` targets, less what the model knows beforehand.
        kinds: For each target, how its atomic outputs are aggregated: ``sum`` and ``extent`` get references,
            ``mean`` and ``attention`` a shift, anything else neither.

    Returns:
        The statistics.

    Example:
        >>> stats = fit_statistics(torch.eye(2), torch.tensor([[3.0], [5.0]]), ["sum"])
        >>> stats.reference.flatten().tolist()
        [3.0, 5.0]
    """
    counts, y = counts.double(), y.double()
    summed = torch.tensor([kind in PER_ATOM for kind in kinds])
    shifted = torch.tensor([kind in SHIFTED for kind in kinds])
    present = counts.sum(0) > 0
    reference = counts.new_zeros(counts.shape[1], y.shape[1])
    fitted = torch.linalg.lstsq(counts[:, present], y, driver="gelsd").solution
    reference[present] = torch.where(summed, fitted, torch.zeros_like(fitted))
    shift = torch.where(shifted, y.mean(0), torch.zeros_like(y[0]))
    rest = y - shift - counts @ reference
    return Statistics(rest.std(0, correction=0).clamp_min(1e-9), shift, reference)

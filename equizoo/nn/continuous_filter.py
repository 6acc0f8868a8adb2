"""Continuous-filter convolution over undirected pairs, plain and tabulated.

``out_i = Σ_j W(d_ij) ∘ h_j`` (Schütt et al., "SchNet", 2017, Eq. 1). W depends on one number, so a table of W
over the distance with cubic interpolation replaces the filter network on every pair: the network runs on a few
thousand knots, whatever the batch. Knots 1/40 of a Gaussian width apart leave an interpolation error of about
1e-8 of W, below the rounding of float32.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor

from equizoo.nn.pairs import Pairs

KNOTS = 2048


def filter_convolution(h: Tensor, filters: Tensor, pairs: Pairs) -> Tensor:
    """Sum filtered neighbour features, the plain way.

    Args:
        h: ``(N, C)`` node features.
        filters: ``(P, C)`` filter of each pair.
        pairs: The P pairs.

    Returns:
        ``(N, C)`` sums.
    """
    out = torch.zeros_like(h).index_add(0, pairs.first, filters * h[pairs.second])
    return out.index_add(0, pairs.second, filters * h[pairs.first])


def knot_distances(cutoff: float, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the ``(KNOTS + 3,)`` distances [unit of the cutoff] at which a filter is tabulated.

    One knot lies below 0 and two beyond the cutoff, so that every cubic has four knots.
    """
    return torch.arange(-1, KNOTS + 2, dtype=dtype, device=device) * (cutoff / KNOTS)


def can_tabulate(h: Tensor, pairs: Pairs) -> bool:
    """Say whether the tabulated convolution applies: float32 on a CPU, numba there, enough pairs to pay, no forces."""
    return (
        not torch.compiler.is_compiling()
        and h.device.type == "cpu"
        and h.dtype == torch.float32
        and pairs.first.shape[0] > 2 * KNOTS
        and not pairs.distance.requires_grad
        and not torch._C._functorch.maybe_current_level()
        and importlib.util.find_spec("numba") is not None
    )


def tabulated_convolution(h: Tensor, table: Tensor, pairs: Pairs, cutoff: float) -> Tensor:
    """Sum filtered neighbour features with filters read from a table; equals :func:`filter_convolution`.

    Args:
        h: ``(N, C)`` node features, float32 on the CPU.
        table: ``(KNOTS + 3, C)`` filters at :func:`knot_distances`.
        pairs: The pairs, none beyond the cutoff.
        cutoff: Radius, in the unit of the distances.

    Returns:
        ``(N, C)`` sums, differentiable once in ``h`` and ``table``.
    """
    position = pairs.distance * (KNOTS / cutoff)
    return _Tabulated.apply(h, table, position, pairs.first, pairs.second, _chunks(pairs))


def _chunks(pairs: Pairs) -> Tensor:
    """Cut the pair list at graph boundaries into one piece a thread."""
    threads = min(torch.get_num_threads(), pairs.counts.shape[0])
    starts = torch.nn.functional.pad(pairs.counts.cumsum(0), (1, 0))
    cuts = starts[torch.linspace(0, pairs.counts.shape[0], threads + 1).long()]
    return torch.searchsorted(pairs.first, cuts)


class _Tabulated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, table: Tensor, *pairs: Tensor) -> Tensor:
        from equizoo.nn._filter_kernels import convolve

        ctx.save_for_backward(h.contiguous(), table.contiguous(), *pairs)
        arguments = (h.contiguous(), table.contiguous(), *pairs)
        return torch.from_numpy(convolve(*(x.detach().numpy() for x in arguments)))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from equizoo.nn._filter_kernels import convolve_backward

        saved = [x.detach().numpy() for x in ctx.saved_tensors]
        grad_h, parts = convolve_backward(grad.contiguous().numpy(), *saved)
        return torch.from_numpy(grad_h), torch.from_numpy(parts).sum(0), None, None, None, None

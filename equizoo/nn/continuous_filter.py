"""Continuous-filter convolution over undirected pairs, plain and tabulated.

``out_i = Σ_j W(d_ij) ∘ h_j`` (Schütt et al., "SchNet", 2017, Eq. 1). W depends on one number, so a table of W
over the distance with cubic interpolation replaces the filter network on every pair: the network runs on some
thousand knots, whatever the batch. With knots 1/30 of the width of SchNet's Gaussians apart, the error of
interpolation is about that of float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from equizoo.nn.compiled import kernels_apply
from equizoo.nn.pairs import Pairs

KNOTS = 1536


class PlainConvolution:
    """Convolution with the filter of each pair.

    Args:
        pairs: The P pairs.

    Attributes:
        distance: ``(P,)`` where the filter is needed: the distances of the pairs.
    """

    def __init__(self, pairs: Pairs) -> None:
        self.pairs, self.distance = pairs, pairs.distance

    def __call__(self, h: Tensor, filters: Tensor) -> Tensor:
        """Sum filtered neighbour features.

        Args:
            h: ``(N, C)`` node features.
            filters: ``(P, C)`` filters at :attr:`distance`.

        Returns:
            ``(N, C)`` sums.
        """
        first, second = self.pairs.first, self.pairs.second
        out = torch.zeros_like(h).index_add(0, first, filters * h.index_select(0, second))
        return out.index_add(0, second, filters * h.index_select(0, first))


class TabulatedConvolution:
    """The same convolution with filters read from a table; for float32 on the CPU, see :func:`can_tabulate`.

    Args:
        pairs: The pairs, none beyond the cutoff.
        cutoff: Radius, in the unit of the distances.

    Attributes:
        distance: ``(KNOTS + 3,)`` where the filter is needed: equally spaced knots, one below 0 and two
            beyond the cutoff, so that every cubic has four.
    """

    def __init__(self, pairs: Pairs, cutoff: float) -> None:
        like = {"dtype": pairs.distance.dtype, "device": pairs.distance.device}
        self.distance = torch.arange(-1, KNOTS + 2, **like) * (cutoff / KNOTS)
        self._pairs = pairs.distance * (KNOTS / cutoff), pairs.first, pairs.second, _chunks(pairs)

    def __call__(self, h: Tensor, filters: Tensor) -> Tensor:
        """Sum filtered neighbour features.

        Args:
            h: ``(N, C)`` node features.
            filters: ``(KNOTS + 3, C)`` filters at :attr:`distance`.

        Returns:
            ``(N, C)`` sums, differentiable once in both arguments.
        """
        return _Tabulated.apply(h, filters, *self._pairs)


def convolution(pairs: Pairs, cutoff: float) -> PlainConvolution | TabulatedConvolution:
    """Return the convolution that suits the pairs, see :func:`can_tabulate`.

    Example:
        >>> from equizoo.nn.pairs import pairs_within
        >>> pos, batch = torch.tensor([[0.0, 0, 0], [1, 0, 0]]), torch.zeros(2, dtype=torch.long)
        >>> convolve = convolution(pairs_within(pos, batch, 1, 5.0), 5.0)
        >>> filters = torch.exp(-convolve.distance).unsqueeze(1)
        >>> convolve(torch.tensor([[1.0], [2.0]]), filters).squeeze(1)
        tensor([0.7358, 0.3679])
    """
    return TabulatedConvolution(pairs, cutoff) if can_tabulate(pairs) else PlainConvolution(pairs)


def can_tabulate(pairs: Pairs) -> bool:
    """Say whether the table applies: float32 on a CPU, numba at hand, enough pairs to pay, no forces."""
    return (
        kernels_apply(pairs.distance)
        and pairs.distance.dtype == torch.float32
        and pairs.distance.shape[0] > 2 * KNOTS
        and not pairs.distance.requires_grad
    )


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

        h, table = h.contiguous(), table.contiguous()
        ctx.save_for_backward(h, table, *pairs)
        return torch.from_numpy(convolve(*(x.detach().numpy() for x in (h, table, *pairs))))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from equizoo.nn._filter_kernels import convolve_backward

        saved = [x.detach().numpy() for x in ctx.saved_tensors]
        grad_h, parts = convolve_backward(grad.contiguous().numpy(), *saved)
        return torch.from_numpy(grad_h), torch.from_numpy(parts).sum(0), None, None, None, None

"""Batch norm and leaky ReLU of vector neurons, averaged over neighbours.

For each element (a pair of points, or a point) with features p and directions d:
``n = |p| + ε``, ``p' = p·BN(n)/n``, and ``p' − 0.8·min(p'·d, 0)/(|d|² + ε)·d``, in each channel.

References:
    Deng et al., "Vector Neurons: A General Framework for SO(3)-Equivariant Networks", ICCV 2021, Equations 5
    to 9.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from equizoo.nn.compiled import kernels_apply

EPS = 1e-6
SLOPE = 0.2


class Elements(NamedTuple):
    """Which rows make an element, and which elements make an output row.

    Attributes:
        senders: ``(E,)`` row of the first part (u) of each element.
        receivers: ``(E,)`` row of the second part (v), ascending: also the output row.
        first: ``(R + 1,)`` where the elements of each output row begin; each has one at least.
    """

    senders: Tensor
    receivers: Tensor
    first: Tensor

    @classmethod
    def points(cls, count: int, device: Any = None) -> Elements:
        """Return one element a point."""
        rows = torch.arange(count + 1, device=device)
        return cls(rows[:-1], rows[:-1], rows)


class VectorActivation(nn.BatchNorm1d):
    """Batch norm of the norms, then the leaky ReLU of vector neurons, then the mean over elements.

    Its parameters and running statistics are those of a batch norm with one channel a vector.

    Args:
        channels: Number C of vector channels.

    Example:
        >>> layer = VectorActivation(4)
        >>> p, d = torch.randn(5, 3, 4), torch.randn(5, 3, 4)
        >>> layer(p, d, Elements.points(5)).shape
        torch.Size([5, 3, 4])
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)

    def forward(
        self, u: Tensor, du: Tensor, elements: Elements, v: Tensor | None = None, dv: Tensor | None = None
    ) -> Tensor:
        """Activate vectors.

        Args:
            u: ``(R, 3, C)`` part of p that comes from the sender.
            du: ``(R, 3, C)`` the same of d.
            elements: What is put together.
            v: ``(R, 3, C)`` part of p that comes from the receiver; None: 0.
            dv: ``(R, 3, C)`` the same of d.

        Returns:
            ``(R, 3, C)`` means over the elements of each receiver.
        """
        parts = [u, du] if v is None or dv is None else [u, du, v, dv]
        if kernels_apply(*parts) and _fits(u):
            return self._fused(u, du, elements, v, dv)
        p, d = (x.index_select(0, elements.senders) for x in (u, du))
        if v is not None and dv is not None:
            p = p + v.index_select(0, elements.receivers)
            d = d + dv.index_select(0, elements.receivers)
        square = p.square().sum(1)
        norm = torch.where(square > 0, square, 1).sqrt() * (square > 0) + EPS
        p = p * (super().forward(norm) / norm).unsqueeze(1)
        negative = (p * d).sum(1, keepdim=True).clamp(max=0)
        y = p - (1 - SLOPE) * negative / (d.square().sum(1, keepdim=True) + EPS) * d
        if v is None:
            return y
        counts = elements.first.diff().to(y.dtype)
        total = y.new_zeros(u.shape).index_add(0, elements.receivers, y)
        return total / counts[:, None, None]

    def _fused(
        self, u: Tensor, du: Tensor, elements: Elements, v: Tensor | None, dv: Tensor | None
    ) -> Tensor:
        empty = u.new_empty(0)
        v, dv = (empty, empty) if v is None or dv is None else (v, dv)
        mean, rstd = self._statistics(u.detach(), v.detach(), elements)
        return _Activate.apply(u, v, du, dv, self.weight, self.bias, mean, rstd, elements, self.training)

    @torch.no_grad()
    def _statistics(self, u: Tensor, v: Tensor, elements: Elements) -> tuple[Tensor, Tensor]:
        """Return mean and reciprocal deviation of the norms, and follow them in training."""
        if not self.training:
            return self.running_mean, (self.running_var + self.eps).rsqrt()
        from equizoo.nn._vector_kernels import norm_sums

        count = elements.senders.shape[0]
        if count == 1:
            raise ValueError("batch norm in training mode needs more than one point")
        sums = torch.zeros(2, u.shape[-1], dtype=torch.float64)
        eps = _scalar(u, EPS)
        norm_sums(_flat(u), _flat(v), *_rows(elements)[:2], u.shape[-1], eps, sums.numpy())
        mean = sums[0] / count
        variance = (sums[1] / count - mean.square()).clamp(min=0)
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(u.dtype), self.momentum)
        self.running_var.lerp_((variance * count / (count - 1)).to(u.dtype), self.momentum)
        return mean.to(u.dtype), (variance + self.eps).rsqrt().to(u.dtype)


class _Activate(torch.autograd.Function):
    """The compiled activation. In training ``mean`` and ``rstd`` are functions of u and v."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, v: Tensor, du: Tensor, dv: Tensor, weight: Tensor, bias: Tensor, mean: Tensor,
        rstd: Tensor, elements: Elements, training: bool,
    ) -> Tensor:  # fmt: skip
        from equizoo.nn._vector_kernels import activate

        u, v, du, dv = (x.contiguous() for x in (u, v, du, dv))
        slope = weight * rstd
        zero = torch.zeros_like(slope)
        constants = torch.stack([slope, bias - mean * slope, mean, rstd, zero, zero])
        out = torch.zeros_like(u)
        scalars = _scalar(u, 1 - SLOPE), _scalar(u, EPS)
        arrays = [_flat(x) for x in (u, v, du, dv)]
        activate(*arrays, *_rows(elements), constants.detach().numpy(), *scalars, _flat(out))
        ctx.save_for_backward(u, v, du, dv, constants.detach())
        ctx.elements, ctx.training = elements, training
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        from equizoo.nn._vector_kernels import activate_backward, constant_sums

        *inputs, constants = ctx.saved_tensors
        rows, sums = _rows(ctx.elements), torch.zeros(2, constants.shape[1], dtype=torch.float64)
        scalars = _scalar(grad, 1 - SLOPE), _scalar(grad, EPS)
        arrays, flat = [_flat(x) for x in inputs], _flat(grad.contiguous())
        constant_sums(flat, *arrays, *rows, constants.numpy(), *scalars, sums.numpy())
        if ctx.training:
            constants = constants.clone()
            constants[4:] = sums / rows[0].shape[0]
        grads = [torch.zeros_like(x) for x in inputs]
        outs = [_flat(x) for x in grads]
        activate_backward(flat, *arrays, *rows, constants.numpy(), *scalars, *outs)
        bias, weight = sums.to(grad.dtype)
        return (*grads, weight, bias, None, None, None, None)


def _fits(u: Tensor) -> bool:
    """Whether a block of the kernels has room for the channels of an element."""
    from equizoo.nn._vector_kernels import BLOCK

    return u.shape[-1] <= BLOCK


def _flat(x: Tensor) -> Any:
    return x.detach().contiguous().numpy().reshape(-1)


def _rows(elements: Elements) -> tuple[Any, ...]:
    return elements.senders.numpy(), elements.receivers.numpy(), elements.first.numpy()


def _scalar(like: Tensor, value: float) -> Any:
    return torch.empty((), dtype=like.dtype).numpy().dtype.type(value)

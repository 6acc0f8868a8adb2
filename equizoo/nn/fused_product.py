"""Tensor product and gate as one differentiable step, with compiled kernels around the matrix products (CPU).

The value is that of :class:`equizoo.nn.TensorProduct` in torch operations, to round-off. The gradient is
written out by hand, once differentiable, with respect to features, weights and bias; where the attributes
need a gradient too (forces), the torch version is used.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equizoo.nn.gate import SIGMOID, SILU, Gate
from equizoo.nn.product_plan import ProductPlan

SOURCES, TARGETS = 12, 6
"""Largest numbers of input and output blocks: kernels take tuples of a fixed length."""
Rows = Sequence[Tensor | None]


def can_fuse(a: Tensor, blocks: Sequence[Tensor], targets: int) -> bool:
    """Say whether the kernels apply: floats on a CPU, numba at hand, no tracing, no gradient of ``a``."""
    return (
        a.device.type == "cpu"
        and a.dtype in (torch.float32, torch.float64)
        and all(x.dtype == a.dtype for x in blocks)
        and len(blocks) <= SOURCES
        and targets <= TARGETS
        and not (a.requires_grad and torch.is_grad_enabled())
        and not torch.compiler.is_compiling()
        and not torch._C._functorch.maybe_current_level()
        and _has_numba()
    )


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


class FusedProduct(torch.autograd.Function):
    """``gate(plan(x) + bias)``; see :func:`forward` for the arguments."""

    @staticmethod
    def forward(
        ctx: Any, plan: ProductPlan, gate: Gate | None, rows: Rows, a: Tensor, weight: Tensor,
        bias: Tensor | None, *blocks: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """Run :func:`product` and keep what the gradient needs."""
        packed = weight[plan.order]
        blocks = tuple(x.contiguous() for x in blocks)
        index = row_index(rows, a.shape[0])
        outs, mixed, before, sigma = product(plan, gate, index, a, packed, bias, blocks)
        ctx.plan, ctx.gate, ctx.index, ctx.counts = plan, gate, index, (len(blocks), len(mixed))
        ctx.save_for_backward(a, packed, sigma, *blocks, *mixed, *before)
        return tuple(outs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        """Return the gradients of weight, bias and blocks."""
        from equizoo.nn._contraction_kernels import contract_backward

        plan, (n_in, n_mixed) = ctx.plan, ctx.counts
        a, packed, sigma, *rest = ctx.saved_tensors
        blocks, mixed, before = rest[:n_in], rest[n_in : n_in + n_mixed], rest[n_in + n_mixed :]
        outer = [g.contiguous() for g in grads]
        if ctx.gate is not None:
            outer = _gate_backward(outer, before, sigma)
        grad_packed = torch.empty_like(packed)
        (wide, tall), (grad_wide, grad_tall) = plan.matrices(packed), plan.matrices(grad_packed)
        grad_blocks = [torch.zeros_like(x) for x in blocks]
        coefficients = a.numpy()
        if plan.late is not None:
            inner = []
            for g, z, w, grad_w in zip(outer, mixed, tall, grad_tall, strict=True):
                if w is None:
                    inner.append(torch.zeros_like(z))
                    continue
                torch.mm(z.flatten(0, 1).t(), g.flatten(0, 1), out=grad_w)
                inner.append((g.flatten(0, 1) @ w.t()).view_as(z))
            contract_backward(
                _arrays(inner, TARGETS),
                ctx.index,
                coefficients,
                plan.late.table,
                _arrays(grad_blocks, SOURCES),
            )
        if plan.early is not None:
            products = [
                x.new_zeros(x.shape[0], x.shape[1], 0 if w is None else w.shape[1])
                for x, w in zip(blocks, wide, strict=True)
            ]
            contract_backward(
                _arrays(outer, TARGETS), ctx.index, coefficients, plan.early.table, _arrays(products, SOURCES)
            )
            for x, g, w, grad_w, grad_x in zip(blocks, products, wide, grad_wide, grad_blocks, strict=True):
                if w is not None:
                    torch.mm(x.flatten(0, 1).t(), g.flatten(0, 1), out=grad_w)
                    grad_x.flatten(0, 1).addmm_(g.flatten(0, 1), w.t())
        grad_bias = outer[0].squeeze(1).sum(0) if ctx.needs_input_grad[5] else None
        return None, None, None, None, grad_packed[plan.inverse], grad_bias, *grad_blocks


def product(
    plan: ProductPlan, gate: Gate | None, index: tuple[Any, ...], a: Tensor, packed: Tensor,
    bias: Tensor | None, blocks: Sequence[Tensor],
) -> tuple[list[Tensor], list[Tensor], list[Tensor], Tensor]:  # fmt: skip
    """Run the product.

    Args:
        plan: The order of the work.
        gate: What follows, or None.
        index: Row of each block that an output row reads.
        a: ``(E, width)`` coefficients.
        packed: Weights in the order of the plan.
        bias: Bias of the first output block, or None.
        blocks: Contiguous input blocks.

    Returns:
        The output blocks, and for the gradient: the mixed inputs of late paths, the outputs before the gate,
        and the sigmoid of its scalars.
    """
    from equizoo.nn._contraction_kernels import contract

    wide, tall = plan.matrices(packed)
    coefficients, rows = a.detach().numpy(), a.shape[0]
    outs = [a.new_empty(rows, *shape) for shape in plan.shapes_out]
    mixed: list[Tensor] = []
    if plan.early is not None:
        products = [
            x if w is None else (x.flatten(0, 1) @ w).view(*x.shape[:2], w.shape[1])
            for x, w in zip(blocks, wide, strict=True)
        ]
        contract(_arrays(products, SOURCES), index, coefficients, plan.early.table, _arrays(outs, TARGETS))
    if plan.late is not None:
        mixed = [a.new_empty(rows, *shape) for shape in plan.late.shapes]
        contract(_arrays(blocks, SOURCES), index, coefficients, plan.late.table, _arrays(mixed, TARGETS))
        for y, z, w in zip(outs, mixed, tall, strict=True):
            if w is not None and plan.early is not None:
                y.flatten(0, 1).addmm_(z.flatten(0, 1), w)
            elif w is not None:
                torch.mm(z.flatten(0, 1), w, out=y.flatten(0, 1))
    if bias is not None:
        outs[0] += bias
    if gate is None:
        return outs, mixed, [], a.new_empty(0)
    sigma = torch.sigmoid(outs[0])
    return _gate_forward(gate, outs, sigma), mixed, outs, sigma


def _gate_forward(gate: Gate, blocks: Sequence[Tensor], sigma: Tensor) -> list[Tensor]:
    from equizoo.nn._gate_kernels import gate as kernel

    scalars, *ys = blocks
    outs = [scalars.new_empty(scalars.shape[0], 1, gate.scalars), *(torch.empty_like(y) for y in ys)]
    first, *others = _arrays(outs, TARGETS)
    kernel(scalars.numpy()[:, 0], sigma.numpy()[:, 0], _arrays(ys, TARGETS - 1), *_constants(scalars.dtype),
           first[:, 0], tuple(others))  # fmt: skip
    return outs


def _gate_backward(grads: Sequence[Tensor], blocks: Sequence[Tensor], sigma: Tensor) -> list[Tensor]:
    from equizoo.nn._gate_kernels import gate_backward

    scalars, *ys = blocks
    found = [torch.zeros_like(scalars), *(torch.empty_like(y) for y in ys)]
    (grad, *others), (first, *rest) = _arrays(grads, TARGETS), _arrays(found, TARGETS)
    gate_backward(
        grad[:, 0], tuple(others), scalars.numpy()[:, 0], sigma.numpy()[:, 0], _arrays(ys, TARGETS - 1),
        *_constants(scalars.dtype), first[:, 0], tuple(rest),
    )  # fmt: skip
    return found


def _arrays(tensors: Sequence[Tensor], length: int) -> tuple[Any, ...]:
    views = tuple(x.detach().numpy() for x in tensors)
    kind = views[0].dtype if views else np.dtype(np.float32)
    return views + (_empty(kind),) * (length - len(views))


def row_index(rows: Rows, count: int) -> tuple[Any, ...]:
    """Return the row of each block that an output row reads, as the kernels take it."""
    identity = _identity(count)
    index = tuple(identity if row is None else row.numpy() for row in rows)
    return index + (identity,) * (SOURCES - len(index))


@functools.cache
def _empty(kind: np.dtype) -> np.ndarray:
    return np.empty((0, 0, 0), kind)


@functools.lru_cache(maxsize=16)
def _identity(count: int) -> np.ndarray:
    return np.arange(count)


@functools.cache
def _constants(kind: torch.dtype) -> tuple[Any, Any]:
    scalar = torch.empty(0, dtype=kind).numpy().dtype.type
    return scalar(SILU), scalar(SIGMOID)

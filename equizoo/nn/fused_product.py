"""Tensor product and gate as one differentiable step, with compiled kernels around the matrix products (CPU).

The value is that of :class:`equizoo.nn.TensorProduct` in torch operations, to round-off. The gradient is
written out by hand, once differentiable, with respect to features, weights and bias; where the attributes
need a gradient too (forces), the torch version is used.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from equizoo.nn.compiled import kernels_apply
from equizoo.nn.flat_blocks import (
    INPUTS,
    Rows,
    columns,
    contract,
    contract_backward,
    flat,
    index,
    matrix,
    padded,
    scratch,
    workspace,
)
from equizoo.nn.gate import Gate
from equizoo.nn.product_plan import ProductPlan

UNGATED = (-1, 1, 1.0, 1.0)
"""What a gate gives the kernel, where there is none."""


def can_fuse(a: Tensor, tensors: Sequence[Tensor], inputs: int) -> bool:
    """Say whether the kernels apply: they do on a CPU, unless the coefficients ``a`` need a gradient."""
    return (
        inputs <= INPUTS and not (a.requires_grad and torch.is_grad_enabled()) and kernels_apply(a, *tensors)
    )


class FusedProduct(torch.autograd.Function):
    """``gate(plan(x) + bias)``; see :func:`product` for the arguments."""

    @staticmethod
    def forward(
        ctx: Any, plan: ProductPlan, gate: Gate | None, rows: Rows, a: Tensor, weight: Tensor,
        bias: Tensor | None, *tensors: Tensor,
    ) -> Tensor:  # fmt: skip
        """Run :func:`product` and keep what the gradient needs."""
        packed, count = plan.pack(weight), a.shape[0]
        tensors = tuple([x.contiguous() for x in tensors])
        kept = () if gate is None else (a.new_empty(count * plan.dim), a.new_empty(count, gate.width))
        out = product(plan, gate, rows, a, packed, bias, tensors, *kept)
        ctx.plan, ctx.gate, ctx.rows = plan, gate, rows
        ctx.save_for_backward(a, packed, *tensors, *kept)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        """Return the gradients of weight, bias and features."""
        plan, (a, packed, *rest) = ctx.plan, ctx.saved_tensors
        tensors, kept = rest[: len(plan.tensors)], rest[len(plan.tensors) :]
        grad_y = scratch("gradient", a, a.shape[0] * plan.dim)
        grad_packed = torch.empty_like(packed)
        if ctx.gate is None:
            _to_blocks(plan, grad, grad_y)
        else:
            ctx.gate.fused_backward(grad.contiguous(), *kept, grad_y)
        grad_bias = matrix(grad_y, plan.scalars, a.shape[0]).sum(0) if ctx.needs_input_grad[5] else None
        (wide, tall), (grad_wide, grad_tall) = plan.matrices(packed), plan.matrices(grad_packed)
        needed = ctx.needs_input_grad[6:]
        grads = [torch.zeros_like(x) for x in tensors] if any(needed) else []
        if plan.mixed:
            _late_backward(plan, ctx.rows, a, tall, tensors, grad_y, grad_tall, grads)
        if plan.products:
            _early_backward(plan, ctx.rows, a, wide, tensors, grad_y, grad_wide, grads, needed)
        grads = [x if need else None for x, need in itertools.zip_longest(grads, needed)]
        return None, None, None, None, plan.unpack(grad_packed), grad_bias, *grads


def product(
    plan: ProductPlan, gate: Gate | None, rows: Rows, a: Tensor, packed: Tensor, bias: Tensor | None,
    tensors: Sequence[Tensor], y: Tensor | None = None, sigma: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Run the product.

    Args:
        plan: The order of the work.
        gate: What follows, or None.
        rows: Row of its tensor that an output row reads, for each input.
        a: ``(E, width)`` coefficients.
        packed: Weights in the order of the plan.
        bias: Bias of the first output block, or None.
        tensors: Contiguous ``(N, dim)`` features.
        y: Filled with the blocks before the gate; flat memory.
        sigma: Filled with the sigmoid of the first of them; given with ``y``.

    Returns:
        The features ``(E, dim)``.
    """
    from equizoo.nn import _product_kernels as kernels

    counts, size, width = [x.shape[0] for x in tensors], kernels.PIECE, plan.scalars.channels
    ends = list(itertools.accumulate(map(operator.mul, counts, plan.product_dims)))
    ends += [ends[-1]] * (INPUTS - len(ends))
    ends.append(ends[-1] + size * plan.mixed_dim)
    coefficients = a.detach().numpy()
    kind, whole, constants = kernels.exponential(coefficients.dtype)
    memory = workspace("product", kind, ends[-1] + size * plan.spare)
    if y is None or sigma is None:
        keep, before = False, (workspace("y", kind, size * plan.dim), workspace("sigma", kind, size * width))
    else:
        keep, before = True, (y.numpy(), sigma.numpy().reshape(-1))
    blocks, factors = (plan.places, UNGATED) if gate is None else (gate.blocks, gate.factors)
    out = a.new_empty(a.shape[0], plan.dim if gate is None else gate.dim)
    kernels.product(
        flat(tensors), padded(counts), index(rows, a), coefficients, packed.numpy(), (*plan.tables, blocks),
        tuple(ends), constants[:0] if bias is None else bias.detach().numpy(), factors, constants, memory,
        workspace("bits", whole, size * width), keep, *before, out.numpy(),
    )  # fmt: skip
    return out


def _mix(plan: ProductPlan, rows: Rows, a: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    mixed = scratch("mixed", a, a.shape[0] * plan.mixed_dim)
    contract(plan.late, tensors, [x.shape[0] for x in tensors], rows, a, mixed)
    return mixed


def _to_blocks(plan: ProductPlan, x: Tensor, y: Tensor) -> None:
    sizes = [size * channels for size, channels in plan.shapes_out]
    parts = y.split_with_sizes([x.shape[0] * size for size in sizes])
    for part, column in zip(parts, x.split_with_sizes(sizes, 1), strict=True):
        part.view_as(column).copy_(column)


def _late_backward(
    plan: ProductPlan, rows: Rows, a: Tensor, tall: Sequence[Tensor], tensors: Sequence[Tensor],
    grad_y: Tensor, grad_tall: Sequence[Tensor], grads: Sequence[Tensor],
) -> None:  # fmt: skip
    count = a.shape[0]
    mixed = _mix(plan, rows, a, tensors)  # cheaper than to keep it
    grad_mixed = scratch("gradient mixed", a, count * plan.mixed_dim)
    for slot, out, w, grad_w in zip(plan.mixed, plan.outs, tall, grad_tall, strict=True):
        g = matrix(grad_y, out, count)
        torch.mm(matrix(mixed, slot, count).t(), g, out=grad_w)
        if grads:
            torch.mm(g, w.t(), out=matrix(grad_mixed, slot, count))
    if grads:
        contract_backward(plan.late, grad_mixed, grads, [x.shape[0] for x in tensors], rows, a)


def _early_backward(
    plan: ProductPlan, rows: Rows, a: Tensor, wide: Sequence[Tensor], tensors: Sequence[Tensor],
    grad_y: Tensor, grad_wide: Sequence[Tensor], grads: Sequence[Tensor], needed: Sequence[bool],
) -> None:  # fmt: skip
    pairs = enumerate(zip(tensors, plan.product_dims, strict=True))
    products = [scratch(f"products {k}", a, x.shape[0] * dim).zero_() for k, (x, dim) in pairs]
    contract_backward(plan.early, grad_y, products, [x.shape[0] for x in tensors], rows, a)
    for slot, out, w, grad_w in zip(plan.blocks, plan.products, wide, grad_wide, strict=True):
        x = tensors[slot.tensor]
        g = matrix(products[slot.tensor], out, x.shape[0])
        torch.mm(columns(x, slot).reshape(-1, slot.channels).t(), g, out=grad_w)
        if needed[slot.tensor]:
            column = columns(grads[slot.tensor], slot)
            column.add_(torch.mm(g, w.t()).view(column.shape))

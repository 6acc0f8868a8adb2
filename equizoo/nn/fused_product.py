"""Tensor product and gate as one differentiable step, with compiled kernels around the matrix products (CPU).

The value is that of :class:`equizoo.nn.TensorProduct` in torch operations, to round-off. The gradient is
written out by hand, once differentiable, with respect to features, weights and bias; where the attributes
need a gradient too (forces), the torch version is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from equizoo.nn.compiled import kernels_apply
from equizoo.nn.flat_blocks import INPUTS, Rows, columns, contract, contract_backward, matrix, scratch
from equizoo.nn.gate import Gate
from equizoo.nn.product_plan import ProductPlan

Matrices = tuple[Sequence[Tensor], Sequence[Tensor]]


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
        packed = weight.index_select(0, plan.order)
        tensors = tuple([x.contiguous() for x in tensors])
        y = a.new_empty(a.shape[0] * plan.dim)
        out, sigma = product(plan, gate, rows, a, plan.matrices(packed), bias, tensors, y)
        ctx.plan, ctx.gate, ctx.rows = plan, gate, rows
        ctx.save_for_backward(a, packed, y, sigma, *tensors)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        """Return the gradients of weight, bias and features."""
        plan = ctx.plan
        a, packed, y, sigma, *tensors = ctx.saved_tensors
        grad_y, grad_packed = scratch("gradient", y, y.shape[0]), torch.empty_like(packed)
        if ctx.gate is None:
            _to_blocks(plan, grad, grad_y)
        else:
            ctx.gate.fused_backward(grad.contiguous(), y, sigma, grad_y)
        grad_bias = matrix(grad_y, plan.scalars, a.shape[0]).sum(0) if ctx.needs_input_grad[5] else None
        (wide, tall), (grad_wide, grad_tall) = plan.matrices(packed), plan.matrices(grad_packed)
        grads = [torch.zeros_like(x) for x in tensors]
        if plan.mixed:
            _late_backward(plan, ctx.rows, a, tall, tensors, grad_y, grad_tall, grads)
        if plan.products:
            _early_backward(plan, ctx.rows, a, wide, tensors, grad_y, grad_wide, grads)
        return None, None, None, None, grad_packed.index_select(0, plan.inverse), grad_bias, *grads


def product(
    plan: ProductPlan, gate: Gate | None, rows: Rows, a: Tensor, weights: Matrices, bias: Tensor | None,
    tensors: Sequence[Tensor], y: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Run the product.

    Args:
        plan: The order of the work.
        gate: What follows, or None.
        rows: Row of its tensor that an output row reads, for each input.
        a: ``(E, width)`` coefficients.
        weights: Matrices, as the plan cuts them.
        bias: Bias of the first output block, or None.
        tensors: Contiguous ``(N, dim)`` features.
        y: Flat memory for the blocks before the gate.

    Returns:
        The features ``(E, dim)``, and the sigmoid of the scalars before the gate (empty without one).
    """
    (wide, tall), count = weights, a.shape[0]
    if plan.mixed:
        mixed = _mix(plan, rows, a, tensors)
        for slot, out, w in zip(plan.mixed, plan.outs, tall, strict=True):
            torch.mm(matrix(mixed, slot, count), w, out=matrix(y, out, count))
    if plan.products:
        products = _memory(plan, tensors)
        for slot, out, w in zip(plan.blocks, plan.products, wide, strict=True):
            x = tensors[slot.tensor]
            block = columns(x, slot).reshape(-1, slot.channels)
            torch.mm(block, w, out=matrix(products[slot.tensor], out, x.shape[0]))
        contract(plan.early, products, [x.shape[0] for x in tensors], rows, a, y)
    scalars = matrix(y, plan.scalars, count)
    if bias is not None:
        scalars.add_(bias)
    if gate is None:
        return _to_features(plan, y, count), a.new_empty(0)
    sigma = torch.sigmoid(scalars)
    return gate.fused(y, sigma), sigma


def _mix(plan: ProductPlan, rows: Rows, a: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    mixed = scratch("mixed", a, a.shape[0] * plan.mixed_dim)
    contract(plan.late, tensors, [x.shape[0] for x in tensors], rows, a, mixed)
    return mixed


def _memory(plan: ProductPlan, tensors: Sequence[Tensor]) -> list[Tensor]:
    pairs = enumerate(zip(tensors, plan.product_dims, strict=True))
    return [scratch(f"products {k}", x, x.shape[0] * dim) for k, (x, dim) in pairs]


def _to_features(plan: ProductPlan, y: Tensor, count: int) -> Tensor:
    parts = y.split_with_sizes([count * size * channels for size, channels in plan.shapes_out])
    shapes = [(count, size * channels) for size, channels in plan.shapes_out]
    return torch.cat([part.view(shape) for part, shape in zip(parts, shapes, strict=True)], 1)


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
        torch.mm(g, w.t(), out=matrix(grad_mixed, slot, count))
    contract_backward(plan.late, grad_mixed, grads, [x.shape[0] for x in tensors], rows, a)


def _early_backward(
    plan: ProductPlan, rows: Rows, a: Tensor, wide: Sequence[Tensor], tensors: Sequence[Tensor],
    grad_y: Tensor, grad_wide: Sequence[Tensor], grads: Sequence[Tensor],
) -> None:  # fmt: skip
    products = [product.zero_() for product in _memory(plan, tensors)]
    contract_backward(plan.early, grad_y, products, [x.shape[0] for x in tensors], rows, a)
    for slot, out, w, grad_w in zip(plan.blocks, plan.products, wide, grad_wide, strict=True):
        x, column = tensors[slot.tensor], columns(grads[slot.tensor], slot)
        g = matrix(products[slot.tensor], out, x.shape[0])
        torch.mm(columns(x, slot).reshape(-1, slot.channels).t(), g, out=grad_w)
        column.add_(torch.mm(g, w.t()).view(column.shape))

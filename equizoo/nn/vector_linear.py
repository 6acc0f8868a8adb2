"""Linear maps of vector neurons, plain and relaxed.

Features are ``(R, 3·C)`` in the layout ``ir_mul``: the x components of all channels, then y, then z. A map
mixes channels and leaves the three components alone; its relaxation is a dense map of all 3·C numbers.
Results have the dtype of the features, under autocast too: the activation sums and divides them.

References:
    Deng et al., "Vector Neurons", ICCV 2021, Section 3.1; ACE, Appendix A, for the branches.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from equizoo.relaxation.layer import Relaxation
from equizoo.relaxation.spectral import spectral_normalise
from equizoo.symmetry.features import Irreps

BRANCHES = ("dense", "bounded")


class VectorLinear(nn.Module):
    """Mixes the vectors of a point.

    Args:
        channels_in: Number of vector channels C of the input.
        channels_out: Number of vector channels of the output.

    Attributes:
        weight: ``(channels_out, inputs·channels_in)``.

    Example:
        >>> VectorLinear(2, 5)(torch.randn(7, 6)).shape
        torch.Size([7, 15])
    """

    inputs: ClassVar[int] = 1
    outputs: ClassVar[int] = 1

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.channels_in, self.channels_out = channels_in, channels_out
        self.weight = nn.Parameter(torch.empty(channels_out, self.inputs * channels_in))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.relaxation: Relaxation | None = None

    def relax(self, branch: str, rank: int) -> None:
        """Add an unconstrained term; see :class:`VectorBranch`."""
        kind, out = (
            Irreps(f"{n}x1o", layout="ir_mul") for n in (self.channels_in, self.outputs * self.channels_out)
        )
        self.relaxation = Relaxation(VectorBranch(self, branch, rank), kind, out)

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Return ``(R, 3·outputs·channels_out)`` from ``(R, 3·channels_in)``."""
        term = self.relaxation
        if term is not None and term.enabled and not term._forward_hooks and _is_full(term.branch):
            term.see(x, *context)
            return self._at_once(term, x, *context)
        y = _join(self.parts(_components(x), self.weight, *self._context(*context))).to(x.dtype)
        return y if term is None else term(y, x, *context)

    def _at_once(self, term: Relaxation, x: Tensor, *context: Tensor) -> Tensor:
        """Return the map and its dense term as one matrix product, of the size of the term alone."""
        eye = torch.eye(3, dtype=self.weight.dtype, device=self.weight.device)
        vectors = self.weight.unflatten(1, (self.inputs, -1))
        weight = torch.einsum("mn,oic->moinc", eye, vectors).flatten(2).flatten(0, 1)
        parts = self.parts(x, term.add(weight, term.branch.first.weight), *context)
        if term.branch.first.bias is not None:
            parts[-1] = term.add(parts[-1], term.branch.first.bias)
        return _join([_components(part) for part in parts]).to(x.dtype)

    def _context(self, *context: Tensor) -> tuple[Tensor, ...]:
        return context

    @staticmethod
    def parts(x: Tensor, weight: Tensor) -> list[Tensor]:
        """Return the outputs of a linear map of the last axis."""
        return [functional.linear(x, weight)]


class EdgeLinear(VectorLinear):
    """``W [x_j - x_i, x_i]`` on pairs of points, as ``u_j + v_i``: computed once a point, not once a pair.

    The output holds u, then v, in each component. They nearly cancel for points that are close, so they keep
    their precision under autocast.
    """

    inputs: ClassVar[int] = 2
    outputs: ClassVar[int] = 2

    @staticmethod
    def parts(x: Tensor, weight: Tensor) -> list[Tensor]:
        """Return u and v."""
        difference, own = weight.chunk(2, 1)
        with torch.autocast(x.device.type, enabled=False):
            return [functional.linear(x, difference), functional.linear(x, own - difference)]


class ContextLinear(VectorLinear):
    """``W [x_i, m]`` where m is the mean of the point's cloud.

    Takes the means ``(B, 3·channels_in)`` and the cloud of each point ``(R,)`` after the features.
    """

    inputs: ClassVar[int] = 2

    def _context(self, *context: Tensor) -> tuple[Tensor, ...]:
        mean, batch = context
        return _components(mean), batch

    @staticmethod
    def parts(x: Tensor, weight: Tensor, mean: Tensor, batch: Tensor) -> list[Tensor]:
        """Return one output."""
        own, shared = weight.chunk(2, 1)
        return [functional.linear(x, own) + functional.linear(mean, shared).index_select(0, batch)]


class VectorBranch(nn.Module):
    """A dense map of all components of the vectors that a layer sees.

    Args:
        layer: The layer.
        kind: ``"dense"``: one matrix and a bias, as published; ``"bounded"``: without bias and with spectral
            norm 1 (where a layer has two inputs, of the matrix that acts on both).
        rank: Rank of the map, by two matrices; 0: full.
    """

    def __init__(self, layer: VectorLinear, kind: str, rank: int) -> None:
        super().__init__()
        self.parts = layer.parts
        channels_in, channels_out = 3 * layer.inputs * layer.channels_in, 3 * layer.channels_out
        rank = 0 if rank >= min(channels_in, channels_out) else rank
        bias = kind == "dense"
        self.first = nn.Linear(channels_in, rank or channels_out, bias=bias and not rank)
        self.second = nn.Linear(rank, channels_out, bias=bias) if rank else None
        if kind == "bounded":
            spectral_normalise(self, power_iterations=1)

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Take and return what the layer does."""
        parts = self.parts(x, self.first.weight, *context)
        bias = self.first.bias
        if self.second is not None:
            parts = [functional.linear(part, self.second.weight) for part in parts]
            bias = self.second.bias
        if bias is not None:
            parts[-1] = parts[-1] + bias
        return _join([_components(part) for part in parts]).to(x.dtype)


def _is_full(branch: nn.Module) -> bool:
    return isinstance(branch, VectorBranch) and branch.second is None


def _components(x: Tensor) -> Tensor:
    return x.unflatten(-1, (3, -1))


def _join(parts: list[Tensor]) -> Tensor:
    return (parts[0] if len(parts) == 1 else torch.cat(parts, -1)).flatten(-2)

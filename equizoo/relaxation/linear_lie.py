"""The regulariser of CR for a branch that is one linear map, from the second moment of its inputs.

The Lie derivative of ``f(x) = W x`` is linear too, ``LD f(x) = (W A - B W) x`` for the matrices A and B by
which a generator acts on inputs and outputs. Its sum of squares over a batch X is ``<C, C (XᵀX)>`` with
``C = W A - B W``: a batch is met once, as ``XᵀX``, for all generators, and does not stay in the graph.

References:
    Pertigkiozoglou et al., "Improving equivariant model training via constraint relaxation", NeurIPS 2024,
    the regulariser; Gruver et al., "The Lie derivative for measuring learned equivariance", ICLR 2023, Eq. 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equizoo.relaxation.layer import Relaxation
from equizoo.symmetry.groups import Group


class LinearLie:
    """Sums of squares of a linear branch and of its Lie derivative.

    Args:
        into: (k, d_in, d_in) matrices A of the generators on the inputs.
        out: (k, d_out, d_out) matrices B of the generators on the outputs.
    """

    def __init__(self, into: Tensor, out: Tensor) -> None:
        # most entries are 0: a rotation about an axis has two for each vector
        self.into, self.out = into.mT.flatten(0, 1).to_sparse(), out.flatten(0, 1).to_sparse()

    @classmethod
    def of(cls, term: Relaxation, group: Group) -> LinearLie | None:
        """Return the sums of a relaxed layer; None if its branch is not a linear map of linear types."""
        branch = term.branch
        if not isinstance(branch, nn.Linear) or type(branch).forward is not nn.Linear.forward:
            return None
        if (branch.in_features, branch.out_features) != (term.in_type.dim, term.out_type.dim):
            return None
        try:
            into, out = (
                kind.generators(group.lie_algebra(torch.float64)) for kind in (term.in_type, term.out_type)
            )
        except ValueError:  # points, which translations shift
            return None
        return cls(into.to(branch.weight), out.to(branch.weight))

    def __call__(self, branch: nn.Linear, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``Σ‖LD f(x)‖²``, over generators and rows, and ``Σ‖f(x)‖²``.

        Args:
            branch: The linear map f.
            x: (..., d_in) inputs.

        Example:
            >>> from equizoo.symmetry import SO3, Vectors
            >>> term = Relaxation(nn.Linear(3, 3, bias=False), Vectors(), Vectors())
            >>> x = torch.randn(8, 3)
            >>> _, size = LinearLie.of(term, SO3())(term.branch, x)
            >>> torch.allclose(size, term.branch(x).square().sum())
            True
        """
        weight, rows = branch.weight, x.reshape(-1, x.shape[-1])
        first = torch.sparse.mm(self.into.to(weight), weight.mT).unflatten(0, (-1, branch.in_features)).mT
        if branch.bias is not None:  # a weight of an input that is 1 and does not transform
            weight = torch.cat([weight, branch.bias.unsqueeze(-1)], -1)
            rows = torch.cat([rows, rows.new_ones(len(rows), 1)], -1)
            first = nn.functional.pad(first, (0, 1))
        second = torch.sparse.mm(self.out.to(weight), weight).unflatten(0, (-1, branch.out_features))
        moment = rows.mT @ rows
        return _sum_of_squares((first - second).flatten(0, 1), moment), _sum_of_squares(weight, moment)


def _sum_of_squares(matrix: Tensor, moment: Tensor) -> Tensor:
    """Return ``<C, C G>``, whose gradient ``2 C G`` needs no further product."""
    gradient = matrix.detach() @ moment
    return 2 * (matrix * gradient).sum() - (matrix.detach() * gradient).sum()

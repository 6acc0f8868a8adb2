"""SchNet, plain and relaxed.

Schütt et al., "SchNet: A continuous-filter convolutional neural network for modeling quantum interactions"
(2017). Relaxed as in Manolache et al., "Learning (Approximately) Equivariant Networks via Constrained
Optimization" (ACE), Section 4 and Appendix A: one γ for each interaction block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equizoo.models.property_model import PropertyModel
from equizoo.nn.affine import NormalisedLinear
from equizoo.nn.continuous_filter import PlainConvolution, TabulatedConvolution, convolution
from equizoo.nn.pairs import pairs_within
from equizoo.nn.radial import GaussianBasis, cosine_envelope, shifted_softplus
from equizoo.nn.readout import AGGREGATIONS, PropertyReadout, centre
from equizoo.relaxation.layer import Relaxation
from equizoo.relaxation.spectral import spectral_normalise
from equizoo.symmetry.features import DirectSum, Scalars, Vectors


@dataclass(frozen=True)
class SchNetConfig:
    """Shape of a SchNet. The defaults are the configuration published with ACE (127,553 parameters).

    Attributes:
        hidden: Width of the node features and filters.
        interactions: Number of interaction blocks.
        gaussians: Number of radial basis functions.
        cutoff: Interaction radius [Å].
        readout: Width of each target's readout.
        aggregations: One entry a target: how atomic outputs become a molecular value, see
            :class:`equizoo.nn.readout.PropertyReadout`.
        relaxed: Build the unconstrained branches and their γ.
        branch: ``"features"``: two linear maps of spectral norm 1 with a SiLU between, on the layer's whole
            input, node features and centred positions, so that the term is as small as γ says; or
            ``"positions"``: the published chain of unbounded linear maps, on centred positions (153,543
            parameters).
    """

    hidden: int = 64
    interactions: int = 6
    gaussians: int = 50
    cutoff: float = 10.0
    readout: int = 32
    aggregations: tuple[str, ...] = ("sum",)
    relaxed: bool = False
    branch: str = "features"

    def __post_init__(self) -> None:
        object.__setattr__(self, "aggregations", tuple(self.aggregations))
        unknown = set(self.aggregations) - set(AGGREGATIONS)
        if unknown or not self.aggregations:
            raise ValueError(
                f"aggregations must be among {sorted(AGGREGATIONS)}, got {list(self.aggregations)}"
            )
        if self.branch not in ("features", "positions"):
            raise ValueError(f"branch must be 'features' or 'positions', got {self.branch!r}")
        for name in ("hidden", "interactions", "readout", "cutoff"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


class FilterNetwork(nn.Module):
    """Continuous filter W(d) with its cutoff envelope.

    References:
        Schütt et al. (2017), Section 4.2.
    """

    def __init__(self, config: SchNetConfig) -> None:
        super().__init__()
        self.lin1 = nn.Linear(config.gaussians, config.hidden)
        self.lin2 = nn.Linear(config.hidden, config.hidden)

    def forward(self, basis: Tensor, envelope: Tensor) -> Tensor:
        """Return ``(P, C)`` filters from radial basis ``(P, K)`` and envelope ``(P, 1)`` of P distances."""
        return self.lin2(shifted_softplus(self.lin1(basis))) * envelope


class Interaction(nn.Module):
    """Residual interaction block, ``h + lin(ssp(lin2(Σ_j W(d_ij)∘lin1(h_j))))``, optionally relaxed.

    References:
        Schütt et al. (2017), Section 4.1.
    """

    def __init__(self, config: SchNetConfig) -> None:
        super().__init__()
        width = config.hidden
        self.filter = FilterNetwork(config)
        self.lin1 = nn.Linear(width, width, bias=False)
        self.lin2 = nn.Linear(width, width)
        self.lin = nn.Linear(width, width)
        self.relaxation: Relaxation | None = None

    def forward(
        self, h: Tensor, convolve: PlainConvolution | TabulatedConvolution, basis: Tensor, envelope: Tensor
    ) -> Tensor:
        """Update node features.

        Args:
            h: ``(N, C)`` node features.
            convolve: Convolution over the pairs.
            basis: ``(P, K)`` radial basis at ``convolve.distance``.
            envelope: ``(P, 1)`` cutoff envelope there.

        Returns:
            ``(N, C)`` node features.
        """
        x = convolve(self.lin1(h), self.filter(basis, envelope))
        return h + self.lin(shifted_softplus(self.lin2(x)))


class SchNet(PropertyModel):
    """Invariant message passing on distances; predicts molecular properties.

    Args:
        config: The shape of the network.

    Attributes:
        scale, shift, reference: Statistics of the training set, see :meth:`set_statistics`.
        input_types, output_type: How the Euclidean group acts on the arguments and on the result.

    Example:
        >>> model = SchNet(SchNetConfig(interactions=2, aggregations=("sum", "dipole")))
        >>> z, pos = torch.tensor([8, 1, 1]), torch.tensor([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
        >>> model(z, pos).shape
        torch.Size([1, 2])

    References:
        Schütt et al. (2017); ACE, Appendix A (relaxation); parameter counts of ACE, Table 4.
    """

    def __init__(self, config: SchNetConfig | None = None) -> None:
        config = config or SchNetConfig()
        super().__init__(len(config.aggregations))
        self.config = config
        width = config.hidden
        self.embedding = nn.Embedding(100, width, padding_idx=0)
        self.basis = GaussianBasis(config.gaussians, config.cutoff)
        self.interactions = nn.ModuleList(Interaction(config) for _ in range(config.interactions))
        self.readout = PropertyReadout(width, config.readout, config.aggregations)
        self.relaxation: nn.Linear | None = None
        for name, parameter in self.interactions.named_parameters():
            nn.init.xavier_uniform_(parameter) if name.endswith("weight") else nn.init.zeros_(parameter)
        if config.relaxed:
            self._relax()

    def _relax(self) -> None:
        width, out = self.config.hidden, Scalars(self.config.hidden)
        for layer in self.interactions:
            if self.config.branch == "positions":
                layer.relaxation = Relaxation(NormalisedLinear(width), None, out, chained=True)
            else:
                first, second = nn.Linear(width + 3, width, bias=False), nn.Linear(width, width, bias=False)
                branch = spectral_normalise(nn.Sequential(first, nn.SiLU(), second), power_iterations=1)
                layer.relaxation = Relaxation(branch, DirectSum(Scalars(width), Vectors(1)), out)
        if self.config.branch == "positions":
            self.relaxation = nn.Linear(3, width)

    def _chain(self, centred: Tensor) -> Iterator[Tensor]:
        """Yield each layer's ``(N, C)`` term of the published branch, affine in the positions ``(N, 3)``."""
        weight, offset = self.relaxation.weight.T, self.relaxation.bias
        count = centred.shape[0]
        covariance = centred.T @ centred / count
        for layer in self.interactions:
            weight, offset = layer.relaxation.branch.compose(weight, offset, covariance, count)
            yield torch.addmm(offset, centred, weight)

    def atom_features(self, z: Tensor, pos: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
        """Return ``(N, C)`` features; see :class:`~equizoo.models.property_model.PropertyModel`."""
        cutoff, h = self.config.cutoff, self.embedding(z)
        convolve = convolution(pairs_within(pos, batch, num_graphs, cutoff), cutoff)
        basis = self.basis(convolve.distance)
        envelope = cosine_envelope(convolve.distance, cutoff).unsqueeze(-1)
        relaxed = any(layer.relaxation is not None for layer in self.interactions)
        centred = centre(pos, torch.ones_like(pos[:, :1]), batch, num_graphs) if relaxed else None
        terms = None if self.relaxation is None else self._chain(centred)
        for layer in self.interactions:
            before, h = h, layer(h, convolve, basis, envelope)
            if layer.relaxation is None:
                continue
            if terms is None:
                h = layer.relaxation(h, torch.cat([before, centred], dim=-1))
            else:
                h = layer.relaxation.add(h, next(terms))
        return h

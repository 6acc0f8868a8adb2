"""VN-DGCNN: classification of point clouds by vector neurons on a dynamic graph, plain and relaxed.

Deng, Litany, Duan, Poulenard, Tagliasacchi, Guibas, "Vector Neurons: A General Framework for
SO(3)-Equivariant Networks", ICCV 2021; after Wang et al., "Dynamic Graph CNN for Learning on Point Clouds".
Relaxed as in Manolache et al. (ACE), Appendix A: a γ for the features and one for the directions of each of
the seven layers. The branches act point by point; permuting the points leaves the logits as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equizoo.nn.checks import check_clouds
from equizoo.nn.frame_pooling import pool_invariants
from equizoo.nn.neighbours import Clouds, nearest_neighbours
from equizoo.nn.vector_activation import Elements, VectorActivation
from equizoo.nn.vector_linear import BRANCHES, ContextLinear, EdgeLinear, VectorLinear
from equizoo.symmetry.features import Points, Scalars


@dataclass(frozen=True)
class VNDGCNNConfig:
    """Shape of a VN-DGCNN. The defaults are the published configuration (2,899,830 parameters).

    Attributes:
        classes: Number of classes.
        neighbours: Number of nearest neighbours k, the point itself among them.
        widths: Vector channels of the four layers on the graph.
        embedding: Vector channels of the layer on their concatenation.
        head: Widths of the two hidden layers of the classifier.
        dropout: Rate after each of them.
        centre: Move each cloud's mean to the origin first. Without, shifts change the prediction.
        relaxed: Build the unconstrained branches and their γ (8,831,612 parameters with dense ones).
        branch: Kind of branch, see :class:`equizoo.nn.vector_linear.VectorBranch`.
        rank: Rank of the branches; 0: full.
    """

    classes: int = 40
    neighbours: int = 20
    widths: tuple[int, ...] = (21, 21, 42, 85)
    embedding: int = 341
    head: tuple[int, int] = (512, 256)
    dropout: float = 0.5
    centre: bool = True
    relaxed: bool = False
    branch: str = "dense"
    rank: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "head", tuple(self.head))
        for name in ("classes", "neighbours"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"widths must hold a positive width a layer, got {list(self.widths)}")
        if len(self.head) != 2 or min(self.head) < 1:
            raise ValueError(f"head must hold two positive widths, got {list(self.head)}")
        if self.embedding < 2:
            raise ValueError(f"embedding must be at least 2, got {self.embedding}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in 0 to 1, got {self.dropout}")
        if self.branch not in BRANCHES:
            raise ValueError(f"branch is one of {BRANCHES}, got {self.branch!r}")
        if self.rank < 0:
            raise ValueError(f"rank must be 0 (full) or positive, got {self.rank}")


class VectorLayer(nn.Module):
    """Linear features and directions, batch norm, leaky ReLU, and the mean over neighbours.

    Args:
        linear: Kind of linear map.
        channels_in: Vector channels of the input.
        channels_out: Vector channels of the output.
        shared: One direction for all channels.
    """

    def __init__(
        self, linear: type[VectorLinear], channels_in: int, channels_out: int, shared: bool = False
    ) -> None:
        super().__init__()
        self.feature = linear(channels_in, channels_out)
        self.direction = linear(channels_in, 1 if shared else channels_out)
        self.activation = VectorActivation(channels_out)

    def relax(self, branch: str, rank: int) -> None:
        """Give both linear maps an unconstrained term."""
        self.feature.relax(branch, rank)
        self.direction.relax(branch, rank)

    def forward(self, x: Tensor, elements: Elements, *context: Tensor) -> Tensor:
        """Return ``(R, 3·channels_out)`` from ``(R, 3·channels_in)``."""
        p, d = (linear(x, *context).unflatten(1, (3, -1)) for linear in (self.feature, self.direction))
        width = self.activation.num_features
        if p.shape[-1] == 2 * width:
            (u, v), (du, dv) = p.chunk(2, -1), d.chunk(2, -1)
            return self.activation(u, du, elements, v, dv).flatten(1)
        return self.activation(p, d.expand_as(p), elements).flatten(1)


class VNDGCNN(nn.Module):
    """Classifies point clouds, the same from wherever they are seen.

    Args:
        config: The shape of the network.

    Attributes:
        input_types, output_type: How the Euclidean group acts on the arguments and on the result.
        mixed_precision: Whether it can be trained under autocast: what is lost there is made up for.

    Example:
        >>> model = VNDGCNN(VNDGCNNConfig(classes=3, widths=(4,), embedding=8, head=(8, 8))).eval()
        >>> model(torch.randn(2, 30, 3)).shape
        torch.Size([2, 3])

    References:
        Vector Neurons, Section 4 and the released network; parameter counts of ACE, Table 4.
    """

    mixed_precision = True

    def __init__(self, config: VNDGCNNConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or VNDGCNNConfig()
        widths, wide = config.widths, config.embedding
        pairs = zip((1, *widths[:-1]), widths, strict=True)
        self.layers = nn.ModuleList(VectorLayer(EdgeLinear, *pair) for pair in pairs)
        self.embed = VectorLayer(VectorLinear, sum(widths), wide, shared=True)
        self.frame_1 = VectorLayer(ContextLinear, wide, wide)
        self.frame_2 = VectorLayer(VectorLinear, wide, wide // 2)
        self.frame = VectorLinear(wide // 2, 3)
        self.dropout = nn.Dropout(config.dropout)
        self.linear_1, self.norm_1 = nn.Linear(12 * wide, config.head[0]), nn.BatchNorm1d(config.head[0])
        self.linear_2, self.norm_2 = nn.Linear(*config.head), nn.BatchNorm1d(config.head[1])
        self.linear_3 = nn.Linear(config.head[1], config.classes)
        if config.relaxed:
            for layer in (*self.layers, self.embed, self.frame_1, self.frame_2):
                layer.relax(config.branch, config.rank)
        self.input_types = {"points": Points(), "batch": None}
        self.output_type = Scalars(config.classes, per="graph")

    def forward(
        self,
        points: Tensor,
        batch: Tensor | None = None,
        num_graphs: int | None = None,
        neighbours: int | None = None,
    ) -> Tensor:
        """Classify clouds.

        Args:
            points: ``(B, N, 3)`` clouds of one size, or ``(R, 3)`` points of one cloud or of several.
            batch: ``(R,)`` cloud of each point, ascending from 0, with ``(R, 3)`` points; None: one cloud.
            num_graphs: B, if it is known; saves looking it up in ``batch``.
            neighbours: Number of neighbours k; that of the configuration unless given. Clouds of fewer points
                than in training are told apart far better with a k that is smaller in proportion, since
                neighbourhoods then cover as much of an object as in training.

        Returns:
            ``(B, classes)`` logits.

        Raises:
            ValueError: Shapes that do not fit, no points, an unsorted ``batch``, a cloud without points,
                points that are not finite, or no neighbours.
        """
        if not torch.compiler.is_compiling():
            check_clouds(points, batch, num_graphs)
        k = self.config.neighbours if neighbours is None else neighbours
        if k < 1:
            raise ValueError(f"neighbours must be at least 1, got {k}")
        if points.ndim == 3:
            clouds = Clouds.equal(points.shape[0], points.shape[1], points.device)
            points = points.flatten(0, 1)
        elif batch is None:
            clouds = Clouds.equal(1, points.shape[0], points.device)
        else:
            clouds = Clouds.of(batch, int(batch[-1]) + 1 if num_graphs is None else num_graphs)
        x = points
        if self.config.centre:
            x = x - clouds.mean(x).index_select(0, clouds.batch)
        features = []
        for layer in self.layers:
            x = layer(x, nearest_neighbours(x, clouds, k))
            features.append(x.unflatten(1, (3, -1)))
        x = torch.cat(features, -1).flatten(1)
        single = Elements.points(x.shape[0], x.device)
        x = self.embed(x, single)
        mean = clouds.mean(x)
        frames = self.frame(self.frame_2(self.frame_1(x, single, mean, clouds.batch), single))
        with torch.autocast(x.device.type, enabled=False):
            return self._classify(x, mean, frames.unflatten(1, (3, 3)), clouds)

    def _classify(self, x: Tensor, mean: Tensor, frames: Tensor, clouds: Clouds) -> Tensor:
        shared = mean.index_select(0, clouds.batch)
        pooled = [pool_invariants(y.unflatten(1, (3, -1)), frames, clouds) for y in (x, shared)]
        h = self.dropout(_leaky(self.norm_1(self.linear_1(torch.cat(pooled, 1)))))
        h = self.dropout(_leaky(self.norm_2(self.linear_2(h))))
        return self.linear_3(h)


def _leaky(x: Tensor) -> Tensor:
    return nn.functional.leaky_relu(x, 0.2)

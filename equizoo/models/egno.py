"""EGNO for bodies in motion: joint positions at several future times, plain and relaxed.

Xu, Han, Lou, Kossaifi, Ramanathan, Azizzadenesheli, Leskovec, Ermon, Anandkumar, "Equivariant Graph Neural
Operator for Modeling 3D Dynamics" (EGNO), ICML 2024; on Satorras et al. (EGNN), 2021. Relaxed as in Manolache
et al. (ACE), Appendix A: a γ for the features and one for the positions of each layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from equizoo.models.egno_branches import (
    BRANCHES,
    PublishedBranches,
    add_bounded_branches,
    add_bounded_terms,
)
from equizoo.nn.body_graph import BodyGraph, count_joints
from equizoo.nn.body_layer import LARGEST_STEP, BodyLayer
from equizoo.nn.temporal_fourier import TemporalFourier
from equizoo.symmetry.features import Points, Trajectories, Vectors

HEIGHTS = ("none", "fixed", "published")
UP = 1
"""The axis that points up."""
TIME_FEATURES = 32
_LONGEST_PERIOD = 10_000.0


@dataclass(frozen=True)
class EGNOConfig:
    """Shape of an EGNO. With ``height="published"`` it is the published network (1,192,684 parameters).

    Attributes:
        bones: Pairs of joints that a bone connects; joints are numbered from 0. Messages pass between joints
            that are one or two bones apart.
        frames: Number of predicted times T.
        hidden: Width of the features.
        layers: Number of layers.
        modes: Number of Fourier modes in time, at most T // 2 + 1.
        height: What features know of the height of a joint, its y coordinate. ``"none"``: nothing, and the
            network is E(3)-equivariant. ``"fixed"``: the height over ``height_scale``; what remains are
            rotations about the vertical, reflections that keep it, and horizontal translations.
            ``"published"``: the height over the largest in the batch, as released; a prediction then depends
            on the other bodies of its batch.
        height_scale: Height that counts as 1 [length].
        length_scale: Length that the network computes in [length]; published: 1. Squared distances of a body
            in ASF units reach hundreds, too large for the first layers.
        time_scale: Time that it computes in [frames]; published: 1. With the horizon, a body that keeps its
            velocity moves by about one velocity.
        relaxed: Build the unconstrained branches and their γ.
        branch: ``"bounded"``: linear maps of spectral norm 1 without biases and SiLU between, on the
            features, centred positions and velocities of a joint, so that a term is at most γ times as long
            as they are; translations stay a symmetry. ``"published"``: batch norm in front, input maps
            without a bound, and positions that are not centred (1,304,762 parameters).
    """

    bones: tuple[tuple[int, int], ...]
    frames: int = 5
    hidden: int = 128
    layers: int = 6
    modes: int = 2
    height: str = "none"
    height_scale: float = 30.0
    length_scale: float = 1.0
    time_scale: float = 1.0
    relaxed: bool = False
    branch: str = "bounded"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bones", tuple((int(i), int(j)) for i, j in self.bones))
        count_joints(self.bones)
        for name in ("frames", "hidden", "layers", "modes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.modes > self.frames // 2 + 1:
            raise ValueError(
                f"{self.frames} frames have {self.frames // 2 + 1} Fourier modes, got modes = {self.modes}"
            )
        if self.height not in HEIGHTS:
            raise ValueError(f"height is one of {HEIGHTS}, got {self.height!r}")
        for name in ("height_scale", "length_scale", "time_scale"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive, got {value}")
        if self.branch not in BRANCHES:
            raise ValueError(f"branch is one of {BRANCHES}, got {self.branch!r}")


class EGNO(nn.Module):
    """Predicts where the joints of bodies are at T later times.

    Args:
        config: The shape of the network.

    Attributes:
        input_types, output_type: How the Euclidean group acts on the arguments and on the result.

    Example:
        >>> model = EGNO(EGNOConfig(bones=((1, 0), (2, 1)), hidden=8, layers=1))
        >>> model(torch.randn(6, 3), torch.randn(6, 3)).shape
        torch.Size([6, 5, 3])

    References:
        EGNO, Section 4 and the released network; parameter counts: that of the released code.
    """

    def __init__(self, config: EGNOConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden
        self.graph = BodyGraph(config.bones)
        inputs = TIME_FEATURES + 1 + (config.height != "none")
        self.embedding = nn.Linear(inputs, width)
        time = (config.frames, config.modes)
        self.feature_times = nn.ModuleList(
            TemporalFourier(width, *time, scale=width**-2) for _ in range(config.layers)
        )
        self.vector_times = nn.ModuleList(TemporalFourier(2, *time, scale=0.1) for _ in range(config.layers))
        self.layers = nn.ModuleList(
            BodyLayer(width, LARGEST_STEP / config.length_scale) for _ in range(config.layers)
        )
        self.relaxation: PublishedBranches | None = None
        if config.relaxed and config.branch == "published":
            self.relaxation = PublishedBranches(self.layers, inputs, width)
        elif config.relaxed:
            add_bounded_branches(self.layers, width)
        self.input_types = {"pos": Points(), "vel": Vectors(1), "batch": None}
        self.output_type = Trajectories(config.frames)

    def forward(
        self, pos: Tensor, vel: Tensor, batch: Tensor | None = None, num_graphs: int | None = None
    ) -> Tensor:
        """Predict the positions at the T target times.

        Args:
            pos: ``(N, 3)`` positions [length], N = B·J: the J joints of a body, then those of the next.
            vel: ``(N, 3)`` velocities [length / frame].
            batch: ``(N,)`` body of each joint, to be checked only: every body has J joints.
            num_graphs: B, to be checked only.

        Returns:
            ``(N, T, 3)`` positions [length].

        Raises:
            ValueError: Shapes that do not fit, joints that do not make up whole bodies in order, values that
                are not finite, or ``height="published"`` and the highest joint at 0.
        """
        joints, frames = self.graph.joints, self.config.frames
        if not torch.compiler.is_compiling():
            _check(pos, vel, batch, num_graphs, joints)
        height, scale = pos[:, UP : UP + 1], self.config.length_scale
        pos, vel = pos / scale, vel * (self.config.time_scale / scale)
        bodies = pos.unflatten(0, (-1, joints))
        mean = bodies.mean(1, keepdim=True)
        square = self.graph.differences(bodies).square().sum(-1, keepdim=True)
        x, mean = (bodies - mean).flatten(0, 1), mean.expand_as(bodies).flatten(0, 1)
        x, v, inputs = x.expand(frames, -1, -1), vel.expand(frames, -1, -1), self._inputs(height, vel)
        h, shared = self.embedding(inputs), self.relaxation
        chain = None if shared is None else shared.features(inputs).flatten(0, 1)
        for k, layer in enumerate(self.layers):
            h = h + leaky_relu(self.feature_times[k](h))
            vectors = torch.stack([x, v], -1)
            x, v = (vectors + self.vector_times[k](vectors)).unbind(-1)
            before, last = (h, x, v), k + 1 == len(self.layers)
            x, own, received = layer(x, v, h, square, self.graph)
            h = None if last else layer.features(own, received)
            if shared is None:
                x, h = add_bounded_terms(layer, x, h, before)
                continue
            x = shared.move(layer, x, before[1] + mean)
            if not last:
                h, chain = shared.change(layer, h, chain)
        return scale * (x + mean).transpose(0, 1)

    def _inputs(self, height: Tensor, vel: Tensor) -> Tensor:
        """Return the ``(T, N, ·)`` invariants of joints, with the phases of the target times."""
        features = [torch.linalg.vector_norm(vel, dim=-1, keepdim=True)]
        if self.config.height == "fixed":
            features.append(height / self.config.height_scale)
        elif self.config.height == "published":
            features.append(height / _not_zero(height.max()))
        half = TIME_FEATURES // 2
        rate = -math.log(_LONGEST_PERIOD) / (half - 1)
        rates = torch.exp(rate * torch.arange(half, dtype=vel.dtype, device=vel.device))
        times = torch.arange(self.config.frames, dtype=vel.dtype, device=vel.device)
        phases = times[:, None] * rates
        phases = torch.cat([phases.sin(), phases.cos()], -1).unsqueeze(1).expand(-1, vel.shape[0], -1)
        return torch.cat([torch.cat(features, -1).expand(len(times), -1, -1), phases], -1)


def _check(pos: Tensor, vel: Tensor, batch: Tensor | None, num_graphs: int | None, joints: int) -> None:
    if pos.ndim != 2 or pos.shape[1] != 3 or vel.shape != pos.shape:
        raise ValueError(
            f"pos and vel must have the same shape (N, 3), got {tuple(pos.shape)} and {tuple(vel.shape)}"
        )
    if len(pos) == 0:
        raise ValueError("there are no joints")
    if len(pos) % joints:
        raise ValueError(f"a body has {joints} joints, and {len(pos)} joints are no whole number of bodies")
    bodies = len(pos) // joints
    if num_graphs is not None and num_graphs != bodies:
        raise ValueError(
            f"{len(pos)} joints are {bodies} bodies of {joints} joints, got num_graphs={num_graphs}"
        )
    if batch is not None:
        if batch.shape != pos.shape[:1]:
            raise ValueError(f"batch has one entry a joint, got {tuple(batch.shape)} for {len(pos)} joints")
        expected = torch.arange(bodies, device=batch.device).repeat_interleave(joints)
        if not torch.equal(batch.long(), expected):
            raise ValueError(
                f"batch must count the bodies from 0, {joints} joints each, one body after another"
            )
    for name, value in (("positions", pos), ("velocities", vel)):
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} must be finite: found NaN or infinity")


def _not_zero(height: Tensor) -> Tensor:
    if not torch.compiler.is_compiling() and not bool(height):
        raise ValueError("the highest joint of the batch is at y = 0, and heights are relative to it")
    return height

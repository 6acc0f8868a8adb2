"""RECM-style modulation: γ from a recurrent state that follows the symmetry gap of the data.

After Pertigkiozoglou, Petrache, Trivedi and Daniilidis, "Recurrent Equivariant Constraint Modulation" (2026),
reconstructed from what the abstract and the introduction say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from equizoo.relaxation.layer import Relaxation
from equizoo.relaxation.method import Method, _require_layers, declared_types, recorded_inputs
from equizoo.relaxation.witness import Witness, innovation
from equizoo.symmetry.features import FeatureType
from equizoo.symmetry.groups import Group
from equizoo.symmetry.groups import group as group_by_name


class _LayerState(nn.Module):
    """State h of one layer, its witness, its readout w, and the batch that the next update sees."""

    def __init__(self, in_dim: int, size: int, width: int, depth: int, modulation: str) -> None:
        super().__init__()
        self.witness = Witness(in_dim, size, width, depth)
        ones = torch.full((size,), size**-0.5)
        self.register_parameter("readout", nn.Parameter(ones.clone()) if modulation == "linear" else None)
        self.register_buffer("state", ones)
        for name in ("inputs", "targets", "index"):
            self.register_buffer(name, None)
        self.proposal: Tensor = self.state

    def gamma(self, state: Tensor) -> Tensor:
        """Return γ for a state: ``w·h``, or ``‖h‖`` without a readout."""
        return torch.linalg.vector_norm(state) if self.readout is None else self.readout @ state

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        for name in ("inputs", "targets", "index"):
            value = state_dict.get(prefix + name)
            buffer = None if value is None else torch.empty_like(value, device=self.state.device)
            self.register_buffer(name, buffer)
        super()._load_from_state_dict(state_dict, prefix, *args)


class RecmStyle(Method):
    """RECM-style (reconstruction): γ follows the measured symmetry gap of each layer's inputs and targets.

    The method ``recm``. **This is our reconstruction.** Neither the full text nor the code of the paper was
    available; the form of the state update, the target of hidden layers (the label) and the training of
    the witness are choices made here, and results obtained with it are not results of the paper.

    Each layer has a state ``h``, first of norm 1, and a Lipschitz witness u (spectrally normalised MLP with
    GELUs). Each step compares the witness on the previous batch with the witness on the batch moved by Haar
    samples, ``d = mean u(x, y) - mean u(g x, g y)``, and updates ``h <- (1 - η_t) h + η_t d`` with
    ``η_t = eta / (1 + t/tau)^power``. The layer's γ is ``w·h`` with ``‖w‖ <= 1``, or ``‖h‖``. On a
    stationary law p the state tends to ``E_p u - E_{p^G} u``, so that ``|γ| <= √k·Lip(u)·W1(p, p^G)``: it
    vanishes if the law is symmetric. A fixed finite data set is never exactly symmetric: move the training
    data by random group elements where the symmetry is believed.

    The witness and w take task gradients through the last update only. The layers' own ``gamma`` holds the
    present value for evaluation, projection and folding.

    Args:
        layers: The relaxed layers; each needs an ``in_type``.
        target_type: Feature type of the labels, that is the model's ``output_type``.
        group: Compact group, by name or as an object.
        modulation: ``"linear"`` for ``γ = w·h`` or ``"norm"`` for ``γ = ‖h‖``.
        state_size: Size k of h.
        width: Width of the witness.
        depth: Number of hidden layers of the witness.
        samples: Haar samples S for each graph and step.
        rows: Largest number of samples or nodes that a state sees of a batch, drawn anew in each step; the
            estimate stays unbiased. None: all.
        eta: First rate of the state.
        tau: Steps after which the rate has begun to fall.
        power: Exponent of the fall, in (1/2, 1].
        seed: Seed of the Haar samples; they are a function of it and of the step.

    Raises:
        ValueError: An option has a bad value, a layer has no ``in_type``, or there is no relaxed layer.

    Example:
        >>> from equizoo.relaxation import relax, relaxations
        >>> from equizoo.symmetry import Scalars, Vectors
        >>> net = relax(nn.Sequential(nn.Linear(3, 1)), {"0": nn.Linear(3, 1)}, in_types={"0": Vectors(1)})
        >>> method = RecmStyle(relaxations(net), target_type=Scalars(1))
        >>> {name: round(value, 6) for name, value in method.log().items()}
        {'gamma/0': 1.0, 'state/0': 1.0}

    References:
        arXiv 2602.02853 (the method); Robbins and Monro (1951) and Kantorovich-Rubinstein (the bound).
    """

    def __init__(
        self,
        layers: Mapping[str, Relaxation],
        target_type: FeatureType | None = None,
        group: str | Group = "SO3",
        modulation: str = "linear",
        state_size: int = 16,
        width: int = 64,
        depth: int = 2,
        samples: int = 1,
        rows: int | None = None,
        eta: float = 0.1,
        tau: float = 500.0,
        power: float = 0.75,
        seed: int = 0,
    ) -> None:
        _require_layers(layers, type(self).__name__)
        super().__init__(layers)
        if not isinstance(target_type, FeatureType):
            raise ValueError("recm needs the feature type of the labels: pass target_type=model.output_type")
        if not 0.5 < power <= 1 or not 0 < eta <= 1 or tau <= 0:
            raise ValueError(f"need eta in (0, 1], tau > 0, power in (1/2, 1]; got {eta}, {tau}, {power}")
        if min(state_size, width, depth, samples, rows or 1) < 1 or rows == 0:
            raise ValueError("state_size, width, depth, samples and rows must be at least 1")
        if modulation not in ("linear", "norm"):
            raise ValueError(f"modulation is 'linear' or 'norm', got {modulation!r}")
        self.group = group_by_name(group) if isinstance(group, str) else group
        if not self.group.compact:
            raise ValueError(f"{self.group} has no Haar measure; use a compact group, such as 'SO3' or 'O3'")
        self.target_type, self.samples, self.rows, self.seed = target_type, samples, rows, seed
        self.eta, self.tau, self.power = eta, tau, power
        self.states = nn.ModuleList()
        for name, term in self.layers.items():
            in_dim = declared_types(name, term, "in_type")[0].dim + target_type.dim
            state = _LayerState(in_dim, state_size, width, depth, modulation)
            self.states.append(state.to(term.gamma.device))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._batch: tuple[Tensor, Tensor | None] | None = None
        self.after_step()

    def owned(self) -> set[nn.Parameter]:
        """Return every γ."""
        return {term.gamma for term in self.layers.values()}

    def before_forward(self, targets: Tensor | None = None, index: Tensor | None = None) -> None:
        """Propose the next state from the previous batch and modulate the layers with it.

        Args:
            targets: Labels of the batch that the forward pass will see.
            index: Graph of each node ``(N,)``, or None when each row of the features is a sample.

        Raises:
            ValueError: There are no targets.
        """
        if targets is None:
            raise ValueError("recm needs the labels of the batch: call before_forward(targets, index)")
        self._batch = (targets.detach(), index)
        steps = int(self.steps)
        eta = self.eta / (1 + steps / self.tau) ** self.power
        for k, (layer, term) in enumerate(zip(self.states, self.layers.values(), strict=True)):
            layer.proposal = layer.state.clone()
            if layer.inputs is not None:
                d = self._innovation(layer, term, self._generator(k))
                layer.proposal = (1 - eta) * layer.proposal + eta * d
            term.modulation, term.record = layer.gamma(layer.proposal), True

    def _generator(self, layer: int) -> torch.Generator:
        return torch.Generator().manual_seed((self.seed << 44) + (int(self.steps) << 8) + layer)

    def _innovation(self, layer: _LayerState, term: Relaxation, generator: torch.Generator) -> Tensor:
        return innovation(
            layer.witness,
            layer.inputs,
            layer.targets,
            term.in_type,
            self.target_type,
            self.group,
            index=layer.index,
            samples=self.samples,
            generator=generator,
        )

    @torch.no_grad()
    def after_backward(self) -> None:
        """Take over the proposed states and remember this batch for the next update.

        Raises:
            RuntimeError: :meth:`before_forward` was not called, or a layer did not run.
        """
        if self._batch is None:
            raise RuntimeError("call before_forward(targets, index) before the forward pass")
        for k, (layer, (name, term)) in enumerate(zip(self.states, self.layers.items(), strict=True)):
            layer.inputs, layer.targets, layer.index = self._seen(k, name, term, *self._batch)
            layer.state.copy_(layer.proposal)
            layer.proposal = layer.state  # let go of the graph
            term.modulation, term.record, term.last_inputs = None, False, None
        self._batch = None
        self.steps += 1

    def _seen(
        self, layer: int, name: str, term: Relaxation, targets: Tensor, index: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the inputs (rows, ...) of a layer, their targets, and the graph of each row or None."""
        dtype = self.states[layer].state.dtype
        inputs, targets = recorded_inputs(name, term)[0].to(dtype), targets.to(dtype)
        nodes = index is not None and term.in_type.per == "node"
        if nodes and inputs.ndim > 1 + term.in_type.feature_axes:  # at several times (T, N, dim)
            times = inputs.shape[0]
            if self.target_type.per == "node":
                targets = targets.repeat(times, *[1] * (targets.ndim - 1))
            inputs, index = inputs.flatten(0, 1), index.repeat(times)
        if self.rows is None or len(inputs) <= self.rows or not (nodes or index is None):
            return inputs, targets, index
        kept = torch.randperm(len(inputs), generator=self._generator(layer))[: self.rows].to(inputs.device)
        if index is None or self.target_type.per == "node":
            targets = targets[kept]
        return inputs[kept], targets, None if index is None else index[kept]

    def estimates(self) -> list[Tensor]:
        """Return every state."""
        return [layer.state for layer in self.states]

    @torch.no_grad()
    def after_step(self) -> None:
        """Bring every w back to ``‖w‖ <= 1`` and write γ into the layers."""
        for layer, term in zip(self.states, self.layers.values(), strict=True):
            if layer.readout is not None:
                layer.readout.div_(torch.linalg.vector_norm(layer.readout).clamp(min=1))
            term.gamma.copy_(layer.gamma(layer.state))

    def log(self) -> dict[str, float]:
        """Return ``gamma/<layer>`` and ``state/<layer>``, the norm of the state."""
        norms = torch.stack([torch.linalg.vector_norm(layer.state) for layer in self.states])
        return super().log() | self._named("state", norms)

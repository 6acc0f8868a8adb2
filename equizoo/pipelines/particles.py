"""Charged particles in, their positions one time unit later out.

References:
    V. G. Satorras, E. Hoogeboom, M. Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021,
    Section 5.1: the charged-particle data.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from equizoo.data.nbody import World, energy
from equizoo.pipelines import caution, checked_card, warn_outside
from equizoo.pipelines.particles_files import read_systems
from equizoo.pipelines.particles_result import Forecast
from equizoo.pipelines.particles_systems import BadSystems, Systems, from_arrays, oddities
from equizoo.relaxation.layer import relaxations

TASK, TARGET = "particle-forecasting", "position"
_PAIRS = 200_000  # particle pairs a forward pass: some 200 MB at the published width
_PARTIAL = (
    "a partial variant is not exactly equivariant: trust it for systems oriented and placed as those of its "
    "training set"
)
_ROLLOUT = (
    "the model predicts positions only, and velocities in between are estimated from them: roughly, where "
    "particles meet; that error is part of the energy drift, and the test error holds for the first step only"
)
_LARGEST_CHANGE = 0.3  # [length / time]


class ParticleForecastingPipeline:
    """Predict where charged particles will be.

    An input is positions, velocities and charges, or a file ``.npz`` or ``.csv`` that holds them (see
    :func:`equizoo.pipelines.particles_files.read_systems`). Units are those of the training data: particles
    of mass 1, a force q_i q_j / r² between two of them; one time unit is 1,000 integration steps.

    Systems unlike those of the training set (another number of particles, other charges, far or fast
    particles) are answered and flagged: the test error was not measured there. A call, whose answer is an
    array, issues one :class:`~equizoo.pipelines.DomainWarning`; a forecast or roll-out carries the reasons.

    Args:
        model: A model with ``forward(pos, vel, charge, batch, num_graphs) -> (B·N, 3)`` and its checkpoint's
            ``card``.
        device: Where it runs; where it is unless given.
        batch_size: Most systems a forward pass; fewer where systems are large.
        max_particles: Largest system that is answered; time and memory grow as its square.
        results: Contents of the checkpoint's ``results.json``, with its test errors; read from its folder
            when :func:`equizoo.pipeline` loads it by name.

    Attributes:
        caution: What a user of this variant has to know, or None.
        test_mse: Mean squared error of a coordinate on the test set [length²], or None.

    Raises:
        ValueError: A size is not positive, or the model is not a checkpoint of this task.

    Example:
        >>> from equizoo import pipeline
        >>> forecast = pipeline("particle-forecasting")  # doctest: +SKIP
        >>> later = forecast(positions, velocities, charges)  # doctest: +SKIP
        >>> path = forecast.rollout(positions, velocities, charges, steps=5)  # doctest: +SKIP
        >>> path.positions.shape, path.energy_drift.shape  # doctest: +SKIP
        ((6, 16, 5, 3), (6, 16))
    """

    OPTIONS = ("batch_size", "max_particles", "results")

    def __init__(
        self,
        model: nn.Module,
        device: Any = None,
        batch_size: int = 1024,
        max_particles: int = 500,
        results: Mapping[str, Any] | None = None,
    ) -> None:
        if batch_size < 1 or max_particles < 2:
            raise ValueError(
                f"need batch_size >= 1 and max_particles >= 2, got {batch_size} and {max_particles}"
            )
        self.card: Any = checked_card(model, TASK)
        self.model = (model if device is None else model.to(device)).eval()
        self.domain = dict(self.card.domain)
        self.world = World(**_tuples(self.domain.get("world", {})))
        self.batch_size, self.max_particles = batch_size, max_particles
        partial = bool(relaxations(model))
        self.caution = caution(_PARTIAL, results) if partial else None
        measured = (results or {}).get("variants", {}).get("partial" if partial else "equivariant", {})
        self.test_mse: float | None = measured.get("errors", {}).get(TARGET)

    @property
    def step(self) -> float:
        """Time from the input to the answer [time]: 1 for the published frames 30 and 40."""
        return (self.domain["end_frame"] - self.domain["start_frame"]) / 10

    def __call__(self, positions: Any, velocities: Any = None, charges: Any = None) -> np.ndarray:
        """Predict positions one step later.

        Args:
            positions: (B, N, 3), or (N, 3) for one system [length]: array, tensor or nested lists; or the
                path of a file, alone.
            velocities: The same shape [length / time].
            charges: (B, N) or (N,).

        Returns:
            float64 positions :attr:`step` later [length], shaped as those given; (B, N, 3) for a file.

        Warns:
            DomainWarning: Systems are unlike those of the training set; :meth:`forecast` flags each.

        Raises:
            BadSystems: The systems cannot be answered; the message says why.
        """
        systems = self._systems(positions, velocities, charges)
        later = self._advance(systems.pos, systems.vel, systems)
        names = [f"system {name}" for name in systems.names]
        warn_outside("systems", names, oddities(systems, self.domain))
        return later[0] if systems.single else later

    def forecast(self, positions: Any, velocities: Any = None, charges: Any = None) -> Forecast:
        """Predict as a call does, and return all that is known about the answer: a roll-out of one step."""
        return self.rollout(positions, velocities, charges, steps=1)

    def rollout(
        self, positions: Any, velocities: Any = None, charges: Any = None, steps: int = 5
    ) -> Forecast:
        """Predict again and again, each time from the answer before.

        The model predicts positions only; velocities after a step are those of :func:`velocity_after`, and
        far less accurate where particles meet. The energy drift measures both.

        Args:
            positions: As for a call.
            velocities: As for a call.
            charges: As for a call.
            steps: Number of steps.

        Returns:
            Positions, velocities and energies at the start and after each step, with the axis B always there;
            see :class:`~equizoo.pipelines.particles_result.Forecast`.

        Raises:
            BadSystems: The systems cannot be answered; the message says why.
            ValueError: ``steps`` is less than 1.
        """
        if steps < 1:
            raise ValueError(f"a roll-out needs at least one step, got {steps}")
        systems = self._systems(positions, velocities, charges)
        pos, vel = [systems.pos], [systems.vel]
        for _ in range(steps):
            pos.append(self._advance(pos[-1], vel[-1], systems))
            vel.append(velocity_after(pos[-2], vel[-1], pos[-1], self.step))
        reasons = oddities(systems, self.domain)
        cautions = [self.caution, _ROLLOUT if steps > 1 else None]
        return Forecast(
            systems.names,
            systems.particles,
            systems.charge,
            self.step * np.arange(steps + 1),
            np.stack(pos),
            np.stack(vel),
            np.stack([self._energy(x, v, systems) for x, v in zip(pos, vel, strict=True)]),
            tuple(reasons),
            self.test_mse,
            " · ".join(filter(None, cautions)) or None,
        )

    def _systems(self, positions: Any, velocities: Any, charges: Any) -> Systems:
        if not isinstance(positions, (str, os.PathLike)):
            return from_arrays(positions, velocities, charges, max_particles=self.max_particles)
        if velocities is not None or charges is not None:
            raise BadSystems("a file holds velocities and charges too: give the file alone")
        return read_systems(positions, self.max_particles)

    @torch.no_grad()
    def _advance(self, pos: np.ndarray, vel: np.ndarray, systems: Systems) -> np.ndarray:
        """Return (B, N, 3) float64 positions one step later, a bounded number of systems at a time."""
        count, n = systems.shape
        size = max(1, min(self.batch_size, _PAIRS // n**2))
        parameter = next(self.model.parameters())
        # the answer moves with the systems: from near the origin, float32 keeps its digits
        centre = pos.mean(1, keepdims=True) if self._moves_along else np.zeros((count, 1, 3))
        later = np.empty_like(pos)
        for start in range(0, count, size):
            part = slice(start, start + size)
            arrays = (pos[part] - centre[part], vel[part], systems.charge[part])
            flat = [
                torch.from_numpy(np.ascontiguousarray(array)).to(parameter).flatten(0, 1) for array in arrays
            ]
            systems_here = len(arrays[0])
            batch = torch.arange(systems_here, device=parameter.device).repeat_interleave(n)
            output = self.model(*flat, batch, num_graphs=systems_here)
            later[part] = output.double().cpu().numpy().reshape(-1, n, 3) + centre[part]
        finite = np.isfinite(later).all((1, 2))
        if not finite.all():
            raise BadSystems(
                f"system {systems.names[int((~finite).argmax())]}: the model's answer is not a finite number"
            )
        return later

    @property
    def _moves_along(self) -> bool:
        """Whether the model is made to commute with translations: it centres each system."""
        return getattr(getattr(self.model, "config", None), "centre", None) == "graph"

    def _energy(self, pos: np.ndarray, vel: np.ndarray, systems: Systems) -> np.ndarray:
        arrays = (torch.from_numpy(array) for array in (pos, vel, systems.charge))
        return energy(*arrays, self.world).numpy()


def velocity_after(before: np.ndarray, velocity: np.ndarray, after: np.ndarray, time: float) -> np.ndarray:
    """Estimate velocities at the end of a step from positions at both ends and velocities at its start.

    The mean velocity over the step, ``d = (after − before) / time``, belongs to its middle; a constant
    acceleration would add ``d − velocity`` until its end. That is added up to a length of 0.3, since a larger
    change means that two particles met, after which it points anywhere. On 1,000 systems of the published
    world and a model with a test MSE of 0.011, the median squared error of a velocity is 0.011 (0.026 with d
    alone and with the whole change), and the MSE of the second step 0.073 (0.076 and 0.111; 0.052 with
    the true velocities).

    Args:
        before: (B, N, 3) positions at the start [length].
        velocity: (B, N, 3) velocities at the start [length / time].
        after: (B, N, 3) positions at the end [length].
        time: Time of the step.

    Returns:
        (B, N, 3) velocities at the end [length / time].

    Example:
        >>> at = np.zeros((1, 2, 3))
        >>> velocity_after(at, at, at + 0.1, time=1.0)[0, 0].round(6).tolist()
        [0.2, 0.2, 0.2]
    """
    mean = (after - before) / time
    change = mean - velocity
    size = np.linalg.norm(change, axis=-1, keepdims=True)
    return mean + change * (_LARGEST_CHANGE / np.maximum(size, _LARGEST_CHANGE))


def _tuples(world: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a world as JSON gave them, lists as tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in world.items()}

"""What the particle pipeline answers: positions, velocities and energies of systems at several times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

UNITS = {
    "position": "length",
    "velocity": "length/time",
    "time": "time, 1,000 integration steps",
    "energy": "mass·length²/time²",
    "test_mse": "length²",
}


@dataclass(frozen=True)
class Forecast:
    """B systems of N particles at the start (index 0) and after each of K steps.

    Attributes:
        names: What each system is called.
        particles: (B, N) what each particle is called.
        charges: (B, N) charges.
        times: (K + 1,) times [time].
        positions: (K + 1, B, N, 3) positions [length].
        velocities: (K + 1, B, N, 3) velocities [length / time]; derived from the positions after the start.
        energy: (K + 1, B) total energy [mass · length² / time²], mass 1.
        domain_reason: (B,) what is unlike the training set in each system at the start, or None.
        test_mse: Mean squared error of a coordinate after one step on the test set [length²], or None.
        caution: What to know about these figures, or None.
    """

    names: tuple[str, ...]
    particles: tuple[tuple[str, ...], ...]
    charges: np.ndarray
    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    energy: np.ndarray
    domain_reason: tuple[str | None, ...]
    test_mse: float | None
    caution: str | None

    @property
    def in_domain(self) -> tuple[bool, ...]:
        """(B,) whether the training set has systems like it."""
        return tuple(reason is None for reason in self.domain_reason)

    @property
    def energy_drift(self) -> np.ndarray:
        """(K + 1, B) energy less that of the start; 0 for the true motion of a world that conserves it."""
        return self.energy - self.energy[0]

    def records(self) -> list[dict[str, Any]]:
        """Return a dict of plain numbers and lists for each system, as JSON takes them."""
        return [
            {
                "system": name,
                "in_domain": self.domain_reason[k] is None,
                "domain_reason": self.domain_reason[k],
                "caution": self.caution,
                "test_mse": self.test_mse,
                "units": UNITS,
                "particles": list(self.particles[k]),
                "charges": self.charges[k].tolist(),
                "times": self.times.tolist(),
                "positions": self.positions[:, k].tolist(),
                "velocities": self.velocities[:, k].tolist(),
                "energy": self.energy[:, k].tolist(),
                "energy_drift": self.energy_drift[:, k].tolist(),
            }
            for k, name in enumerate(self.names)
        ]

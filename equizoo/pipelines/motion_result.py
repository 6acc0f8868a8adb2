"""What the motion pipeline answers: the joints of a body, frame by frame, and where each frame comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

GIVEN, INTERPOLATED, PREDICTED = "given", "interpolated", "predicted"
UNITS = {
    "position": "length, ASF units of 0.0564 m",
    "error": "length",
    "mse": "length²",
    "test_mse": "length²",
    "time": "s",
}


@dataclass(frozen=True)
class MotionForecast:
    """One body of J joints at K consecutive frames from the start frame on.

    Attributes:
        name: What the motion is called.
        joints: (J,) names.
        bones: Pairs of joints, (child, parent), by index.
        frame_rate: Frames a second.
        start: Number of the start frame in the recording; 0 where there is none.
        positions: (K, J, 3) positions [length]; frame k is k frames after the start.
        made: (K,) where each frame comes from: ``given``, ``predicted`` by the model, or ``interpolated``.
        horizon: Frames from the start of a step to the last frame that the model predicts in it.
        truth: (K, J, 3) true positions [length], NaN where they are not known; None where none are.
        domain_reason: What is unlike the training set in this body at the start, or None.
        test_mse: Mean squared error of a coordinate at the horizon on the test set [length²], or None.
        caution: What to know about these figures, or None.
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    frame_rate: float
    start: int
    positions: np.ndarray
    made: tuple[str, ...]
    horizon: int
    truth: np.ndarray | None
    domain_reason: str | None
    test_mse: float | None
    caution: str | None

    @property
    def times(self) -> np.ndarray:
        """(K,) times after the start [s]."""
        return np.arange(len(self.made)) / self.frame_rate

    @property
    def in_domain(self) -> bool:
        """Whether the training set has bodies like it."""
        return self.domain_reason is None

    @property
    def predicted(self) -> np.ndarray:
        """Numbers of the frames that the model predicted, ascending."""
        return np.flatnonzero(np.array(self.made) == PREDICTED)

    @property
    def errors(self) -> np.ndarray | None:
        """(K, J) distances from the truth [length], NaN where it is not known; None where none is."""
        return None if self.truth is None else np.linalg.norm(self.positions - self.truth, axis=-1)

    @property
    def mse(self) -> float | None:
        """Mean squared error of a coordinate at the horizon [length²], or None without truth there."""
        if self.truth is None or self.horizon >= len(self.made):
            return None
        square = float(np.square(self.positions[self.horizon] - self.truth[self.horizon]).mean())
        return None if np.isnan(square) else square

    def record(self) -> dict[str, Any]:
        """Return a dict of plain numbers and lists, as JSON takes them; None stands for what is not known."""
        errors = self.errors
        return {
            "name": self.name,
            "in_domain": self.in_domain,
            "domain_reason": self.domain_reason,
            "caution": self.caution,
            "test_mse": self.test_mse,
            "mse": self.mse,
            "units": UNITS,
            "joints": list(self.joints),
            "start": self.start,
            "times": self.times.tolist(),
            "made": list(self.made),
            "positions": self.positions.tolist(),
            "errors": None if errors is None else [_known(row) for row in errors],
        }


def _known(row: np.ndarray) -> list[float] | None:
    return None if np.isnan(row).any() else row.tolist()

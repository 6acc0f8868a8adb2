"""What the point-cloud pipeline answers: a probability for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Classification:
    """One cloud and its classes.

    Attributes:
        source: Path of the file, or number of the cloud in the input, from 1.
        classes: Names of the C classes.
        error: Why there is no answer, or None.
        domain_reason: What is unlike the training set, or None.
        clouds: (V, n, 3) the points that the model saw, as V clouds of the same object, each centred and in
            the unit sphere; None without an answer.
        scores: (C,) probabilities of ``classes``; None without an answer.
    """

    source: str
    classes: tuple[str, ...]
    error: str | None = None
    domain_reason: str | None = None
    clouds: np.ndarray | None = None
    scores: np.ndarray | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.scores is not None

    @property
    def place(self) -> str:
        """What to call it in a message."""
        return f"cloud {self.source}" if self.source.isdigit() else self.source

    @property
    def cloud(self) -> np.ndarray | None:
        """(n, 3) the first of the clouds."""
        return None if self.clouds is None else self.clouds[0]

    @property
    def points(self) -> int | None:
        """Number of points that the model saw, in all clouds."""
        return None if self.clouds is None else self.clouds.shape[0] * self.clouds.shape[1]

    def top(self, k: int = 5) -> list[dict[str, Any]]:
        """Return the ``k`` most probable classes, the most probable first.

        Returns:
            ``{"label": name, "score": probability}`` each; fewer where there are fewer classes, none without
            an answer.

        Example:
            >>> Classification("1", ("bed", "cup"), scores=np.array([0.25, 0.75])).top(1)
            [{'label': 'cup', 'score': 0.75}]
        """
        if self.scores is None:
            return []
        order = np.argsort(-self.scores, kind="stable")[:k]
        return [{"label": self.classes[i], "score": float(self.scores[i])} for i in order]

    def record(self, k: int = 5) -> dict[str, Any]:
        """Return a dict of plain values, as JSON takes them, with the ``k`` most probable classes."""
        return {
            "input": self.source,
            "ok": self.ok,
            "error": self.error,
            "in_domain": self.domain_reason is None if self.ok else None,
            "domain_reason": self.domain_reason,
            "points": self.points,
            "classes": self.top(k),
        }

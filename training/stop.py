"""Reasons to stop early, cleanly: the clock and signals."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Says when to stop; inside ``with``, SIGTERM and SIGINT ask for it too.

    Args:
        max_minutes: Minutes from now; None: no limit.

    Example:
        >>> StopRequest(max_minutes=0.0).reason
        'max_minutes'
    """

    def __init__(self, max_minutes: float | None = None) -> None:
        self.deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self._signal: str | None = None
        self._before: dict[int, object] = {}

    @property
    def reason(self) -> str | None:
        """Why to stop now, or None."""
        if self._signal is not None:
            return self._signal
        return "max_minutes" if self.deadline is not None and time.monotonic() >= self.deadline else None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._signal = signal.Signals(number).name

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

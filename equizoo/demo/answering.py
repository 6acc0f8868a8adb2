"""How functions of the page answer: in a measured time, and with a message where they cannot."""

from __future__ import annotations

import functools
import html
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from equizoo.hub.errors import EquizooError

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)


class Declined(EquizooError, ValueError):
    """A request that is not answered; the message says what to do."""


def answered(function: Callable[P, R]) -> Callable[P, R]:
    """Turn exceptions of a function of the page into messages for the visitor.

    Errors of equizoo say what to do and are shown; any other is logged, and the visitor is told that
    something went wrong without its text.

    Raises:
        gradio.Error: The function raised.

    Example:
        >>> answered(lambda x: x + 1)(1)
        2
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        import gradio as gr

        try:
            return function(*args, **kwargs)
        except gr.Error:
            raise
        except EquizooError as error:
            message = str(error)
        except Exception:
            log.exception("%s failed", function.__name__)
            message = "this input could not be handled; please try another one"
        raise gr.Error(html.escape(message[:1].upper() + message[1:400]), print_exception=False)

    return call


def timed(function: Callable[[], R]) -> tuple[R, float]:
    """Return what a function returns, and the seconds it took."""
    start = time.perf_counter()
    value = function()
    return value, time.perf_counter() - start


def whole_number(value: Any, low: int, high: int, name: str) -> int:
    """Return a whole number within limits.

    Raises:
        Declined: It is none, or outside.

    Example:
        >>> whole_number(3.0, 1, 8, "steps")
        3
    """
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise Declined(f"{name} must be a whole number from {low} to {high}") from None
    if not low <= number <= high:
        raise Declined(f"{name} must be from {low} to {high}, got {number}")
    return number


def number(value: Any, low: float, high: float, name: str) -> float:
    """Return a number within limits.

    Raises:
        Declined: It is none, or outside.

    Example:
        >>> number("0.5", 0, 1, "the share")
        0.5
    """
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not low <= found <= high:
        raise Declined(f"{name} must be from {low:g} to {high:g}")
    return found


def upload(path: str | Path, suffixes: tuple[str, ...], limit: int) -> Path:
    """Check an uploaded file before it is opened.

    Args:
        path: Where it lies.
        suffixes: Endings that are read.
        limit: Bytes.

    Raises:
        Declined: It has another ending, or is too large.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise Declined(f"files like {path.suffix[:20]!r} are not read here, only {', '.join(suffixes)}")
    if (size := path.stat().st_size) > limit:
        raise Declined(f"the file has {size / 1e6:.1f} MB, and the limit is {limit / 1e6:g} MB")
    return path

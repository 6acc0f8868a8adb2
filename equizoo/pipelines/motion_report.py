"""Forecasts of bodies as a table to read, and as a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence

import numpy as np

from equizoo.pipelines.motion_result import MotionForecast
from equizoo.pipelines.writing import table_file

_COLUMNS = ("source", "frame", "time", "made", "joint", "x", "y", "z", "error")


def format_motions(forecasts: Sequence[MotionForecast]) -> str:
    """Return forecasts as text: a block a body with a line a joint, notes below.

    Args:
        forecasts: The forecasts.

    Returns:
        The text, without a line break at its end.
    """
    lines: list[str] = []
    for forecast in forecasts:
        lines += [*_block(forecast), ""]
    return "\n".join([*lines, *_notes(forecasts)]).rstrip()


def _block(forecast: MotionForecast) -> Iterator[str]:
    last = len(forecast.made) - 1
    errors = forecast.errors
    row = None if errors is None or np.isnan(errors[last]).any() else errors[last]
    yield (
        f"{forecast.name}, start frame {forecast.start}{'' if forecast.in_domain else ' †'}: position {last} "
        f"frames ({forecast.times[last]:.3g} s) later [length]"
    )
    yield (
        f"{'joint':<12}"
        + "".join(f"{axis:>10}" for axis in "xyz")
        + ("" if row is None else f"{'error':>10}")
    )
    yield "─" * (42 if row is None else 52)
    for joint, name in enumerate(forecast.joints):
        cells = "".join(f"{value:10.3f}" for value in forecast.positions[last, joint])
        yield f"{name:<12}{cells}" + ("" if row is None else f"{row[joint]:10.3f}")
    if forecast.mse is not None:
        yield f"mean squared error of a coordinate at frame {forecast.horizon}: {forecast.mse:.4g} length²"


def _notes(forecasts: Sequence[MotionForecast]) -> Iterator[str]:
    if not forecasts:
        return
    first = forecasts[0]
    if first.test_mse is not None:
        yield (
            f"On the test set a coordinate is {first.test_mse**0.5:.3f} length off (root mean square) at "
            f"frame "
            f"{first.horizon}."
        )
    if not all(forecast.in_domain for forecast in forecasts):
        yield "† is outside the training domain: how large the error is there was not measured."
        for forecast in forecasts:
            if forecast.domain_reason is not None:
                yield f"  {forecast.name}: {forecast.domain_reason}"
    if first.caution is not None:
        yield f"Note: {first.caution}."


def write_motions(forecasts: Sequence[MotionForecast], path: str | os.PathLike[str]) -> None:
    """Write a line a frame and joint; errors stand where the truth is known.

    Args:
        forecasts: The forecasts.
        path: The file; it appears whole or not at all.
    """
    with table_file(path) as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for forecast in forecasts:
            errors = forecast.errors
            for frame, (time, made) in enumerate(zip(forecast.times.tolist(), forecast.made, strict=True)):
                for joint, name in enumerate(forecast.joints):
                    error = (
                        None
                        if errors is None or np.isnan(errors[frame, joint])
                        else float(errors[frame, joint])
                    )
                    place = forecast.positions[frame, joint].tolist()
                    writer.writerow([forecast.name, frame, time, made, name, *place, error])

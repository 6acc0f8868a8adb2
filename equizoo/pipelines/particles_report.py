"""Forecasts of particle systems as a table to read, and as a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence

from equizoo.pipelines.particles_result import Forecast
from equizoo.pipelines.writing import table_file

_COLUMNS = (
    "source",
    "system",
    "in_domain",
    "time",
    "particle",
    "charge",
    "x",
    "y",
    "z",
    "energy",
    "energy_drift",
)


def format_forecasts(forecasts: Sequence[tuple[str, Forecast]]) -> str:
    """Return forecasts as text: a block a system with a line a particle, notes below.

    Args:
        forecasts: What each forecast came from, such as the name of a file, and the forecast.

    Returns:
        The text, without a line break at its end.
    """
    lines: list[str] = []
    for source, forecast in forecasts:
        for k in range(len(forecast.names)):
            lines += [*_block(source, forecast, k), ""]
    return "\n".join([*lines, *_notes(forecasts)]).rstrip()


def _block(source: str, forecast: Forecast, k: int) -> Iterator[str]:
    start, end = forecast.positions[0, k], forecast.positions[-1, k]
    mark = "" if forecast.in_domain[k] else " †"
    first, last = (f"position at time {time:g} [length]" for time in forecast.times[[0, -1]])
    yield f"{source}, system {forecast.names[k]}{mark}"
    yield f"{'':18}{first:>27}{last:>30}"
    axes = "".join(f"{axis:>9}" for axis in "xyz")
    yield f"particle{'charge':>9} {axes}   {axes}"
    yield "─" * 75
    rows = zip(forecast.particles[k], forecast.charges[k], start, end, strict=True)
    for particle, charge, before, after in rows:
        cells = ("".join(f"{value:9.4f}" for value in row) for row in (before, after))
        yield f"{particle:>8}{charge:>+9g} {'   '.join(cells)}"
    if len(forecast.times) > 2:
        yield "energy " + "  ".join(f"{value:.4g}" for value in forecast.energy[:, k])
        yield "drift  " + "  ".join(f"{value:+.2g}" for value in forecast.energy_drift[:, k])


def _notes(forecasts: Sequence[tuple[str, Forecast]]) -> Iterator[str]:
    if not forecasts:
        return
    first = forecasts[0][1]
    if first.test_mse is not None:
        yield (
            f"On the test set a coordinate is {first.test_mse**0.5:.3f} length off (root mean square) "
            f"after one step of {first.times[1]:g}."
        )
    if any(not all(forecast.in_domain) for _, forecast in forecasts):
        yield "† is outside the training domain: how large the error is there was not measured."
        for source, forecast in forecasts:
            for name, reason in zip(forecast.names, forecast.domain_reason, strict=True):
                if reason is not None:
                    yield f"  {source}, system {name}: {reason}"
    if first.caution is not None:
        yield f"Note: {first.caution}."


def write_forecasts(forecasts: Sequence[tuple[str, Forecast]], path: str | os.PathLike[str]) -> None:
    """Write a line a particle and time.

    Args:
        forecasts: What each forecast came from, and the forecast.
        path: The file; it appears whole or not at all.
    """
    with table_file(path) as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for source, forecast in forecasts:
            for k, name in enumerate(forecast.names):
                for step, time in enumerate(forecast.times.tolist()):
                    energy = (forecast.energy[step, k].item(), forecast.energy_drift[step, k].item())
                    about = (source, name, forecast.in_domain[k], time)
                    places = forecast.positions[step, k].tolist()
                    for row in zip(forecast.particles[k], forecast.charges[k].tolist(), places, strict=True):
                        writer.writerow([*about, *row[:2], *row[2], *energy])

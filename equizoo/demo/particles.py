"""Charged particles for the page and its API: simulated, forecast, and compared."""

from __future__ import annotations

import functools
import html
from dataclasses import dataclass
from typing import Any

import numpy as np

from equizoo.data.nbody import World, simulate
from equizoo.demo import limits, models
from equizoo.demo.answering import whole_number
from equizoo.demo.charts import lines, scientific, table
from equizoo.demo.viewer import balls, rounded, widest
from equizoo.pipelines.particles_result import Forecast

TASK = "particle-forecasting"
_POSITIVE, _NEGATIVE = "#d8574b", "#4877d6"
_EVERY = 100  # integration steps a frame, 0.1 time units


@dataclass(frozen=True)
class Motion:
    """One simulated system from the moment of the forecast on.

    Attributes:
        times: (F,) time since the start of the forecast [time].
        pos: (F, N, 3) positions [length].
        vel: (N, 3) velocities at the start [length / time].
        charge: (N,) charges.
    """

    times: np.ndarray
    pos: np.ndarray
    vel: np.ndarray
    charge: np.ndarray


def motion(model: str, particles: Any, steps: Any, seed: Any) -> Motion:
    """Simulate a system of the world that a model was trained on.

    Args:
        model: Name of a bundled model.
        particles: Number of particles.
        steps: Number of steps of the model for which the truth is wanted.
        seed: Seed of the start.

    Raises:
        Declined: The model is not offered, or a number is outside its limits.
    """
    pipe = models.predictor(TASK, model)
    count = whole_number(particles, *limits.PARTICLES, "the number of particles")
    length = whole_number(steps, 1, limits.STEPS, "the number of steps")
    number = whole_number(seed, 0, limits.SEED, "the seed")
    frames = pipe.domain["end_frame"] - pipe.domain["start_frame"]
    world = World(count, pipe.world.field, pipe.world.drag, pipe.world.wall)
    return _motion(world, pipe.domain["start_frame"], frames * length, number)


@functools.lru_cache(maxsize=128)
def _motion(world: World, start: int, frames: int, seed: int) -> Motion:
    made = simulate(world, 1, seed, length=_EVERY * (start + frames + 2), every=_EVERY)
    pos, vel = made.pos[0].numpy(), made.vel[0].numpy()
    times = np.arange(frames + 1) * 0.1
    return Motion(times, pos[start : start + frames + 1], vel[start], made.charge[0].numpy())


def forecast(truth: Motion, model: str, variant: str, steps: int) -> Forecast:
    """Return the roll-out of a model from the start of a motion."""
    pipe = models.predictor(TASK, model, variant)
    return pipe.rollout(truth.pos[0], truth.vel, truth.charge, steps=steps)


def squared_errors(truth: Motion, path: Forecast) -> np.ndarray:
    """Return (K,) mean squared error of a coordinate after each step [length²]."""
    at = np.round(path.times[1:] / 0.1).astype(int)
    return np.square(path.positions[1:, 0] - truth.pos[at]).mean((1, 2))


def scene(truth: Motion, path: Forecast) -> dict[str, Any]:
    """Return the scene of a motion: balls for the truth, rings for the forecast."""
    centre = truth.pos.mean((0, 1))
    predicted = path.positions[:, 0]
    between = np.stack(
        [
            np.interp(truth.times, path.times, predicted[:, i, k])
            for i in range(predicted.shape[1])
            for k in range(3)
        ],
        1,
    ).reshape(len(truth.times), -1, 3)
    frames = np.concatenate([truth.pos, between], 1) - centre
    frames = (frames.reshape(-1, 3) @ widest(truth.pos.reshape(-1, 3)).T).reshape(frames.shape)
    colours = [_POSITIVE if q > 0 else _NEGATIVE for q in truth.charge]
    radius = float(np.quantile(np.linalg.norm(frames, axis=-1), 0.95)) * 1.15
    size = [0.055 * radius] * len(colours)
    start = balls(frames[0, : len(colours)], size, colours)
    rings = balls(frames[0, len(colours) :], [1.35 * s for s in size], colours, ring=True)
    return {
        "key": f"particles {len(colours)}",
        "label": f"{len(colours)} charged particles: simulated (balls) and forecast (rings)",
        "radius": radius,
        "front": True,
        "points": start + rings,
        "frames": rounded(frames),
        "times": truth.times.round(3).tolist(),
        "unit": "time units",
        "seconds": 2.5 * float(path.times[-1]),
        "trails": True,
    }


def error_chart(truth: Motion, path: Forecast, name: str) -> str:
    """Return the error of the forecast against time, beside a straight line at the first velocity."""
    times = path.times[1:]
    straight = truth.pos[0] + truth.vel * times[:, None, None]
    at = np.round(times / 0.1).astype(int)
    naive = np.square(straight - truth.pos[at]).mean((1, 2))
    if len(times) == 1:  # one point is no curve: draw from the start of the step
        times, naive = np.repeat(times, 2) * [0, 1], np.repeat(naive, 2)
        errors = np.repeat(squared_errors(truth, path), 2)
    else:
        errors = squared_errors(truth, path)
    series = {name: errors.tolist(), "constant velocity": naive.tolist()}
    return lines(
        times.tolist(), series, x_label="time", y_label="mean squared error [length²]", colours=(0, 2)
    )


def summary(truth: Motion, path: Forecast) -> str:
    """Return error and energy drift after each step as an HTML table, with what to know about them."""
    errors, drift = squared_errors(truth, path), path.energy_drift[1:, 0]
    rows = [
        [f"{time:g}", scientific(float(error)), scientific(float(change))]
        for time, error, change in zip(path.times[1:], errors, drift, strict=True)
    ]
    notes = []
    if path.domain_reason[0] is not None:
        notes.append(
            f'<p class="ez-warn">Unlike the training set: {html.escape(path.domain_reason[0])}; the error '
            "was not measured there.</p>"
        )
    about = []
    if path.test_mse is not None:
        about.append(f"The test error of one step is {scientific(path.test_mse)} length².")
    if path.caution:
        about.append(html.escape(path.caution[:1].upper() + path.caution[1:]) + ".")
    head = ("time", "error [length²]", "energy drift")
    return table(head, rows, numeric=(1, 2)) + "".join(notes) + f'<p class="ez-note">{" ".join(about)}</p>'

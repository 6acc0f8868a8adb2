"""Bodies in motion for the page and its API: a figure or a recording in, its next quarter seconds out."""

from __future__ import annotations

import html
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from equizoo.demo import limits, models
from equizoo.demo.answering import Declined, number, upload, whole_number
from equizoo.demo.charts import lines, scientific, table
from equizoo.demo.gait import GAITS, figure
from equizoo.demo.viewer import balls, rounded
from equizoo.pipelines.motion_files import read_motion
from equizoo.pipelines.motion_result import MotionForecast
from equizoo.pipelines.motion_view import heading
from equizoo.pipelines.motion_windows import UNIT

TASK = "motion-forecasting"
FILES = (".npz",)
_TRUTH, _FORECAST = "#98a3b0", "#2aa586"
_BONE, _JOINT, _HEAD = 0.16, 0.3, 0.95  # half width of a bone, and radii of joints and of the head [length]
_FLOOR = 5.0  # distance of the dots on the floor [length], more where they would be more than _DOTS in a row
_DOTS = 60


def best_variant(name: str) -> str:
    """Return the bundled variant of a model with the smallest test error.

    A model that was trained with its branches kept on needs them: without, it forecasts badly.
    """
    measured = models.info(name).results.get("variants", {})
    return min(
        models.variants(name), key=lambda v: measured.get(v, {}).get("errors", {}).get("position", np.inf)
    )


def forecast(
    model: str, variant: str, gait: str, phase: Any, file: str | Path | None, start: Any, steps: Any
) -> MotionForecast:
    """Return the forecast of a request: of the recording if there is one, or else of the made-up figure.

    Args:
        model: Name of a bundled model.
        variant: ``"equivariant"`` or ``"partial"``.
        gait: ``"walk"`` or ``"run"``.
        phase: Part of the stride at which the figure starts, 0 to 1.
        file: Path of an uploaded ``.npz`` recording.
        start: Start frame of the recording.
        steps: Number of steps, a quarter of a second each.

    Raises:
        Declined: A choice is not offered, or outside its limits.
        BadMotion: The recording cannot be answered; the message says why.
    """
    length = whole_number(steps, 1, limits.MOTION_STEPS, "the number of steps")
    pipe = models.predictor(TASK, model, variant)
    if file is not None:
        pos, vel = _recording(upload(file, FILES, limits.MOTION_FILE), pipe.joints)
        if vel is not None:
            return pipe.forecast(pos, vel, steps=length, name=Path(file).name)
        first = whole_number(start, 0, limits.FRAMES, "the start frame")
        return pipe.forecast(pos, start=first, steps=length, name=Path(file).name)
    if gait not in GAITS:
        raise Declined(f"choose one of {', '.join(GAITS)}, or upload a recording")
    part = number(phase, 0, 1, "the part of the stride")
    frames = figure(gait, length * pipe.domain["horizon"] + 2, part)
    return pipe.forecast(frames, start=0, steps=length, name=f"made-up {gait}")


def _recording(path: Path, joints: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return positions and velocities of a file that is within its limits."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise Declined("this is not a whole .npz file; write one with numpy.savez") from None
    if size > limits.MOTION_ARRAYS:
        raise Declined(f"its arrays have more than {limits.MOTION_ARRAYS / 1e6:g} MB; cut the recording")
    pos, vel = read_motion(path, joints)
    if any((np.abs(values) > limits.MOTION_EXTENT).any() for values in (pos, vel) if values is not None):
        raise Declined(
            f"a coordinate is beyond ±{limits.MOTION_EXTENT:g} length; give lengths of {100 * UNIT:.2f} cm, "
            "from an origin near the body"
        )
    return pos, vel


def scene(found: MotionForecast) -> dict[str, Any]:
    """Return the scene of a forecast: seen from the side, on a floor of dots, the truth in grey."""
    x, z = heading(found.positions)
    axes = np.array([[x, 0.0, z], [0.0, 1.0, 0.0], [-z, 0.0, x]])  # along the way, up, to the viewer
    bodies = [found.positions] if found.truth is None else [_filled(found), found.positions]
    frames = np.concatenate([body @ axes.T for body in bodies], 1)
    low, high = frames.min((0, 1)), frames.max((0, 1))
    centre = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2])
    floor = _floor(low, high) - centre
    joints, colours = len(found.joints), [_TRUTH, _FORECAST][-len(bodies) :]
    radii = [_HEAD if joint == "head" else _JOINT for joint in found.joints]
    points = [
        point
        for k, colour in enumerate(colours)
        for point in balls(frames[0, k * joints : (k + 1) * joints] - centre, radii, [colour] * joints)
    ]
    points += balls(floor, [0.12] * len(floor), ["#98a3b0"] * len(floor))
    bones = [[a + k * joints, b + k * joints, 1] for k in range(len(bodies)) for a, b in found.bones]
    return {
        "key": f"body {len(bodies)}",
        "label": f"{found.name}: the forecast of its joints"
        + (" beside the truth" if len(bodies) > 1 else ""),
        "radius": float(max((high[1] - low[1]) / 1.8, (high[0] - low[0]) / 2.2, 1e-3)),
        "front": True,
        "stick": _BONE,
        "points": points,
        "bonds": bones,
        "frames": rounded(np.round(frames - centre, 2)),
        "times": found.times.round(4).tolist(),
        "unit": "s",
        "digits": 2,
        "states": list(found.made),
        "seconds": 8.0 * float(found.times[-1]),
    }


def _filled(found: MotionForecast) -> np.ndarray:
    """Return the true positions; where they are not known any more, the last ones that are."""
    truth = np.array(found.truth)
    known = ~np.isnan(truth).any((1, 2))
    truth[~known] = truth[np.flatnonzero(known)[-1]]
    return truth


def _floor(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return dots (n, 3) on the floor under a box."""
    apart = max(_FLOOR, (high[0] - low[0]) / _DOTS)
    along = np.arange(low[0] - apart, high[0] + 1.5 * apart, apart)
    across = np.arange(-2, 3) * apart + (low[2] + high[2]) / 2
    return np.array([[x, min(0.0, low[1]), z] for x in along for z in across])


def error_chart(found: MotionForecast, name: str) -> str:
    """Return the distance of joints from the truth against time, beside constant velocity; or why not."""
    if found.errors is None or not (known := ~np.isnan(found.errors).any(1)).any():
        return '<p class="ez-empty">The recording ends here, so there is no truth to compare with.</p>'
    steps = np.arange(len(known))[:, None, None]
    straight = found.positions[0] + steps * (found.positions[1] - found.positions[0])
    naive = np.linalg.norm(straight - found.truth, axis=-1)
    later = np.flatnonzero(known)[2:]
    series = {name: found.errors[later].mean(1).tolist(), "constant velocity": naive[later].mean(1).tolist()}
    times = found.times[later].tolist()
    return lines(
        times,
        series,
        x_label="time [s]",
        y_label="mean distance of a joint from the truth [length]",
        span=(0, float(found.times[-1])),
        colours=(0, 2),
    )


def summary(found: MotionForecast, model: str, variant: str) -> str:
    """Return the error at the end of each step as an HTML table, with what to know about it."""
    rows, errors = [], found.errors
    for k in range(found.horizon, len(found.made), found.horizon - 1):
        if errors is not None and np.isfinite(errors[k]).all():
            square, far = float(np.square(errors[k]).mean() / 3), int(errors[k].argmax())
            distance = 100 * UNIT * float(errors[k].mean())
            rows.append(
                [
                    f"{found.times[k]:.2f} s",
                    scientific(square),
                    f"{distance:.1f} cm",
                    f"{html.escape(found.joints[far])}, {100 * UNIT * errors[k, far]:.0f} cm",
                ]
            )
    head = ("time", "MSE [length²]", "mean distance", "largest")
    shown = table(head, rows, numeric=(1, 2)) if rows else ""
    return shown + _notes(found, model, variant)


def _notes(found: MotionForecast, model: str, variant: str) -> str:
    warnings = []
    best = best_variant(model)
    if variant != best:
        errors = models.info(model).results["variants"]
        here, there = (errors[v]["errors"]["position"] for v in (variant, best))
        if here > 2 * there:
            warnings.append(
                f"This model was trained with its branches on and forecasts badly without: test MSE "
                f"{here:.3g} length², {there:.3g} with variant {best!r}"
            )
    if found.domain_reason is not None:
        warnings.append(
            f"Unlike the training set: {html.escape(found.domain_reason)}; the error was not measured there"
        )
    about = "" if found.test_mse is None else f"The test MSE of one step is {found.test_mse:.3g} length². "
    notes = (found.caution or "").split(" · ")
    about += " ".join(html.escape(note[:1].upper() + note[1:]) + "." for note in notes if note)
    shown = "".join(f'<p class="ez-warn">{text}.</p>' for text in warnings)
    return f'{shown}<p class="ez-note">{about} One length is {100 * UNIT:.2f} cm.</p>'

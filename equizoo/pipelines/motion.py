"""A body in motion in, its joints a quarter of a second later out.

References:
    M. Xu et al., "Equivariant Graph Neural Operator for Modeling 3D Dynamics", ICML 2024, Section 5.2.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from equizoo.pipelines import caution, checked_card, warn_outside
from equizoo.pipelines.motion_files import read_motion
from equizoo.pipelines.motion_result import GIVEN, INTERPOLATED, PREDICTED, MotionForecast
from equizoo.pipelines.motion_windows import BadMotion, Windows, as_array, check_finite, from_arrays, oddity
from equizoo.relaxation.layer import relaxations

TASK, TARGET = "motion-forecasting", "position"
_PARTIAL = (
    "a partial variant is not exactly equivariant: trust it for bodies that move the way those of its "
    "training set do"
)
_BETWEEN = (
    "the model predicts frames {first} to {last} of a step only; those before are a cubic in time through "
    "both ends, no prediction (between true ends it is 0.23 length off in a run and 0.11 in a walk, root "
    "mean square)"
)
_ROLLOUT = "steps after the first start from predictions; the test error holds for the first step only"


class MotionForecastingPipeline:
    """Predict where the joints of a body will be.

    An input is a body with the velocities of its joints, two or more consecutive frames, or a recording
    ``.npz`` or ``.amc`` (see :func:`equizoo.pipelines.motion_files.read_motion`). Units are those of the
    training data, CMU motion capture: 120 frames a second, ASF units of 0.0564 m, y up, the floor at y = 0,
    31 joints in the order of :attr:`joints`.

    Bodies unlike those of the training set are answered and flagged; a partial variant also flags bodies that
    move in another direction. A call, whose answer is an array, issues one
    :class:`~equizoo.pipelines.DomainWarning`; a forecast carries the reason.

    Args:
        model: A model with ``forward(pos, vel, batch, num_graphs) -> (B·J, T, 3)`` and its checkpoint's
            ``card``.
        device: Where it runs; where it is unless given.
        batch_size: Most bodies a forward pass.
        results: Contents of the checkpoint's ``results.json``, with its test errors; read from its folder
            when :func:`equizoo.pipeline` loads it by name.

    Attributes:
        caution: What a user of this variant has to know, or None.
        test_mse: Mean squared error of a coordinate at the horizon on the test set [length²], or None.

    Raises:
        ValueError: A size is not positive, or the model is not a checkpoint of this task.

    Example:
        >>> from equizoo import pipeline
        >>> predict = pipeline("motion-forecasting")  # doctest: +SKIP
        >>> predict(frames).shape  # (F, 31, 3) frames  # doctest: +SKIP
        (5, 31, 3)
        >>> answer = predict.forecast("09_01.amc", start=40)  # doctest: +SKIP
        >>> dict(zip(answer.joints, answer.errors[answer.horizon]))["lfoot"]  # doctest: +SKIP
        0.61
    """

    OPTIONS = ("batch_size", "results")

    def __init__(
        self,
        model: nn.Module,
        device: Any = None,
        batch_size: int = 256,
        results: Mapping[str, Any] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"need batch_size >= 1, got {batch_size}")
        self.card: Any = checked_card(model, TASK)
        self.model = (model if device is None else model.to(device)).eval()
        self.domain = self.card.domain
        self.joints: tuple[str, ...] = tuple(self.domain["joints"])
        self.batch_size = batch_size
        self.partial = bool(relaxations(model))
        self.caution = caution(_PARTIAL, results) if self.partial else None
        measured = (results or {}).get("variants", {}).get("partial" if self.partial else "equivariant", {})
        self.test_mse: float | None = measured.get("errors", {}).get(TARGET)

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames after the start frame that the model predicts."""
        horizon = self.domain["horizon"]
        return tuple(range(horizon - self.domain["frames"] + 1, horizon + 1))

    def __call__(self, positions: Any, velocities: Any = None) -> np.ndarray:
        """Predict the target frames.

        Args:
            positions: (J, 3), or (B, J, 3) for several bodies, with velocities; or two or more consecutive
                frames (F, J, 3) or (B, F, J, 3) without: the last but one is then the start frame; or the
                path of a recording, whose last but one frame is.
            velocities: Change of the positions up to the next frame [length / frame].

        Returns:
            (T, J, 3) float64 positions [length] at :attr:`frames` after the start frame; (B, T, J, 3) for
            several bodies.

        Warns:
            DomainWarning: Bodies are unlike those of the training set.

        Raises:
            BadMotion: The motion cannot be answered; the message says why.
        """
        if isinstance(positions, (str, os.PathLike)):
            if velocities is not None:
                raise BadMotion("a recording holds its velocities: give the file alone")
            positions, velocities = read_motion(positions, self.joints)
        windows = from_arrays(positions, velocities, len(self.joints))
        later = self._advance(windows)
        names = [f"body {k + 1}" for k in range(len(later))]
        warn_outside("bodies", names, self._oddities(windows))
        return later[0] if windows.single else later

    def forecast(
        self,
        positions: Any,
        velocities: Any = None,
        *,
        start: int | None = None,
        steps: int = 1,
        truth: Any = None,
        skeleton: str | os.PathLike[str] | None = None,
        name: str | None = None,
    ) -> MotionForecast:
        """Predict every frame up to the horizon and, step by step, beyond.

        The model predicts the last frames of a step only; the ones before are interpolated. The next step
        starts from the last but one predicted frame, with the change up to the last one as velocity.

        Args:
            positions: One body: (J, 3) with velocities, frames (F, J, 3), or the path of a recording.
            velocities: (J, 3) [length / frame], or None with frames or a recording.
            start: Start frame of the recording, from 0; the last but one unless given. Frames after it and
                the next one are not looked at: they are the truth that errors are measured by.
            steps: Number of steps.
            truth: (K, J, 3) true positions from the start frame on [length]; those of the recording unless
                given.
            skeleton: Path of the ``.asf`` file of an ``.amc`` recording.
            name: What to call the motion; the name of the file unless given.

        Returns:
            All frames from the start on.

        Raises:
            BadMotion: The motion cannot be answered; the message says why.
            ValueError: ``steps`` is less than 1.

        References:
            F. N. Fritsch, R. E. Carlson, "Monotone Piecewise Cubic Interpolation", SIAM J. Numer. Anal.
            17 (1980), Section 2: the cubic with given values and slopes at both ends.
        """
        if steps < 1:
            raise ValueError(f"a forecast needs at least one step, got {steps}")
        place = ""
        if isinstance(positions, (str, os.PathLike)):
            place = f"{Path(positions).name}: "
            name = name or Path(positions).name
            positions, velocities = read_motion(positions, self.joints, skeleton)
        elif skeleton is not None:
            raise BadMotion("a skeleton belongs to an .amc recording, not to arrays")
        if velocities is None:
            recording, start = _from_start(positions, start, len(self.joints), place)
            positions, truth = recording[:2], recording if truth is None else truth
        elif start is not None:
            raise BadMotion("a start frame belongs to a recording; with velocities, the body is at its start")
        windows = from_arrays(positions, velocities, len(self.joints))
        if not windows.single:
            raise BadMotion("a forecast is of one body; call the pipeline for several")
        path, made = self._roll_out(windows, steps)
        between = _BETWEEN.format(first=self.frames[0], last=self.frames[-1])
        return MotionForecast(
            name or "motion",
            self.joints,
            tuple((int(child), int(parent)) for child, parent in self.domain["bones"]),
            self.domain["frame_rate"],
            start or 0,
            path,
            made,
            self.domain["horizon"],
            self._aligned(truth, len(path)),
            self._oddities(windows)[0],
            self.test_mse,
            " · ".join(filter(None, [self.caution, between, _ROLLOUT if steps > 1 else None])),
        )

    @property
    def _knows(self) -> tuple[str, ...]:
        """What matters to this variant besides the shape and speed of a body."""
        if not self.partial:
            return ()
        released = getattr(getattr(self.model, "config", None), "branch", None) == "published"
        return ("heading", "place") if released else ("heading",)

    def _oddities(self, windows: Windows) -> list[str | None]:
        """Return what is unlike the training set in each body, or None."""
        bodies = zip(windows.pos, windows.vel, strict=True)
        return [oddity(pos, vel, self.domain, self._knows) for pos, vel in bodies]

    def _aligned(self, truth: Any, frames: int) -> np.ndarray | None:
        """Return true positions (frames, J, 3), NaN beyond what is known; None if only the input is."""
        if truth is None:
            return None
        known = as_array(truth, "true positions")
        if known.ndim != 3 or known.shape[1:] != (len(self.joints), 3):
            raise BadMotion(f"true positions are frames (K, {len(self.joints)}, 3), got {known.shape}")
        aligned = np.full((frames, *known.shape[1:]), np.nan)
        aligned[: len(known)] = np.where(np.isfinite(known), known, np.nan)[:frames]
        return aligned if len(known) > 2 else None

    def _roll_out(self, windows: Windows, steps: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return all frames (K, J, 3) of one body from the start on, and where each comes from."""
        frames, first = np.array(self.frames), self.frames[0]
        path = [windows.pos[0], windows.pos[0] + windows.vel[0]]
        made = [GIVEN, GIVEN]
        for _ in range(steps):
            origin = len(path) - 2
            pos, vel = path[-2], path[-1] - path[-2]
            later = self._advance(Windows(pos[None], vel[None]))[0]
            change = later[1] - later[0] if len(frames) > 1 else (later[0] - pos) / first
            middle = between(pos, vel, later[0], change, first)[2:]
            path += [*middle, *later[frames + origin >= len(path)]]
            made += [INTERPOLATED] * len(middle)
            made += [PREDICTED] * (len(path) - len(made))
        return np.stack(path), tuple(made)

    @torch.no_grad()
    def _advance(self, windows: Windows) -> np.ndarray:
        """Return (B, T, J, 3) float64 positions at the target frames, a bounded number at a time."""
        bodies, joints = windows.pos.shape[:2]
        parameter = next(self.model.parameters())
        later = []
        for begin in range(0, bodies, self.batch_size):
            part = slice(begin, begin + self.batch_size)
            flat = [
                torch.from_numpy(np.ascontiguousarray(array[part])).to(parameter).flatten(0, 1)
                for array in (windows.pos, windows.vel)
            ]
            here = len(flat[0]) // joints
            batch = torch.arange(here, device=parameter.device).repeat_interleave(joints)
            output = self.model(*flat, batch, num_graphs=here).double().cpu().numpy()
            later.append(output.reshape(here, joints, -1, 3).swapaxes(1, 2))
        answer = np.concatenate(later)
        finite = np.isfinite(answer).all((1, 2, 3))
        if not finite.all():
            raise BadMotion(f"body {int((~finite).argmax()) + 1}: the model's answer is not a finite number")
        return answer


def _from_start(positions: Any, start: int | None, joints: int, place: str) -> tuple[np.ndarray, int]:
    """Return the frames of a recording from the start frame on, and its number."""
    recording = as_array(positions, "positions")
    if recording.ndim != 3 or recording.shape[1:] != (joints, 3) or len(recording) < 2:
        raise BadMotion(
            f"{place}a recording is at least two frames (F, {joints}, 3); a body ({joints}, 3) needs "
            f"velocities; got {recording.shape}"
        )
    start = len(recording) - 2 if start is None else start
    if not 0 <= start <= len(recording) - 2:
        raise BadMotion(
            f"{place}start frame {start}: the recording has {len(recording)} frames, so a start is 0 to "
            f"{len(recording) - 2}"
        )
    check_finite("position", recording[start : start + 2], f"{place}frame", start)
    return recording[start:], start


def between(
    before: np.ndarray, velocity: np.ndarray, after: np.ndarray, velocity_after: np.ndarray, frames: int
) -> np.ndarray:
    """Return positions at every frame of a gap: the cubic with positions and velocities given at both ends.

    Args:
        before: (J, 3) positions at frame 0 [length].
        velocity: (J, 3) velocities there [length / frame].
        after: (J, 3) positions at frame ``frames``.
        velocity_after: (J, 3) velocities there.
        frames: Length of the gap.

    Returns:
        (frames, J, 3) positions at frames 0 to ``frames`` − 1.

    Example:
        >>> ends = np.zeros((1, 3)), np.ones((1, 3))
        >>> between(ends[0], ends[1] / 4, ends[1], ends[1] / 4, 4)[:, 0, 0].tolist()
        [0.0, 0.25, 0.5, 0.75]
    """
    t = (np.arange(frames) / frames)[:, None, None]
    hold = (1 + 2 * t) * (1 - t) ** 2 * before + t**2 * (3 - 2 * t) * after
    return hold + frames * (t * (1 - t) ** 2 * velocity + t**2 * (t - 1) * velocity_after)

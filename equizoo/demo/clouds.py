"""Classes of point clouds for the page and its API."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import Any

import numpy as np

from equizoo.demo import limits, models
from equizoo.demo.answering import Declined, number, upload, whole_number
from equizoo.demo.charts import bars
from equizoo.demo.cloud_worker import few
from equizoo.demo.processes import Workers
from equizoo.demo.shapes import SHAPES, shape
from equizoo.demo.viewer import balls
from equizoo.pipelines.point_clouds_input import BadCloud
from equizoo.pipelines.point_clouds_result import Classification

TASK = "point-cloud-classification"
FILES = (".ply", ".off", ".obj", ".xyz", ".npy")
_SAMPLES = 1024
_WORKERS = Workers("equizoo.demo.cloud_worker", "point cloud")
_LOW, _HIGH = np.array([70, 122, 214]), np.array([236, 148, 84])  # colour by height


def read(name: str | None, file: str | Path | None, drop: Any = 0, seed: Any = 0) -> np.ndarray:
    """Return the cloud of a request, less the share of its points that is dropped.

    Args:
        name: Name of a shape that the demo makes; used if there is no file.
        file: Path of an uploaded file.
        drop: Share of the points left out, from 0 to 0.95.
        seed: Seed of which are left out.

    Returns:
        (N, 3) float64 positions.

    Raises:
        Declined: It cannot be answered; the message says why.
    """
    number = whole_number(seed, 0, limits.SEED, "the seed")
    if file is not None:
        path = upload(file, FILES, limits.CLOUD_FILE)
        reply = _WORKERS.ask({"path": str(path), "samples": _SAMPLES})
        points = np.frombuffer(base64.b64decode(reply["points"])).reshape(-1, 3)
    elif name in SHAPES:
        points = shape(str(name))
    else:
        raise Declined(f"choose one of the shapes {', '.join(SHAPES)}, or upload a file")
    return dropped(points, drop, number)


def dropped(points: np.ndarray, drop: Any, seed: int) -> np.ndarray:
    """Return a cloud less a share of its points, at random.

    Raises:
        Declined: The share is not from 0 to 0.95, or the cloud is too large.

    Example:
        >>> dropped(np.zeros((100, 3)), 0.9, seed=0).shape
        (10, 3)
    """
    share = number(drop, 0, 0.95, "the share of dropped points")
    kept = round(len(few(points)) * (1 - share))
    chosen = np.random.default_rng(seed).permutation(len(points))[:kept]
    return points[np.sort(chosen)]


def classify(points: np.ndarray, model: str, variant: str = "equivariant") -> Classification:
    """Return what the pipeline answers for a cloud.

    Raises:
        Declined: The model is not offered.
        BadCloud: The cloud cannot be answered; the message says why.
    """
    answer = models.predictor(TASK, model, variant).classify(points)[0]
    if answer.error is not None:
        raise BadCloud(answer.error)
    return answer


def scene(cloud: np.ndarray, name: str) -> dict[str, Any]:
    """Return the scene of a cloud (n, 3) in the unit sphere, coloured by height."""
    return {
        "key": f"cloud {name}",
        "label": f"point cloud of {len(cloud)} points",
        "radius": 1.05,
        "points": dots(cloud),
    }


def dots(cloud: np.ndarray) -> list[list[Any]]:
    """Return the points of a scene for a cloud (n, 3) in the unit sphere."""
    height = (cloud[:, 2] - cloud[:, 2].min()) / max(float(np.ptp(cloud[:, 2])), 1e-9)
    steps = np.round(height * 15) / 15  # few colours, so that few balls are painted and kept
    shades = np.round(_LOW + steps[:, None] * (_HIGH - _LOW)).astype(int)
    colours = [f"rgb({r},{g},{b})" for r, g, b in shades]
    return balls(cloud, [0.03] * len(cloud), colours)


def class_bars(answer: Classification, style: str = "equivariant", title: str = "", top: int = 5) -> str:
    """Return the most probable classes as bars."""
    rows = [
        (entry["label"].replace("_", " "), entry["score"], f"{100 * entry['score']:.1f} %")
        for entry in answer.top(top)
    ]
    return bars(rows, style, title)


def _points(answer: Classification) -> str:
    if answer.clouds is None or len(answer.clouds) == 1:
        return f"{answer.points} points"
    return f"{answer.points} points, {answer.clouds.shape[1]} at a time,"


def notes(answer: Classification, test_error: dict[str, float]) -> str:
    """Return what to know about an answer, as HTML."""
    warning = ""
    if answer.domain_reason is not None:
        known = "its card says how often the model is right there"
        reason = html.escape(answer.domain_reason)
        warning = f'<p class="ez-warn">Unlike the training set: {reason}; {known}.</p>'
    accuracy = test_error.get("instance")
    share = "" if accuracy is None else f" It is right for {100 - accuracy:.0f} % of the test objects."
    return (
        f'{warning}<p class="ez-note">The model saw {_points(answer)} and knows {len(answer.classes)} '
        f"classes: anything else gets one of them, often with a large probability.{share}</p>"
    )

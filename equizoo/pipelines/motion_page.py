"""Forecasts of bodies as an animation in one HTML file: no network, no other file."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from equizoo._replacing import replacing
from equizoo.pipelines.motion_result import GIVEN, INTERPOLATED, PREDICTED, MotionForecast
from equizoo.pipelines.motion_view import AZIMUTH, COLOURS, ELEVATION, GRID, LABELS, TRUTH, heading

_STYLE = """
:root { color-scheme: light; }
body { max-width: 46rem; margin: 2rem auto 4rem; padding: 0 1rem; color: #1f2937; background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.2rem; margin: 2rem 0 .3rem; }
p { margin: .3rem 0; color: #6b7280; font-size: .92rem; }
canvas { width: 100%; aspect-ratio: 4 / 3; border: 1px solid #e5e7eb; border-radius: 6px; cursor: grab;
  touch-action: none; display: block; }
.bar { display: flex; flex-wrap: wrap; gap: .3rem .8rem; align-items: center; margin: .5rem 0; }
.bar input { flex: 1; } .bar output { flex-basis: 100%; font-variant-numeric: tabular-nums; }
button, select { font: inherit; padding: .15rem .7rem; }
.key span { display: inline-block; width: 1.4rem; border-top: 3px solid; margin: 0 .35rem .25rem 1rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; columns: 2; }
td { padding: .1rem 1.2rem .1rem 0; } details { margin: .6rem 0; }
"""
_SCRIPT = """
function show(figure, data) {
  const canvas = figure.querySelector("canvas"), slider = figure.querySelector("input"),
    text = figure.querySelector("output"), button = figure.querySelector("button"),
    speed = figure.querySelector("select"), pen = canvas.getContext("2d");
  let turn = data.azimuth, tilt = data.elevation, frame = 0, playing = true, last = 0;
  const [hx, hz] = data.heading, pixels = Math.min(devicePixelRatio || 1, 2);
  canvas.width = 720 * pixels; canvas.height = 540 * pixels;
  function middle(k) {
    let x = 0, z = 0;
    for (const joint of data.positions[k]) { x += joint[0]; z += joint[2]; }
    return [x / data.positions[k].length, z / data.positions[k].length];
  }
  function project(point, centre) {
    const x = point[0] - centre[0], z = point[2] - centre[1];
    const a = turn * Math.PI / 180, t = tilt * Math.PI / 180;
    const along = x * hx + z * hz, across = x * hz - z * hx;
    const right = along * Math.cos(a) + across * Math.sin(a);
    const depth = along * Math.sin(a) - across * Math.cos(a);
    const up = point[1] * Math.cos(t) + depth * Math.sin(t), scale = canvas.height / 40;
    return [canvas.width / 2 + right * scale, canvas.height * 0.86 - up * scale];
  }
  function line(a, b, centre, colour, width, dash) {
    pen.strokeStyle = colour; pen.lineWidth = width * pixels; pen.lineCap = "round";
    pen.setLineDash(dash ? [6 * pixels, 5 * pixels] : []);
    pen.beginPath(); pen.moveTo(...project(a, centre)); pen.lineTo(...project(b, centre)); pen.stroke();
  }
  function body(joints, centre, colour, dash) {
    for (const [child, parent] of data.bones) line(joints[child], joints[parent], centre, colour, 3.2, dash);
    pen.fillStyle = colour;
    for (const joint of joints) {
      const [x, y] = project(joint, centre);
      pen.beginPath(); pen.arc(x, y, 2.6 * pixels, 0, 2 * Math.PI); pen.fill();
    }
  }
  function floor(centre) {
    const along = centre[0] * hx + centre[1] * hz, across = centre[0] * hz - centre[1] * hx;
    const at = (u, v) => [u * hx + v * hz, 0, u * hz - v * hx];
    for (let k = -5; k <= 5; k++) {
      const u = 5 * (Math.round(along / 5) + k), v = 5 * (Math.round(across / 5) + k);
      line(at(u, across - 25), at(u, across + 25), centre, data.grid, 1);
      line(at(along - 25, v), at(along + 25, v), centre, data.grid, 1);
    }
  }
  function draw() {
    const centre = middle(frame), made = data.made[frame], truth = data.truth && data.truth[frame];
    pen.clearRect(0, 0, canvas.width, canvas.height);
    floor(centre);
    if (truth) body(truth, centre, data.colours.truth, false);
    body(data.positions[frame], centre, data.colours[made], made === data.dashed);
    slider.value = frame;
    const error = data.errors && data.errors[frame];
    text.textContent = "frame +" + frame + ", " + (frame / data.rate).toFixed(3) + " s, " +
      data.labels[made] + (typeof error === "number" ? `, joints ${error.toFixed(2)} off on average` : "");
  }
  slider.max = data.positions.length - 1;
  slider.oninput = () => { playing = false; frame = +slider.value; button.textContent = "Play"; draw(); };
  button.onclick = () => { playing = !playing; button.textContent = playing ? "Pause" : "Play"; };
  let from = null;
  canvas.onpointerdown = (e) => { from = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); };
  canvas.onpointerup = () => { from = null; };
  canvas.onpointermove = (e) => {
    if (!from) return;
    turn += (from[0] - e.clientX) * 0.5;
    tilt = Math.max(-10, Math.min(80, tilt + (e.clientY - from[1]) * 0.3));
    from = [e.clientX, e.clientY]; draw();
  };
  function tick(now) {
    if (playing && now - last > 1000 / (data.rate * +speed.value)) {
      frame = (frame + 1) % data.positions.length; last = now; draw();
    }
    requestAnimationFrame(tick);
  }
  draw(); requestAnimationFrame(tick);
}
document.querySelectorAll("figure").forEach((figure) =>
  show(figure, JSON.parse(figure.querySelector("script[type='application/json']").textContent)));
"""


def write_page(forecasts: Sequence[MotionForecast], path: str | os.PathLike[str]) -> None:
    """Write forecasts as an animation that any browser plays.

    Each body is drawn frame by frame beside the truth where it is known; dragging turns the camera. Frames
    that were interpolated are pale and dashed.

    Args:
        forecasts: The forecasts.
        path: The file, ``.html``; it appears whole or not at all.
    """
    title = "Motion: forecast" + " and truth" * any(forecast.truth is not None for forecast in forecasts)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{title}</title><style>{_STYLE}</style>"
    parts = "\n".join(_figure(forecast) for forecast in forecasts)
    page = f"<body>\n{parts}\n<script>{_SCRIPT}</script>\n</body>"
    text = f'<!doctype html>\n<html lang="en"><head>{head}</head>\n{page}</html>\n'
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _figure(forecast: MotionForecast) -> str:
    data = json.dumps(_data(forecast), separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    speeds = "".join(
        f"<option value={value}{' selected' * (value == 0.25)}>× {value:g}</option>"
        for value in (1, 0.5, 0.25, 0.1)
    )
    used = [made for made in (GIVEN, PREDICTED, INTERPOLATED) if made in forecast.made]
    key = "".join(f'<span style="color:{COLOURS[made]}"></span>{LABELS[made]}' for made in used)
    if forecast.truth is not None:
        key += f'<span style="color:{TRUTH}"></span>truth'
    return f"""<h1>{html.escape(forecast.name)}, from frame {forecast.start}</h1>
{"".join(f"<p>{html.escape(text)}</p>" for text in _texts(forecast))}
<figure style="margin:0"><canvas role="img" aria-label="the body, frame by frame"></canvas>
<div class="bar"><button>Pause</button><select aria-label="speed">{speeds}</select>
<input type="range" min="0" value="0" aria-label="frame"><output></output></div>
<p class="key">{key}</p>{_errors(forecast)}
<script type="application/json">{data}</script></figure>"""


def _texts(forecast: MotionForecast) -> list[str]:
    texts = []
    if forecast.mse is not None:
        texts.append(
            f"Mean squared error of a coordinate at frame +{forecast.horizon}: {forecast.mse:.4g} length²."
        )
    if forecast.test_mse is not None:
        texts.append(f"On the test set: {forecast.test_mse:.4g} length².")
    if forecast.domain_reason is not None:
        texts.append(f"Outside the training domain: {forecast.domain_reason}.")
    return [*texts, *([f"Note: {forecast.caution}."] if forecast.caution else [])]


def _errors(forecast: MotionForecast) -> str:
    """Return the error of each joint at the horizon, largest first."""
    errors = forecast.errors
    if errors is None or forecast.mse is None:
        return ""
    order = np.argsort(-errors[forecast.horizon])
    rows = "".join(
        f"<tr><td>{html.escape(forecast.joints[k])}</td><td>{errors[forecast.horizon, k]:.2f}</td></tr>"
        for k in order
    )
    summary = f"Error of each joint at frame +{forecast.horizon} [length]"
    return f"<details><summary>{summary}</summary><table>{rows}</table></details>"


def _data(forecast: MotionForecast) -> dict[str, Any]:
    errors, truth = forecast.errors, forecast.truth
    return {
        "positions": forecast.positions.round(3).tolist(),
        "truth": None if truth is None else [_known(frame.round(3)) for frame in truth],
        "errors": None if errors is None else [_known(row.mean()) for row in errors],
        "made": list(forecast.made),
        "bones": [list(bone) for bone in forecast.bones],
        "rate": forecast.frame_rate,
        "heading": [round(x, 6) for x in heading(forecast.positions)],
        "azimuth": AZIMUTH,
        "elevation": ELEVATION,
        "grid": GRID,
        "colours": {**COLOURS, "truth": TRUTH},
        "labels": LABELS,
        "dashed": INTERPOLATED,
    }


def _known(values: np.ndarray) -> Any:
    return None if np.isnan(values).any() else values.tolist()

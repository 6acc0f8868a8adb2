"""Small charts as HTML and SVG that take their colours from the page, so that they work in light and dark."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 460, 250, 52, 34, 10, 12
_SMALLEST = 1e-17


def bars(rows: Sequence[tuple[str, float, str]], style: str = "equivariant", title: str = "") -> str:
    """Return horizontal bars.

    Args:
        rows: Name, length from 0 to 1, and what is written behind the bar, each.
        style: ``"equivariant"`` or ``"partial"``: the colour.
        title: A line above.

    Example:
        >>> "width:50.0%" in bars([("chair", 0.5, "50 %")])
        True
    """
    cells = "".join(
        f'<span class="name">{html.escape(name)}</span>'
        f'<span class="track"><div class="fill {style}" style="width:{100 * min(1.0, max(0.0, part)):.1f}%">'
        f'</div></span><span class="value">{html.escape(text)}</span>'
        for name, part, text in rows
    )
    head = f'<div class="ez-bars-title">{html.escape(title)}</div>' if title else ""
    return f'{head}<div class="ez-bars">{cells}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """Return a table; cells are HTML already, columns in ``numeric`` are set right."""
    kind = [' class="num"' if k in numeric else "" for k in range(len(head))]
    top = "".join(f"<th{c}>{text}</th>" for c, text in zip(kind, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{c}>{cell}</td>" for c, cell in zip(kind, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<table class="ez-table"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def lines(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str,
    span: tuple[float, float] | None = None,
    colours: Sequence[int] = (0, 1),
    mark: float | None = None,
    ceiling: float | None = None,
    ceiling_label: str = "",
) -> str:
    """Return curves with a logarithmic vertical axis.

    Args:
        x: Horizontal coordinates, ascending.
        series: Heights by name; those that are not positive are drawn at the lower edge.
        x_label: Name of the horizontal axis, with its unit.
        y_label: Name of the vertical axis, with its unit.
        span: Ends of the horizontal axis; those of ``x`` unless given.
        colours: Number of the colour of each series: 0 equivariant, 1 partial, 2 anything else.
        mark: Horizontal coordinate of a vertical line, or None.
        ceiling: Upper end of a shaded band, or None.
        ceiling_label: What the band is.

    Example:
        >>> chart = lines([0, 1], {"a": [1e-3, 1.0]}, x_label="x", y_label="y")
        >>> chart.count("<path"), "10⁻³" in chart
        (1, True)
    """
    values = [v for ys in series.values() for v in ys if v > _SMALLEST] + ([ceiling] if ceiling else [])
    low = math.floor(math.log10(min(values, default=1e-7)))
    high = max(low + 1, math.ceil(math.log10(max(values, default=1.0))))
    left, right = span or (x[0], x[-1])
    width = (right - left) or 1.0

    def across(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - left) / width

    def up(value: float) -> float:
        part = (math.log10(max(value, 10.0**low)) - low) / (high - low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * part

    step = max(1, math.ceil((high - low) / 6))
    parts = []
    for k in range(low, high + 1, step):
        y = up(10.0**k)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_power(k)}</text>')
    if ceiling:
        y = up(ceiling)
        parts.append(
            f'<rect class="band" x="{_LEFT}" width="{_WIDTH - _LEFT - _RIGHT}" y="{y:.1f}" '
            f'height="{_HEIGHT - _BOTTOM - y:.1f}"/>'
        )
    for k in range(5):
        value = left + width * k / 4
        parts.append(
            f'<text x="{across(value):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
            f"{value:g}</text>"
        )
    if mark is not None and left <= mark <= right:
        at = across(mark)
        parts.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
    for k, ys in zip(colours, series.values(), strict=False):
        points = " L".join(f"{across(a):.1f} {up(b):.1f}" for a, b in zip(x, ys, strict=True))
        parts.append(f'<path class="ez-c{k}" d="M{points}"/>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 3}" text-anchor="middle">'
        f"{html.escape(x_label)}</text>"
    )
    legend = [
        f'<span class="l{k}">{html.escape(name)}</span>' for k, name in zip(colours, series, strict=False)
    ]
    if ceiling:
        legend.append(f'<span class="band">{html.escape(ceiling_label)}</span>')
    return (
        f'<div class="ez-bars-title">{html.escape(y_label)}</div>'
        f'<div class="ez-legend">{"".join(legend)}</div>'
        f'<svg class="ez-chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(y_label)} against {html.escape(x_label)}">{"".join(parts)}</svg>'
    )


def minus(text: str) -> str:
    """Return a number with a minus sign in the place of its hyphen."""
    return text.replace("-", "−")


def scientific(value: float) -> str:
    """Return a number as HTML, such as ``3.1 · 10<sup>−7</sup>``.

    Example:
        >>> scientific(3.14e-7), scientific(0.25), scientific(0.0)
        ('3.1 · 10<sup>−7</sup>', '0.25', '0')
    """
    if value == 0:
        return "0"
    if 1e-2 <= abs(value) < 1e4:
        return minus(f"{value:,.0f}" if abs(value) >= 99.5 else f"{value:.2g}")
    mantissa, _, power = f"{value:.1e}".partition("e")
    return minus(f"{mantissa} · 10<sup>{int(power)}</sup>")


def _power(k: int) -> str:
    return "10" + str(k).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))

"""The parts of a self-contained HTML page: no script, no other file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

_STYLE = """
:root { color-scheme: light; }
body { max-width: 56rem; margin: 3rem auto 5rem; padding: 0 1.5rem; color: #1f2937; background: #fff;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .35rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.8rem 0 .6rem; padding-top: 1rem; border-top: 1px solid #e5e7eb; }
p { margin: .5rem 0; max-width: 44rem; }
.quiet { color: #6b7280; }
.table { overflow-x: auto; }
table { border-collapse: collapse; margin: .9rem 0; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem 1.1rem .28rem 0; text-align: right; white-space: nowrap; }
th { font-weight: 600; border-bottom: 1px solid #d1d5db; }
td { border-bottom: 1px solid #f3f4f6; }
th:first-child, td:first-child { text-align: left; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.4rem; margin: 1rem 0;
  font-size: .95rem; }
dt { color: #6b7280; } dd { margin: 0; }
figure { margin: 1.2rem 0; } img { max-width: 100%; height: auto; display: block; }
figcaption { color: #6b7280; font-size: .9rem; max-width: 44rem; margin-top: .5rem; }
details { margin: 1rem 0; } summary { cursor: pointer; color: #6b7280; }
pre { background: #f9fafb; padding: 1rem; overflow-x: auto; font-size: .82rem; line-height: 1.45; }
@media print { body { margin: 0; max-width: none; } figure, table { break-inside: avoid; } }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """Return the whole page."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def heading(title: str, level: int = 2) -> str:
    """Return a heading."""
    return f"<h{level}>{html.escape(title)}</h{level}>"


def paragraph(text: str, quiet: bool = False) -> str:
    """Return a paragraph of plain text."""
    return f"<p{' class=quiet' * quiet}>{html.escape(text)}</p>"


def facts(pairs: Mapping[str, Any]) -> str:
    """Return a list of names and values.

    Example:
        >>> facts({"seed": 42})
        '<dl><dt>seed</dt><dd>42</dd></dl>'
    """
    rows = (
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>" for name, value in pairs.items()
    )
    return f"<dl>{''.join(rows)}</dl>"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; its first column is aligned to the left, the others to the right."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def picture(figure: Any, caption: str, text: str) -> str:
    """Return a matplotlib figure inside the page.

    Args:
        figure: The figure.
        caption: What to see in it, below.
        text: What it shows, for readers who do not see it.
    """
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=160)
    source = base64.b64encode(data.getvalue()).decode("ascii")
    image = f'<img alt="{html.escape(text)}" src="data:image/png;base64,{source}">'
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>"


def folded(summary: str, text: str) -> str:
    """Return text that is shown when the reader asks for it."""
    return f"<details><summary>{html.escape(summary)}</summary><pre>{html.escape(text)}</pre></details>"

"""How the page looks: system fonts, quiet colours that work in light and dark, and its header."""

from __future__ import annotations

from typing import Any

_SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

HEADER = (
    '<div class="ez-head"><h1>equizoo</h1>'
    "<p>Networks that learned which symmetries to keep: try them, and turn the world under them.</p></div>"
)


def theme() -> Any:
    """Return the theme; it loads no font from anywhere."""
    import gradio as gr

    hue = gr.themes.Color(
        name="ez",
        c50="#effaf6",
        c100="#d6f2e8",
        c200="#aee4d2",
        c300="#79d0b5",
        c400="#46b896",
        c500="#259d7c",
        c600="#1a7f65",
        c700="#176653",
        c800="#165144",
        c900="#134339",
        c950="#082621",
    )
    base = gr.themes.Base(
        primary_hue=hue,
        secondary_hue=hue,
        neutral_hue="slate",
        radius_size="lg",
        font=_SANS,
        font_mono=_MONO,
    )
    return base.set(
        block_border_width="1px",
        block_shadow="none",
        block_shadow_dark="none",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        body_background_fill="#ffffff",
        body_background_fill_dark="#11151b",
        background_fill_primary_dark="#161b22",
        background_fill_secondary_dark="#11151b",
        block_background_fill_dark="#161b22",
        input_background_fill_dark="#11151b",
        border_color_primary="#dfe3e8",
        border_color_primary_dark="#2f3742",
    )


def status(device: str, seconds: float, model: str, variant: str | None = None) -> str:
    """Return the line that says where and how fast an answer was made.

    Example:
        >>> "12 ms" in status("cpu", 0.012, "schnet-qm9-ace")
        True
    """
    time = f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    what = model if variant is None else f"{model}, {variant}"
    return f'<p class="ez-note">{what} · {time} on {device}</p>'

"""Blocks between markers in a page that is written by hand otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from equizoo.hub.errors import EquizooError


def fill(text: str, blocks: Mapping[str, str], page: str) -> str:
    """Return a page with the text between the markers of each block replaced.

    Args:
        text: The page, with ``<!-- name:begin -->`` and, after it, ``<!-- name:end -->`` for each block.
        blocks: The text of each block; empty: none.
        page: Name of the page, for messages.

    Raises:
        EquizooError: A marker is missing or there twice.

    Example:
        >>> print(fill("<!-- a:begin -->old<!-- a:end -->", {"a": "new"}, "page.md"))
        <!-- a:begin -->
        new
        <!-- a:end -->
    """
    for name, block in blocks.items():
        opening, closing = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, begin, rest = text.partition(opening)
        _, end, after = rest.partition(closing)
        if not begin or not end or opening in rest or closing in after:
            raise EquizooError(f"{page} must have {opening} and, after it, {closing}, once each")
        text = f"{before}{begin}\n{block + chr(10) if block else ''}{end}{after}"
    return text

"""The known name that a misspelt one was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return ``"; did you mean 'x'?"`` with the known name nearest to ``name``, or an empty string.

    Args:
        name: What was written; its case does not matter.
        known: The names that there are.
        cutoff: Least similarity in [0, 1] of a name worth proposing.

    Example:
        >>> did_you_mean("hidden_dims", ["hidden_dim", "cutoff"])
        "; did you mean 'hidden_dim'?"
        >>> did_you_mean("zzz", ["hidden_dim"])
        ''
    """
    folded = {str(word).casefold(): word for word in known}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=cutoff)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""

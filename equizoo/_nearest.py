"""The known name that a misspelt one was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return ``"; did you mean 'x'?"`` with the known name nearest to ``name``, or an empty string.

    Names that begin with all of ``name`` are nearer than any other.

    Args:
        name: What was written; its case does not matter.
        known: The names that there are.
        cutoff: Least similarity in [0, 1] of a name worth proposing.

    Example:
        >>> did_you_mean("hidden_dims", ["hidden_dim", "cutoff"])
        "; did you mean 'hidden_dim'?"
        >>> did_you_mean("zzz", ["hidden_dim"])
        ''
        >>> did_you_mean("segnn", ["egno", "segnn-particles"])
        "; did you mean 'segnn-particles'?"
    """
    folded = {str(word).casefold(): word for word in known}
    written = str(name).casefold()
    longer = [word for word in folded if written and word.startswith(written)]
    near = difflib.get_close_matches(written, longer or folded, n=1, cutoff=0.0 if longer else cutoff)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""
